"""A drawn face that is nobody's, moved by blendshapes and head turn alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from scipy.interpolate import CubicSpline

from personare.core.types import Array
from personare.features.expression import BLENDSHAPES

__all__ = ["BACKGROUND", "Avatar"]

# Lengths are in eye distances, x to the picture's right, y down, z towards the viewer, origin between the eyes.
BACKGROUND = (148, 163, 178)
_SKIN, _LIP, _LIP_LOW = (226, 178, 148), (186, 88, 84), (196, 102, 96)
_HAIR, _BROW, _LASH = (74, 52, 42), (84, 58, 46), (48, 34, 32)
_WHITE, _IRIS, _PUPIL = (243, 240, 236), (92, 112, 124), (24, 22, 26)
_MOUTH, _TONGUE, _TEETH = (62, 20, 26), (168, 74, 78), (240, 236, 226)
_FOLD, _NOSTRIL, _SHIRT = (196, 142, 114), (132, 78, 66), (86, 104, 122)
_PIVOT = np.array([0, 0.45, 0.6])  # the head turns about this point
_SHIFT = 4  # cv2 takes points in sixteenths of a pixel
_SAMPLES = 24


@lru_cache
def _spline(points: int, closed: bool) -> Array:
    """Return the matrix (samples, points) that turns control points into a smooth curve."""
    knots = np.arange(points + 1 if closed else points, dtype=float)
    at = np.linspace(0, knots[-1], _SAMPLES * (2 if closed else 1), endpoint=not closed)
    rows = np.vstack([np.eye(points), np.eye(points)[:1]]) if closed else np.eye(points)
    return np.asarray(CubicSpline(knots, rows, bc_type="periodic" if closed else "natural")(at))


def _curve(points: object, *, closed: bool = False) -> Array:
    control = np.asarray(points, dtype=float)
    return np.asarray(_spline(len(control), closed) @ control)


def _depth(points: Array) -> Array:
    """Return how far (n, 2) points on the egg that is the head's front come forward."""
    inside = 1 - (points[:, 0] / 1.3) ** 2 - ((points[:, 1] - 0.45) / 2.0) ** 2
    return np.asarray(1.1 * np.sqrt(np.maximum(inside, 0.0)))


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

    Example:
        >>> Avatar(size=128).draw(np.zeros(52), np.zeros(3)).shape
        (128, 128, 3)
    """

    size: int = 256

    def draw(self, blendshapes: Array, turn: Array) -> Array:
        """Return a uint8 RGB picture (size, size, 3).

        Args:
            blendshapes: (52,) in ``BLENDSHAPES`` order.
            turn: (3,) yaw, pitch, roll in radians: to the picture's right, down, clockwise.
        """
        moved = dict(zip(BLENDSHAPES, np.clip(np.asarray(blendshapes, dtype=float), 0, 1).tolist(), strict=True))
        pen = _Pen()
        _head(pen, moved)
        for side in (-1, 1):
            _eye(pen, moved, side)
            _brow(pen, moved, side)
        _nose(pen, moved)
        _mouth(pen, moved)
        view = _turned(np.asarray(turn, dtype=float))
        canvas = _body(self.size).copy()
        pen.render(canvas, view)
        return np.asarray(cv2.multiply(canvas, _light(self.size, view), scale=1 / 200))


def _frame(size: int) -> tuple[float, Array]:
    """Return the eye distance and the point between the eyes, in pixels of a picture."""
    return 0.19 * size, np.array([0.5, 0.44]) * size


@lru_cache(maxsize=4)
def _body(size: int) -> Array:
    canvas = np.full((size, size, 3), BACKGROUND, np.uint8)
    pen = _Pen()
    shirt = [(-2.4, 3.3), (-1.9, 2.72), (-0.7, 2.35), (0, 2.55), (0.7, 2.35), (1.9, 2.72), (2.4, 3.3)]
    neck = [(-0.62, 1.3), (-0.58, 2.1), (-0.8, 2.4), (0, 2.62), (0.8, 2.4), (0.58, 2.1), (0.62, 1.3)]
    for points, color in ((shirt, _SHIRT), (neck, _FOLD)):
        pen.fill(_curve(points), color, 0.0)
    pen.render(canvas, np.eye(3)[:, :2])
    return canvas


def _light(size: int, view: Array) -> Array:
    """Return soft shading (size, size, 3), 200 = unchanged, moved with the head."""
    unit, centre = _frame(size)
    move = cv2.getRotationMatrix2D(centre.tolist(), float(np.degrees(np.arctan2(view[1, 0], view[0, 0]))), 1.0)
    move[:, 2] += 0.5 * unit * view[2]
    shade = cv2.warpAffine(_shade(size), move, (size, size), borderValue=200)
    return np.asarray(cv2.cvtColor(shade, cv2.COLOR_GRAY2RGB))


@lru_cache(maxsize=4)
def _shade(size: int) -> Array:
    unit, (cx, cy) = _frame(size)
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


Color = tuple[int, int, int]


class _Pen:
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
        unit, centre = _frame(len(canvas))
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


Moved = Mapping[str, float]


def _head(pen: _Pen, moved: Moved) -> None:
    chin = 1.93 + 0.42 * max(moved["jawOpen"] - 0.5 * moved["mouthClose"], 0) - 0.05 * moved["mouthShrugLower"]
    slide = 0.18 * (moved["jawLeft"] - moved["jawRight"])
    puff = 0.08 * moved["cheekPuff"]
    back = _curve([(-1.28, 0.75), (-1.36, -0.3), (-0.95, -1.25), (0, -1.6), (0.95, -1.25), (1.36, -0.3), (1.28, 0.75)])
    pen.fill(back, _HAIR, -0.1)
    for side in (-1, 1):
        ear = _curve([(side * 1.1, -0.05), (side * 1.26, -0.1), (side * 1.24, 0.35), (side * 1.1, 0.55)], closed=True)
        pen.fill(ear, _FOLD, 0.0)
    jaw = [(1.12, 0.2), (1.08 + puff, 0.8), (0.86 + slide + puff, 1.38 + 0.3 * (chin - 1.93))]
    right = [*jaw, (0.45 + slide, chin - 0.16)]
    left = [(-x + 2 * slide * (y > 1.2), y) for x, y in right[::-1]]
    outline = [(0, -1.0), (0.7, -0.85), (1.05, -0.3), *right, (slide, chin), *left, (-1.05, -0.3), (-0.7, -0.85)]
    pen.fill(_curve(outline, closed=True), _SKIN)
    front = [
        (-1.2, 0.1),
        (-1.24, -0.5),
        (-0.9, -1.15),
        (0, -1.5),
        (0.9, -1.15),
        (1.24, -0.5),
        (1.2, 0.1),
        (1.02, -0.35),
    ]
    hair = _curve([*front, (0.75, -0.72), (0.1, -0.92), (-0.5, -0.78), (-1.0, -0.3)], closed=True)
    pen.fill(hair, _HAIR)


def _eye(pen: _Pen, moved: Moved, side: int) -> None:
    """Draw one eye; side 1 is the person's left, on the picture's right."""
    name = "Left" if side > 0 else "Right"
    blink, wide, squint = (moved[f"eye{what}{name}"] for what in ("Blink", "Wide", "Squint"))
    look_out, look_in = moved[f"eyeLookOut{name}"], moved[f"eyeLookIn{name}"]
    look = np.array(
        [side * 0.11 * (look_out - look_in), 0.07 * (moved[f"eyeLookDown{name}"] - moved[f"eyeLookUp{name}"])]
    )
    down = moved[f"eyeLookDown{name}"]
    closed = min(1.15 * blink, 1.0)
    low = 0.085 - 0.06 * squint - 0.02 * moved[f"cheekSquint{name}"]
    up = (-0.145 - 0.07 * wide + 0.05 * squint + 0.03 * down) * (1 - closed) + (low - 0.01) * closed
    x = np.array([-0.235, -0.13, 0.0, 0.13, 0.235])  # outer to inner, for the person's right eye
    lids = [np.array([-0.01, 0.78 * up, up, 0.72 * up, 0.015]), np.array([-0.01, 0.7 * low, low, 0.8 * low, 0.015])]
    across = side * 0.5 - side * x
    upper, lower = (_curve(np.column_stack([across, lid])) for lid in lids)
    opening = np.vstack([upper, lower[::-1]])
    pen.fill(opening, _WHITE)
    spot = (side * 0.5 + look[0], -0.01 + look[1])
    pen.disc(spot, 0.118, _IRIS)
    pen.disc(spot, 0.056, _PUPIL)
    pen.disc((spot[0] - 0.04, spot[1] - 0.045), 0.022, (255, 255, 255))
    lid_top = _curve(np.column_stack([side * 0.5 - side * 1.25 * x, [0.0, -0.2, -0.26, -0.22, -0.02]]))
    lid_low = _curve(np.column_stack([side * 0.5 - side * 1.25 * x, [0.02, 0.16, 0.2, 0.17, 0.04]]))
    pen.fill(np.vstack([lid_top, upper[::-1]]), _SKIN)
    pen.fill(np.vstack([lid_low, lower[::-1]]), _SKIN)
    crease = _curve(np.column_stack([across, lids[0] * (1 - closed) - np.array([0.02, 0.055, 0.07, 0.05, 0.01])]))
    pen.line(crease, _FOLD, 0.022)
    pen.line(upper, _LASH, 0.04)
    pen.line(lower, _FOLD, 0.022)


def _brow(pen: _Pen, moved: Moved, side: int) -> None:
    name = "Left" if side > 0 else "Right"
    down, inner, outer = moved[f"browDown{name}"], moved["browInnerUp"], moved[f"browOuterUp{name}"]
    x = np.array([0.2 - 0.05 * down, 0.42, 0.66, 0.9])
    y = np.array([-0.24, -0.33, -0.37, -0.24])
    y = (
        y
        + down * np.array([0.2, 0.15, 0.08, 0.03])
        - inner * np.array([0.2, 0.1, 0.02, 0])
        - outer * np.array([0.02, 0.1, 0.17, 0.12])
    )
    width = np.array([0.055, 0.06, 0.045, 0.015])
    top, low = (_curve(np.column_stack([side * x, y + sign * width])) for sign in (-1, 1))
    pen.fill(np.vstack([top, low[::-1]]), _BROW)
    if down > 0.3:
        pen.line(np.array([(side * 0.09, -0.24), (side * 0.07, -0.08)]), _FOLD, 0.03 * down)


def _nose(pen: _Pen, moved: Moved) -> None:
    for side in (-1, 1):
        sneer = moved[f"noseSneer{'Left' if side > 0 else 'Right'}"]
        rise = -0.09 * sneer
        wing = _curve([(side * 0.2, 0.52 + rise), (side * 0.27, 0.66 + rise), (side * 0.2, 0.74 + rise)])
        pen.line(wing, _FOLD, 0.035)
        hole = _curve([(side * 0.07, 0.745), (side * 0.13, 0.71 + rise / 2), (side * 0.18, 0.735 + rise / 2)])
        pen.line(hole, _NOSTRIL, 0.05)
        if sneer > 0.2:
            pen.line(np.array([(side * 0.12, 0.1), (side * 0.2, 0.2)]), _FOLD, 0.03)
    pen.line(_curve([(-0.1, 0.75), (0, 0.79), (0.1, 0.75)]), _FOLD, 0.03, 1.3)


def _mouth(pen: _Pen, moved: Moved) -> None:
    upper, lower, inner_up, inner_low = _lips(moved)
    gap = float((inner_low[:, 1] - inner_up[:, 1]).max())
    if gap > 0.02:
        pen.fill(np.vstack([inner_up, inner_low[::-1]]), _MOUTH)
        _inside(pen, inner_up, inner_low, gap)
    pen.fill(np.vstack([upper, inner_up[::-1]]), _LIP)
    pen.fill(np.vstack([inner_low, lower[::-1]]), _LIP_LOW)
    pen.line(inner_up, _MOUTH, 0.02)
    for side in (-1, 1):
        smile = moved[f"mouthSmile{'Left' if side > 0 else 'Right'}"]
        if smile > 0.15:
            fold = _curve([(side * 0.34, 0.72), (side * 0.52, 0.9), (side * 0.6, 1.08 - 0.05 * smile)])
            pen.line(fold, _FOLD, 0.03 * min(1.0, 2 * smile))


def _inside(pen: _Pen, inner_up: Array, inner_low: Array, gap: float) -> None:
    """Draw teeth and tongue; without them an open mouth is not read as open."""
    part = slice(_SAMPLES // 6, _SAMPLES - _SAMPLES // 6)
    if gap > 0.3:
        floor = inner_low[part].copy()
        floor[:, 1] -= 0.22 * gap * np.sin(np.linspace(0, np.pi, len(floor)))
        pen.fill(np.vstack([floor, inner_low[part][::-1]]), _TONGUE)
    teeth = inner_up[part].copy()
    teeth[:, 1] += np.minimum(0.13, 0.55 * (inner_low[part, 1] - inner_up[part, 1]))
    pen.fill(np.vstack([inner_up[part], teeth[::-1]]), _TEETH)


def _lips(moved: Moved) -> tuple[Array, Array, Array, Array]:
    """Return upper, lower, inner upper and inner lower curve, each (samples, 2), from picture left to right."""
    pucker, funnel, press = moved["mouthPucker"], moved["mouthFunnel"], _both(moved, "mouthPress")
    slide = 0.2 * (moved["mouthLeft"] - moved["mouthRight"]) + 0.1 * (moved["jawLeft"] - moved["jawRight"])
    ends = {side: _corner(moved, side) for side in ("Right", "Left")}
    drop = 0.62 * max(moved["jawOpen"] - 0.6 * moved["mouthClose"], 0)
    rise = {s: 0.11 * moved[f"mouthUpperUp{s}"] + 0.04 * moved[f"noseSneer{s}"] + 0.05 * funnel for s in ends}
    fall = {s: 0.12 * moved[f"mouthLowerDown{s}"] + drop + 0.07 * funnel for s in ends}
    thick_up = 0.1 * max(1 - 0.8 * moved["mouthRollUpper"] - 0.8 * press + 0.5 * pucker + 0.3 * funnel, 0.15)
    thick_low = 0.15 * max(1 - 0.8 * moved["mouthRollLower"] - 0.8 * press + 0.4 * pucker + 0.2 * funnel, 0.15)
    lift_up, lift_low = 0.05 * moved["mouthShrugUpper"], 0.08 * moved["mouthShrugLower"]
    (lx, ly), (rx, ry) = ends["Right"], ends["Left"]

    def curve(centre: float, sides: Mapping[str, float], bow: float, dip: float) -> Array:
        y = {s: centre + sides[s] for s in sides}
        middle = (y["Right"] + y["Left"]) / 2
        half = {"Right": 0.4 * ly + 0.6 * y["Right"] + bow, "Left": 0.4 * ry + 0.6 * y["Left"] + bow}
        points = [(lx, ly), (0.66 * lx, half["Right"]), (0.3 * lx, y["Right"]), (0, middle + dip)]
        points += [(0.3 * rx, y["Left"]), (0.66 * rx, half["Left"]), (rx, ry)]
        return _curve(np.add(points, (slide, 0)))

    raised = {s: -rise[s] for s in rise}
    upper = curve(1.155 - lift_up - thick_up, raised, -0.25 * thick_up, 0.028)
    inner_up = curve(1.155 - lift_up, raised, -0.02 * min(1.0, drop * 5), 0.008)
    inner_low = curve(1.16 - lift_low, fall, 0.06 * drop, 0.004)
    inner_low[:, 1] = np.maximum(inner_low[:, 1], inner_up[:, 1])
    lower = curve(1.16 - lift_low + thick_low, fall, 0.25 * thick_low + 0.06 * drop, 0.01)
    return upper, lower, inner_up, inner_low


def _corner(moved: Moved, side: str) -> tuple[float, float]:
    smile, frown, stretch = (moved[f"mouth{what}{side}"] for what in ("Smile", "Frown", "Stretch"))
    wide = 0.41 + 0.13 * smile + 0.12 * stretch + 0.04 * frown + 0.05 * moved[f"mouthDimple{side}"]
    wide -= 0.17 * moved["mouthPucker"] + 0.14 * moved["mouthFunnel"] + 0.05 * moved["jawOpen"]
    height = 1.165 - 0.2 * smile + 0.22 * frown + 0.05 * stretch + 0.2 * moved["jawOpen"]
    return (wide if side == "Left" else -wide), height


def _both(moved: Moved, name: str) -> float:
    return (moved[f"{name}Left"] + moved[f"{name}Right"]) / 2
