"""Puts names beside points of a picture so that no name covers another name, a point or a line."""

import math

import numpy as np

from personare.core.types import Array

_RADII = (7.0, 12.0, 20.0, 30.0, 44.0, 60.0, 80.0, 104.0)
_DIRECTIONS = 24
_SWEEPS = 6
_GAP = 2.0


def place_labels(points: Array, sizes: Array, bounds: tuple[float, float, float, float], lines: Array) -> Array:
    """Return the centers (N, 2) of the labels of points (N, 2); they overlap only where there is no free place.

    Labels have ``sizes`` (N, 2), stay within ``bounds`` (left, bottom, right, top), and should not cover straight
    strokes x0, y0, x1, y1 (L, 4).
    """
    count = len(points)
    if not count:
        return np.empty((0, 2))
    angles = np.arange(_DIRECTIONS) * 2 * math.pi / _DIRECTIONS
    ways = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    around, fixed = [], []  # of each label: the centers it may have, and what each costs whatever the others do
    for point, size in zip(points, sizes, strict=True):
        # The label's nearest edge, not its center, keeps the distance: long names may sit right beside their point.
        centers = np.concatenate([point + ways * (radius + size / 2) for radius in _RADII])
        outside = np.clip(np.array(bounds[:2]) - (centers - size / 2), 0, None)
        outside += np.clip(centers + size / 2 - np.array(bounds[2:]), 0, None)
        distance = np.linalg.norm(np.clip(np.abs(centers - point) - size / 2, 0, None), axis=1)
        # A name far away must be looked for; one that lies on an error bar can still be read.
        cost = outside.sum(axis=1) * 500.0 + 1.5 * distance + 0.02 * distance**2
        cost += 20.0 * _overlap(centers, size, points, np.full(2, 9.0)) + 3.0 * _covered(centers, size, lines)
        around.append(centers)
        fixed.append(cost)
    places = np.array([centers[np.argmin(cost)] for centers, cost in zip(around, fixed, strict=True)])
    crowded_first = np.argsort(np.linalg.norm(points[:, None] - points[None], axis=2).sum(axis=1))
    for _ in range(_SWEEPS):
        before = places.copy()
        for i in crowded_first:
            others = np.arange(count) != i
            leaders = np.concatenate([points[others], places[others]], axis=1)
            cost = fixed[i] + 50.0 * _overlap(around[i], sizes[i], places[others], sizes[others])
            cost += 300.0 * _crossed(points[i], around[i], leaders) + 5.0 * _covered(around[i], sizes[i], leaders)
            places[i] = around[i][np.argmin(cost + 40.0 * _passed(points[i], around[i], points[others]))]
        if np.array_equal(before, places):
            break
    return places


def _overlap(centers: Array, size: Array, others: Array, other_sizes: Array) -> Array:
    """Sum of overlapping areas of each candidate with all others."""
    reach = (size + other_sizes) / 2 + _GAP  # (M, 2)
    depth = np.clip(reach - np.abs(centers[:, None] - others[None]), 0, None)  # (C, M, 2)
    return np.asarray(depth.prod(axis=2).sum(axis=1))


def _covered(centers: Array, size: Array, lines: Array) -> Array:
    """Length of the strokes that lies under each candidate, by points along them."""
    along = np.linspace(0, 1, 40)[:, None, None]
    dots = (lines[:, :2] + along * (lines[:, 2:] - lines[:, :2])).reshape(-1, 2)  # (40 L, 2)
    step = np.tile(np.linalg.norm(lines[:, 2:] - lines[:, :2], axis=1) / 40, 40)
    return np.asarray((np.abs(centers[:, None] - dots[None]) <= size / 2 + _GAP).all(axis=2) @ step)  # (C, 40 L)


def _crossed(point: Array, centers: Array, leaders: Array) -> Array:
    """How many other leader lines the line from a point to each candidate crosses."""

    def side(start: Array, end: Array, of: Array) -> Array:
        way, to = end - start, of - start
        return np.asarray(way[..., 0] * to[..., 1] - way[..., 1] * to[..., 0])

    ends, start, stop = centers[:, None], leaders[None, :, :2], leaders[None, :, 2:]  # (C, 1, 2), (1, M, 2)
    apart = side(point, ends, start) * side(point, ends, stop) < 0
    return np.asarray((apart & (side(start, stop, point) * side(start, stop, ends) < 0)).sum(axis=1).astype(float))


def _passed(point: Array, centers: Array, others: Array) -> Array:
    """How many other points the line from a point to each candidate passes so closely that it seems to be theirs."""
    way = centers - point  # (C, 2)
    along = np.clip((way @ (others - point).T) / (way**2).sum(axis=1, keepdims=True), 0, 1)  # (C, M)
    nearest = point + along[..., None] * way[:, None]  # (C, M, 2)
    near = (np.linalg.norm(nearest - others[None], axis=2) < 5.0) & (np.linalg.norm(others - point, axis=1) > 5.0)
    return np.asarray(near.sum(axis=1).astype(float))
