"""The sharp parts of a made-up face: eyes, nose, mouth and hair."""

import cv2
import numpy as np

from personare.core.types import Array
from personare.simulate.geometry import Actions, Camera, Eye, Mouth, closed, open_curve, placed
from personare.simulate.painting import Color, darker, disc, fill, line, mixed
from personare.simulate.people import Face

__all__ = ["paint_eye", "paint_hair_behind", "paint_hair_front", "paint_mouth", "paint_neck", "paint_nose"]


def paint_eye(image: Array, camera: Camera, face: Face, lines: Eye) -> None:
    """Paint one eye in place: white, iris, pupil and glint inside the lids, then lashes and crease."""
    upper, lower = camera(lines.upper), camera(lines.lower)
    outline = np.concatenate([upper, lower[::-1]])
    low = np.maximum(np.floor(outline.min(axis=0)).astype(int) - 2, 0)
    high = np.ceil(outline.max(axis=0)).astype(int) + 3
    piece = image[low[1] : high[1], low[0] : high[0]]
    if piece.size and lines.openness > 0.1:
        inside = np.full_like(piece, 0)
        inside[:] = mixed((238, 234, 230), face.skin_rgb, 0.12)
        center = camera(lines.iris[None, :])[0] - low
        disc(inside, center, 0.66 * camera.scale, darker(face.iris_rgb, 0.55))
        disc(inside, center, 0.56 * camera.scale, face.iris_rgb)
        disc(inside, center, 0.27 * camera.scale, (14, 12, 12))
        fill(inside, np.concatenate([upper, placed(upper[::-1], 0, 0.22 * camera.scale)]) - low, (120, 110, 108))
        disc(inside, center + np.array((0.2, -0.22)) * camera.scale, 0.15 * camera.scale, (255, 255, 255))
        mask = np.zeros_like(piece)
        fill(mask, outline - low, (255, 255, 255))
        kept = cv2.multiply(piece, 255 - mask, scale=1 / 255)
        piece[:] = cv2.add(kept, cv2.multiply(inside, mask, scale=1 / 255))
    lash = mixed(darker(face.hair_rgb, 0.3), darker(face.skin_rgb, 0.4), 0.3)
    thick = np.array((0, 0.17 * camera.scale))
    fill(image, np.concatenate([upper - thick, upper[::-1] + 0.3 * thick]), lash)
    line(image, lower, darker(face.skin_rgb, 0.66), 0.12 * camera.scale)
    line(image, camera(lines.crease), darker(face.skin_rgb, 0.70), 0.12 * camera.scale)


def paint_nose(image: Array, camera: Camera, face: Face, actions: Actions) -> None:
    """Paint nostrils and wings of the nose in place."""
    wide, tip = face.nose_width_cm / 2 * (1 + 0.10 * actions["AU09"]), face.nose_length_cm - 0.4 * actions["AU09"]
    for side in (-1, 1):
        wing = placed(np.array(((0.80, -0.75), (1.0, -0.3), (0.95, 0.15), (0.70, 0.28))) * (wide, 1), 0, tip)
        line(image, camera(open_curve(wing * (side, 1)), 1.2), darker(face.skin_rgb, 0.62), 0.22 * camera.scale)
        hole = placed(np.array(((0.25, 0.1), (0.5, -0.12), (0.68, 0.1), (0.45, 0.25))) * (wide, 1), 0, tip)
        fill(image, camera(closed(hole * (side, 1)), 1.8), darker(face.skin_rgb, 0.30))
    base = placed(np.array(((-0.28, 0.2), (0, 0.36), (0.28, 0.2))) * (wide, 1), 0, tip)
    line(image, camera(open_curve(base), 1.9), darker(face.skin_rgb, 0.62), 0.18 * camera.scale)


def paint_mouth(image: Array, camera: Camera, face: Face, lines: Mouth) -> None:
    """Paint the lips in place, and between parted ones darkness, teeth and tongue."""
    upper, lower = camera(lines.upper_inner, 0.6), camera(lines.lower_inner, 0.6)
    lip = mixed(face.lip_rgb, darker(face.skin_rgb, 0.75), 0.35)
    if lines.gap_cm > 0.1:
        fill(image, np.concatenate([upper, lower[::-1]]), (52, 16, 20))
        _paint_inside(image, upper, lower, lines.gap_cm)
    fill(image, np.concatenate([camera(lines.upper_outer, 0.6), upper[::-1]]), darker(lip, 0.86))
    fill(image, np.concatenate([lower, camera(lines.lower_outer, 0.6)[::-1]]), lip)
    glow = lines.lower_inner + 0.45 * (lines.lower_outer - lines.lower_inner)
    line(image, camera(glow[7:14], 0.6), darker(lip, 1.13), 0.22 * camera.scale)
    if lines.gap_cm <= 0.25:
        line(image, upper, darker(lip, 0.42), 0.16 * camera.scale)
    for corner in (0, -1):
        disc(image, upper[corner], 0.16 * camera.scale, darker(lip, 0.5))


def _paint_inside(image: Array, upper: Array, lower: Array, gap_cm: float) -> None:
    """Paint teeth along the upper lip, a few along the lower one, and the tongue."""
    across = slice(3, -3)
    if gap_cm > 0.7:
        tongue = lower[5:-5] - 0.38 * (lower - upper)[5:-5]
        fill(image, np.concatenate([tongue, lower[5:-5][::-1]]), (158, 72, 74))
    share = min(0.7, 0.34 / gap_cm)
    teeth = upper[across] + share * (lower - upper)[across]
    fill(image, np.concatenate([upper[across], teeth[::-1]]), (236, 231, 220))
    if gap_cm > 1.2:
        few = lower[6:-6] - 0.16 * (lower - upper)[6:-6]
        fill(image, np.concatenate([few, lower[6:-6][::-1]]), (214, 206, 194))


def paint_neck(image: Array, body: Camera, face: Face, clothes: Color) -> None:
    """Paint neck, shoulders and clothes in place."""
    half = face.width_cm / 2
    neck = half * 0.57
    throat = np.array(((-neck, 5), (neck, 5), (neck * 0.98, 13), (neck * 1.5, 16.5), (neck, 22), (-neck, 22)))
    throat = np.concatenate([throat, ((-neck * 1.5, 16.5), (-neck * 0.98, 13))])
    fill(image, body.center + body.scale * closed(throat), darker(face.skin_rgb, 0.84))
    shirt = ((-2.4 * half, 19.5), (-1.3 * half, 16.2), (-neck * 1.15, 15.0), (0, 18.4), (neck * 1.15, 15.0))
    shoulders = (*shirt, (1.3 * half, 16.2), (2.4 * half, 19.5), (2.6 * half, 40), (-2.6 * half, 40))
    fill(image, body.center + body.scale * closed(np.array(shoulders)), clothes)


def _hair_edge(face: Face) -> tuple[float, float, float]:
    """Return half width, top and lowest point of the hair in cm."""
    half, volume = face.width_cm / 2, face.hair_volume_cm
    return half + volume, -face.crown_cm - volume, max(face.hair_length_cm, -2.0)


def paint_hair_behind(image: Array, camera: Camera, face: Face) -> None:
    """Paint the hair that the head hides, in place."""
    wide, top, low = _hair_edge(face)
    wide = wide if low > 5 else face.width_cm / 2 + 0.25 * face.hair_volume_cm
    side = np.array(((wide * 0.7, top + 1.6), (wide, -4.5), (wide * 1.02, 0.5 * low - 2.2), (wide * 0.97, low)))
    outline = np.concatenate([((0, top),), side, side[::-1] * (-1, 1)])
    fill(image, camera(closed(outline), -2), darker(face.hair_rgb, 0.7))


def _paint_strands(image: Array, camera: Camera, face: Face, strands: Array) -> None:
    """Paint strands that run from the parting to the hairline, in place."""
    half, part, top = face.width_cm / 2, face.hair_parting * 3, -face.crown_cm - face.hair_volume_cm
    start, finish, tone = strands.T
    reach = 0.35 + 0.62 * np.abs(finish)
    root = np.stack([part * 0.6 + start * 1.5, np.full(len(start), top + 0.5)], axis=1)
    low = -face.hairline_cm - 0.3 + 3.2 * np.clip(reach - 0.72, 0, 1)
    tip = np.stack([np.sign(start) * half * reach, low], axis=1)
    bend = np.stack([0.62 * tip[:, 0] + start, 0.5 * (root[:, 1] + low) - 0.8], axis=1)
    curves = np.stack([open_curve(np.stack(points), per=5) for points in zip(root, bend, tip, strict=True)])
    pixels = camera(curves.reshape(-1, 2), -0.5).reshape(curves.shape)  # (strands, points, 2)
    for strand, shade in zip(pixels, tone, strict=True):
        line(image, strand, darker(face.hair_rgb, 1 + 0.22 * shade), 0.2 * camera.scale)


def paint_hair_front(image: Array, camera: Camera, face: Face, strands: Array) -> None:
    """Paint the hair above the forehead and beside the face in place.

    Args:
        image: The picture.
        camera: The head's pose.
        face: Whose hair.
        strands: (N, 3) in [-1, 1]: where each strand begins, ends, and how light it is.
    """
    wide, top, low = _hair_edge(face)
    half, part, line_y = face.width_cm / 2, face.hair_parting * 3, -face.hairline_cm
    temple = half * 0.97
    end = max(min(low, 1.5), -2.0)
    foot = half + (0.35 if low <= 5 else 0.9) * face.hair_volume_cm
    outer = np.array(((-foot, end), (-0.5 * (foot + wide), -5), (-wide * 0.72, top + 1.5), (0, top)))
    outer = np.concatenate([outer, outer[-2::-1] * (-1, 1)])
    inner = np.array(((temple, end), (temple * 0.94, -3.6), (temple * 0.72, line_y + 0.8)))
    middle = np.array(((part + 1.2, line_y - 0.5), (part, line_y - 1.3), (part - 1.2, line_y - 0.5)))
    crown = closed(np.concatenate([outer, inner, middle, inner[::-1] * (-1, 1)]), per=5)
    fill(image, camera(crown, -0.5), face.hair_rgb)
    _paint_strands(image, camera, face, strands)
    if low > 5:
        for side in (-1, 1):
            lock = np.array(((0.82, -6), (1.0, -5), (1.03, low * 0.4), (0.98, low), (0.84, low - 1), (0.86, 2)))
            fill(image, camera(closed(lock * (side * wide, 1)), -1), darker(face.hair_rgb, 0.92))
