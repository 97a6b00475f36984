import numpy as np
import pytest

from personare.features.expression import BLENDSHAPES
from personare.features.motion import (
    MIRROR,
    REST,
    adopt,
    group_habits,
    habits,
    head_turn,
    learn_space,
    smooth,
    symmetrize,
    wander,
)


def rotation(axis, angle):
    c, s = np.cos(angle), np.sin(angle)
    i, j = [(1, 2), (2, 0), (0, 1)][axis]
    m = np.eye(4)
    m[i, i] = m[j, j] = c
    m[i, j], m[j, i] = -s, s
    return m


@pytest.mark.parametrize(
    ("axis", "angle", "expected"),
    # Axes x right, y up, z to the viewer: about y the nose goes right, about x down, about z the head tilts left.
    [(1, 0.3, (0.3, 0, 0)), (0, 0.2, (0, 0.2, 0)), (2, 0.1, (0, 0, -0.1))],
)
def test_head_turn_by_hand(axis, angle, expected):
    assert np.allclose(head_turn(rotation(axis, angle)), expected, atol=1e-9)


def test_mirror_is_its_own_inverse_and_gaze_stays_gaze():
    assert [MIRROR[i] for i in MIRROR] == list(range(52))
    assert BLENDSHAPES[MIRROR[BLENDSHAPES.index("eyeLookInLeft")]] == "eyeLookOutRight"


def test_symmetrize_drops_sideways_and_keeps_gaps():
    values = np.random.default_rng(0).random((3, 52))
    values[1] = np.nan
    out = symmetrize(values)
    assert np.isnan(out[1]).all()
    assert (out[0, [BLENDSHAPES.index(n) for n in ("jawLeft", "mouthRight")]] == 0).all()
    assert np.allclose(out[0], out[0, MIRROR])


def test_smooth_takes_the_fast_away_and_never_reaches_over_a_gap():
    values = np.zeros((100, 1))
    values[::2] = 1
    values[40:60] = np.nan
    values[60:] = 5
    out = smooth(values, rate_hz=25, seconds=0.2)
    assert np.ptp(out[10:30]) < 0.03
    assert np.isnan(out[40:60]).all()
    assert np.allclose(out[60:], 5)
    assert np.array_equal(smooth(values, rate_hz=25, seconds=0), values, equal_nan=True)


def test_adopt_brings_everybody_to_the_same_habits_and_keeps_the_order():
    course = np.linspace(0, 1, 101)
    people = [np.outer(c, np.ones(52)) for c in (0.1 + 0.3 * course, 0.5 * course**2, 0.2 + 0.8 * course)]
    own = [habits(p) for p in people]
    common = group_habits(own)
    out = [adopt(p, o, common) for p, o in zip(people, own, strict=True)]
    assert np.allclose(out[0], out[2], atol=0.02)
    assert np.allclose(out[0], out[1], atol=0.02)
    assert (np.diff(out[1], axis=0) >= 0).all()
    assert np.allclose(common[REST], 0)


def test_adopt_does_not_blow_up_what_hardly_moves():
    still = np.full((50, 52), 0.3) + 0.01 * np.sin(np.arange(50))[:, None]
    lively = np.random.default_rng(0).random((50, 52))
    own = habits(still)
    assert np.abs(adopt(still, own, group_habits([own, habits(lively), habits(lively)]))).max() < 0.03


def test_wander_is_slow_and_of_unit_size():
    noise = wander(5000, 3, rate_hz=25, seconds=0.2, rng=np.random.default_rng(0))
    assert noise.shape == (5000, 3)
    assert np.allclose(noise.std(axis=0), 1)
    assert np.corrcoef(noise[1:, 1], noise[:-1, 1])[0, 1] > 0.9
    assert abs(np.corrcoef(noise[:, 0], noise[:, 1])[0, 1]) < 0.2


def test_space_keeps_what_the_group_does_and_drops_the_rest():
    rng = np.random.default_rng(0)
    common, own = np.eye(52)[3], np.eye(52)[7]
    space = learn_space(0.2 + np.outer(rng.standard_normal(500), common) + 0.01 * rng.standard_normal((500, 52)), 1)
    still = np.zeros((1, 1))
    kept = space.inside((0.2 + 0.5 * common + 0.5 * own)[None], still)[0]
    assert np.isclose(kept[3], 0.7, atol=0.05)
    assert np.isclose(kept[7], 0.2, atol=0.05)
    louder = space.inside((0.2 + 0.5 * common)[None], np.ones((1, 1)))[0]
    assert np.isclose(abs(louder[3] - 0.7), 1, atol=0.15)
