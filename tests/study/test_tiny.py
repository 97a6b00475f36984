"""A study ends with a report or a clear refusal, whatever the cohort is like and whatever fails."""

import importlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from personare.anonymize._recordings import Disguise
from personare.core.errors import DataError
from personare.core.types import Cohort
from personare.data.cohort import open_cohort
from personare.govern.ledger import Ledger
from personare.report.tables import text_table
from personare.study import outputs
from personare.study.kinds.models import ModelPlan
from personare.study.kinds.representations import RepresentationPlan
from personare.study.kinds.synthetic import SyntheticPlan
from personare.study.parallel import Workers
from personare.study.plan import StudyPlan
from personare.study.run import run_study

PLAN = StudyPlan(
    releases=(
        Disguise(name="noisy", voice="voice_noise"),
        Disguise(name="codebook", voice="voice_codebook", voice_options={"scope": "shared"}),
        Disguise(name="blur", face="face_blur"),
    ),
    representations=(RepresentationPlan(name="shown", method="leace"),),
    synthetic=(SyntheticPlan(name="people", method="copula", people=2, recordings=2, held_out=0.3),),
    models=(ModelPlan(name="trees", method="forest", options={"trees": 3}),),
    attacks=("voice_gmm", "voice_prosody", "face_pixels", "face_motion", "fusion", "attributes"),
    utilities=("voice_emotion", "face_emotion", "fused_emotion", "sentence", "prosody"),
    shadows=2,
    canaries=2,
)
pytestmark = pytest.mark.filterwarnings("ignore")  # a fit to one sample warns, and is reported as what it is
BROKEN = {
    "evaluate.attacks": (
        'question = "identify"\n    modality = "audio"\n\n    def __call__(self, *_a, **_k):\n        return [][0]\n',
        IndexError,
    ),
    "evaluate.utility": (
        'modality = "any"\n    views = ()\n\n    def __call__(self, *_a, **_k):\n        raise ValueError("torn")\n',
        ValueError,
    ),
    "anonymize": (
        'fit_on = "everyone"\n\n    def fit(self, *_a, **_k):\n        return {}["age"]\n\n    __call__ = fit\n',
        KeyError,
    ),
    "represent": ('def fit(self, *_a, **_k):\n        raise RuntimeError("torn")\n', RuntimeError),
    "synthesize": ("def fit(self, *_a, **_k):\n        return 1 / 0\n", ZeroDivisionError),
    "train": ("def fit(self, *_a, **_k):\n        assert not 1\n\n    restore = fit\n", AssertionError),
}


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Put a method into a folder of the registry, from outside, and take it out again."""
    placed = []

    def place(folder: str) -> str:
        name = f"{'voice_' if folder == 'anonymize' else ''}torn"
        where = tmp_path / "plugins" / folder
        where.mkdir(parents=True)
        body = BROKEN[folder][0]
        head = '"""Fails."""\n\nfrom dataclasses import dataclass\n\n__all__ = ["Torn"]\n\n\n@dataclass(frozen=True)\n'
        code = f'{head}class Torn:\n    """Fails."""\n\n    {body}'
        (where / f"{name}.py").write_text(code)
        found = importlib.import_module(f"personare.{folder}").__path__
        found.append(str(where))
        placed.append((found, str(where), f"personare.{folder}.{name}"))
        return name

    yield place
    for found, where, module in placed:
        found.remove(where)
        sys.modules.pop(module, None)


def study(cohort: Cohort, plan: StudyPlan, out: Path) -> dict[str, str]:
    """Run a study and return what was not made, with the reason."""
    run_study(cohort, plan, "", out, workers=Workers(jobs=1, quiet=True), ledger=Ledger(out.parent / "ledger.sqlite"))
    assert (out / "report.html").stat().st_size > 10_000
    assert text_table(out)
    return {item.item: item.problem for item in outputs.not_made(out)}


def only(cohort: Cohort, *tracks: str) -> Cohort:
    kept = [replace(r, tracks={t: p for t, p in r.tracks.items() if t in tracks}) for r in cohort.recordings]
    return replace(cohort, recordings=tuple(r for r in kept if r.tracks))


def first(cohort: Cohort, count: int) -> Cohort:
    return replace(cohort, recordings=cohort.recordings[:count])


def with_holes(cohort: Cohort) -> Cohort:
    """Every second recording has lost its sound."""
    kept = [replace(r, tracks={"eda": r.tracks["eda"]}) if n % 2 else r for n, r in enumerate(cohort.recordings)]
    return replace(cohort, recordings=tuple(kept))


def unlabelled(cohort: Cohort) -> Cohort:
    return replace(cohort, recordings=tuple(replace(r, labels={}) for r in cohort.recordings))


@pytest.mark.parametrize(
    ("people", "each", "change", "made"),
    [
        (1, 4, lambda c: c, {"noisy"}),
        (2, 2, lambda c: c, {"noisy", "codebook"}),
        (3, 1, lambda c: c, {"noisy", "codebook"}),
        (4, 2, lambda c: only(c, "audio"), {"noisy", "codebook", "trees"}),
        (3, 2, with_holes, {"noisy", "codebook"}),
        (2, 2, unlabelled, {"noisy", "codebook"}),
        (1, 1, lambda c: c, {"noisy"}),
    ],
    ids=["one person", "two people", "one clip each", "voices only", "tracks missing", "no label", "one recording"],
)
def test_a_study_of_few_people_ends_with_a_report(speakers, tmp_path, people, each, change, made):
    cohort = change(speakers(tmp_path / "cohort", people=people, each=each))
    lost = study(cohort, PLAN, tmp_path / "run")
    assert made <= {*PLAN.names} - {*lost}
    assert "blur" in lost, "nobody has a film"
    rows = json.loads((tmp_path / "run/results.json").read_text())
    assert all(row["reason"] for row in rows if row["value"] is None and row["method"] != "strongest")
    assert "unexpected" not in json.dumps([*lost.values(), *(row["reason"] for row in rows)])


@pytest.mark.parametrize("count", [1, 3])
def test_a_study_of_few_films_ends_with_a_report(made_up, tmp_path, count):
    plan = replace(PLAN, releases=(*PLAN.releases[::2], Disguise(name="solid", face="face_solid")))
    lost = study(first(only(made_up, "video"), count), plan, tmp_path / "run")
    assert {"blur", "solid"} <= {*plan.names} - {*lost}
    assert not [why for why in lost.values() if "unexpected" in why]


@pytest.mark.parametrize("folder", BROKEN)
def test_what_fails_in_a_way_that_nobody_foresaw_is_said_and_stops_nothing(speakers, broken, tmp_path, folder):
    name, small = broken(folder), replace(PLAN, attacks=("voice_prosody",), utilities=("prosody",), shadows=0)
    small = replace(small, releases=small.releases[:1], representations=(), synthetic=(), models=())
    plan = {
        "evaluate.attacks": lambda: replace(small, attacks=(name, "voice_prosody")),
        "evaluate.utility": lambda: replace(small, utilities=(name, "prosody")),
        "anonymize": lambda: replace(small, releases=(Disguise(name="lost", voice=name), *small.releases)),
        "represent": lambda: replace(small, representations=(RepresentationPlan(name="lost", method=name),)),
        "synthesize": lambda: replace(small, synthetic=(SyntheticPlan(name="lost", method=name),)),
        "train": lambda: replace(small, models=(ModelPlan(name="lost", method=name),)),
    }[folder]()
    lost = study(speakers(tmp_path / "cohort", people=4), plan, tmp_path / "run")
    [(item, problem)] = [pair for pair in lost.items() if name in pair[0] or pair[0] == "lost"][:1]
    assert BROKEN[folder][1].__name__ in problem and str(tmp_path) not in problem
    rows = json.loads((tmp_path / "run/results.json").read_text())
    assert any(row["release"] == "noisy" and row["value"] is not None for row in rows), "the rest is measured"
    if folder.startswith("evaluate"):
        statuses = {row["status"] for row in rows if row["method"] == name}
        assert statuses == {"not_measured"}
    assert f"<li>{item}" in (tmp_path / "run/report.html").read_text().partition("<main>")[0]


@pytest.fixture(scope="module")
def told(speakers: Callable[..., Cohort], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StudyPlan]:
    """A folder with a cohort and a study of it."""
    root = tmp_path_factory.mktemp("told")
    plan = replace(PLAN, releases=PLAN.releases[:1], representations=(), synthetic=(), models=PLAN.models, shadows=0)
    study(speakers(root / "cohort", people=4), plan, root / "run")
    return root, plan


@pytest.mark.parametrize(
    "target",
    ["report.writer.panels", "report.writer.release_section", "report.writer.answer", "report.writer._ladder",
     "report.writer.tables", "report.tables._text", "report.writer._save_sheet"],
)  # fmt: skip
def test_a_part_of_the_report_that_fails_leaves_the_others(told, tmp_path, monkeypatch, target):
    def torn(*_args: object, **_how: object) -> None:
        raise IndexError("torn")

    root, plan = told
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    (tmp_path / "run/report.html").unlink()
    monkeypatch.setattr(f"personare.{target}", torn)
    study(open_cohort(tmp_path / "cohort"), plan, tmp_path / "run")
    said = (tmp_path / "run/report.html").read_text() + text_table(tmp_path / "run")
    assert "could not be made" in said and "IndexError" in said


def test_a_worker_that_dies_loses_its_items_and_nothing_else(tmp_path):
    items = {name: name for name in ("a", "dies", "b")}
    workers = Workers(jobs=2, quiet=True)
    failed = lambda name, error: type(error).__name__  # noqa: E731
    found = dict(workers.run("x", items, lambda item: os._exit(1) if item == "dies" else item.upper(), failed))
    assert set(found) == set(items) and found["dies"] == "TerminatedWorkerError"
    with pytest.raises(DataError, match="ZeroDivisionError"):
        list(workers.run("x", {"a": 0}, lambda item: 1 / item))
    assert dict(workers.run("x", {"a": 1}, lambda item: item)) == {"a": 1}, "new workers are begun"


def test_nothing_at_all_to_study_is_a_refusal(speakers, tmp_path):
    cohort = speakers(tmp_path / "cohort", people=2)
    shutil.rmtree(tmp_path / "cohort/sub-01")
    shutil.rmtree(tmp_path / "cohort/sub-02")
    with pytest.raises(DataError, match="Nothing could be made of"):
        study(open_cohort(cohort.root), PLAN, tmp_path / "run")
