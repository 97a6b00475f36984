"""Paints faces of nobody: smooth shapes on a turning head, in colors, on a picture of any size."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import CubicHermiteSpline

from personare.core.types import Array

_BITS = 4  # OpenCV takes points in sixteenths of a pixel
Color = tuple[int, int, int]


def _fixed(points: Array) -> Array:
    return np.asarray(np.rint(points * (1 << _BITS)), dtype=np.int32)


def fill(image: Array, outline: Array, color: Color) -> None:
    """Fill a smooth outline (N, 2) of pixels, in place."""
    cv2.fillPoly(image, [_fixed(outline)], color, cv2.LINE_AA, _BITS)


def line(image: Array, points: Array, color: Color, width: float) -> None:
    """Draw a line through (N, 2) pixels, or many lines (K, N, 2), in place."""
    lines = points if points.ndim == 3 else points[None]
    cv2.polylines(image, list(_fixed(lines)), False, color, max(1, round(width)), cv2.LINE_AA, _BITS)


def disc(image: Array, center: Array, radius: float, color: Color) -> None:
    """Fill a disc, in place."""
    x, y = _fixed(center).tolist()
    cv2.circle(image, (x, y), round(radius * (1 << _BITS)), color, -1, cv2.LINE_AA, _BITS)


def darker(color: Color, factor: float) -> Color:
    """Return the color times a factor; above 1 makes it lighter."""
    red, green, blue = (int(min(255, max(0, channel * factor))) for channel in color)
    return red, green, blue


def mixed(first: Color, second: Color, share: float) -> Color:
    """Return the color between two."""
    red, green, blue = (round(a + share * (b - a)) for a, b in zip(first, second, strict=True))
    return red, green, blue


def blobs(x: Array, y: Array, *spots: tuple[float, float, float, float, float]) -> Array:
    """Return the sum of soft spots given as x, y, half width, half height and height; mirrored where x is not 0."""
    total = np.zeros((y.shape[0], x.shape[1]), dtype=np.float32)
    for center_x, center_y, wide, tall, height in spots:
        rows = np.exp(-(((y - center_y) / tall) ** 2))
        for side in (-1, 1) if center_x else (1,):
            total += height * rows * np.exp(-(((x - side * center_x) / wide) ** 2))
    return total


@lru_cache(maxsize=64)
def _basis(count: int, per: int, closed: bool) -> Array:
    """Return the matrix that turns control points into a Catmull-Rom curve, which passes through each of them."""
    knots = np.arange(count + closed)
    near = [(knots + step) % count if closed else np.clip(knots + step, 0, count - 1) for step in (-1, 0, 1)]
    before, here, after = np.eye(count)[near]
    at = np.arange(knots[-1] * per + (not closed)) / per
    return np.asarray(CubicHermiteSpline(knots, here, (after - before) / 2)(at))


def curve(control: ArrayLike, *, closed: bool = False, per: int = 6) -> Array:
    """Return a smooth line, or a closed outline, through control points (K, 2), ``per`` points from one to the next."""
    points = np.asarray(control, dtype=float)
    return np.asarray(_basis(len(points), per, closed) @ points)


def turned(yaw: float, pitch: float, roll: float) -> Array:
    """Return the (3, 3) rotation of a head by angles in radians: to the picture's right, down, clockwise."""
    (sy, sp, sr), (cy, cp, cr) = np.sin((yaw, pitch, roll)), np.cos((yaw, pitch, roll))
    about_y = np.array(((cy, 0, sy), (0, 1, 0), (-sy, 0, cy)))
    about_x = np.array(((1, 0, 0), (0, cp, sp), (0, -sp, cp)))
    about_z = np.array(((cr, -sr, 0), (sr, cr, 0), (0, 0, 1)))
    return np.asarray(about_z @ about_x @ about_y)


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Projects points of the head (origin between the eyes, x right, y down, z to the viewer) to pixels.

    ``front`` is the half of an ellipsoid that is the head's front: half its width, half its height, its depth, how far
    its middle lies below the eyes, and where it begins before the point about which the head turns.
    """

    center: Array  # (2,) pixel of the origin
    scale: float  # pixels a unit of length
    turn: Array  # (3, 3) rotation of the head
    front: tuple[float, float, float, float, float]

    def __call__(self, points: Array, lift: float = 0.0, *, depth: float | None = None) -> Array:
        """Return (N, 2) pixels of (N, 2) points on the head's front, lifted from it, or at one depth instead."""
        half_width, half_height, deep, middle, begin = self.front
        x, y = points[:, :1], points[:, 1:]  # (N, 1) each
        bulge = 1 - (x * (1 / half_width)) ** 2 - ((y - middle) * (1 / half_height)) ** 2
        z = deep * np.sqrt(np.maximum(bulge, 0)) + (lift + begin) if depth is None else depth + begin
        across = self.scale * self.turn[:2]  # (2, 3)
        return np.asarray(self.center + across[:, 0] * x + across[:, 1] * y + across[:, 2] * z)
