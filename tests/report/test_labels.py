import numpy as np
import pytest

from personare.report.labels import place_labels

BOUNDS = (0.0, 0.0, 330.0, 290.0)


def boxes(centers: np.ndarray, sizes: np.ndarray) -> list[tuple[float, float, float, float]]:
    return [(x - w / 2, y - h / 2, x + w / 2, y + h / 2) for (x, y), (w, h) in zip(centers, sizes, strict=True)]


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return min(a[2], b[2]) > max(a[0], b[0]) and min(a[3], b[3]) > max(a[1], b[1])


@pytest.mark.parametrize("seed", range(8))
def test_names_cover_neither_each_other_nor_points(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = np.clip(rng.normal((230, 190), (60, 45), (13, 2)), 15, (315, 275))
    sizes = np.stack([rng.uniform(30, 95, 13), np.full(13, 11.0)], axis=1)
    placed = boxes(place_labels(points, sizes, BOUNDS, np.empty((0, 4))), sizes)
    assert not [(i, j) for i in range(13) for j in range(i) if overlap(placed[i], placed[j])]
    dots = [(x - 3, y - 3, x + 3, y + 3) for x, y in points]
    assert not [(i, j) for i in range(13) for j in range(13) if overlap(placed[i], dots[j])]
    assert all(b[0] >= 0 and b[1] >= 0 and b[2] <= 330 and b[3] <= 290 for b in placed)


def test_ten_names_on_the_very_same_spot_find_places_of_their_own() -> None:
    points, sizes = np.full((10, 2), 150.0), np.tile((70.0, 11.0), (10, 1))
    placed = boxes(place_labels(points, sizes, BOUNDS, np.empty((0, 4))), sizes)
    assert not [(i, j) for i in range(10) for j in range(i) if overlap(placed[i], placed[j])]


def test_a_name_keeps_off_a_line() -> None:
    point, size = np.array([[100.0, 100.0]]), np.array([[40.0, 10.0]])
    line = np.array([[100.0, 100.0, 200.0, 100.0]])
    [(x, y)] = place_labels(point, size, BOUNDS, line)
    assert x + 20 <= 100 or abs(y - 100) >= 5


def test_no_point_no_label() -> None:
    assert place_labels(np.empty((0, 2)), np.empty((0, 2)), BOUNDS, np.empty((0, 4))).shape == (0, 2)
