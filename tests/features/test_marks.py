"""What is synthetic or changed says so in its file, in terms that other programs know."""

import json

import numpy as np
import pytest

from personare.core.types import Signal
from personare.features import audio
from personare.features.marks import mark, read_mark
from personare.features.tracks import TrackForm, write_track
from personare.features.video import VideoWriter

TYPES = {
    "synthetic": "trainedAlgorithmicMedia",
    "simulated": "algorithmicMedia",
    "anonymized": "compositeWithTrainedAlgorithmicMedia",
}


def sound(path, note):
    audio.write(path, Signal(values=np.full((800, 1), 0.1, np.float32), rate_hz=8000), note=note)


def film(path, note):
    with VideoWriter(path, width=32, height=32, rate_hz=5, threads=1, note=note) as writer:
        writer.write(np.zeros((32, 32, 3), np.uint8))


def picture(path, note):
    form = TrackForm(kind="picture", suffix=".png")
    write_track(path, np.zeros((3, 8, 8), np.uint8), form, columns=(), note=json.loads(note))
    path.with_suffix(".json").unlink()


def text(path, note):
    write_track(path, "nobody said this", TrackForm(kind="text", suffix=".txt"), columns=(), note=json.loads(note))
    assert path.read_text() == "nobody said this\n", "words stay words; the file beside them says it"


WRITERS = {".wav": sound, ".mp4": film, ".png": picture, ".txt": text}


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("kind", TYPES)
def test_a_mark_is_read_again_from_every_kind_of_file_which_stays_the_same(tmp_path, suffix, kind):
    content = mark(kind, "joint")
    files = [tmp_path / f"{name}_track{suffix}" for name in "ab"]
    for file in files:
        WRITERS[suffix](file, json.dumps(content))
    assert read_mark(files[0]) == content
    assert content["digitalSourceType"].endswith(f"/digitalsourcetype/{TYPES[kind]}")
    assert content["Synthetic"] == (kind != "anonymized") and content["generator"].startswith("personare ")
    assert files[0].read_bytes() == files[1].read_bytes()


def test_what_is_not_marked_says_nothing(tmp_path):
    sound(tmp_path / "a.wav", "")
    sound(tmp_path / "b.wav", "recorded by somebody")
    (tmp_path / "c.txt").write_text("words")
    (tmp_path / "c.json").write_text("[1]")
    for name in ("a.wav", "b.wav", "c.txt", "absent.png"):
        assert read_mark(tmp_path / name) == {}
