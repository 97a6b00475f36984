import numpy as np
import pytest

from personare.anonymize.face_k_same import FaceKSame
from personare.core.errors import DataError, OptionError
from personare.core.randomness import generator
from personare.core.types import Face, LocatedFrame

EYES = {33: (-7, 0), 133: (-3, 0), 362: (3, 0), 263: (7, 0)}


def head(x, y, *, scale=2.0, turn=0.0, mesh=True, shape=1.0):
    """A face whose eyes are 10 * scale pixels apart; its other proportions follow ``shape``."""
    points = np.zeros((478, 3))
    spot = np.array([EYES.get(i, (0, 12 * shape)) for i in range(478)]) * scale
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    points[:, :2] = spot @ rotation + [x, y]
    box = np.array([x - 9 * scale, y - 8 * scale, x + 9 * scale, y + 16 * scale])
    return Face(box=box, score=1.0, track=0, landmarks=points if mesh else None)


def clip(seed, *, faces=None, count=6, size=(200, 240)):
    """Frames of one person, whose skin has the person's own color and texture."""
    rng = generator(seed, "person")
    image = (rng.integers(60, 200, 3) + rng.integers(-20, 20, (*size, 3))).astype(np.uint8)
    faces = (head(120, 90),) if faces is None else faces
    return [LocatedFrame(index=i, time_s=i / 25, image=image, faces=faces, certain=True) for i in range(count)]


def people(count):
    return [(f"{n:02d}", clip(n)) for n in range(count)]


@pytest.fixture(scope="module")
def fitted():
    return FaceKSame(k=3).fit(people(7), rng=generator(0, "fit"))


def shown(method, frames, subject):
    return list(method(iter(frames), subject=subject, rng=generator(0, "t")))


def test_guarantee_everybody_is_in_a_group_of_at_least_k(fitted):
    sizes = np.bincount(list(fitted.group_of.values()))
    assert set(fitted.group_of) == {f"{n:02d}" for n in range(7)}
    assert sizes.sum() == 7
    assert sizes.min() >= 3


def test_guarantee_a_group_shows_the_same_picture(fitted):
    for group in set(fitted.group_of.values()):
        members = [s for s, g in fitted.group_of.items() if g == group]
        pictures = [shown(fitted, clip(int(s)), s)[0] for s in members]
        inside = [p[80:118, 98:142] for p in pictures]
        assert all(np.array_equal(inside[0], other) for other in inside[1:])


def test_guarantee_other_proportions_do_not_show(fitted):
    one, other = (shown(fitted, clip(1, faces=(head(120, 90, shape=s),)), "01")[0] for s in (1.0, 1.3))
    assert np.array_equal(one, other)


def test_everybody_contributes_equally_however_much_is_shown_of_them():
    long = [("00", clip(0, count=90)), ("01", clip(1)), ("02", clip(2))]
    averages = [FaceKSame(k=3).fit(p, rng=generator(0, "f")).averages[0] for p in (long, people(3))]
    assert np.abs(averages[0].astype(int) - averages[1]).max() <= 1


@pytest.mark.parametrize("turn", [0.0, 0.4])
def test_the_whole_box_is_covered_with_and_without_a_mesh(fitted, turn):
    for face in (head(120, 90, turn=turn), head(120, 90, mesh=False), head(5, 195), head(120, 90, scale=3.0)):
        frames = clip(1, faces=(face,), count=1)
        frames[0].image[:] = 255
        picture = shown(fitted, frames, "01")[0]
        left, top = np.maximum(face.box[:2], 0).astype(int)
        right, bottom = face.box[2:].astype(int)
        assert not (picture[top:bottom, left:right] == 255).all(axis=2).any()


def test_three_faces_none_and_a_stranger(fitted):
    faces = (head(60, 60), head(180, 60), head(120, 150, scale=1))
    assert len(shown(fitted, clip(1, faces=faces), "01")) == 6
    assert np.array_equal(shown(fitted, clip(1, faces=()), "01")[0], clip(1)[0].image)
    assert len(shown(fitted, clip(9), "stranger")) == 6


def test_too_few_people():
    with pytest.raises(DataError, match=r"groups of 3.*only 2"):
        FaceKSame(k=3).fit(people(2), rng=generator(0, "fit"))
    with pytest.raises(DataError, match="only 0"):
        FaceKSame(k=3).fit([("1", clip(1, faces=()))], rng=generator(0, "fit"))


def test_it_refuses_before_it_was_fitted():
    with pytest.raises(DataError, match="must be fitted"):
        shown(FaceKSame(), clip(1), "01")


def test_k_below_two():
    with pytest.raises(OptionError, match="at least 2"):
        FaceKSame(k=1)
