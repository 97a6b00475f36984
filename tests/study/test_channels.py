"""Body signals and words leave hidden as voices and faces do: by the one table of channels, with methods of a test."""

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import personare.anonymize
import personare.evaluate.attacks
from personare.anonymize._recordings import Disguise
from personare.core.errors import DataError, OptionError
from personare.core.randomness import generator
from personare.core.types import Cohort, Recording
from personare.data.cohort import CohortWriter, open_cohort, recording_id
from personare.features.marks import read_mark
from personare.features.tracks import gather, observe, read_channel, read_track
from personare.govern.consent import consent_all
from personare.govern.ledger import Ledger
from personare.study.anonymizing import anonymize_path, passed_over
from personare.study.parallel import Workers
from personare.study.plan import read_plan
from personare.study.run import run_study

ALONE = Workers(jobs=1, quiet=True)
CENTERED = '''"""Takes the person's mean away."""
from dataclasses import dataclass, field, replace
from typing import ClassVar
import numpy as np
__all__ = ["Centered"]


@dataclass(frozen=True, kw_only=True)
class Centered:
    """Every signal, less the mean of the person's recordings."""
    policy: str = "recording"
    by_person: dict = field(default_factory=dict)
    fit_on: ClassVar[str] = "everyone"
    works_alone: ClassVar[bool] = True

    def fit(self, background, *, rng):
        seen = {}
        for subject, track in background:
            seen.setdefault(subject, []).append(np.nanmean(track.values, axis=0))
        return replace(self, by_person={subject: np.mean(means, axis=0) for subject, means in seen.items()})

    def __call__(self, track, *, subject, rng):
        mean = self.by_person.get(subject, np.nanmean(track.values, axis=0))
        return replace(track, values=(track.values - mean).astype(np.float32))
'''
STARRED = '''"""Stars for capital letters."""
from dataclasses import dataclass, replace
import re
__all__ = ["Starred"]


@dataclass(frozen=True, kw_only=True)
class Starred:
    """Names begin with one."""
    policy: str = "recording"

    def __call__(self, track, *, subject, rng):
        return replace(track, values=re.sub("[A-Z]", "*", track.values))
'''
MEANS = '''"""Names people by the mean of their pulse."""
from dataclasses import dataclass
import numpy as np
from personare.evaluate.classifiers import Kernel
from personare.features.physio import FEATURES
__all__ = ["Means"]


@dataclass(frozen=True, kw_only=True)
class Means:
    """The view of bodies."""
    question = "identify"
    modality = "physio"
    views = ("physio",)
    learns = False

    def fit(self, clips, subjects, *, rng):
        return Kernel(describe=lambda clip: [clip[0, len(FEATURES) :][:1]])
'''


@pytest.fixture
def methods(tmp_path: Path) -> Iterator[None]:
    """Put the methods of this file into the folders where methods are found."""
    places = {personare.anonymize: {"physio_centered": CENTERED, "text_starred": STARRED}}
    places[personare.evaluate.attacks] = {"physio_means": MEANS}
    for package, files in places.items():
        folder = tmp_path / "methods" / package.__name__
        folder.mkdir(parents=True)
        package.__path__.append(str(folder))
        for name, text in files.items():
            (folder / f"{name}.py").write_text(text)
    yield
    for package in places:
        package.__path__.pop()


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    """Four people, each with levels of her own in two signals of different rates, and a diary."""
    writer, subjects, rng = CohortWriter(tmp_path / "in", name="Bodies"), ["01", "02", "03", "04"], generator(0)
    for subject in subjects:
        level = rng.normal(0, 9, 2)
        for take in range(4):
            name, tracks = (subject, "01", f"take{take}"), {}
            for track, rate_hz, suffix in (("bvp", 8, ".npy"), ("acc", 4, ".npy"), ("text", 0, ".txt")):
                path = tracks[track] = writer.path(name, track, suffix)
                if track == "text":
                    path.write_text("I met Ana." if take else "nobody came")
                    continue
                values = rng.standard_normal((rate_hz * 5, 1)) + level[int(track == "acc")] + 2 * (take % 2)
                np.save(path, values.astype(np.float32))
                path.with_suffix(".json").write_text(json.dumps({"SamplingFrequency": rate_hz, "Columns": [track]}))
            paths = {track: path.relative_to(tmp_path / "in").as_posix() for track, path in tracks.items()}
            labels = {"stress": ("rest", "stress")[take % 2]}
            writer.add(Recording(id=recording_id(*name), subject=subject, session="01", tracks=paths, labels=labels))
    people = pd.DataFrame(index=subjects)
    return writer.finish(people, consent_all(subjects, ["anonymization", "evaluation"]))


@pytest.mark.usefixtures("methods")
def test_a_study_hides_and_judges_bodies_beside_words(cohort: Cohort, tmp_path: Path) -> None:
    plan = read_plan(
        'label = "stress"\nattacks = ["physio_means"]\n[[releases]]\nname = "centered"\nbody = "physio_centered"\n'
        '[[releases]]\nname = "both"\nbody = "physio_centered"\nwords = "text_starred"\n',
        "here",
    )
    out = tmp_path / "run"
    run_study(cohort, plan, "", out, workers=ALONE, ledger=Ledger(tmp_path / "ledger.sqlite"))
    rows = {
        (row["release"], row["modality"]): row["value"]
        for row in json.loads((out / "results.json").read_text())
        if (row["method"], row["figure"], row["attacker"]) == ("physio_means", "top1", "semi_informed")
    }
    assert rows["original", "physio"] > 0.8  # the attack works before, and fails after
    assert max(rows["centered", "physio"], rows["both", "physio+text"]) < 0.6
    assert "Body signals" in (out / "report.html").read_text()
    released = open_cohort(out / "releases" / "both")
    assert {track for r in released.recordings for track in r.tracks} == {"physio", "text"}
    track = read_track(released.root / released.recordings[0].tracks["physio"])
    assert (track.columns, track.rate_hz, track.values.shape) == (("acc", "bvp"), 8.0, (40, 2))
    assert np.isnan(track.values[1::2, 0]).all() and np.isfinite(track.values[::2]).all()
    texts = [released.root / r.tracks["text"] for r in released.recordings if "text" in r.tracks]
    assert [path.read_text() for path in texts] == ["* met *na.\n"] * 12
    assert not read_mark(texts[0])["Synthetic"]
    reasons = {w["item"] for w in json.loads((out / "releases.json").read_text())[1]["withheld"]}
    assert len(reasons) == 4 and all(item.endswith("(text)") for item in reasons), "what came out unchanged is withheld"


@pytest.mark.usefixtures("methods")
def test_a_file_and_a_folder_by_the_command_line(typed: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for n in range(3):
        (tmp_path / f"in/{n}.csv").write_text("eda,temp\n" + "".join(f"{i % 7 + n},{30 + n}\n" for i in range(40)))
    (tmp_path / "in/note.txt").write_text("Ana")
    (tmp_path / "in/song.wav").write_bytes(b"RIFF")
    answer = typed("anonymize", tmp_path / "in", tmp_path / "out", "--body", "physio_centered", "--jobs", 1)
    assert answer.status == 0, answer
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {f"recording-00{n}.tsv.gz" for n in (1, 2, 3)}
    assert [w.item for w in passed_over(tmp_path / "in", tmp_path / "out", ["physio"])] == ["note.txt", "song.wav"]
    hidden = gzip.decompress((tmp_path / "out/recording-001.tsv.gz").read_bytes()).decode()
    assert abs(np.loadtxt(hidden.splitlines()).mean()) < 1e-5
    disguise = Disguise(name="starred", words="text_starred")
    release = anonymize_path(tmp_path / "in/note.txt", tmp_path / "said.txt", disguise, workers=ALONE)
    assert release.root.read_text() == "*na\n"
    with pytest.raises(DataError, match="exists already"):  # the mark beside it is a file, too
        anonymize_path(tmp_path / "in/note.txt", tmp_path / "said", disguise, workers=ALONE)
    with pytest.raises(DataError, match="holds no file"):
        anonymize_path(tmp_path / "in/0.csv", tmp_path / "other", disguise, workers=ALONE)


@pytest.mark.usefixtures("methods")
@pytest.mark.parametrize("row", [{}, {"body": "text_starred"}, {"words": "text_starred", "words_options": {"x": 1}}])
def test_a_disguise_that_cannot_be_is_refused(row: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        Disguise(name="none", **row)


def test_an_attacker_sees_texts_and_rows_with_names(cohort: Cohort, tmp_path: Path) -> None:
    files = {track: cohort.root / path for track, path in cohort.recordings[1].tracks.items()}
    files["phone"] = files["acc"]
    how: dict[str, Any] = {"folder": tmp_path, "locations": tmp_path, "search": True}
    assert observe(("r", files), views=("phone", "text"), **how) == {"views": ["phone", "text"], "problems": []}
    seen = gather(tmp_path, pd.DataFrame({"subject": ["01"]}, index=["r"]), ("phone", "text"))
    assert seen.clips("text")["r"].tolist() == ["I met Ana."]
    rows = seen.clips("phone")["r"]
    assert rows.dtype.names == ("time_s", "acc") and rows["time_s"][8] == 2.0
    (files["acc"]).with_suffix(".json").write_text("{}")
    with pytest.raises(DataError, match="SamplingFrequency"):
        read_channel("physio", files)
    with pytest.raises(DataError, match="no phone"):
        read_channel("phone", {})


def test_chance_hangs_on_what_was_recorded_beside_the_seed(tmp_path: Path) -> None:
    """Whoever knows seed, method and pseudonym could otherwise undo surrogates and moved dates."""
    recording, path = Recording(id="r", subject="01", session="01", tracks={}), tmp_path / "diary.txt"

    def drawn(said: str) -> float:
        path.write_text(said)
        disguise = Disguise(name="x", words="text_redact")
        masks = disguise.fit([recording], {"r": {"text": path}}, lambda _: pytest.fail("no film"), seed=0)
        return float(masks._mask("text", recording)[1].random())

    assert drawn("I met Ana.") == drawn("I met Ana.") != drawn("I met Eva.")


DIARY = "Yesterday I went to the café with Zoë, and it was not as bad as I had thought. "
SAVED = {f"{code}.txt": DIARY.encode(code) for code in ("utf-8", "cp1252", "utf-16", "utf-16-le", "utf-16-be")}
REFUSED = {  # nothing is known of what names somebody in other languages; an empty diary has nothing to release
    "german.txt": "Gestern war ich mit Zoë im Café, und es war nicht so schlimm wie gedacht.".encode("cp1252"),
    "swahili.txt": b"Jana nilikwenda kwenye mkahawa pamoja na rafiki yangu",
    "russian.txt": "Вчера я была в кафе, и это было не так плохо".encode("cp1251"),
    "japanese.txt": "昨日はカフェに行きました".encode("shift-jis"),
    "arabic.txt": "ذهبت أمس إلى المقهى".encode("utf-16"),
    "utf-32.txt": DIARY.encode("utf-32"),
    "empty.txt": b"",
    "blank.txt": b" \r\n\t",
    "emoji.txt": "😀 🙈".encode(),
    "numbers.txt": b"12345 67",
    "zeros.txt": b"\0" * 50,
    "binary.txt": bytes(range(256)) * 8,
}


@pytest.mark.parametrize("method", ["text_style", "text_redact"])
def test_texts_are_hidden_however_saved_and_other_languages_and_empty_ones_withheld(
    method: str, tmp_path: Path
) -> None:
    if method == "text_redact":
        pytest.importorskip("spacy", reason="the extra text is not installed")
        pytest.importorskip("faker", reason="the extra text is not installed")
    (tmp_path / "in").mkdir()
    for name, content in (SAVED | REFUSED).items():
        (tmp_path / "in" / name).write_bytes(content)
    release = anonymize_path(tmp_path / "in", tmp_path / "out", Disguise(name="x", words=method), workers=ALONE)
    assert {w.item.partition(" ")[0] for w in release.withheld} == {*REFUSED}
    texts = [path.read_text() for path in (tmp_path / "out").glob("*.txt")]
    assert len(texts) == len(SAVED) and all("went to the café with" in text for text in texts)
    assert not any("Zoë" in text for text in texts)
