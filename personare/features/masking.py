"""Which pixels of a frame are a face, and which of them are to be treated: shared by the methods that paint over."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from personare.core.errors import OptionError
from personare.core.types import Array, Face, LocatedFrame
from personare.features.centerface import shrink
from personare.features.tracking import enlarge

__all__ = ["PARTS", "FaceMask", "blurred", "pixelated"]

PARTS = {  # left, top, right, bottom as shares of the face's box; points of the mesh that lie at its rim
    "brows": ((0.05, 0.15, 0.95, 0.4), (46, 70, 63, 105, 66, 107, 276, 300, 293, 334, 296, 336)),
    "eyes": ((0.05, 0.25, 0.95, 0.52), (33, 133, 159, 145, 263, 362, 386, 374)),
    "nose": ((0.25, 0.35, 0.75, 0.72), (168, 98, 327, 2, 64, 294)),
    "mouth": ((0.15, 0.62, 0.85, 0.97), (61, 291, 0, 17, 39, 269, 181, 405)),
}
_PART_MARGIN = 0.25
_SIGMA = 3.0  # a blur is done where it is this many pixels wide, however large the face is


@dataclass(frozen=True, kw_only=True)
class FaceMask:
    """The pixels that a method treats.

    Attributes:
        shape: ``ellipse`` or ``box``.
        enlarge: Share of the face's size by which it reaches further on each side. An ellipse covers the whole box
            from 0.21 on.
        keep: What is left untouched: parts of each face (``brows``, ``eyes``, ``nose``, ``mouth``) and rectangles of
            the frame, written ``left,top,right,bottom`` as shares of its width and height.
        only: What alone is treated, written in the same way; empty: everything.

    Example:
        >>> FaceMask(keep=("mouth", "0,0,0.5,1")).rectangles(FaceMask(keep=("0,0,0.5,1",)).keep)
        ((0.0, 0.0, 0.5, 1.0),)
    """

    shape: str = "ellipse"
    enlarge: float = 0.3
    keep: Sequence[str] = ()
    only: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Check the options."""
        if self.shape not in ("ellipse", "box"):
            raise OptionError(f"shape must be ellipse or box, not {self.shape!r}.")
        if not 0 <= self.enlarge <= 3:
            raise OptionError(f"enlarge must be 0 to 3 face sizes, not {self.enlarge}.")
        for name, regions in (("keep", self.keep), ("only", self.only)):
            if isinstance(regions, str):
                raise OptionError(f"{name} must be a list of regions, not the text {regions!r}. Put it in a list.")
            self.rectangles(regions)

    def rectangles(self, regions: Sequence[str]) -> tuple[tuple[float, ...], ...]:
        """Return the regions that are rectangles of the frame."""
        return tuple(_rectangle(region) for region in regions if region not in PARTS)

    def paint(self, frame: LocatedFrame, treat: Callable[[Array, Face], Array]) -> Array:
        """Return the frame with its faces treated.

        Args:
            frame: A frame and its faces.
            treat: Gets the original pixels around a face (h, w, 3) and the face; returns as many new ones.

        Returns:
            uint8 RGB (height, width, 3), a copy.
        """
        image = frame.image.copy()
        for face in frame.faces:
            left, top, right, bottom = _inside(enlarge(face.box, self.enlarge), image.shape)
            if right > left and bottom > top:
                area = image[top:bottom, left:right]
                mask = self._pixels(face, (left, top, right, bottom), image.shape)
                cv2.copyTo(np.ascontiguousarray(treat(area, face)), mask, area)
        return image

    def _pixels(self, face: Face, area: tuple[int, int, int, int], shape: tuple[int, ...]) -> Array:
        """Return (h, w) uint8: 255 where an area around a face is treated."""
        left, top, right, bottom = area
        mask = np.full((bottom - top, right - left), 255, np.uint8)
        if self.shape == "ellipse":
            reach = enlarge(face.box, self.enlarge) - np.array([left, top, left, top])
            mask[:] = 0
            center, size = (reach[:2] + reach[2:]) / 2, reach[2:] - reach[:2]
            ellipse = ((float(center[0]), float(center[1])), (float(size[0]), float(size[1])), 0.0)
            cv2.ellipse(mask, ellipse, 255, cv2.FILLED)
        if self.only:
            chosen = np.zeros_like(mask)
            for part in self._regions(self.only, face, area, shape):
                chosen[part] = 255
            mask &= chosen
        for part in self._regions(self.keep, face, area, shape):
            mask[part] = 0
        return mask

    def _regions(
        self, regions: Sequence[str], face: Face, area: tuple[int, int, int, int], shape: tuple[int, ...]
    ) -> Iterator[tuple[slice, slice]]:
        """Yield each region as the rows and columns of an area."""
        frame = np.tile([shape[1], shape[0]], 2)
        boxes = [_part(face, region) if region in PARTS else np.array(_rectangle(region)) * frame for region in regions]
        for box in boxes:
            left, top, right, bottom = (box - np.tile(area[:2], 2)).round().astype(int).clip(0)
            yield slice(top, bottom), slice(left, right)


def _rectangle(region: str) -> tuple[float, ...]:
    try:
        left, top, right, bottom = (float(number) for number in region.split(","))
    except ValueError:
        left = top = right = bottom = -1.0
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise OptionError(
            f"A region must be one of {', '.join(PARTS)}, or left,top,right,bottom between 0 and 1 "
            f"such as 0,0,0.5,1; {region!r} is neither."
        )
    return left, top, right, bottom


def _part(face: Face, name: str) -> Array:
    """Return the box of a part of a face: from its mesh if it has one, otherwise from its proportions."""
    shares, points = PARTS[name]
    if face.landmarks is not None:
        mesh = face.landmarks[list(points), :2]
        return enlarge(np.concatenate([mesh.min(axis=0), mesh.max(axis=0)]), _PART_MARGIN)
    return np.asarray(np.tile(face.box[:2], 2) + np.array(shares) * np.tile(face.box[2:] - face.box[:2], 2))


def _inside(box: Array, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    left, top = np.floor(box[:2]).astype(int).clip(0)
    right, bottom = np.minimum(np.ceil(box[2:4]).astype(int), [shape[1], shape[0]])
    return int(left), int(top), int(right), int(bottom)


def blurred(area: Array, sigma: float) -> Array:
    """Return a Gaussian blur of (h, w, 3) pixels; its cost does not grow with ``sigma``, given in pixels.

    Example:
        >>> area = np.zeros((40, 40, 3), np.uint8)
        >>> area[20:] = 255
        >>> int(np.ptp(blurred(area, 100.0))) < 40
        True
    """
    height, width = area.shape[:2]
    factor = max(1.0, sigma / _SIGMA)
    size = (max(1, round(width / factor)), max(1, round(height / factor)))
    small = cv2.GaussianBlur(shrink(area, size), (0, 0), min(_SIGMA, sigma), borderType=cv2.BORDER_REPLICATE)
    soft: Array = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return soft


def pixelated(area: Array, cell: float) -> Array:
    """Return (h, w, 3) pixels as a mosaic of their means in cells of about ``cell`` pixels."""
    height, width = area.shape[:2]
    size = (max(1, round(width / cell)), max(1, round(height / cell)))
    means = cv2.resize(area, size, interpolation=cv2.INTER_AREA)
    mosaic: Array = cv2.resize(means, (width, height), interpolation=cv2.INTER_NEAREST)
    return mosaic
