"""Puts names beside points of a picture so that no name covers another name, a point or a line."""

import math
from collections.abc import Sequence

import numpy as np

from personare.core.types import Array

__all__ = ["place_labels"]

_RADII = (7.0, 12.0, 20.0, 30.0, 44.0, 60.0, 80.0, 104.0)
_DIRECTIONS = 24
_SWEEPS = 6
_GAP = 2.0


def place_labels(points: Array, sizes: Array, bounds: tuple[float, float, float, float], lines: Array) -> Array:
    """Return where the labels of points go.

    Args:
        points: (N, 2) x and y of each point.
        sizes: (N, 2) width and height of each label, in the same units.
        bounds: left, bottom, right, top that labels must stay within.
        lines: (L, 4) straight strokes x0, y0, x1, y1 that labels should not cover.

    Returns:
        (N, 2) centers. Overlaps remain only where there is no free place.

    Example:
        >>> near = np.array([[50.0, 50.0], [50.0, 50.0]])
        >>> a, b = place_labels(near, np.full((2, 2), 10.0), (0, 0, 100, 100), np.empty((0, 4)))
        >>> bool(max(abs(a - b)) >= 10)
        True
    """
    count = len(points)
    if not count:
        return np.empty((0, 2))
    around = [_candidates(points[i], sizes[i]) for i in range(count)]
    fixed = [_fixed_cost(around[i], sizes[i], i, points, bounds, lines) for i in range(count)]
    chosen = np.array([around[i][np.argmin(fixed[i])] for i in range(count)])
    for _ in range(_SWEEPS):
        before = chosen.copy()
        for i in _crowded_first(points):
            others = [j for j in range(count) if j != i]
            cost = fixed[i] + _overlap(around[i], sizes[i], chosen[others], sizes[others]) * 50.0
            cost = cost + 300.0 * _leaders_crossed(points[i], around[i], points[others], chosen[others])
            cost = cost + 40.0 * _points_passed(points[i], around[i], points[others])
            leaders = np.concatenate([points[others], chosen[others]], axis=1)
            cost = cost + 5.0 * _covered(around[i], sizes[i], leaders)
            chosen[i] = around[i][np.argmin(cost)]
        if np.array_equal(before, chosen):
            break
    return chosen


def _crowded_first(points: Array) -> Sequence[int]:
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    return [int(i) for i in np.argsort(distance.sum(axis=1))]


def _candidates(point: Array, size: Array) -> Array:
    angles = np.arange(_DIRECTIONS) * 2 * math.pi / _DIRECTIONS
    ways = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    # The label's nearest edge, not its center, keeps the distance: long names may sit right beside their point.
    return np.concatenate([point + ways * radius + ways * size / 2 for radius in _RADII])


def _fixed_cost(
    centers: Array, size: Array, own: int, points: Array, bounds: tuple[float, float, float, float], lines: Array
) -> Array:
    left, bottom, right, top = bounds
    low, high = centers - size / 2, centers + size / 2
    outside = np.clip(np.array([left, bottom]) - low, 0, None) + np.clip(high - np.array([right, top]), 0, None)
    distance = np.linalg.norm(np.clip(np.abs(centers - points[own]) - size / 2, 0, None), axis=1)
    markers = np.full((len(points), 2), 9.0)
    # A name far away must be looked for; one that lies on an error bar can still be read.
    cost: Array = outside.sum(axis=1) * 500.0 + 1.5 * distance + 0.02 * distance**2
    cost = cost + _overlap(centers, size, points, markers) * 20.0
    cost = cost + 3.0 * _covered(centers, size, lines)
    return cost


def _overlap(centers: Array, size: Array, others: Array, other_sizes: Array) -> Array:
    """Sum of overlapping areas of each candidate with all others."""
    reach = (size + other_sizes) / 2 + _GAP  # (M, 2)
    depth = np.clip(reach[None] - np.abs(centers[:, None] - others[None]), 0, None)  # (C, M, 2)
    area: Array = depth.prod(axis=2).sum(axis=1)
    return area


def _covered(centers: Array, size: Array, lines: Array) -> Array:
    """Length of the strokes that lies under each candidate, by points along them."""
    if not len(lines):
        return np.zeros(len(centers))
    along = np.linspace(0, 1, 40)[:, None, None]
    start, end = lines[:, :2], lines[:, 2:]
    dots = (start + along * (end - start)).reshape(-1, 2)  # (40 L, 2)
    step = np.tile(np.linalg.norm(end - start, axis=1) / 40, 40)
    inside = (np.abs(centers[:, None] - dots[None]) <= size / 2 + _GAP).all(axis=2)  # (C, 40 L)
    length: Array = inside @ step
    return length


def _leaders_crossed(point: Array, centers: Array, other_points: Array, other_centers: Array) -> Array:
    """How many other leader lines the line from a point to each candidate crosses."""
    if not len(other_points):
        return np.zeros(len(centers))
    a, b = _side(point, centers, other_points), _side(point, centers, other_centers)  # (C, M)
    c = _side(other_points, other_centers, np.broadcast_to(point, other_points.shape), pairwise=True)
    d = np.stack([_side(other_points, other_centers, np.broadcast_to(q, other_points.shape), True) for q in centers])
    crossed: Array = ((a * b < 0) & (c[None] * d < 0)).sum(axis=1).astype(float)
    return crossed


def _points_passed(point: Array, centers: Array, others: Array) -> Array:
    """How many other points the line from a point to each candidate passes so closely that it seems to be theirs."""
    way = centers - point  # (C, 2)
    along = np.clip((way @ (others - point).T) / (way**2).sum(axis=1, keepdims=True), 0, 1)  # (C, M)
    nearest = point + along[..., None] * way[:, None]  # (C, M, 2)
    passed = (np.linalg.norm(nearest - others[None], axis=2) < 5.0) & (np.linalg.norm(others - point, axis=1) > 5.0)
    count: Array = passed.sum(axis=1).astype(float)
    return count


def _side(start: Array, end: Array, of: Array, pairwise: bool = False) -> Array:
    """Sign of the side of the line start-end on which points lie."""
    if pairwise:
        way, to = end - start, of - start
        side: Array = way[:, 0] * to[:, 1] - way[:, 1] * to[:, 0]
        return side
    way, to = (end - start)[:, None], (of - start)[None]
    table: Array = way[..., 0] * to[..., 1] - way[..., 1] * to[..., 0]
    return table
