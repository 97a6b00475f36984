"""Painting tools for made-up faces: smooth shapes, soft shade and colors on a small picture."""

from dataclasses import dataclass, field

import cv2
import numpy as np

from personare.core.types import Array

__all__ = ["Shade", "darker", "disc", "fill", "line", "mixed"]

_BITS = 4  # fractional bits of OpenCV's drawing coordinates
Color = tuple[int, int, int]


def _fixed(points: Array) -> Array:
    return np.asarray(np.rint(points * (1 << _BITS)), dtype=np.int32)


def fill(image: Array, outline: Array, color: Color) -> None:
    """Fill a smooth outline (N, 2) of pixels, in place."""
    cv2.fillPoly(image, [_fixed(outline)], color, cv2.LINE_AA, _BITS)


def line(image: Array, points: Array, color: Color, width: float) -> None:
    """Draw a line through (N, 2) pixels, in place."""
    cv2.polylines(image, [_fixed(points)], False, color, max(1, round(width)), cv2.LINE_AA, _BITS)


def disc(image: Array, center: Array, radius: float, color: Color) -> None:
    """Fill a disc, in place."""
    x, y = _fixed(center)
    cv2.circle(image, (int(x), int(y)), round(radius * (1 << _BITS)), color, -1, cv2.LINE_AA, _BITS)


def darker(color: Color, factor: float) -> Color:
    """Return the color times a factor; above 1 makes it lighter."""
    red, green, blue = (int(min(255, max(0, channel * factor))) for channel in color)
    return red, green, blue


def mixed(first: Color, second: Color, share: float) -> Color:
    """Return the color between two."""
    red, green, blue = (round(a + share * (b - a)) for a, b in zip(first, second, strict=True))
    return red, green, blue


@dataclass(frozen=True, kw_only=True)
class Shade:
    """Soft light and shadow, gathered first and laid over the picture at once.

    Attributes:
        size: Side of the picture in pixels.
        softness: Standard deviation of the blur in pixels.
    """

    size: int
    softness: float
    layer: Array = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "layer", np.full((self.size, self.size), 128, dtype=np.uint8))

    def crease(self, points: Array, depth: float, width: float) -> None:
        """Add a fold along (N, 2) pixels, darker by ``depth``; negative is lighter. A depth near 0 draws nothing."""
        if abs(depth) > 0.02:
            line(self.layer, points, (round(128 * (1 - depth)),) * 3, width)

    def patch(self, outline: Array, depth: float) -> None:
        """Add an area that is darker by ``depth``."""
        if abs(depth) > 0.02:
            fill(self.layer, outline, (round(128 * (1 - depth)),) * 3)

    def erase(self, outline: Array) -> None:
        """Take the shade away from an area."""
        fill(self.layer, outline, (128, 128, 128))

    def onto(self, image: Array) -> Array:
        """Return the picture with the shade on it, and start afresh."""
        soft = cv2.GaussianBlur(self.layer, (0, 0), self.softness)
        self.layer[:] = 128
        return np.asarray(cv2.multiply(image, cv2.merge((soft, soft, soft)), scale=1 / 128))
