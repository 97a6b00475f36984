"""A drawn face that is nobody's, moved by blendshapes and head turn alone."""

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from personare.core.types import Array
from personare.features._avatar_pen import Color, Pen, curve, frame
from personare.features._avatar_shapes import FOLD, draw_parts
from personare.features.expression import BLENDSHAPES

__all__ = ["BACKGROUND", "LOOKS", "Avatar", "legible"]

BACKGROUND = (148, 163, 178)
LOOKS = (  # hair and shirt, by which several people in one film are told apart
    ((74, 52, 42), (86, 104, 122)),
    ((196, 160, 96), (140, 74, 70)),
    ((40, 40, 46), (82, 120, 84)),
    ((150, 84, 48), (112, 88, 132)),
    ((168, 168, 172), (158, 132, 78)),
)


def _turned(turn: Array) -> Array:
    """Return the (3, 2) matrix that turns the head by yaw, pitch and roll in radians and looks at it."""
    (cy, cp, cr), (sy, sp, sr) = np.cos(turn), np.sin(turn)
    yaw = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    pitch = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    roll = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray((roll @ pitch @ yaw)[:2].T)


@dataclass(frozen=True, kw_only=True)
class Avatar:
    """Draws the face; every picture depends on nothing but its arguments.

    Attributes:
        size: Side of the square picture in pixels.
        look: Which of ``LOOKS`` it has; beyond the last they begin again.

    Example:
        >>> Avatar(size=128).draw(np.zeros(52), np.zeros(3)).shape
        (128, 128, 3)
    """

    size: int = 256
    look: int = 0

    def draw(self, blendshapes: Array, turn: Array) -> Array:
        """Return a uint8 RGB picture (size, size, 3).

        Args:
            blendshapes: (52,) in ``BLENDSHAPES`` order.
            turn: (3,) yaw, pitch, roll in radians: to the picture's right, down, clockwise.
        """
        moved = dict(zip(BLENDSHAPES, np.clip(np.asarray(blendshapes, dtype=float), 0, 1).tolist(), strict=True))
        pen = Pen()
        hair, shirt = LOOKS[self.look % len(LOOKS)]
        draw_parts(pen, moved, hair)
        view = _turned(np.asarray(turn, dtype=float))
        canvas = _body(self.size, shirt).copy()
        pen.render(canvas, view)
        return np.asarray(cv2.multiply(canvas, _light(self.size, view), scale=1 / 200))


@lru_cache
def _gains() -> Array:
    """Return (52, 52): drawn shape by wanted shape."""
    table = tomllib.loads(Path(__file__).with_name("avatar_gains.toml").read_text(encoding="utf-8"))
    return np.array([[table.get(drawn, {}).get(wanted, 0.0) for wanted in BLENDSHAPES] for drawn in BLENDSHAPES])


def legible(blendshapes: Array) -> Array:
    """Return what to draw so that a reader of faces sees the given expression; a drawing is read otherwise than skin.

    The gains were measured on the drawing itself (``benchmarks/face_avatar_gains.py``); no person was involved.

    Args:
        blendshapes: (F, 52) deviations from rest.

    Returns:
        (F, 52) in [0, 1]; NaN rows stay NaN.
    """
    return np.asarray(np.clip(blendshapes @ _gains().T, 0, 1))


@lru_cache(maxsize=8)
def _body(size: int, cloth: Color) -> Array:
    canvas = np.full((size, size, 3), BACKGROUND, np.uint8)
    pen = Pen()
    shirt = [(-2.4, 3.3), (-1.9, 2.72), (-0.7, 2.35), (0, 2.55), (0.7, 2.35), (1.9, 2.72), (2.4, 3.3)]
    neck = [(-0.62, 1.3), (-0.58, 2.1), (-0.8, 2.4), (0, 2.62), (0.8, 2.4), (0.58, 2.1), (0.62, 1.3)]
    for points, color in ((shirt, cloth), (neck, FOLD)):
        pen.fill(curve(points), color, 0.0)
    pen.render(canvas, np.eye(3)[:, :2])
    return canvas


def _light(size: int, view: Array) -> Array:
    """Return soft shading (size, size, 3), 200 = unchanged, moved with the head."""
    unit, centre = frame(size)
    move = cv2.getRotationMatrix2D(centre.tolist(), float(np.degrees(np.arctan2(view[1, 0], view[0, 0]))), 1.0)
    move[:, 2] += 0.5 * unit * view[2]
    shade = cv2.warpAffine(_shade(size), move, (size, size), borderValue=200)
    return np.asarray(cv2.cvtColor(shade, cv2.COLOR_GRAY2RGB))


@lru_cache(maxsize=4)
def _shade(size: int) -> Array:
    unit, (cx, cy) = frame(size)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    x, y = (x - cx) / unit, (y - cy) / unit

    def spot(px: float, py: float, sx: float, sy: float) -> Array:
        return np.asarray(np.exp(-(((x - px) / sx) ** 2) - ((y - py) / sy) ** 2))

    light = 200 + 14 * spot(0, -0.45, 0.8, 0.4) + 12 * (spot(-0.68, 0.62, 0.4, 0.35) + spot(0.68, 0.62, 0.4, 0.35))
    light += 22 * spot(0, 0.35, 0.09, 0.4) + 16 * spot(0, 0.66, 0.13, 0.1) + 10 * spot(0, 1.72, 0.25, 0.14)
    light -= 26 * (spot(-0.3, 0.02, 0.16, 0.2) + spot(0.3, 0.02, 0.16, 0.2)) + 20 * spot(0, 0.86, 0.3, 0.07)
    light -= 30 * (spot(-1.15, 0.9, 0.3, 1.0) + spot(1.15, 0.9, 0.3, 1.0)) + 24 * spot(0, 1.52, 0.3, 0.06)
    light -= 14 * (spot(-0.2, 0.45, 0.08, 0.35) + spot(0.2, 0.45, 0.08, 0.35))
    # The face alone is shaded, not what is behind it.
    inside = np.exp(-(((x / 1.2) ** 2 + ((y - 0.5) / 1.75) ** 2) ** 6))
    return np.asarray(np.clip(200 + inside * (light - 200), 0, 255).astype(np.uint8))
