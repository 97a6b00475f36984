import numpy as np
import pytest

from personare.anonymize.face_landmarks import FaceLandmarks
from personare.core.errors import OptionError
from personare.core.types import Face, LocatedFrame


def frame(*, mesh=True, bright=255, seed=0):
    points = np.random.default_rng(seed).random((478, 3)) * 40 + 20
    face = Face(box=np.array([20.0, 20, 60, 60]), score=1.0, track=0, landmarks=points if mesh else None)
    image = np.full((80, 100, 3), bright, np.uint8)
    return LocatedFrame(index=0, time_s=0.0, image=image, faces=(face,), certain=True)


def shown(*frames, **options):
    return list(FaceLandmarks(**options)(iter(frames), subject="01", rng=np.random.default_rng(0)))


@pytest.mark.parametrize("lines", ["contours", "mesh", "points"])
def test_guarantee_no_pixel_of_the_original_enters(lines):
    one, other = shown(frame(bright=255), frame(bright=10), lines=lines)
    assert np.array_equal(one, other)
    assert one.any()
    assert one.shape == (80, 100, 3)
    assert not one[:15].any()


def test_a_face_without_a_mesh_is_not_drawn():
    assert not shown(frame(mesh=False))[0].any()


def test_more_lines_show_more():
    contours, mesh = (shown(frame(), lines=lines)[0] for lines in ("contours", "mesh"))
    assert (mesh > 0).sum() > (contours > 0).sum()


def test_honest_baseline_other_geometry_other_picture():
    one, other = shown(frame(seed=1), frame(seed=2))
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("options", [{"lines": "dots"}, {"thickness": 0}])
def test_options_out_of_range(options):
    with pytest.raises(OptionError):
        FaceLandmarks(**options)
