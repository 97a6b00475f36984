"""A cohort of people who do not exist is a cohort like any other, marked as made up, and there whole or not at all."""

import gzip
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import mlcroissant as mlc
import numpy as np
import pandas as pd
import pytest
import soundfile

from personare.core import registry
from personare.core.errors import DataError, OptionError, PolicyError, UnknownMethodError
from personare.core.types import Array, Batch, Cohort, Recording, Result, Spend
from personare.data.cohort import CohortWriter, cohort_kind, open_cohort, recording_id
from personare.data.validate import validate
from personare.features.audio import read
from personare.features.expression import BLENDSHAPES
from personare.features.files import check
from personare.features.marks import read_mark
from personare.features.voicing import mel_of
from personare.features.watermark import find_watermark
from personare.govern.budget import Budget
from personare.govern.ledger import Ledger
from personare.study.access import open_batch, part_people
from personare.study.kinds.synthetic import SyntheticPlan, write_synthetic
from personare.study.parallel import Workers
from personare.study.plan import StudyPlan
from personare.study.study import Study

SPEND = Spend(
    unit="person", sampling_rate=1.0, noise_multiplier=9.0, steps=1, epsilon=2.0, delta=1e-3, accountant="pld", units=6
)
ROW = {"label": "emotion", "method": "averages", "people": 2, "recordings": 3, "held_out": 0.0}
FACE = tuple(f"{shape}_{what}" for what in ("mean", "std") for shape in BLENDSHAPES)


@dataclass(frozen=True, kw_only=True)
class Averages:
    """A generator that keeps the protocol and learns next to nothing: the mean of each class, and people around it."""

    epsilon: float | None = None
    needs: int = 3

    def fit(self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None) -> "Mean":
        people = len(np.unique(train.subjects))
        if people < self.needs:
            raise DataError(f"averages needs at least {self.needs} people, not {people}. Add people.")
        if self.epsilon is not None and public is None:
            raise OptionError("averages with an epsilon needs ranges from a public cohort. Give --public.")
        means = {
            name: np.stack([values[train.labels == c].mean(axis=0) for c in range(len(train.classes))])
            for name, values in train.arrays.items()
            if values.dtype.kind == "f"
        }
        return Mean(means=means, like=train.take(np.zeros(1, int)), spends=() if self.epsilon is None else (SPEND,))


@dataclass(frozen=True)
class Mean:
    means: dict[str, Array]
    like: Batch
    spends: tuple[Spend, ...]

    def __call__(self, people: int, recordings: int, *, rng: np.random.Generator, labels: Array | None = None) -> Batch:
        count = people * recordings
        labels = rng.integers(len(self.like.classes), size=count) if labels is None else labels
        arrays = {
            name: (means[labels] + rng.normal(0, 1e-3, (count, *means.shape[1:]))).astype(np.float32)
            for name, means in self.means.items()
        }
        arrays |= {name: np.full(count, "made up") for name in self.like.arrays if name not in arrays}
        return replace(
            self.like,
            ids=tuple(f"synthetic-{i}" for i in range(count)),
            arrays=arrays,
            present={name: np.ones(count, bool) for name in arrays},
            labels=labels,
            subjects=np.repeat([f"synthetic-{n + 1:04d}" for n in range(people)], recordings),
        )


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """Six people who say two emotions, with a log-mel spectrogram, a face, a skin conductance and a text."""
    root = tmp_path_factory.mktemp("real") / "cohort"
    writer = CohortWriter(root, name="Six", description={"License": "CC BY 4.0", "HowToAcknowledge": "Six et al."})
    rng = np.random.default_rng(0)
    for number in range(1, 7):
        for emotion in ("anger", "happiness"):
            own = (f"{number:02d}", "01", emotion)
            files = {track: writer.path(own, track, suffix) for track, suffix in SUFFIXES.items()}
            write_tracks(files, emotion, rng)
            tracks = {track: path.relative_to(root).as_posix() for track, path in files.items()}
            writer.add(
                Recording(
                    id=recording_id(*own), subject=own[0], session="01", tracks=tracks, labels={"emotion": emotion}
                )
            )
    table = pd.DataFrame({"sex": ["F", "M"] * 3, "age": range(20, 26)}, index=[f"{n:02d}" for n in range(1, 7)])
    consent = pd.DataFrame(
        {
            "subject": table.index,
            "scope": "GRU",
            "purposes": "training,evaluation",
            "modalities": "audio,video,physio,text",
            "retention_until": "",
            "withdrawn_at": "",
        }
    )
    return writer.finish(table, consent)


SUFFIXES = {"logmel": ".npy", "face": ".npy", "physio": ".tsv.gz", "text": ".txt"}


def write_tracks(files: dict[str, Path], emotion: str, rng: np.random.Generator) -> None:
    t = np.arange(16000) / 16000
    pitch = 220 if emotion == "anger" else 120
    mel = mel_of(np.asarray(sum(np.sin(2 * np.pi * pitch * k * t) / k for k in range(1, 20))), 128)
    np.save(files["logmel"], np.round(255 * mel).astype(np.uint8))
    face = rng.uniform(0, 0.05, len(FACE))
    face[FACE.index("mouthSmileLeft_mean")] = 0.7 if emotion == "happiness" else 0.0
    np.save(files["face"], face.astype(np.float32))
    files["face"].with_suffix(".json").write_text(json.dumps({"Columns": FACE}))
    rows = "".join(f"{5 + rng.normal():.3f}\t{'70' if i % 4 == 0 else 'n/a'}\n" for i in range(16))
    files["physio"].write_bytes(gzip.compress(rows.encode()))
    about = {"SamplingFrequency": 4, "Columns": ["eda_us", "heart_rate_bpm"], "Recorded": "by Adalina Somebody"}
    files["physio"].with_name(files["physio"].name.replace(".tsv.gz", ".json")).write_text(json.dumps(about))
    files["text"].write_text("I am Adalina Somebody.")


@pytest.fixture(autouse=True)
def averages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the registry find one more method."""
    known = registry.load
    monkeypatch.setattr(
        registry, "load", lambda package, name: Averages if name == "averages" else known(package, name)
    )


@pytest.fixture
def make(people: Cohort, tmp_path: Path) -> Callable[..., Any]:
    def made(out: Path | None = None, **plan: Any) -> Any:
        also = {name: plan.pop(name) for name in ("budget", "public", "shadows", "canaries", "seed") if name in plan}
        real = plan.pop("cohort", people)
        row = SyntheticPlan(name="people", **{**ROW, **plan})
        asked = StudyPlan(synthetic=(row,), **{"shadows": 0, "canaries": 0, **also})
        study = Study(
            cohort=real, plan=asked, ledger=Ledger(tmp_path / "ledger.sqlite"), workers=Workers(jobs=1, quiet=True)
        )
        write_synthetic(study, row, out or tmp_path / "out")
        return open_cohort(out or tmp_path / "out")

    return made


@pytest.fixture(scope="module")
def finished(people: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "load", lambda package, name: Averages)
        row = SyntheticPlan(name="people", **ROW)
        study = Study(
            cohort=people,
            plan=StudyPlan(synthetic=(row,), shadows=0, canaries=0),
            ledger=Ledger(folder / "ledger.sqlite"),
            workers=Workers(jobs=1, quiet=True),
        )
        write_synthetic(study, row, folder / "out")
        return open_cohort(folder / "out")


def test_what_is_made_is_a_valid_cohort_with_the_tracks_of_the_original(people, finished):
    assert validate(finished.root, check=check) == []
    assert cohort_kind(finished.root) == "synthetic"
    assert len(finished.recordings) == 6 and len({r.subject for r in finished.recordings}) == 2
    tracks = {track for r in finished.recordings for track in r.tracks}
    assert tracks == {*SUFFIXES, "audio", "video"}
    assert {r.labels["emotion"] for r in finished.recordings} == {"anger", "happiness"}


def test_it_is_read_like_any_other_and_holds_what_was_made(people, finished, tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    real = open_batch(people, "emotion", tuple(SUFFIXES), ledger).batch
    again = open_batch(finished, "emotion", tuple(SUFFIXES), ledger).batch
    for name in ("logmel", "face", "physio"):
        assert again.arrays[name].shape[1:] == real.arrays[name].shape[1:]
        assert again.columns.get(name) == real.columns.get(name)
    for c in (0, 1):
        ours, theirs = (b.arrays["logmel"][b.labels == c].mean(axis=0) for b in (again, real))
        np.testing.assert_allclose(ours, theirs, atol=0.01)
    np.testing.assert_allclose(again.arrays["physio"][:, :, 1], 70, atol=0.1)  # held between its seconds, not zero


def test_every_file_row_and_medium_says_that_it_is_made_up(finished):
    root = finished.root
    sidecars = [json.loads(path.read_text()) for path in root.glob("sub-*/**/*.json")]
    assert len(sidecars) == 6 * 7 and all(content["Synthetic"] is True for content in sidecars)
    assert all(r.labels["synthetic"] == "true" for r in finished.recordings)
    assert (finished.participants["synthetic"] == "true").all()
    assert json.loads((root / "dataset_description.json").read_text())["Personare"]["Synthetic"] is True
    for r in finished.recordings:
        with soundfile.SoundFile(root / r.tracks["audio"]) as file:
            assert "Synthetic" in file.comment
        with av.open(str(root / r.tracks["video"])) as film:
            assert "Synthetic" in film.metadata["comment"] and film.streams.audio
        marks = [read_mark(root / path) for path in r.tracks.values()]
        assert {said["digitalSourceType"].rpartition("/")[2] for said in marks} == {"trainedAlgorithmicMedia"}


def test_a_watermark_is_in_synthetic_sound_where_it_is_asked_for(make, finished):
    for cohort in (make(watermark=True), finished):
        sounds = [read(cohort.root / r.tracks["audio"]) for r in cohort.recordings if "audio" in r.tracks]
        assert sounds and {find_watermark(sound).is_there for sound in sounds} == {cohort is not finished}


def test_nothing_of_the_real_people_comes_along(people, finished):
    assert set(finished.participants.columns) == {"synthetic"}
    assert not {r.subject for r in finished.recordings} & {r.subject for r in people.recordings}
    for path in finished.root.rglob("*"):
        if path.suffix in (".json", ".tsv", ".txt", ".md", ".html"):
            assert "Adalina" not in path.read_text(), path


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # rdflib, which mlcroissant reads with
def test_the_card_is_croissant_and_says_what_can_be_claimed(finished):
    file = finished.root / "croissant.json"
    card = mlc.Dataset(jsonld=file)
    assert card.metadata.name == finished.name
    rows = list(card.records("recordings"))
    assert {row["recordings/id"].decode() for row in rows} == {r.id for r in finished.recordings}
    content = json.loads(file.read_text())
    assert content["personare:privacy"]["synthetic"] is True
    assert content["personare:privacy"]["privacyUnit"] == "none" and content["personare:privacy"]["attacked"] is False
    assert "No guarantee" in content["personare:privacy"]["claim"]
    assert "1.1" in str(content["conformsTo"])
    assert "Not measured" in (finished.root / "README.md").read_text()


def test_the_page_plays_what_lies_beside_it_and_asks_nobody(finished):
    page = (finished.root / "preview.html").read_text()
    assert "<video" in page and "data:image/png" in page and "do not exist" in page
    assert "http" not in page.replace("http-equiv", "")


def test_privacy_is_charged_before_anything_is_written_and_refused_past_the_budget(make, people, tmp_path):
    options = {"epsilon": 2.0}
    with pytest.raises(PolicyError, match="budget"):
        make(options=options, public=str(people.root), budget=Budget(epsilon=0.01, delta=1e-2))
    assert not (tmp_path / "out").exists()
    cohort = make(options=options, public=str(people.root), budget=Budget(epsilon=20.0, delta=1e-2), media=False)
    rows = Ledger(tmp_path / "ledger.sqlite").rows()
    assert set(rows[rows.action == "spent"].subject) == {f"{n:02d}" for n in range(1, 7)}
    assert (rows.action == "released").sum() == 1
    told = json.loads((cohort.root / "croissant.json").read_text())["personare:privacy"]
    assert (told["privacyUnit"], told["spends"][0]["epsilon"]) == ("person", 2.0)


def test_people_kept_out_judge_and_their_figures_are_on_the_card(make, monkeypatch):
    seen = {}

    def judge(
        _study: Study, made: Batch, train: Batch, control: Batch, *, make: object, spends: object
    ) -> list[Result]:
        seen.update(train=set(train.subjects), control=set(control.subjects), made=len(made))
        return [Result(question="member", method="membership", figure="auc", value=0.5, n=6, control=0.5)]

    monkeypatch.setattr("personare.study.kinds.synthetic.judge", judge)
    cohort = make(held_out=0.34, media=False)
    assert len(seen["control"]) == 2 and not seen["control"] & seen["train"] and seen["made"] == 6
    told = json.loads((cohort.root / "croissant.json").read_text())["personare:privacy"]
    assert told["attacked"] is True and told["measured"][0]["method"] == "membership"


def test_a_label_of_people_is_theirs_in_the_table(make, people):
    cohort = make(label="sex", people=4, media=False, modalities=("face",))
    assert sorted(cohort.participants["sex"]) == ["F", "F", "M", "M"]
    assert all("sex" not in r.labels for r in cohort.recordings)


def test_only_the_classes_asked_for_are_made(make):
    cohort = make(classes=("anger",), media=False)
    assert {r.labels["emotion"] for r in cohort.recordings} == {"anger"}
    assert {track for r in cohort.recordings for track in r.tracks} == set(SUFFIXES)  # no media were asked for


@pytest.mark.parametrize(
    ("plan", "error", "said"),
    [
        ({"method": "nobody"}, UnknownMethodError, "Choose one of"),
        ({"options": {"magic": 1}}, OptionError, "no option magic"),
        ({"options": {"needs": 50}}, DataError, "at least 50 people"),
        ({"options": {"epsilon": 8.0}}, OptionError, "public"),
        ({"classes": ("joy",)}, DataError, "Choose from: anger, happiness"),
        ({"label": "mood"}, DataError, "No recording has the label"),
        ({"modalities": ("smell",)}, DataError, "no recording has the track smell"),
        ({"people": 0}, OptionError, "at least one person"),
        ({"held_out": 1.0}, OptionError, "held_out"),
    ],
)
def test_bad_input_is_refused_and_leaves_nothing(make, tmp_path, plan, error, said):
    with pytest.raises(error, match=said):
        make(**plan)
    assert {path.name for path in tmp_path.iterdir()} <= {"ledger.sqlite"}


def test_a_folder_that_holds_something_is_not_written_over(make, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep")
    with pytest.raises(DataError, match="must be an empty folder"):
        make()
    assert (tmp_path / "out" / "mine.txt").read_text() == "keep"


def test_killed_half_way_there_is_no_cohort_and_the_next_run_makes_it(make, tmp_path, monkeypatch):
    from personare.study.kinds import synthetic

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(synthetic, "write_datasheet", killed)
        with pytest.raises(KeyboardInterrupt):
            make(media=False)
    assert not (tmp_path / "out").exists()
    left = tmp_path / ".out.unfinished"
    left.mkdir()
    (left / "sub-99").mkdir()  # as after a power cut
    cohort = make(media=False)
    assert len(cohort.recordings) == 6 and not left.exists() and not (cohort.root / "sub-99").exists()


def test_the_same_seed_makes_the_same_people(make, tmp_path):
    first = make(tmp_path / "a", media=False)
    second = make(tmp_path / "b", media=False)
    other = make(tmp_path / "c", media=False, seed=1)
    contents = [
        b"".join(p.read_bytes() for p in sorted(c.root.glob("sub-*/**/*")) if p.is_file())
        for c in (first, second, other)
    ]
    assert contents[0] == contents[1] != contents[2]


def test_the_noise_of_private_people_does_not_follow_from_the_seed(make, people, monkeypatch, tmp_path):
    drawn = []

    def fit(self: Averages, train: Batch, *, rng: np.random.Generator, **_: Any) -> Mean:
        drawn.append(rng.standard_normal())
        return original(self, train, rng=rng, **_)

    original = Averages.fit
    monkeypatch.setattr(Averages, "fit", fit)
    for i, options in enumerate(({"epsilon": 2.0}, {"epsilon": 2.0}, {}, {})):
        make(tmp_path / str(i), options=options, public=str(people.root), media=False)
    assert drawn[0] != drawn[1] and drawn[2] == drawn[3]


def test_people_are_in_one_part_only(people, tmp_path):
    batch = open_batch(people, "emotion", ("face",), Ledger(tmp_path / "ledger.sqlite")).batch
    train, control = part_people(batch, 0.5, rng=np.random.default_rng(0))
    assert not set(train.subjects) & set(control.subjects) and len(train) + len(control) == len(batch)


@pytest.mark.parametrize("texts", [True, False])
def test_a_usual_track_that_does_not_fit_is_left_out_and_said_with_words_or_without(people, tmp_path, texts):
    shutil.copytree(people.root, tmp_path / "cohort")
    face = next((tmp_path / "cohort").rglob("*_face.npy"))
    np.save(face, np.load(face)[:-1])
    face.with_suffix(".json").unlink()
    ledger = Ledger(tmp_path / "l.sqlite")
    opened = open_batch(open_cohort(tmp_path / "cohort"), "emotion", (), ledger, texts=texts)
    assert set(opened.batch.arrays) == {"logmel", "physio"} | ({"text"} if texts else set())
    assert "track face" in {item.item for item in opened.skipped}
