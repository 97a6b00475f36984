"""Smooth shapes on a turning head, and what is drawn of them."""

import numpy as np
import pytest

from personare.features.painting import Camera, blobs, curve, darker, disc, fill, line, mixed, turned

POINTS = np.array([(0.0, 0.0), (2.0, 1.0), (3.0, 4.0), (-1.0, 3.0)])


@pytest.mark.parametrize("closed", [False, True])
def test_a_curve_goes_through_its_control_points(closed):
    drawn = curve(POINTS, closed=closed, per=5)
    assert len(drawn) == (20 if closed else 16)
    np.testing.assert_allclose(drawn[::5], POINTS, atol=1e-12)


def test_a_head_that_looks_ahead_is_seen_as_it_is_and_a_turned_one_moves_what_is_near():
    def seen(turn, depth):
        camera = Camera(center=np.array([50.0, 40.0]), scale=10.0, turn=turn, front=(1, 1, 1, 0, 0))
        return camera(np.array([(0.5, 0.0)]), depth=depth)[0]

    assert seen(np.eye(3), 0.0).tolist() == [55, 40]
    moved = [seen(turned(0.2, 0, 0), depth)[0] - 55 for depth in (0.0, 1.0)]
    assert moved[1] > 1 > abs(moved[0])


def test_shapes_are_drawn_where_they_are():
    picture = np.zeros((40, 40, 3), np.uint8)
    fill(picture, np.array([(5.0, 5.0), (15.0, 5.0), (15.0, 15.0), (5.0, 15.0)]), (200, 0, 0))
    disc(picture, np.array([30.0, 10.0]), 5.0, (0, 200, 0))
    line(picture, np.array([[(5.0, 30.0), (15.0, 30.0)], [(25.0, 30.0), (35.0, 30.0)]]), (0, 0, 200), 3)
    assert [picture[row, column].tolist() for row, column in ((10, 10), (10, 30), (30, 10), (30, 20), (30, 30))] == [
        [200, 0, 0], [0, 200, 0], [0, 0, 200], [0, 0, 0], [0, 0, 200],
    ]  # fmt: skip


def test_colors_stay_colors():
    assert darker((100, 200, 3), 2) == (200, 255, 6) and darker((100, 200, 3), 0.5) == (50, 100, 1)
    assert mixed((0, 100, 200), (100, 100, 100), 0.25) == (25, 100, 175)


def test_spots_beside_the_middle_are_mirrored():
    x, y = np.linspace(-1, 1, 21)[None, :], np.linspace(-1, 1, 21)[:, None]
    light = blobs(x, y, (0.5, 0.0, 0.1, 0.1, 2.0), (0, 0.8, 0.1, 0.1, -1.0))
    np.testing.assert_allclose(light, light[:, ::-1], atol=1e-6)
    assert light[10, 15] == pytest.approx(2) and light[18, 10] == pytest.approx(-1)
