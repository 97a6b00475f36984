"""What a person mends by hand is really mended, from its first frame to its last, and nothing else changes."""

import json
import math

import numpy as np
import pytest

from personare.anonymize._video import anonymize_video
from personare.anonymize.face_avatar import FaceAvatar
from personare.anonymize.face_landmarks import FaceLandmarks
from personare.anonymize.face_solid import FaceSolid
from personare.core.atomic import write_json
from personare.core.errors import DataError, OptionError
from personare.core.randomness import generator
from personare.core.types import Face, LocatedFrame, Signal
from personare.features import video
from personare.features.corrections import (
    VERSION,
    Bleep,
    Box,
    Corrections,
    Mistake,
    Stretch,
    corrections_of,
    read_corrections,
)
from personare.features.masking import COVER_LEVEL

HEIGHT, WIDTH, SIDE, RATE_HZ, FRAMES = 96, 160, 32, 25, 40
RED = (255, 0, 0)


def texture(name, shape):
    """Smooth and unlike any other."""
    import cv2

    noise = generator(0, name).standard_normal((*shape, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return (128 + 60 * (smooth - smooth.mean()) / smooth.std()).clip(0, 255).astype(np.uint8)


GROUND, FACE = texture("ground", (HEIGHT, WIDTH)), texture("face", (SIDE, SIDE))


def place(index):
    """Where the face is, (4,) pixels: to the right, and up and down."""
    left, top = 10 + 2.4 * index, 30 + 14 * math.sin(index / 6)
    return np.array([round(left), round(top), round(left) + SIDE, round(top) + SIDE])


def picture(index, hidden=()):
    image = GROUND.copy()
    left, top, right, bottom = place(index)
    if index not in hidden:
        image[top:bottom, left:right] = FACE
    return image


def film(path, picture=picture, frames=FRAMES):
    with video.VideoWriter(path, width=WIDTH, height=HEIGHT, rate_hz=RATE_HZ, crf=12) as writer:
        for index in range(frames):
            writer.write(picture(index))
    return path


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return film(tmp_path_factory.mktemp("film") / "source.mp4")


def locate(frames):
    """Find nobody but a poster, which is none."""
    poster = Face(box=np.array([120.0, 60, 150, 90]), score=0.9, track=4)
    for index, time_s, image in frames:
        yield LocatedFrame(index=index, time_s=time_s, image=image, faces=(poster,), certain=True)


def box_at(index, kind=Box, **more):
    left, top, right, bottom = (float(v) for v in place(index))
    shares = {"left": left / WIDTH, "top": top / HEIGHT, "right": right / WIDTH, "bottom": bottom / HEIGHT}
    return kind(at_s=index / RATE_HZ, **shares, **more)


def located(path, **corrections):
    frames = list(Corrections(digest="", **corrections).correct(path, locate)(video.read(path)))
    assert [frame.index for frame in frames] == list(range(len(frames)))
    return frames


def added(frame):
    return [face for face in frame.faces if face.track < 0]


def holds(face, index):
    """Return the share of the true face that lies in a box."""
    true = place(index)
    sides = np.minimum(face.box[2:], true[2:]) - np.maximum(face.box[:2], true[:2])
    return float(np.clip(sides, 0, None).prod()) / SIDE**2


@pytest.mark.parametrize("index", [0, 17, FRAMES - 1])
def test_guarantee_a_box_goes_with_its_face_forwards_and_backwards(source, index):
    frames = located(source, add=[box_at(index)])
    assert len(frames) == FRAMES
    for frame in frames:
        (face,) = added(frame)
        assert holds(face, frame.index) > 0.95
        assert (face.box[2:] - face.box[:2]).max() < 1.5 * SIDE
        assert frame.certain
        sizes = [float((f.box[2:] - f.box[:2]).prod()) for f in frame.faces]
        assert sizes == sorted(sizes, reverse=True)


def test_a_box_is_there_in_its_stretch_alone_and_the_film_is_otherwise_as_it_was(source, tmp_path):
    target = tmp_path / "hidden.mp4"
    mended = Corrections(digest="", add=[box_at(17, from_s=10 / RATE_HZ, to_s=24 / RATE_HZ)])
    plain = tmp_path / "plain.mp4"
    for path, locator in ((plain, locate), (target, mended.correct(source, locate))):
        how = {"subject": "01", "rng": generator(0, "no"), "locate": locator, "sound": None}
        anonymize_video(source, path, FaceSolid(color=RED), **how)
    for (index, _, before), (_, _, after) in zip(video.read(plain), video.read(target), strict=True):
        left, top, right, bottom = place(index)
        inner = np.s_[top + 6 : bottom - 6, left + 6 : right - 6]
        if 10 <= index < 24:
            assert np.abs(after[inner].astype(int) - RED).mean() < 12, "the face is hidden"
        else:
            assert np.abs(after.astype(int) - before).mean() < 8, "nothing is"


def test_guarantee_where_a_box_is_lost_no_frame_is_certain(tmp_path):
    path = film(tmp_path / "gone.mp4", lambda index: picture(index, hidden=range(25, FRAMES)))
    frames = located(path, add=[box_at(12)])
    assert [frame.certain for frame in frames] == [index < 25 for index in range(FRAMES)]
    assert [bool(added(frame)) for frame in frames] == [index < 25 for index in range(FRAMES)]
    told = located(path, add=[box_at(12, to_s=25 / RATE_HZ)])
    assert all(frame.certain for frame in told), "who drew it said that it ends there"
    longer = located(path, add=[box_at(12, to_s=30 / RATE_HZ)])
    assert [f.index for f in longer if not f.certain] == list(range(25, 30))


def test_guarantee_backwards_too(tmp_path):
    path = film(tmp_path / "came.mp4", lambda index: picture(index, hidden=range(15)))
    assert [f.certain for f in located(path, add=[box_at(25)])] == [index >= 15 for index in range(FRAMES)]
    assert all(f.certain for f in located(path, add=[box_at(25, from_s=15 / RATE_HZ)]))


def test_a_stretch_without_an_end_goes_to_the_next_cut(tmp_path):
    other = 255 - (GROUND // 200) * 255

    def scenes(index):
        return picture(index) if 10 <= index < 30 else other

    path = film(tmp_path / "cuts.mp4", scenes)
    frames = located(path, add=[box_at(20)])
    assert all(frame.certain for frame in frames)
    assert [f.index for f in frames if added(f)] == list(range(10, 30))
    told = located(path, add=[box_at(20, to_s=35 / RATE_HZ, from_s=5 / RATE_HZ)])
    assert [f.index for f in told if not f.certain] == [*range(5, 10), *range(30, 35)]


def test_what_leaves_the_picture_is_not_lost(tmp_path):
    def leaving(index):
        image, left = GROUND.copy(), 10 - 2 * index
        if left + SIDE > 0:
            image[30 : 30 + SIDE, max(left, 0) : left + SIDE] = FACE[:, max(-left, 0) :]
        return image

    frames = located(film(tmp_path / "left.mp4", leaving, 30), add=[box_at(0)])
    assert all(frame.certain for frame in frames)
    assert added(frames[10])
    assert not added(frames[-1])


def test_guarantee_a_mistake_is_taken_out_in_its_stretch_alone(source):
    shares = {"left": 120 / WIDTH, "top": 60 / HEIGHT, "right": 150 / WIDTH, "bottom": 90 / HEIGHT}
    mistake = Mistake(track=4, at_s=0.8, from_s=0.4, to_s=1.2, **shares)
    frames = located(source, remove=[mistake])
    assert [not frame.faces for frame in frames] == [10 <= frame.index < 30 for frame in frames]
    with pytest.raises(DataError, match="Track 5 is not in its box"):
        located(source, remove=[Mistake(track=5, at_s=0.8, **shares)])
    with pytest.raises(DataError, match="Track 4 is not in its box"):
        located(source, remove=[box_at(20, Mistake, track=4)])


def test_guarantee_a_covered_stretch_is_gray_all_over(source, tmp_path):
    target = tmp_path / "hidden.mp4"
    mended = Corrections(digest="", cover=[Stretch(from_s=0.41, to_s=0.8), Stretch(from_s=1.5)])
    how = {"subject": "01", "rng": generator(0, "no"), "locate": mended.correct(source, locate), "sound": None}
    done = anonymize_video(source, target, FaceSolid(), **how)
    gray = [index for index, _, image in video.read(target) if np.abs(image.astype(int) - COVER_LEVEL).max() < 8]
    assert gray == [*range(10, 20), *range(37, FRAMES)], "0.41 s lies within the tenth frame"
    assert done.covered_whole == len(gray)


@pytest.mark.parametrize("method", [FaceAvatar(), FaceLandmarks()])
def test_methods_that_need_a_mesh_show_nothing_of_an_added_face(source, method):
    """No pixel of the picture: what is there is drawn of meshes, and an added face has none."""
    frames = Corrections(digest="", add=[box_at(17)]).correct(source, locate)(video.read(source))
    shown = list(method(frames, subject="01", rng=generator(0, "no")))
    assert len(shown) == FRAMES
    assert all(np.ptp(image.reshape(-1, 3), axis=0).max() == 0 for image in shown)


@pytest.mark.parametrize(
    ("corrections", "message"),
    [
        ({"add": [Box(at_s=7, left=0, top=0, right=1, bottom=1)]}, "a time that the film does not have"),
        ({"remove": [Mistake(track=4, at_s=7, left=0, top=0, right=1, bottom=1)]}, "a time that the film does not"),
        ({"cover": [Stretch(from_s=7)]}, "begins after the film"),
    ],
)
def test_a_time_that_the_film_does_not_have_is_an_error(source, corrections, message):
    with pytest.raises(DataError, match=message):
        located(source, **corrections)


def speech(seconds=2.0):
    noise = generator(0, "speech").standard_normal((int(16000 * seconds), 2)) * 0.1
    return Signal(values=noise.astype(np.float32), rate_hz=16000)


@pytest.mark.parametrize("sound", ["tone", "silence"])
def test_guarantee_nothing_of_a_bleeped_stretch_is_heard(sound):
    before = speech()
    mended = Corrections(digest="", bleep=[Bleep(from_s=0.5, to_s=1.0, sound=sound)])
    after = mended.bleeped(before, tone=True)
    inside = slice(8000, 16000)
    assert bool(after.values[inside].any()) == (sound == "tone")
    assert not mended.bleeped(before, tone=False).values[inside].any()
    changed = (after.values != before.values).any(axis=1)
    assert changed[inside].mean() > 0.99
    assert not changed[:8000].any()
    assert not changed[16000:].any()
    other = mended.bleeped(Signal(values=-before.values, rate_hz=16000), tone=True)
    np.testing.assert_array_equal(after.values[inside], other.values[inside], "it says nothing of what was there")
    assert np.abs(np.diff(after.values[inside, 0])).max() < 0.1, "it clicks nowhere"


def test_a_bleep_beyond_the_sound_is_an_error():
    with pytest.raises(DataError, match=r"2\.00 s"):
        Corrections(digest="", bleep=[Bleep(from_s=3, to_s=4)]).bleeped(speech(), tone=True)


def test_what_is_written_is_read_back(tmp_path):
    shares = {"left": 0.1, "top": 0.2, "right": 0.3, "bottom": 0.4}
    corrections = Corrections(
        digest="d1",
        name="talk.mp4",
        add=(Box(at_s=1, **shares),),
        remove=(Mistake(at_s=2.5, to_s=3, track=0, **shares),),
        cover=(Stretch(from_s=1),),
        bleep=(Bleep(from_s=1, to_s=2, sound="silence"), Bleep()),
    )
    path = tmp_path / "corrections.json"
    write_json(path, {"version": VERSION, "recordings": [corrections]})
    assert read_corrections(path) == (corrections,)


BOX = {"at_s": 1, "left": 0.1, "top": 0.1, "right": 0.2, "bottom": 0.2}


@pytest.mark.parametrize(
    ("recording", "message"),
    [
        ({}, "digest is missing"),
        ({"digest": "d", "ad": []}, "ad is missing or not known"),
        ({"digest": 3}, "digest of recordings must be a text"),
        ({"digest": "d", "add": {}}, "add of recordings must be a list"),
        ({"digest": "d", "add": [3]}, "Each of add must be an object"),
        ({"digest": "d", "add": [{**BOX, "at_s": "1"}]}, "at_s of add must be a number"),
        ({"digest": "d", "add": [{**BOX, "at_s": True}]}, "at_s of add must be a number"),
        ({"digest": "d", "add": [{**BOX, "at_s": -1}]}, "at_s must be finite and not negative"),
        ({"digest": "d", "add": [{**BOX, "at_s": math.nan}]}, "at_s must be finite"),
        ({"digest": "d", "add": [{**BOX, "right": 1.1}]}, "right must be a share"),
        ({"digest": "d", "add": [{**BOX, "right": 0.1}]}, "left before its right"),
        ({"digest": "d", "add": [{**BOX, "to_s": 1}]}, "of a time in its stretch"),
        ({"digest": "d", "add": [{**BOX, "track": 1}]}, "track is missing or not known"),
        ({"digest": "d", "remove": [BOX]}, "track is missing"),
        ({"digest": "d", "remove": [{**BOX, "track": 1.5}]}, "track of remove must be a number"),
        ({"digest": "d", "cover": [{"from_s": 2, "to_s": 1}]}, "must end after it begins"),
        ({"digest": "d", "bleep": [{"sound": "music"}]}, "sound must be tone or silence"),
    ],
)
def test_what_is_not_understood_is_refused(recording, message):
    with pytest.raises((DataError, OptionError), match=message):
        corrections_of({"version": VERSION, "recordings": [recording]})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ("[]", "must be an object with version 1"),
        (json.dumps({"version": 2, "recordings": []}), "must be an object with version 1"),
        (json.dumps({"version": 1, "recordings": [{"digest": "d"}] * 2}), "a digest is there twice"),
    ],
)
def test_a_file_of_something_else_is_refused_under_its_name(tmp_path, content, message):
    path = tmp_path / "corrections.json"
    path.write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        read_corrections(path)
    assert str(path) in str(caught.value)
