"""Where the lines of a made-up face run: outlines in centimetres on a turning head, moved by action units."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from personare.core.types import Array
from personare.features.painting import Camera, curve, turned
from personare.simulate.people import Face, Style

Actions = Mapping[str, float]


def looking(pose: Array, *, center: Array, scale: float) -> Camera:
    """Return the camera for a head pose (yaw, pitch, roll in degrees, right and down in cm); scale is pixels a cm."""
    turn = turned(*np.radians(pose[:3]))
    return Camera(center=center + scale * pose[3:5], scale=scale, turn=turn, front=(8.2, 13.5, 8.0, 0.5, -3.0))


def head_outline(face: Face, jaw_drop_cm: float) -> Array:
    """Return the face's outline from the chin around the crown, (N, 2)."""
    half, chin = face.width_cm / 2, face.chin_cm + jaw_drop_cm
    right = np.array(
        (
            (0.0, chin),
            (face.chin_width_cm * 0.62, chin - 0.30),
            (half * (0.08 + 0.70 * face.jaw), chin - 3.1 + 1.2 * face.jaw),
            (half * (0.56 + 0.43 * face.jaw), face.mouth_cm - 1.4 + 0.4 * jaw_drop_cm),
            (half, 1.5),
            (half, -2.5),
            (half * 0.93, -6.0),
            (half * 0.66, -face.crown_cm + 1.4),
            (0.0, -face.crown_cm),
        )
    )
    return curve(np.concatenate([right, right[-2:0:-1] * (-1, 1)]), closed=True)


class Eye(NamedTuple):
    """One eye's lines, (N, 2) each: lids from the inner to the outer corner, crease above, and the iris' center."""

    upper: Array
    lower: Array
    crease: Array
    iris: Array
    openness: float


_ALONG = np.linspace(-1, 1, 13)
_ARCH = np.clip(1 - np.abs(_ALONG) ** 2.3, 0, None)


def eye(face: Face, actions: Actions, side: int, gaze: Array) -> Eye:
    """Return the left (-1) or right (1) eye, as the picture shows it."""
    center = np.array((side * face.eye_distance_cm / 2, 0.0))
    x = _ALONG * face.eye_width_cm / 2
    corner = -face.eye_slant_cm * _ALONG
    cheek, tight, wide = actions["AU06"], actions["AU07"], actions["AU05"]
    upper = face.eye_open_cm * (0.60 + 0.42 * wide - 0.16 * tight - 0.05 * cheek)
    lower = face.eye_open_cm * (0.40 + 0.06 * wide - 0.22 * tight - 0.20 * cheek - 0.08 * actions["AU09"])
    shut = actions["AU45"]
    upper = upper * (1 - shut) - (lower - 0.06) * shut
    lids = [np.stack([x, corner + height * _ARCH], axis=1) for height in (-upper, lower, -upper - 0.28 - 0.25 * shut)]
    lids = [np.stack([side * lid[:, 0], lid[:, 1]], axis=1) + center for lid in lids]
    look = np.array((gaze[0] * face.eye_width_cm / 2, gaze[1] * 0.5 - 0.06))
    return Eye(upper=lids[0], lower=lids[1], crease=lids[2], iris=center + look, openness=upper + lower)


def brow(face: Face, actions: Actions, style: Style, side: int) -> Array:
    """Return the outline of the left (-1) or right (1) brow, (N, 2)."""
    stronger = 1 - side * style.brow_side
    inner, outer, lower = (stronger * actions[name] for name in ("AU01", "AU02", "AU04"))
    y = -face.brow_cm - face.brow_arch_cm * np.array((0.0, 0.75, 1.0, -0.1))
    y += -inner * np.array((1.25, 0.55, 0.1, 0.0)) - outer * np.array((0.1, 0.6, 1.15, 0.85))
    y += lower * np.array((1.15, 1.0, 0.65, 0.25)) + 0.35 * actions["AU09"] * np.array((1.0, 0.6, 0.2, 0))
    y -= 0.25 * actions["AU05"]
    middle, half = face.eye_distance_cm / 2, face.eye_width_cm / 2
    x = middle + half * np.array((-0.95, -0.1, 0.75, 1.45)) - (0.35 * lower) * np.array((1, 0.6, 0.2, 0))
    thick = face.brow_thickness_cm * np.array((0.45, 0.55, 0.45, 0.08))
    line = np.concatenate([np.stack([x, y - thick], 1), np.stack([x, y + thick], 1)[::-1]])
    return curve(line * (side, 1), closed=True, per=4)


class Mouth(NamedTuple):
    """The lips' lines from the picture's left to its right corner, (N, 2) each, and how far they part."""

    upper_outer: Array
    upper_inner: Array
    lower_inner: Array
    lower_outer: Array
    gap_cm: float


_LIPS = np.linspace(-1, 1, 21)
_BOW = np.clip(1 - _LIPS**2, 0, None)
_CUPID = np.clip(1 - np.abs(_LIPS) ** 1.5, 0, None) * (1 - 0.22 * np.exp(-((_LIPS / 0.13) ** 2)))


def mouth(face: Face, actions: Actions, style: Style, rounding: float) -> Mouth:
    """Return the lips as action units and speech set them."""
    smile, sad, stretch = actions["AU12"], actions["AU15"], actions["AU20"]
    press, chin, drop = actions["AU23"], actions["AU17"], actions["AU26"]
    gap = 0.55 * actions["AU25"] * (1 - 0.6 * press) + 3.8 * drop + 0.3 * actions["AU09"]
    half = face.mouth_width_cm / 2 * (1 - 0.30 * rounding - 0.10 * press - 0.15 * drop)
    sides = np.array((1 + style.mouth_side, 1 - style.mouth_side))  # left, right in the picture
    wide = half + sides * (0.75 * smile + 0.55 * stretch + 0.1 * sad)
    lift = sides * (-1.25 * smile + 0.95 * sad + 0.12 * stretch) + 0.6 * drop
    x = np.where(_LIPS < 0, wide[0], wide[1]) * np.sign(_LIPS) * np.abs(_LIPS) ** 0.92
    corner = np.where(_LIPS < 0, lift[0], lift[1]) * np.abs(_LIPS) ** 1.6
    middle = face.mouth_cm - 0.25 * smile - 0.30 * chin - 0.35 * actions["AU09"]
    base = middle + corner
    thin = (1 - 0.55 * press) * (1 - 0.25 * smile)
    upper, lower = face.upper_lip_cm * thin * (1 - 0.25 * stretch), face.lower_lip_cm * thin * (1 + 0.15 * chin)
    raised = 0.2 * gap + 0.45 * actions["AU09"]
    upper_inner, lower_inner = base - raised * _BOW**0.7, base + (0.8 * gap - 0.2 * actions["AU09"]) * _BOW**0.7
    return Mouth(
        upper_outer=np.stack([x, upper_inner - (upper + 0.2 * rounding) * _CUPID], 1),
        upper_inner=np.stack([x * 0.98, upper_inner], 1),
        lower_inner=np.stack([x * 0.98, lower_inner], 1),
        lower_outer=np.stack([x, lower_inner + (lower + 0.15 * rounding) * _BOW**0.55], 1),
        gap_cm=gap,
    )
