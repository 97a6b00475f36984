"""What is made for somebody to look at: in a process that gets no more than it is given, and as it would leave."""

import os
import time

import numpy as np
import pytest

from personare.anonymize._recordings import Disguise
from personare.core.errors import DataError
from personare.core.types import Signal
from personare.features import audio, video
from personare.features.corrections import Bleep, Box, Corrections, Stretch
from personare.study.anonymizing import anonymize_path, content_digest
from personare.study.parallel import Workers
from personare.study.preview import look_at, make, start


def doubled(number):
    return {"number": 2 * number}


def refusing():
    raise DataError("The file is broken. Get another.")


def greedy():
    return {"number": np.ones(1 << 33).sum()}  # 64 GiB


def endless():
    while True:
        pass


def telling(path):
    path.write_text(str(os.getpid()))
    time.sleep(60)


def parent(path):
    """Start a task and be killed."""
    start(telling, path.with_name("answer.json"), path, seconds=60)
    while not path.is_file():
        time.sleep(0.05)
    os.kill(os.getpid(), 9)


@pytest.mark.parametrize(
    ("task", "arguments", "said"),
    [(doubled, [4], '"number": 8'), (refusing, [], "Get another."), (greedy, [], "Error"), (endless, [], None)],
)
def test_guarantee_a_task_gets_no_more_than_it_is_given(tmp_path, task, arguments, said):
    answer = tmp_path / "answer.json"
    answer.write_text("an old one")
    process = start(task, answer, *arguments, seconds=2)
    process.join()
    assert answer.exists() == (said is not None)
    if said:
        assert said in answer.read_text()


@pytest.mark.slow
def test_a_task_ends_with_the_program_that_started_it(tmp_path):
    import multiprocessing

    pid = tmp_path / "pid"
    killed = multiprocessing.get_context("spawn").Process(target=parent, args=[pid])
    killed.start()
    killed.join()
    for _ in range(200):
        try:
            os.kill(int(pid.read_text()), 0)
        except ProcessLookupError:
            break
        time.sleep(0.05)
    else:
        pytest.fail("it goes on")


def test_what_is_looked_at_leaves_as_the_command_line_makes_it(tmp_path):
    source = tmp_path / "talk.wav"
    noise = np.random.default_rng(0).standard_normal((16000, 1)).astype(np.float32)
    audio.write(source, Signal(values=0.1 * noise, rate_hz=16000))
    mended = Corrections(digest=content_digest(source), bleep=(Bleep(from_s=0.2, to_s=0.4),))
    made = make(source, tmp_path, False, "face_solid", "voice_mcadams", mended)
    assert (made["file"], made["face"], made["counts"]["corrections_bleep"]) == ("hidden.wav", "", 1)
    disguise = Disguise(name="voice", voice="voice_mcadams")
    anonymize_path(source, tmp_path / "out.wav", disguise, corrections=[mended], workers=Workers(jobs=1, quiet=True))
    assert (tmp_path / "out.wav").read_bytes() == (tmp_path / "hidden.wav").read_bytes()


def test_what_was_found_is_told_by_time(tmp_path):
    source = tmp_path / "talk.mp4"
    patch = 128 + 60 * np.sin(np.mgrid[:32, :32][0] / 3) * np.cos(np.mgrid[:32, :32][1] / 4)
    with video.VideoWriter(source, width=128, height=96, rate_hz=25) as writer:
        for index in range(20):
            image = np.full((96, 128, 3), 90 + index, np.uint8)
            if index < 10:
                image[30:62, 26:58] = patch[..., None]
            writer.write(image)
    box = Box(at_s=0.2, from_s=0.08, to_s=0.5, left=26 / 128, top=30 / 96, right=58 / 128, bottom=62 / 96)
    mended = Corrections(digest=content_digest(source), add=(box,), cover=(Stretch(from_s=0.6, to_s=0.72),))
    made = make(source, tmp_path, True, "face_solid", "", mended)
    states = [state for _, _, state in made["stretches"]]
    assert states == ["nobody", "face", "unsure", "nobody", "covered", "nobody"]
    ends = [end for _, end, _ in made["stretches"]]
    assert ends == pytest.approx([0.08, 0.4, 0.52, 0.6, 0.72, 0.8], abs=0.01)
    assert (made["counts"]["corrections_add"], made["counts"]["frames_covered_whole"]) == (1, 6)
    faces = np.load(tmp_path / "faces.npy", allow_pickle=False)
    assert faces[:, 0] == pytest.approx(np.arange(2, 10) / 25, abs=0.001)
    assert (faces[:, 1] < 0).all()


def test_a_file_says_what_it_is(tmp_path):
    with video.VideoWriter(tmp_path / "a.mp4", width=64, height=48, rate_hz=10) as writer:
        writer.write_sound(Signal(values=np.full((800, 1), 0.5, np.float32), rate_hz=8000))
        for _ in range(5):
            writer.write(np.zeros((48, 64, 3), np.uint8))
    about = look_at(tmp_path / "a.mp4")
    assert (about["kind"], about["width"], about["height"], about["rate_hz"]) == ("film", 64, 48, 10)
    assert about["duration_s"] == pytest.approx(0.5, abs=0.01)
    assert 2 <= len(about["peaks"]) <= 4
    assert max(about["peaks"]) == pytest.approx(0.5, abs=0.1)
    (tmp_path / "b.mp4").write_text("Dear diary")
    with pytest.raises(DataError, match="cannot be read as sound or video"):
        look_at(tmp_path / "b.mp4")
