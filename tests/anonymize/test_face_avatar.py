from dataclasses import replace

import numpy as np
import pytest

from personare.anonymize.face_avatar import FaceAvatar
from personare.core.errors import DataError, OptionError
from personare.core.randomness import generator
from personare.core.types import Face, LocatedFrame
from personare.features.avatar import BACKGROUND
from personare.features.expression import BLENDSHAPES, FaceLandmarker

SMILE = [BLENDSHAPES.index("mouthSmileLeft"), BLENDSHAPES.index("mouthSmileRight")]
JAW = BLENDSHAPES.index("jawOpen")


def clip(course, *, seen=None, seed=0, size=(96, 128), geometry=1.0):
    """Frames whose smile and jaw follow a course; picture and mesh come from the seed, as a person's would."""
    rng = generator(seed, "person")
    image = rng.integers(0, 255, (*size, 3), dtype=np.uint8)
    mesh = rng.random((478, 3)).astype(np.float32) * 40 * geometry
    frames = []
    for index, value in enumerate(course):
        shapes = np.zeros(52, np.float32)
        shapes[SMILE], shapes[JAW] = value, value / 2
        face = Face(
            box=np.array([30.0, 20.0, 80.0, 80.0]),
            score=1.0,
            track=0,
            landmarks=mesh,
            blendshapes=shapes,
            pose=np.eye(4, dtype=np.float32),
        )
        here = seen is None or seen[index]
        faces = (face,) if here else ()
        frames.append(LocatedFrame(index=index, time_s=index / 25, image=image, faces=faces, certain=True))
    return frames


COURSE = 0.4 + 0.4 * np.sin(np.arange(40) / 5)


CLEAR = {"noise": 0.0, "gain_noise": 0.0, "directions": 0}


def shown(frames, method=None, subject="01", seed=0):
    return list((method or FaceAvatar())(iter(frames), subject=subject, rng=generator(seed, "t")))


def test_guarantee_same_motion_same_picture_whoever_it_is():
    one, other = (shown(clip(COURSE, seed=s, geometry=g)) for s, g in ((1, 1.0), (2, 3.0)))
    assert np.array_equal(one, other)


def test_guarantee_rest_position_does_not_show():
    one, other = (shown(clip(COURSE * 0.5 + rest, seed=1)) for rest in (0.0, 0.2))
    assert np.abs(np.subtract(one, other, dtype=float)).max() < 12
    raw = FaceAvatar(normalize="none")
    before = [shown(clip(COURSE * 0.5 + rest, seed=1), raw) for rest in (0.0, 0.2)]
    assert np.abs(np.subtract(*before, dtype=float)).max() > 60


def test_guarantee_a_long_gap_shows_the_ground_alone_and_a_short_one_is_bridged():
    seen = np.ones(40, bool)
    seen[5:8] = seen[15:35] = False
    pictures = shown(clip(COURSE, seen=seen))
    empty = [np.array_equal(p, np.full_like(p, BACKGROUND)) for p in pictures]
    assert empty == [15 <= i < 35 for i in range(40)]


def group(courses, size=(96, 300), switch=None):
    """A film of several people side by side, each moving by a course of their own; from ``switch`` on as new tracks."""
    alone = [clip(course, size=size) for course in courses]
    frames = []
    for index, row in enumerate(zip(*alone, strict=True)):
        faces = tuple(
            replace(
                frame.faces[0],
                box=np.array([90.0 * seat, 10, 90 * seat + 60, 80 - seat]),
                track=seat + 10 * (switch is not None and index >= switch),
            )
            for seat, frame in enumerate(row)
            if not np.isnan(courses[seat][index])
        )
        frames.append(replace(row[0], faces=faces))
    return frames


def drawn_columns(picture, people):
    """Which of the seats has something drawn in it, and its picture."""
    seats = np.array_split(np.asarray(picture), people, axis=1)
    return [bool((seat != BACKGROUND).any()) for seat in seats], seats


@pytest.mark.parametrize("people", [2, 3, 5])
def test_guarantee_everybody_in_a_film_is_drawn_each_as_somebody_else(people):
    pictures = shown(group([COURSE] * people, size=(96, 100 * people)))
    for picture in pictures:
        there, seats = drawn_columns(picture, people)
        assert all(there)
        looks = {tuple(np.unique(seat.reshape(-1, 3), axis=0).ravel()[:300]) for seat in seats}
        assert len(looks) == people


@pytest.mark.parametrize("quiet", [0, 1])
def test_each_moves_by_their_own_expression(quiet):
    courses = [COURSE, COURSE]
    courses[quiet] = np.zeros(40)
    pictures = shown(group(courses, size=(96, 200)), FaceAvatar(normalize="none", head=0, **CLEAR))
    moved = [np.ptp([drawn_columns(p, 2)[1][seat] for p in pictures], axis=0).max() for seat in (0, 1)]
    assert moved[quiet] == 0 < moved[1 - quiet]


@pytest.mark.parametrize("switch", [5, 20, 39])
def test_a_face_lost_and_found_again_keeps_its_seat_and_look(switch):
    method = FaceAvatar(normalize="none", **CLEAR)
    films = [shown(group([COURSE, COURSE / 2], size=(96, 200), switch=s), method) for s in (None, switch)]
    assert np.array_equal(*films)


def test_one_who_leaves_is_no_longer_drawn_and_the_other_stays():
    leaving = COURSE.copy()
    leaving[15:] = np.nan
    pictures = shown(group([COURSE, leaving], size=(96, 200)))
    assert [drawn_columns(p, 2)[0] for p in pictures] == [[True, i < 15] for i in range(40)]


def test_nobody_there_shows_the_ground_alone():
    pictures = shown(clip(COURSE, seen=np.zeros(40, bool)))
    assert all(np.array_equal(p, np.full_like(p, BACKGROUND)) for p in pictures)


def test_no_frames_and_one_frame():
    assert shown([]) == []
    assert len(shown(clip(COURSE[:1]))) == 1


@pytest.mark.parametrize("size", [(96, 128), (300, 200), (720, 1280), (5, 7)])
def test_any_size_of_picture(size):
    pictures = shown(clip(COURSE[:2], size=size))
    assert [p.shape for p in pictures] == [(*size, 3)] * 2
    assert all(p.dtype == np.uint8 for p in pictures)


def test_near_puts_the_drawing_where_the_person_was():
    picture = shown(clip(COURSE, size=(200, 800)), FaceAvatar(place="near"))[0]
    columns = np.flatnonzero((picture != BACKGROUND).any(axis=(0, 2)))
    assert columns.max() < 200


def test_person_range_is_brought_to_the_common_one():
    def course(reach):
        return reach * np.clip(np.sin(np.arange(60) / 5), 0, 1)

    background = [(who, clip(course(reach))) for who, reach in (("01", 0.3), ("02", 0.5), ("03", 0.9))]
    method = FaceAvatar(normalize="person", smoothing_s=0, **CLEAR)
    assert method.fit_on == "everyone"
    fitted = method.fit(iter(background), rng=generator(0, "f"))
    small, large = (shown(clip(course(reach)), fitted, subject=who) for who, reach in (("01", 0.3), ("03", 0.9)))
    assert np.abs(np.subtract(small, large, dtype=float)).max() < 40
    assert len(shown(clip(course(0.3)), fitted, subject="stranger")) == 60


def test_a_held_expression_survives_where_the_person_is_known():
    background = [("01", clip(np.zeros(30))), ("01", clip(np.full(30, 0.8))), ("02", clip(COURSE))]
    fitted = FaceAvatar(normalize="person", **CLEAR).fit(iter(background), rng=generator(0, "f"))
    calm, happy = (shown(clip(np.full(10, v)), fitted) for v in (0.0, 0.8))
    assert np.abs(np.subtract(calm, happy, dtype=float)).max() > 60


def test_guarantee_noise_differs_between_recordings_and_follows_the_seed():
    fitted = FaceAvatar(normalize="person").fit([("01", clip(COURSE)), ("02", clip(COURSE / 2))], rng=generator(0, "f"))
    for method in (FaceAvatar(), fitted):
        once, again, other = (shown(clip(COURSE), method, seed=seed) for seed in (1, 1, 2))
        assert np.array_equal(once, again)
        assert not np.array_equal(once, other)


def test_fit_needs_an_expression():
    with pytest.raises(DataError, match="no expression"):
        FaceAvatar(normalize="person").fit([("01", clip(COURSE, seen=np.zeros(40, bool)))], rng=generator(0, "f"))


@pytest.mark.parametrize(
    "options",
    [{"smoothing_s": -1}, {"head": 2}, {"normalize": "all"}, {"place": "left"}, {"levels": -1}, {"directions": -1}],
)
def test_options_out_of_range(options):
    with pytest.raises(OptionError):
        FaceAvatar(**options)


def test_levels_leave_few_pictures():
    method = FaceAvatar(levels=3, head=0, **CLEAR)
    assert len({p.tobytes() for p in shown(clip(COURSE), method)}) <= 12
    assert len({p.tobytes() for p in shown(clip(COURSE), FaceAvatar(head=0, **CLEAR))}) > 12


def test_a_reader_sees_the_expression_that_went_in():
    course = np.clip(np.sin(np.arange(75) / 6), 0, 1) * 0.7
    frames = clip(course, size=(288, 360))
    with FaceLandmarker() as landmarker:
        read, _ = landmarker.measure(shown(frames, FaceAvatar(noise=0)), rate_hz=25)
    assert not np.isnan(read).any()
    for shape in (*SMILE, JAW):
        assert np.corrcoef(read[:, shape], course)[0, 1] > 0.9
