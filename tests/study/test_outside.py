"""What a package of somebody else's adds, from outside and by entry point, is part of a study like everything else."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from personare.core import registry
from personare.core.errors import DataError
from personare.core.types import Cohort
from personare.data.importing import import_cohort
from personare.govern.ledger import Ledger
from personare.study import run as running
from personare.study.access import open_batch
from personare.study.parallel import Workers
from personare.study.plan import load_plan
from personare.study.run import run_study
from personare.study.study import Outcome, Study

READER = '''
"""Gaits, one row a step."""
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from personare.data.reading import Contents

__all__ = ["Gaits"]


@dataclass(frozen=True, kw_only=True)
class Gaits:
    """Reads ``01_angry_1.npy``."""

    license: ClassVar[str] = "made for a test"
    citation: ClassVar[str] = "nobody"
    home: ClassVar[str] = "nowhere"
    tracks: ClassVar[dict[str, str]] = {"stride": "motion"}

    def __call__(self, source: Path):
        contents = Contents()
        for path in sorted(source.glob("*.npy")):
            subject, emotion, take = path.stem.split("_")
            contents.add(subject, emotion + take, {"stride": path.name}, {"emotion": emotion})
        return contents.all()
'''
KIND = '''
"""Averages of each class: what is left when nobody in particular is."""
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from personare.core.types import Release, Result
from personare.core.atomic import make_folder, write_json
from personare.study.study import Outcome

__all__ = ["Averages"]


@dataclass(frozen=True, kw_only=True)
class Row:
    name: str
    label: str = ""
    modalities: Sequence[str] = ()


@dataclass(frozen=True)
class Averages:
    """Releases one row for each class."""

    row = Row

    def __call__(self, study, rows):
        outcome = Outcome()
        for row in rows:
            batch = study.opened(row).batch
            values = np.concatenate([part.reshape(len(batch), -1) for part in batch.arrays.values()], axis=1)
            means = np.stack([values[batch.labels == c].mean(axis=0) for c in range(len(batch.classes))])

            def write(folder):
                np.save(make_folder(folder) / "means.npy", means)
                spend = {"unit": "person", "epsilon": 2.5, "delta": 1e-3, "accountant": "by hand"}
                write_json(folder / "croissant.json", {"personare:privacy": {"spends": [spend]}})
                return {}

            root, _ = study.make(row, batch, write, {})
            nearest = np.linalg.norm(values[:, None] - means, axis=2).argmin(axis=1)
            columns = {"release": row.name, "kind": "averages", "n": len(batch)}
            read = Result(question="read", method="nearest_mean", figure="accuracy",
                          value=float((nearest == batch.labels).mean()), low=0.5, high=1.0, **columns)
            told = Result(question="identify", method="nobody", figure="top1", value=0.125, low=0.0, high=0.25,
                          control=0.125, better="lower", **columns)
            release = Release(name=row.name, kind="averages", root=root, modalities=("averages",),
                              methods={"averages": "means"}, options={}, counts={"recordings": len(means)},
                              claim="Whatever the author of the package says.")
            outcome.add(Outcome(releases=[release], rows=[read, told]))
        return outcome
'''
MEASURE = '''
"""How many synthetic recordings there are for each real one."""
from dataclasses import dataclass
from typing import ClassVar

from personare.core.types import Result

__all__ = ["SyntheticSize"]


@dataclass(frozen=True, kw_only=True)
class SyntheticSize:
    """A measure of a package of its own."""

    kinds: ClassVar[tuple[str, ...]] = ("synthetic",)

    def __call__(self, original, released, *, others, rng):
        share = len(released) / len(original)
        return [Result(question="resemble", method="synthetic_size", figure="share", value=share)]
'''
ATTACK = '''
"""Names the loudest."""
from dataclasses import dataclass

from personare.evaluate.attacks.voice_prosody import VoiceProsody

__all__ = ["VoiceLoudness"]


@dataclass(frozen=True, kw_only=True)
class VoiceLoudness(VoiceProsody):
    """An attack of a package of its own."""
'''
FILES = {
    "personare.data.readers": ("gaits", READER, "Gaits"),
    "personare.study.kinds": ("averages", KIND, "Averages"),
    "personare.evaluate.attacks": ("voice_loudness", ATTACK, "VoiceLoudness"),
    "personare.evaluate.utility": ("synthetic_size", MEASURE, "SyntheticSize"),
}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of somebody else's, as pip leaves it."""
    site, said = tmp_path / "site", []
    about = site / "elsewhere-1.0.dist-info"
    about.mkdir(parents=True)
    (site / "elsewhere").mkdir()
    (site / "elsewhere" / "__init__.py").write_text("")
    for group, (name, text, public) in FILES.items():
        (site / "elsewhere" / f"{name}.py").write_text(text.lstrip())
        said.append(f"[{group}]\n{name} = elsewhere.{name}:{public}\n")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("\n".join(said))
    monkeypatch.syspath_prepend(site)


@pytest.fixture
def gaits(installed: None, tmp_path: Path) -> Path:
    """Eight people, two emotions, four steps of each."""
    source, rng = tmp_path / "gaits", np.random.default_rng(0)
    source.mkdir()
    for person in range(8):
        own = rng.standard_normal(6)
        for emotion in ("angry", "happy"):
            for take in range(4):
                values = own + 3 * (emotion == "happy") + 0.5 * rng.standard_normal(6)
                np.save(source / f"{person + 1:02d}_{emotion}_{take}.npy", values.astype(np.float32))
    return source


@pytest.mark.parametrize("group", FILES)
def test_it_is_listed_like_everything_else(installed: None, group: str) -> None:
    name, text, public = FILES[group]
    method = registry.find(group)[name]
    assert method.summary in text and registry.load(group, name).__name__ == public


def test_a_track_needs_the_consent_that_its_reader_says(gaits: Path, tmp_path: Path) -> None:
    cohort, _ = import_cohort(gaits, tmp_path / "cohort", reader="gaits", consent_purposes=["training"])
    ledger, table = Ledger(tmp_path / "ledger.sqlite"), tmp_path / "cohort" / "consent.tsv"
    consent = pd.read_csv(table, sep="\t", dtype=str, keep_default_na=False)
    for modalities, opened in (("motion", True), ("physio", False)):
        consent.assign(modalities=modalities).to_csv(table, sep="\t", index=False)
        if opened:
            assert len(open_batch(cohort, "emotion", ("stride",), ledger).batch) == 64
        else:
            with pytest.raises(DataError, match="consent"):
                open_batch(cohort, "emotion", ("stride",), ledger)


def study(cohort: Cohort, text: str, tmp_path: Path) -> tuple[list[dict[str, Any]], str]:
    """Return what was measured, and the report."""
    config, out = tmp_path / "study.toml", tmp_path / "run"
    config.write_text(text)
    plan, said = load_plan(config=config)
    ledger = Ledger(tmp_path / "ledger.sqlite")
    run_study(cohort, plan, said, out, workers=Workers(jobs=1, quiet=True), ledger=ledger)
    return json.loads((out / "results.json").read_text()), (out / "report.html").read_text()


def test_a_fifth_kind_of_release_is_made_judged_and_reported(gaits: Path, tmp_path: Path) -> None:
    cohort, _ = import_cohort(gaits, tmp_path / "cohort", reader="gaits", consent_purposes=["training"])
    rows, page = study(cohort, '[[averages]]\nname = "means_of_classes"\n', tmp_path)
    assert np.load(tmp_path / "run/releases/means_of_classes/means.npy").shape == (2, 6)
    assert {(row["release"], row["kind"], row["method"]) for row in rows} == {
        ("means_of_classes", "averages", "nearest_mean"),
        ("means_of_classes", "averages", "nobody"),
    }
    assert "means of classes" in page.replace("_", " ") and "nearest mean" in page.replace("_", " ")
    assert "privacy claimed: ε = 2.5, δ = 0.001, for one person" in page, "its card is read as every other"


def test_a_kind_of_release_may_learn_no_label(speakers: Callable[..., Cohort], tmp_path: Path) -> None:
    plan, ledger = load_plan()[0], Ledger(tmp_path / "ledger.sqlite")
    study = Study(cohort=speakers(tmp_path / "cohort", people=2), plan=plan, ledger=ledger)
    made = running._outcome(study, lambda *_: Outcome(), SimpleNamespace(name="sums", modalities=()))
    assert made.not_made == []


def test_a_measure_of_synthetic_people_is_asked_of_them(gaits: Path, tmp_path: Path) -> None:
    cohort, _ = import_cohort(gaits, tmp_path / "cohort", reader="gaits", consent_purposes=["training"])
    people = 'shadows = 0\ncanaries = 0\n[[synthetic]]\nname = "others"\nmethod = "copula"\n'
    rows, page = study(cohort, people + "people = 6\nrecordings = 8\nheld_out = 0.5\n", tmp_path)
    assert [row["value"] for row in rows if row["method"] == "synthetic_size"] == [1.5]
    assert "synthetic size" in page.replace("_", " ")


def test_an_attack_names_people_in_a_study(installed: None, speakers: Callable[..., Cohort], tmp_path: Path) -> None:
    text = 'attacks = ["voice_loudness"]\nutilities = []\n[[releases]]\nname = "noisy"\nvoice = "voice_noise"\n'
    rows, page = study(speakers(tmp_path / "cohort", people=4, tracks=("audio",)), text, tmp_path)
    named = {
        row["release"]: row["value"] for row in rows if (row["method"], row["figure"]) == ("voice_loudness", "top1")
    }
    assert set(named) == {"original", "noisy"} and named["original"] > 0.5
    assert "voice loudness" in page.replace("_", " ")
