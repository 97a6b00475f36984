"""The parts of the drawn face, each moved by blendshapes; side 1 is the person's left, on the picture's right."""

from collections.abc import Mapping

import numpy as np

from personare.core.types import Array
from personare.features._avatar_pen import SAMPLES, Color, Pen, curve

__all__ = ["FOLD", "Moved", "draw_parts"]

_SKIN, _LIP, _LIP_LOW = (226, 178, 148), (186, 88, 84), (196, 102, 96)
_BROW, _LASH = (84, 58, 46), (48, 34, 32)
_WHITE, _IRIS, _PUPIL = (243, 240, 236), (92, 112, 124), (24, 22, 26)
_MOUTH, _TONGUE, _TEETH = (62, 20, 26), (168, 74, 78), (240, 236, 226)
FOLD, _NOSTRIL = (196, 142, 114), (132, 78, 66)

Moved = Mapping[str, float]
"""Blendshape values by name."""


def draw_parts(pen: Pen, moved: Moved, hair: Color) -> None:
    """Add the whole face to the pen, back to front."""
    _head(pen, moved, hair)
    for side in (-1, 1):
        _eye(pen, moved, side)
        _brow(pen, moved, side)
    _nose(pen, moved)
    _mouth(pen, moved)


def _head(pen: Pen, moved: Moved, color: Color) -> None:
    chin = 1.93 + 0.42 * moved["jawOpen"] - 0.05 * moved["mouthShrugLower"]
    slide = 0.18 * (moved["jawLeft"] - moved["jawRight"])
    puff = 0.08 * moved["cheekPuff"]
    back = curve([(-1.28, 0.75), (-1.36, -0.3), (-0.95, -1.25), (0, -1.6), (0.95, -1.25), (1.36, -0.3), (1.28, 0.75)])
    pen.fill(back, color, -0.1)
    for side in (-1, 1):
        ear = curve([(side * 1.1, -0.05), (side * 1.26, -0.1), (side * 1.24, 0.35), (side * 1.1, 0.55)], closed=True)
        pen.fill(ear, FOLD, 0.0)
    jaw = [(1.12, 0.2), (1.08 + puff, 0.8), (0.86 + slide + puff, 1.38 + 0.3 * (chin - 1.93))]
    right = [*jaw, (0.45 + slide, chin - 0.16)]
    left = [(-x + 2 * slide * (y > 1.2), y) for x, y in right[::-1]]
    outline = [(0, -1.0), (0.7, -0.85), (1.05, -0.3), *right, (slide, chin), *left, (-1.05, -0.3), (-0.7, -0.85)]
    pen.fill(curve(outline, closed=True), _SKIN)
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
    hair = curve([*front, (0.75, -0.72), (0.1, -0.92), (-0.5, -0.78), (-1.0, -0.3)], closed=True)
    pen.fill(hair, color)


def _eye(pen: Pen, moved: Moved, side: int) -> None:
    """Draw one eye; side 1 is the person's left, on the picture's right."""
    name = "Left" if side > 0 else "Right"
    blink, wide, squint = (moved[f"eye{what}{name}"] for what in ("Blink", "Wide", "Squint"))
    look_out, look_in = moved[f"eyeLookOut{name}"], moved[f"eyeLookIn{name}"]
    look = np.array(
        [side * 0.13 * (look_out - look_in), 0.12 * (moved[f"eyeLookDown{name}"] - moved[f"eyeLookUp{name}"])]
    )
    down = moved[f"eyeLookDown{name}"]
    closed = min(1.15 * blink, 1.0)
    low = 0.085 - 0.06 * squint - 0.02 * moved[f"cheekSquint{name}"]
    up = (-0.145 - 0.07 * wide + 0.05 * squint + 0.09 * down) * (1 - closed) + (low - 0.01) * closed
    x = np.array([-0.235, -0.13, 0.0, 0.13, 0.235])  # outer to inner, for the person's right eye
    lids = [np.array([-0.01, 0.78 * up, up, 0.72 * up, 0.015]), np.array([-0.01, 0.7 * low, low, 0.8 * low, 0.015])]
    across = side * 0.5 - side * x
    upper, lower = (curve(np.column_stack([across, lid])) for lid in lids)
    opening = np.vstack([upper, lower[::-1]])
    pen.fill(opening, _WHITE)
    spot = (side * 0.5 + look[0], -0.01 + look[1])
    pen.disc(spot, 0.118, _IRIS)
    pen.disc(spot, 0.056, _PUPIL)
    pen.disc((spot[0] - 0.04, spot[1] - 0.045), 0.022, (255, 255, 255))
    lid_top = curve(np.column_stack([side * 0.5 - side * 1.25 * x, [0.0, -0.2, -0.26, -0.22, -0.02]]))
    lid_low = curve(np.column_stack([side * 0.5 - side * 1.25 * x, [0.02, 0.16, 0.2, 0.17, 0.04]]))
    pen.fill(np.vstack([lid_top, upper[::-1]]), _SKIN)
    pen.fill(np.vstack([lid_low, lower[::-1]]), _SKIN)
    crease = curve(np.column_stack([across, lids[0] * (1 - closed) - np.array([0.02, 0.055, 0.07, 0.05, 0.01])]))
    pen.line(crease, FOLD, 0.022)
    pen.line(upper, _LASH, 0.04)
    pen.line(lower, FOLD, 0.022)


def _brow(pen: Pen, moved: Moved, side: int) -> None:
    name = "Left" if side > 0 else "Right"
    down, inner, outer = moved[f"browDown{name}"], moved["browInnerUp"], moved[f"browOuterUp{name}"]
    x = np.array([0.2 - 0.05 * down, 0.42, 0.66, 0.9])
    y = np.array([-0.24, -0.33, -0.37, -0.24])
    y = (
        y
        + down * np.array([0.26, 0.19, 0.1, 0.04])
        - inner * np.array([0.2, 0.1, 0.02, 0])
        - outer * np.array([0.02, 0.1, 0.17, 0.12])
    )
    width = np.array([0.055, 0.06, 0.045, 0.015])
    top, low = (curve(np.column_stack([side * x, y + sign * width])) for sign in (-1, 1))
    pen.fill(np.vstack([top, low[::-1]]), _BROW)
    if down > 0.3:
        pen.line(np.array([(side * 0.09, -0.24), (side * 0.07, -0.08)]), FOLD, 0.03 * down)


def _nose(pen: Pen, moved: Moved) -> None:
    for side in (-1, 1):
        sneer = moved[f"noseSneer{'Left' if side > 0 else 'Right'}"]
        rise = -0.09 * sneer
        wing = curve([(side * 0.2, 0.52 + rise), (side * 0.27, 0.66 + rise), (side * 0.2, 0.74 + rise)])
        pen.line(wing, FOLD, 0.035)
        hole = curve([(side * 0.07, 0.745), (side * 0.13, 0.71 + rise / 2), (side * 0.18, 0.735 + rise / 2)])
        pen.line(hole, _NOSTRIL, 0.05)
        if sneer > 0.2:
            pen.line(np.array([(side * 0.12, 0.1), (side * 0.2, 0.2)]), FOLD, 0.03)
    pen.line(curve([(-0.1, 0.75), (0, 0.79), (0.1, 0.75)]), FOLD, 0.03, 1.3)


def _mouth(pen: Pen, moved: Moved) -> None:
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
            fold = curve([(side * 0.34, 0.72), (side * 0.52, 0.9), (side * 0.6, 1.08 - 0.05 * smile)])
            pen.line(fold, FOLD, 0.03 * min(1.0, 2 * smile))


def _inside(pen: Pen, inner_up: Array, inner_low: Array, gap: float) -> None:
    """Draw teeth and tongue; without them an open mouth is not read as open."""
    part = slice(SAMPLES // 6, SAMPLES - SAMPLES // 6)
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
    slide = 0.3 * (moved["mouthLeft"] - moved["mouthRight"]) + 0.1 * (moved["jawLeft"] - moved["jawRight"])
    ends = {side: _corner(moved, side) for side in ("Right", "Left")}
    drop = 0.62 * max(moved["jawOpen"] - 0.6 * moved["mouthClose"], 0)
    rise = {s: 0.16 * moved[f"mouthUpperUp{s}"] + 0.04 * moved[f"noseSneer{s}"] + 0.05 * funnel for s in ends}
    fall = {s: 0.18 * moved[f"mouthLowerDown{s}"] + drop + 0.07 * funnel for s in ends}
    thick_up = 0.1 * max(1 - 0.8 * moved["mouthRollUpper"] - 0.8 * press + 0.5 * pucker + 0.3 * funnel, 0.15)
    thick_low = 0.15 * max(1 - 0.8 * moved["mouthRollLower"] - 0.8 * press + 0.4 * pucker + 0.2 * funnel, 0.15)
    lift_up, lift_low = 0.05 * moved["mouthShrugUpper"], 0.08 * moved["mouthShrugLower"]
    (lx, ly), (rx, ry) = ends["Right"], ends["Left"]

    def line(centre: float, sides: Mapping[str, float], bow: float, dip: float) -> Array:
        y = {s: centre + sides[s] for s in sides}
        middle = (y["Right"] + y["Left"]) / 2
        half = {"Right": 0.4 * ly + 0.6 * y["Right"] + bow, "Left": 0.4 * ry + 0.6 * y["Left"] + bow}
        points = [(lx, ly), (0.66 * lx, half["Right"]), (0.3 * lx, y["Right"]), (0, middle + dip)]
        points += [(0.3 * rx, y["Left"]), (0.66 * rx, half["Left"]), (rx, ry)]
        return curve(np.add(points, (slide, 0)))

    raised = {s: -rise[s] for s in rise}
    upper = line(1.155 - lift_up - thick_up, raised, -0.25 * thick_up, 0.028)
    inner_up = line(1.155 - lift_up, raised, -0.02 * min(1.0, drop * 5), 0.008)
    inner_low = line(1.16 - lift_low, fall, 0.06 * drop, 0.004)
    inner_low[:, 1] = np.maximum(inner_low[:, 1], inner_up[:, 1])
    lower = line(1.16 - lift_low + thick_low, fall, 0.25 * thick_low + 0.06 * drop, 0.01)
    return upper, lower, inner_up, inner_low


def _corner(moved: Moved, side: str) -> tuple[float, float]:
    smile, frown, stretch = (moved[f"mouth{what}{side}"] for what in ("Smile", "Frown", "Stretch"))
    wide = 0.41 + 0.13 * smile + 0.12 * stretch + 0.04 * frown + 0.05 * moved[f"mouthDimple{side}"]
    wide -= 0.17 * moved["mouthPucker"] + 0.14 * moved["mouthFunnel"] + 0.05 * moved["jawOpen"]
    height = 1.165 - 0.2 * smile + 0.22 * frown + 0.05 * stretch + 0.2 * moved["jawOpen"]
    return (wide if side == "Left" else -wide), height


def _both(moved: Moved, name: str) -> float:
    return (moved[f"{name}Left"] + moved[f"{name}Right"]) / 2
