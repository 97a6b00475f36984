"""What is written is read again as it was, in the form that a cohort's own files have."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from personare.core.errors import DataError
from personare.core.types import Signal
from personare.features import audio, video
from personare.features.locations import Locations
from personare.features.tracks import TrackForm, form_of, gather, observe, observed_tracks, read_track, write_track

NOTE = {"Synthetic": True}


def written(path, values, form, columns=()):
    write_track(path, values, form, columns=columns, note=NOTE)
    assert json.loads(path.with_name(path.name.partition(".")[0] + ".json").read_text())["Synthetic"] is True
    return read_track(path, picture=8, landmarker=None)


def test_each_kind_is_read_as_it_was(tmp_path):
    rng = np.random.default_rng(0)
    table, signal = rng.normal(size=3).astype(np.float32), rng.normal(size=(8, 2)).astype(np.float32)
    read = written(tmp_path / "a.npy", table, TrackForm(kind="table", suffix=".npy"), ("x", "y", "z"))
    np.testing.assert_array_equal(read.values, table)
    assert read.columns == ("x", "y", "z") and read.kind == "table"
    form = TrackForm(kind="signal", suffix=".npy", about={"SamplingFrequency": 4.0, "Units": "uS"})
    read = written(tmp_path / "b.npy", signal, form, ("left", "right"))
    np.testing.assert_array_equal(read.values, signal)
    assert (read.rate_hz, read.columns, form_of(tmp_path / "b.npy")) == (4.0, ("left", "right"), form)
    assert written(tmp_path / "c.txt", "so it was", TrackForm(kind="text", suffix=".txt")).values == "so it was"


def test_a_spectrogram_of_whole_numbers_stays_one(tmp_path):
    np.save(tmp_path / "own.npy", np.arange(12, dtype=np.uint8).reshape(3, 4))
    form = form_of(tmp_path / "own.npy")
    read = written(tmp_path / "new.npy", np.linspace(-0.2, 1.2, 12).reshape(1, 3, 4), form)
    assert read.values.dtype == np.uint8 and (read.values.min(), read.values.max()) == (0, 255)
    assert read.kind == "spectrogram" and read.values.shape == (3, 4)


def test_a_column_with_a_value_once_a_second_has_none_between(tmp_path):
    form = TrackForm(kind="signal", suffix=".tsv.gz", about={"SamplingFrequency": 4}, every={1: 4})
    read = written(tmp_path / "a_physio.tsv.gz", np.ones((8, 2)), form, ("eda", "heart"))
    assert np.isfinite(read.values[:, 0]).all()
    np.testing.assert_array_equal(np.flatnonzero(np.isfinite(read.values[:, 1])), [0, 4])
    assert form_of(tmp_path / "a_physio.tsv.gz") == form


def test_a_gap_told_in_a_column_becomes_a_gap_again(tmp_path):
    form = TrackForm(kind="table", suffix=".npy")
    read = written(tmp_path / "a.npy", np.array([1.0, 2.0, 0.9]), form, ("x", "y", "x_missing"))
    np.testing.assert_array_equal(read.values, [np.nan, 2.0])
    assert read.columns == ("x", "y")


def test_only_rate_and_units_are_taken_from_a_real_sidecar(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((5, 2), np.float32))
    about = {"SamplingFrequency": 2, "Units": "g", "StartTime": 1.7e9, "Name": "Ada"}
    (tmp_path / "a.json").write_text(json.dumps(about))
    assert form_of(tmp_path / "a.npy").about == {"SamplingFrequency": 2, "Units": "g"}


def test_a_picture_says_in_itself_that_nobody_is_in_it(tmp_path):
    path = tmp_path / "a_picture.png"
    read = written(path, np.full((3, 8, 8), 0.5), TrackForm(kind="picture", suffix=".png", whole=True))
    assert read.values.shape == (3, 8, 8) and read.values[0, 0, 0] == 128
    with Image.open(path) as picture:
        assert json.loads(picture.info["Comment"]) == NOTE


def test_sound_is_no_array(tmp_path):
    assert form_of(tmp_path / "a.wav").kind == "sound"
    with pytest.raises(DataError, match="Make sound or film"):
        write_track(tmp_path / "a.wav", np.zeros(3), TrackForm(kind="sound", suffix=".wav"), columns=(), note=NOTE)


def test_a_film_is_decoded_once_to_find_faces_and_to_keep_what_is_judged(tmp_path, monkeypatch):
    path, rng = tmp_path / "a.mp4", np.random.default_rng(0)
    with video.VideoWriter(path, width=96, height=80, rate_hz=25) as writer:
        for _ in range(13):
            writer.write(rng.integers(0, 255, (80, 96, 3), dtype=np.uint8))
    decoded, read = [], video.read
    monkeypatch.setattr(video, "read", lambda path: decoded.append(path) or read(path))
    for kind, search in (("original", True), ("hidden", False)):
        seen = observe(
            ("a", {"video": path}),
            folder=tmp_path / kind,
            views=("crops", "frames"),
            locations=tmp_path / "locations",
            search=search,
        )
        assert seen == {"views": ["frames"], "problems": []}, "nobody is in it"
    assert decoded == [path, path]
    assert Locations.load(tmp_path / "locations/a.npz").certain.shape == (13,)
    rows = pd.DataFrame({"subject": ["s"]}, index=["a"])
    before, after = (gather(tmp_path / kind, rows, ["frames", "crops"]) for kind in ("original", "hidden"))
    assert before.clips("frames")["a"].shape == (5, 64, 64, 3) and not before.clips("crops")
    np.testing.assert_array_equal(before.clips("frames")["a"], after.clips("frames")["a"])


def test_what_was_observed_is_the_track_that_would_be_read(tmp_path):
    path = tmp_path / "a.wav"
    tone = 0.1 * np.sin(np.arange(8000) / 5)
    audio.write(path, Signal(values=tone[:, None].astype(np.float32), rate_hz=16000))
    how = {"folder": tmp_path / "views", "locations": tmp_path / "locations", "search": True}
    assert observe(("a", {"audio": path}), views=("logmel",), **how) == {"views": ["logmel"], "problems": []}
    (tmp_path / "b.wav").write_bytes(b"")
    assert "0 bytes" in observe(("b", {"audio": tmp_path / "b.wav"}), views=("logmel",), **how)["problems"][0]
    known = observed_tracks(tmp_path / "views")
    assert list(known) == ["a"] and list(known["a"]) == ["audio"]
    np.testing.assert_array_equal(known["a"]["audio"].values, read_track(path, picture=8, landmarker=None).values)
