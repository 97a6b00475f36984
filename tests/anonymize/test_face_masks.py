"""Solid, blur, pixelate: what is covered, how strongly, and what a user may leave out."""

from dataclasses import replace

import numpy as np
import pytest

from personare.anonymize.face_blur import FaceBlur
from personare.anonymize.face_pixelate import FacePixelate
from personare.anonymize.face_solid import FaceSolid
from personare.core.errors import OptionError
from personare.core.types import Face, LocatedFrame
from personare.features import masking
from personare.features.masking import COVER_LEVEL

METHODS = [FaceSolid, FaceBlur, FacePixelate]
BOX = np.array([60.0, 40.0, 140.0, 140.0], dtype=np.float32)


def located(*boxes, seed=0, height=180, width=240, landmarks=None):
    image = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    faces = tuple(Face(box=b, score=0.9, track=n, landmarks=landmarks) for n, b in enumerate(boxes))
    return LocatedFrame(index=0, time_s=0.0, image=image, faces=faces, certain=True)


def shown(method, frame):
    (image,) = method([frame], subject="01", rng=np.random.default_rng(0))
    return image


def untouched(before, after):
    return (before.image == after).all(axis=2)


@pytest.mark.parametrize("cls", METHODS)
@pytest.mark.parametrize("shape", ["ellipse", "box"])
def test_guarantee_the_whole_box_is_covered_and_the_rest_is_not(cls, shape):
    frame = located(BOX)
    same = untouched(frame, shown(cls(shape=shape), frame))
    assert same[40:140, 60:140].mean() < 0.01, "by chance a pixel may come out alike"
    assert same[:9].all() and same[:, 170:].all() and same[175:].all()


@pytest.mark.parametrize("cls", METHODS)
def test_the_original_frame_is_left_as_it_was(cls):
    frame = located(BOX)
    before = frame.image.copy()
    shown(cls(), frame)
    np.testing.assert_array_equal(frame.image, before)


def test_guarantee_solid_does_not_depend_on_the_face():
    one, other = (shown(FaceSolid(), located(BOX, seed=seed)) for seed in (1, 2))
    np.testing.assert_array_equal(one[40:140, 60:140], other[40:140, 60:140])
    assert (one[40:140, 60:140] == 128).all()
    assert (shown(FaceSolid(color=[1, 2, 3]), located(BOX))[90, 100] == [1, 2, 3]).all()


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0, 4.0])
def test_guarantee_blur_is_as_strong_on_a_large_face_as_on_a_small_one(scale):
    """A grating of 8 stripes a face must be gone at every size."""
    size = int(100 * scale)
    stripes = (127 + 120 * np.sin(2 * np.pi * 8 * np.arange(2 * size) / size)).astype(np.uint8)
    image = np.repeat(np.tile(stripes, (2 * size, 1))[:, :, None], 3, axis=2)
    box = np.array([0.5, 0.5, 1.5, 1.5]) * size
    face = Face(box=box, score=1.0, track=0)
    frame = LocatedFrame(index=0, time_s=0.0, image=image, faces=(face,), certain=True)
    middle = slice(int(0.6 * size), int(1.4 * size))
    assert image[middle, middle].std() > 80
    assert shown(FaceBlur(), frame)[middle, middle].std() < 5


def test_blur_equals_a_plain_gaussian_computed_by_hand():
    from scipy.ndimage import gaussian_filter

    row = np.zeros(400)
    row[200:] = 250
    image = np.repeat(np.tile(row, (400, 1))[:, :, None], 3, axis=2).astype(np.uint8)
    face = Face(box=np.array([150.0, 150, 250, 250]), score=1.0, track=0)
    frame = LocatedFrame(index=0, time_s=0.0, image=image, faces=(face,), certain=True)
    got = shown(FaceBlur(strength=0.2, enlarge=1.0, shape="box"), frame)[200, 160:240, 0].astype(float)
    expected = gaussian_filter(row, 20.0)[160:240]
    assert np.abs(got - expected).max() < 10


@pytest.mark.parametrize("columns", [3, 6, 12])
def test_guarantee_a_mosaic_has_as_many_squares_as_asked_for(columns):
    after = shown(FacePixelate(columns=columns, shape="box", enlarge=0.0), located(BOX))
    area = after[40:140, 60:140]
    assert len(np.unique(area[50], axis=0)) == columns
    square = area[: 80 // columns - 2, : 80 // columns - 2]
    assert np.ptp(square.reshape(-1, 3), axis=0).max() == 0


@pytest.mark.parametrize("cls", METHODS)
def test_several_faces_faces_at_the_rim_and_outside(cls):
    boxes = [BOX, np.array([-30.0, -20, 30, 40]), np.array([200.0, 150, 300, 260]), np.array([400.0, 10, 450, 60])]
    frame = located(*boxes)
    same = untouched(frame, shown(cls(), frame))
    assert same[40:140, 60:140].mean() < 0.01
    assert same[:38, :28].mean() < 0.05 and same[155:, 205:].mean() < 0.05
    assert same[10:60, 200:].all()


@pytest.mark.parametrize("cls", METHODS)
def test_no_face_no_change(cls):
    frame = located()
    np.testing.assert_array_equal(shown(cls(), frame), frame.image)


@pytest.mark.parametrize("cls", METHODS)
def test_keep_and_only_rectangles_of_the_frame(cls):
    frame = located(BOX)
    left = (slice(None), slice(0, 120))
    right = (slice(None), slice(120, None))
    kept = untouched(frame, shown(cls(keep=["0,0,0.5,1"]), frame))
    assert kept[left].all()
    assert kept[40:140, 120:140].mean() < 0.01
    chosen = untouched(frame, shown(cls(only=["0,0,0.5,1"]), frame))
    assert chosen[right].all()
    assert chosen[40:140, 60:120].mean() < 0.01


@pytest.mark.parametrize("cls", METHODS)
def test_parts_of_the_face_follow_it(cls):
    for shift in (0.0, 70.0):
        box = BOX + np.array([shift, 0, shift, 0])
        frame = located(box)
        mouth = (slice(110, 134), slice(int(80 + shift), int(120 + shift)))
        eyes = (slice(68, 90), slice(int(66 + shift), int(134 + shift)))
        kept = untouched(frame, shown(cls(keep=["mouth"]), frame))
        assert kept[mouth].all()
        assert kept[eyes].mean() < 0.01
        chosen = untouched(frame, shown(cls(only=["eyes"]), frame))
        assert chosen[mouth].all()
        assert chosen[eyes].mean() < 0.01


def test_parts_are_taken_from_the_mesh_where_there_is_one():
    mesh = np.full((478, 3), 100.0)
    mesh[[61, 291, 0, 17, 39, 269, 181, 405], :2] += np.array(
        [[-20, 0], [20, 0], [0, -8], [0, 8], [-10, -6], [10, -6], [-10, 6], [10, 6]]
    )
    frame = located(BOX, landmarks=mesh)
    kept = untouched(frame, shown(FaceSolid(keep=["mouth"]), frame))
    assert kept[94:106, 82:118].all()
    assert kept[118:134, 80:120].mean() < 0.01, "where the mouth would be by proportion"


@pytest.mark.parametrize("cls", METHODS)
@pytest.mark.parametrize(
    "options",
    [
        {"shape": "star"},
        {"enlarge": -0.1},
        {"keep": ["ear"]},
        {"keep": ["0,0,2,1"]},
        {"only": ["0.5,0,0.2,1"]},
        {"only": "mouth"},
    ],
)
def test_options_that_cannot_be_used_are_refused(cls, options):
    with pytest.raises(OptionError):
        cls(**options)


def test_strengths_that_cannot_be_used_are_refused():
    for wrong in (lambda: FaceBlur(strength=0), lambda: FacePixelate(columns=0), lambda: FaceSolid(color=(1, 2, 300))):
        with pytest.raises(OptionError):
            wrong()


FACE = np.array([85.0, 60.0, 115.0, 100.0], dtype=np.float32)
BODY = np.zeros((180, 240), bool)
BODY[30:, 50:150] = True


class Segmenter:
    """Knows where the person is, in place of a network; ``sure`` is its confidence."""

    sure = 1.0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def confidence(self, image):
        return np.where(BODY, np.float32(self.sure), np.float32(0.01))


@pytest.fixture
def segmenter(monkeypatch):
    monkeypatch.setattr(masking, "PersonSegmenter", Segmenter)


def person_in_room(person, room):
    """A frame with the body of one of several people, all with the same face, in one of several rooms."""
    one, other, face = (located(seed=seed).image for seed in (person, room, 99))
    image = np.where(BODY[:, :, None], one, other)
    image[44:116, 70:130] = face[44:116, 70:130]
    return LocatedFrame(index=0, time_s=0.0, image=image, faces=located(FACE).faces, certain=True)


def identified(method, gallery, probes):
    """How many people, in a different room each, an attacker names who compares the pixels of two frames."""
    known, seen = ([shown(method, frame).astype(float) for frame in frames] for frames in (gallery, probes))
    nearest = [int(np.argmin([np.abs(one - other).mean() for other in known])) for one in seen]
    return np.mean(np.equal(nearest, np.arange(len(seen))))


@pytest.mark.usefixtures("segmenter")
@pytest.mark.parametrize("cls", METHODS)
def test_guarantee_nothing_of_the_person_is_left_beside_the_face(cls):
    gallery, probes = ([person_in_room(p, room + p % 2) for p in range(4)] for room in (50, 50))
    assert identified(cls(), gallery, probes) == 1, "clothes name them"
    covered = [shown(cls(cover="person"), person_in_room(p, 50)) for p in range(4)]
    assert all((image == covered[0]).all() for image in covered), "all of them look the same"
    assert (covered[0][:, 200:] == person_in_room(0, 50).image[:, 200:]).all(), "the room is left as it was"


@pytest.mark.usefixtures("segmenter")
@pytest.mark.parametrize("cls", METHODS)
def test_guarantee_nothing_of_the_background_is_left(cls):
    rooms = [person_in_room(0, room) for room in range(50, 54)]
    assert identified(cls(), rooms, rooms) == 1
    covered = [shown(cls(cover="background"), frame)[~BODY] for frame in rooms]
    assert all((image == COVER_LEVEL).all() for image in covered)


@pytest.mark.parametrize("cls", METHODS)
def test_guarantee_nothing_but_the_faces_is_left(cls):
    frames = [person_in_room(p, 50 + p) for p in range(4)]
    assert identified(cls(), frames, frames) == 1
    covered = [shown(cls(cover="all"), frame) for frame in frames]
    assert all((image[:44] == COVER_LEVEL).all() and (image[116:] == COVER_LEVEL).all() for image in covered)
    assert covered[0][80, 100].tolist() == shown(cls(), frames[0])[80, 100].tolist(), "the treated face is still there"


@pytest.mark.usefixtures("segmenter")
@pytest.mark.parametrize("cover", ["person", "background"])
def test_a_frame_whose_people_are_in_doubt_is_gray_all_over(cover, monkeypatch):
    method, frame = FaceBlur(cover=cover), person_in_room(0, 50)
    assert (shown(method, frame) != COVER_LEVEL).any()
    elsewhere = replace(frame, faces=located(np.add(FACE, [90, 0, 90, 0])).faces)
    assert (shown(method, elsewhere) == COVER_LEVEL).all(), "a face where the segmenter sees nobody"
    monkeypatch.setattr(Segmenter, "sure", 0.5)
    assert (shown(method, replace(frame, faces=())) == COVER_LEVEL).all(), "half of the picture is in doubt"
