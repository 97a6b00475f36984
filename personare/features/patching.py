"""A square picture put over a face: all of the face's box is replaced, a soft rim lies outside of it."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from personare.core.types import Array

_RIM = 1.15  # the soft rim ends at this many radii


@dataclass(frozen=True, kw_only=True)
class Disc:
    """A round area of a picture: what is nearer to its center than ``radius``, in pixels, is replaced altogether."""

    x: float
    y: float
    radius: float
    turn: float = 0.0  # clockwise angle in radians of what is put there

    @property
    def square(self) -> Array:
        """(4,) left, top, right, bottom of the square around the disc and its soft rim."""
        reach = _RIM * self.radius
        return np.array([self.x - reach, self.y - reach, self.x + reach, self.y + reach])

    def reaching(self, other: "Disc") -> float:
        """Return the radius at which this disc holds another one altogether."""
        return max(self.radius, float(np.hypot(self.x - other.x, self.y - other.y)) + other.radius)

    def put(self, image: Array, patch: Array, *, reach: float | None = None) -> None:
        """Put a patch (S, S, 3), which shows ``square``, onto a uint8 RGB image; up to ``reach`` its border goes on."""
        cover = replace(self, radius=reach or self.radius)
        left, top = np.maximum(np.floor(cover.square[:2]), 0).astype(int)
        right, bottom = np.minimum(np.ceil(cover.square[2:]) + 1, image.shape[1::-1]).astype(int)
        if right <= left or bottom <= top:
            return
        area = image[top:bottom, left:right]
        move = self.from_patch(len(patch))
        move[:, 2] -= left, top
        seen = cv2.warpAffine(patch, move, (right - left, bottom - top), borderMode=cv2.BORDER_REPLICATE)
        rows, columns = np.ogrid[top:bottom, left:right]
        distance = np.hypot(columns - self.x, rows - self.y)
        share = np.clip((_RIM * cover.radius - distance) / ((_RIM - 1) * cover.radius), 0, 1)[..., None]
        area[:] = np.round(area * (1 - share) + seen * share).astype(np.uint8)

    def from_patch(self, side: int) -> Array:
        """Return (2, 3): what turns pixels of a patch of ``side`` pixels into pixels of the image."""
        scale = 2 * _RIM * self.radius / side
        cos, sin = scale * np.cos(self.turn), scale * np.sin(self.turn)
        turn = np.array([[cos, -sin], [sin, cos]])
        middle = (side - 1) / 2
        return np.column_stack([turn, np.array([self.x, self.y]) - turn @ [middle, middle]])


def disc_over(box: Array, *, enlarge: float = 0.1) -> Disc:
    """Return the smallest disc that holds a box (4,), enlarged by a share of its size."""
    left, top, right, bottom = (float(v) for v in box[:4])
    radius = float(np.hypot(right - left, bottom - top)) / 2 * (1 + enlarge)
    return Disc(x=(left + right) / 2, y=(top + bottom) / 2, radius=max(radius, 1.0))
