"""A drawn face of nobody, moved by blendshapes and head turn; lengths are eye distances, side 1 is its left."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from personare.core.types import Array
from personare.features.expression import BLENDSHAPES
from personare.features.painting import Camera, Color, blobs, curve, disc, fill, line, turned

BACKGROUND = (148, 163, 178)
LOOKS = (  # hair and shirt, by which several people in one film are told apart
    ((74, 52, 42), (86, 104, 122)),
    ((196, 160, 96), (140, 74, 70)),
    ((40, 40, 46), (82, 120, 84)),
    ((150, 84, 48), (112, 88, 132)),
    ((168, 168, 172), (158, 132, 78)),
)
_SKIN, _FOLD, _NOSTRIL = (226, 178, 148), (196, 142, 114), (132, 78, 66)
_LIP, _LIP_LOW = (186, 88, 84), (196, 102, 96)
_BROW, _LASH = (84, 58, 46), (48, 34, 32)
_WHITE, _IRIS, _PUPIL, _GLINT = (243, 240, 236), (92, 112, 124), (24, 22, 26), (255, 255, 255)
_MOUTH, _TONGUE, _TEETH = (62, 20, 26), (168, 74, 78), (240, 236, 226)
_PIVOT = 0.45  # the head turns about a point so far below the eyes, and 0.6 behind them
Moved = Mapping[str, float]  # blendshape values by name


@dataclass(frozen=True, kw_only=True)
class Avatar:
    """Draws the face; every picture depends on nothing but its arguments."""

    size: int = 256  # side of the square picture in pixels
    look: int = 0  # which of ``LOOKS`` it has; beyond the last they begin again

    def draw(self, blendshapes: Array, turn: Array) -> Array:
        """Return uint8 RGB (size, size, 3) of (52,) shapes and (3,) yaw, pitch, roll: right, down, clockwise."""
        moved = dict(zip(BLENDSHAPES, np.clip(np.asarray(blendshapes, dtype=float), 0, 1).tolist(), strict=True))
        hair, shirt = LOOKS[self.look % len(LOOKS)]
        camera = _camera(self.size, turned(*np.asarray(turn, dtype=float).tolist()))
        image = _body(self.size, shirt).copy()
        _draw_head(image, camera, moved, hair)
        for side in (-1, 1):
            _draw_eye(image, camera, moved, side)
            _draw_brow(image, camera, moved, side)
        _draw_nose(image, camera, moved)
        _draw_mouth(image, camera, moved)
        # soft shading that moves with the head
        angle = float(np.degrees(np.arctan2(camera.turn[0, 1], camera.turn[0, 0])))
        move = cv2.getRotationMatrix2D((0.5 * self.size, 0.44 * self.size), angle, 1.0)
        move[:, 2] += 0.5 * camera.scale * camera.turn[:2, 2]
        shade = cv2.warpAffine(_shade(self.size), move, (self.size, self.size), borderValue=200)
        return np.asarray(cv2.multiply(image, cv2.cvtColor(shade, cv2.COLOR_GRAY2RGB), scale=1 / 200))


@lru_cache
def _gains() -> Array:
    """Return (52, 52): drawn shape by wanted shape, measured on the drawing by ``benchmarks/face_avatar_gains.py``."""
    table = tomllib.loads(Path(__file__).with_name("avatar_gains.toml").read_text(encoding="utf-8"))
    return np.array([[table.get(drawn, {}).get(wanted, 0.0) for wanted in BLENDSHAPES] for drawn in BLENDSHAPES])


def legible(blendshapes: Array) -> Array:
    """Return what to draw, (F, 52), so that a reader of faces, who reads skin otherwise, sees these deviations."""
    return np.asarray(np.clip(blendshapes @ _gains().T, 0, 1))


def _camera(size: int, turn: Array) -> Camera:
    scale, front = 0.19 * size, (1.3, 2.0, 1.1, 0.45, -0.6)
    center = size * np.array((0.5, 0.44)) + scale * _PIVOT * (np.array((0, 1)) - turn[:2, 1])
    return Camera(center=center, scale=scale, turn=turn, front=front)


@lru_cache(maxsize=8)
def _body(size: int, cloth: Color) -> Array:
    """Return the ground with shirt and neck on it."""
    image, camera = np.full((size, size, 3), BACKGROUND, np.uint8), _camera(size, np.eye(3))
    shirt = [(-2.4, 3.3), (-1.9, 2.72), (-0.7, 2.35), (0, 2.55), (0.7, 2.35), (1.9, 2.72), (2.4, 3.3)]
    neck = [(-0.62, 1.3), (-0.58, 2.1), (-0.8, 2.4), (0, 2.62), (0.8, 2.4), (0.58, 2.1), (0.62, 1.3)]
    for points, color in ((shirt, cloth), (neck, _FOLD)):
        fill(image, camera(curve(points)), color)
    return image


@lru_cache(maxsize=4)
def _shade(size: int) -> Array:
    """Return soft light and shadow on the face, (size, size) uint8, 200 = unchanged."""
    scale = np.float32(0.19 * size)
    x = (np.arange(size, dtype=np.float32)[None, :] - 0.5 * size) / scale
    y = (np.arange(size, dtype=np.float32)[:, None] - 0.44 * size) / scale
    light = blobs(
        x, y,
        (0, -0.45, 0.8, 0.4, 14),  # forehead
        (0.68, 0.62, 0.4, 0.35, 12),  # cheeks
        (0, 0.35, 0.09, 0.4, 22),  # bridge of the nose
        (0, 0.66, 0.13, 0.1, 16),  # its tip
        (0, 1.72, 0.25, 0.14, 10),  # chin
        (0.3, 0.02, 0.16, 0.2, -26),  # beside the eyes
        (0, 0.86, 0.3, 0.07, -20),  # below the nose
        (1.15, 0.9, 0.3, 1.0, -30),  # sides of the jaw
        (0, 1.52, 0.3, 0.06, -24),  # below the lip
        (0.2, 0.45, 0.08, 0.35, -14),  # beside the nose
    )  # fmt: skip
    # The face alone is shaded, not what is behind it.
    inside = np.exp(-(((x / 1.2) ** 2 + ((y - 0.5) / 1.75) ** 2) ** 6))
    return np.asarray(np.clip(200 + inside * light, 0, 255).astype(np.uint8))


def _draw_head(image: Array, camera: Camera, moved: Moved, hair: Color) -> None:
    chin = 1.93 + 0.42 * moved["jawOpen"] - 0.05 * moved["mouthShrugLower"]
    slide = 0.18 * (moved["jawLeft"] - moved["jawRight"])
    puff = 0.08 * moved["cheekPuff"]
    back = [(-1.28, 0.75), (-1.36, -0.3), (-0.95, -1.25), (0, -1.6), (0.95, -1.25), (1.36, -0.3), (1.28, 0.75)]
    fill(image, camera(curve(back), depth=-0.1), hair)
    ear = curve([(1.1, -0.05), (1.26, -0.1), (1.24, 0.35), (1.1, 0.55)], closed=True)
    for side in (-1, 1):
        fill(image, camera(ear * (side, 1), depth=0.0), _FOLD)
    corner = (0.86 + slide + puff, 1.38 + 0.3 * (chin - 1.93))
    jaw = [(1.12, 0.2), (1.08 + puff, 0.8), corner, (0.45 + slide, chin - 0.16)]
    left = [(-x + 2 * slide * (y > 1.2), y) for x, y in jaw[::-1]]
    outline = [(0, -1.0), (0.7, -0.85), (1.05, -0.3), *jaw, (slide, chin), *left, (-1.05, -0.3), (-0.7, -0.85)]
    fill(image, camera(curve(outline, closed=True)), _SKIN)
    front = [(-1.2, 0.1), (-1.24, -0.5), (-0.9, -1.15), (0, -1.5), (0.9, -1.15), (1.24, -0.5), (1.2, 0.1)]
    fringe = [(1.02, -0.35), (0.75, -0.72), (0.1, -0.92), (-0.5, -0.78), (-1.0, -0.3)]
    fill(image, camera(curve([*front, *fringe], closed=True)), hair)


def _draw_eye(image: Array, camera: Camera, moved: Moved, side: int) -> None:
    name = "Left" if side > 0 else "Right"
    blink, wide, squint = (moved[f"eye{what}{name}"] for what in ("Blink", "Wide", "Squint"))
    look_down = moved[f"eyeLookDown{name}"]
    closed = min(1.15 * blink, 1.0)
    low = 0.085 - 0.06 * squint - 0.02 * moved[f"cheekSquint{name}"]
    up = (-0.145 - 0.07 * wide + 0.05 * squint + 0.09 * look_down) * (1 - closed) + (low - 0.01) * closed
    x = side * (0.5 - np.array([-0.235, -0.13, 0.0, 0.13, 0.235]))  # from the outer to the inner corner
    lids = [np.array([-0.01, 0.78 * up, up, 0.72 * up, 0.015]), np.array([-0.01, 0.7 * low, low, 0.8 * low, 0.015])]
    upper, lower = (camera(curve(np.column_stack([x, lid]))) for lid in lids)
    fill(image, np.concatenate([upper, lower[::-1]]), _WHITE)
    aside = side * 0.13 * (moved[f"eyeLookOut{name}"] - moved[f"eyeLookIn{name}"])
    spot = np.array([(side * 0.5 + aside, 0.12 * (look_down - moved[f"eyeLookUp{name}"]) - 0.01)])
    for move, radius, color in (((0, 0), 0.118, _IRIS), ((0, 0), 0.056, _PUPIL), ((-0.04, -0.045), 0.022, _GLINT)):
        disc(image, camera(spot + move)[0], radius * camera.scale, color)
    around = 1.25 * x - side * 0.125
    for lid, edge in (([0.0, -0.2, -0.26, -0.22, -0.02], upper), ([0.02, 0.16, 0.2, 0.17, 0.04], lower)):
        fill(image, np.concatenate([camera(curve(np.column_stack([around, lid]))), edge[::-1]]), _SKIN)
    crease = np.column_stack([x, lids[0] * (1 - closed) - np.array([0.02, 0.055, 0.07, 0.05, 0.01])])
    line(image, camera(curve(crease)), _FOLD, 0.022 * camera.scale)
    line(image, upper, _LASH, 0.04 * camera.scale)
    line(image, lower, _FOLD, 0.022 * camera.scale)


def _draw_brow(image: Array, camera: Camera, moved: Moved, side: int) -> None:
    name = "Left" if side > 0 else "Right"
    down, inner, outer = moved[f"browDown{name}"], moved["browInnerUp"], moved[f"browOuterUp{name}"]
    x = side * np.array([0.2 - 0.05 * down, 0.42, 0.66, 0.9])
    y = np.array([-0.24, -0.33, -0.37, -0.24]) + down * np.array([0.26, 0.19, 0.1, 0.04])
    y += -inner * np.array([0.2, 0.1, 0.02, 0]) - outer * np.array([0.02, 0.1, 0.17, 0.12])
    width = np.array([0.055, 0.06, 0.045, 0.015])
    top, low = (curve(np.column_stack([x, y + sign * width])) for sign in (-1, 1))
    fill(image, camera(np.concatenate([top, low[::-1]])), _BROW)
    if down > 0.3:
        line(image, camera(np.array([(side * 0.09, -0.24), (side * 0.07, -0.08)])), _FOLD, 0.03 * down * camera.scale)


def _draw_nose(image: Array, camera: Camera, moved: Moved) -> None:
    for side in (-1, 1):
        sneer = moved[f"noseSneer{'Left' if side > 0 else 'Right'}"]
        rise = -0.09 * sneer
        wing = curve([(0.2, 0.52 + rise), (0.27, 0.66 + rise), (0.2, 0.74 + rise)])
        line(image, camera(wing * (side, 1)), _FOLD, 0.035 * camera.scale)
        hole = curve([(0.07, 0.745), (0.13, 0.71 + rise / 2), (0.18, 0.735 + rise / 2)])
        line(image, camera(hole * (side, 1)), _NOSTRIL, 0.05 * camera.scale)
        if sneer > 0.2:
            line(image, camera(np.array([(side * 0.12, 0.1), (side * 0.2, 0.2)])), _FOLD, 0.03 * camera.scale)
    line(image, camera(curve([(-0.1, 0.75), (0, 0.79), (0.1, 0.75)]), depth=1.3), _FOLD, 0.03 * camera.scale)


def _draw_mouth(image: Array, camera: Camera, moved: Moved) -> None:
    lines = _lips(moved)
    gap = float((lines[2] - lines[1])[:, 1].max())
    upper, inner_up, inner_low, lower = (camera(points) for points in lines)
    if gap > 0.02:  # teeth and tongue: without them an open mouth is not read as open
        fill(image, np.concatenate([inner_up, inner_low[::-1]]), _MOUTH)
        part = slice(len(upper) // 6, -(len(upper) // 6))
        high, deep = lines[1][part], lines[2][part]
        if gap > 0.3:
            floor = deep - np.outer(0.22 * gap * np.sin(np.linspace(0, np.pi, len(deep))), (0, 1))
            fill(image, camera(np.concatenate([floor, deep[::-1]])), _TONGUE)
        teeth = high + np.outer(np.minimum(0.13, 0.55 * (deep - high)[:, 1]), (0, 1))
        fill(image, camera(np.concatenate([high, teeth[::-1]])), _TEETH)
    fill(image, np.concatenate([upper, inner_up[::-1]]), _LIP)
    fill(image, np.concatenate([inner_low, lower[::-1]]), _LIP_LOW)
    line(image, inner_up, _MOUTH, 0.02 * camera.scale)
    for side in (-1, 1):
        smile = moved[f"mouthSmile{'Left' if side > 0 else 'Right'}"]
        if smile > 0.15:
            fold = curve([(0.34, 0.72), (0.52, 0.9), (0.6, 1.08 - 0.05 * smile)]) * (side, 1)
            line(image, camera(fold), _FOLD, 0.03 * min(1.0, 2 * smile) * camera.scale)


def _lips(moved: Moved) -> tuple[Array, Array, Array, Array]:
    """Return upper, inner upper, inner lower and lower curve, each (N, 2), from picture left to right."""
    pucker, funnel = moved["mouthPucker"], moved["mouthFunnel"]
    press = (moved["mouthPressLeft"] + moved["mouthPressRight"]) / 2
    slide = 0.3 * (moved["mouthLeft"] - moved["mouthRight"]) + 0.1 * (moved["jawLeft"] - moved["jawRight"])
    drop = 0.62 * max(moved["jawOpen"] - 0.6 * moved["mouthClose"], 0)
    thick_up = 0.1 * max(1 - 0.8 * moved["mouthRollUpper"] - 0.8 * press + 0.5 * pucker + 0.3 * funnel, 0.15)
    thick_low = 0.15 * max(1 - 0.8 * moved["mouthRollLower"] - 0.8 * press + 0.4 * pucker + 0.2 * funnel, 0.15)
    lift_up, lift_low = 0.05 * moved["mouthShrugUpper"], 0.08 * moved["mouthShrugLower"]
    x, y, rise, fall = {}, {}, {}, {}
    for side in ("Right", "Left"):
        smile, frown, stretch = (moved[f"mouth{what}{side}"] for what in ("Smile", "Frown", "Stretch"))
        wide = 0.41 + 0.13 * smile + 0.12 * stretch + 0.04 * frown + 0.05 * moved[f"mouthDimple{side}"]
        wide -= 0.17 * pucker + 0.14 * funnel + 0.05 * moved["jawOpen"]
        x[side] = wide if side == "Left" else -wide
        y[side] = 1.165 - 0.2 * smile + 0.22 * frown + 0.05 * stretch + 0.2 * moved["jawOpen"]
        rise[side] = -0.16 * moved[f"mouthUpperUp{side}"] - 0.04 * moved[f"noseSneer{side}"] - 0.05 * funnel
        fall[side] = 0.18 * moved[f"mouthLowerDown{side}"] + drop + 0.07 * funnel

    def lip(center: float, moves: Mapping[str, float], bow: float, dip: float) -> Array:
        points = []
        for side in ("Right", "Left"):
            half = [(x[side], y[side]), (0.66 * x[side], 0.4 * y[side] + 0.6 * (center + moves[side]) + bow)]
            half.append((0.3 * x[side], center + moves[side]))
            points += half if side == "Right" else [(0, center + sum(moves.values()) / 2 + dip), *half[::-1]]
        return curve(np.add(points, (slide, 0)))

    upper = lip(1.155 - lift_up - thick_up, rise, -0.25 * thick_up, 0.028)
    inner_up = lip(1.155 - lift_up, rise, -0.02 * min(1.0, drop * 5), 0.008)
    inner_low = lip(1.16 - lift_low, fall, 0.06 * drop, 0.004)
    inner_low[:, 1] = np.maximum(inner_low[:, 1], inner_up[:, 1])
    lower = lip(1.16 - lift_low + thick_low, fall, 0.25 * thick_low + 0.06 * drop, 0.01)
    return upper, inner_up, inner_low, lower
