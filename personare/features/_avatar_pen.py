"""Shapes in face coordinates, drawn as seen from where the head is turned.

Lengths are in eye distances, x to the picture's right, y down, z towards the viewer, origin between the eyes.
"""

from functools import lru_cache

import cv2
import numpy as np
from scipy.interpolate import CubicSpline

from personare.core.types import Array

__all__ = ["SAMPLES", "Color", "Pen", "curve", "frame"]

SAMPLES = 24  # points of an open curve
_PIVOT = np.array([0, 0.45, 0.6])  # the head turns about this point
_SHIFT = 4  # cv2 takes points in sixteenths of a pixel

Color = tuple[int, int, int]


@lru_cache
def _spline(points: int, closed: bool) -> Array:
    """Return the matrix (samples, points) that turns control points into a smooth curve."""
    knots = np.arange(points + 1 if closed else points, dtype=float)
    at = np.linspace(0, knots[-1], SAMPLES * (2 if closed else 1), endpoint=not closed)
    rows = np.vstack([np.eye(points), np.eye(points)[:1]]) if closed else np.eye(points)
    return np.asarray(CubicSpline(knots, rows, bc_type="periodic" if closed else "natural")(at))


def curve(points: object, *, closed: bool = False) -> Array:
    control = np.asarray(points, dtype=float)
    return np.asarray(_spline(len(control), closed) @ control)


def _depth(points: Array) -> Array:
    """Return how far (n, 2) points on the egg that is the head's front come forward."""
    inside = 1 - (points[:, 0] / 1.3) ** 2 - ((points[:, 1] - 0.45) / 2.0) ** 2
    return np.asarray(1.1 * np.sqrt(np.maximum(inside, 0.0)))


def frame(size: int) -> tuple[float, Array]:
    """Return the eye distance and the point between the eyes, in pixels of a picture."""
    return 0.19 * size, np.array([0.5, 0.44]) * size


class Pen:
    """Collects shapes in face coordinates, then draws them all as seen from where the head is turned."""

    def __init__(self) -> None:
        self._shapes: list[Array] = []
        self._looks: list[tuple[Color, float]] = []

    def fill(self, points: Array, color: Color, depth: float = np.nan) -> None:
        """Add a filled shape (n, 2) on the face, or at a depth."""
        self._add(points, color, 0.0, depth)

    def line(self, points: Array, color: Color, width: float, depth: float = np.nan) -> None:
        """Add an open line."""
        self._add(points, color, width, depth)

    def disc(self, centre: tuple[float, float], radius: float, color: Color) -> None:
        """Add a round spot, which stays round."""
        self._add(np.array([centre]), color, radius, np.nan)

    def _add(self, points: Array, color: Color, width: float, depth: float) -> None:
        self._shapes.append(np.column_stack([points, np.full(len(points), depth)]))
        self._looks.append((color, width))

    def render(self, canvas: Array, view: Array) -> None:
        """Draw everything onto a square picture, first shape first."""
        unit, centre = frame(len(canvas))
        solid = np.concatenate(self._shapes)
        solid[:, 2] = np.where(np.isnan(solid[:, 2]), _depth(solid[:, :2]), solid[:, 2])
        flat = (solid - _PIVOT) @ view + _PIVOT[:2]
        pixels = np.round((flat * unit + centre) * (1 << _SHIFT)).astype(np.int32)
        start = 0
        for shape, (color, width) in zip(self._shapes, self._looks, strict=True):
            _stroke(canvas, pixels[start : start + len(shape)], color, width * unit)
            start += len(shape)


def _stroke(canvas: Array, points: Array, color: Color, width: float) -> None:
    if len(points) == 1:
        x, y = points[0].tolist()
        cv2.circle(canvas, (x, y), round(width * (1 << _SHIFT)), color, -1, cv2.LINE_AA, _SHIFT)
    elif width:
        cv2.polylines(canvas, [points], False, color, max(1, round(width)), cv2.LINE_AA, _SHIFT)
    else:
        cv2.fillPoly(canvas, [points], color, cv2.LINE_AA, _SHIFT)
