"""What of a frame is a face: its pixels, or parts of them, to be treated, and a disc over it for another picture."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np

from personare.core.errors import OptionError
from personare.core.options import check_options
from personare.core.types import Array, Face, LocatedFrame
from personare.features.face_tracking import enlarge
from personare.features.person_segmentation import PersonSegmenter

COVER_LEVEL = 128  # gray of a frame, or of a part of it, that is covered; it tells nothing of what was there

PARTS = {  # left, top, right, bottom as shares of the face's box; points of the mesh that lie at its rim
    "brows": ((0.05, 0.15, 0.95, 0.4), (46, 70, 63, 105, 66, 107, 276, 300, 293, 334, 296, 336)),
    "eyes": ((0.05, 0.25, 0.95, 0.52), (33, 133, 159, 145, 263, 362, 386, 374)),
    "nose": ((0.25, 0.35, 0.75, 0.72), (168, 98, 327, 2, 64, 294)),
    "mouth": ((0.15, 0.62, 0.85, 0.97), (61, 291, 0, 17, 39, 269, 181, 405)),
}
_PART_MARGIN = 0.25
_PERSON, _BACKGROUND = 0.9, 0.1  # confidence from which a pixel is a person, up to which it is none
_MOST_DOUBTFUL = 0.2  # share of a picture between the two up to which a segmentation counts; of 8 people 0.01 to 0.03
_OUTLINE = 1 / 40  # of the picture's shorter side, by which more than a person's outline is covered
_HEAD = 0.6  # of a face's size, by which its head with the hair reaches further on each side
_RIM = 1.15  # a disc's soft rim ends at this many radii


@dataclass(frozen=True, kw_only=True)
class FaceMask:
    """Treats the pixels of every face, frame by frame; nothing is random, and everybody is treated alike.

    A region is one of ``brows``, ``eyes``, ``nose``, ``mouth`` of each face, or a rectangle of the frame such as
    ``0,0,0.5,1`` (left, top, right, bottom as shares of its width and height). What is kept, or not chosen, stays
    identifiable.

    ``cover`` says what is made plain gray beside the faces: nothing (``face``), what else of the people is seen, with
    their outline (``person``), all but the people (``background``), or everything but the faces (``all``). Where a
    face is not plainly a person's to the segmenter, or much of a frame is doubtful, all of the frame is gray.

    **Guarantee**: Of what ``cover`` names, as the segmenter sees it, the output is one gray whatever the input.
    """

    cover: Literal["face", "person", "background", "all"] = "face"
    shape: Literal["ellipse", "box"] = "ellipse"
    enlarge: float = 0.3  # share of the face's size by which it reaches further; an ellipse covers the box from 0.21
    keep: Sequence[str] = ()  # regions left untouched
    only: Sequence[str] = ()  # regions that alone are treated; none: everything

    def __post_init__(self) -> None:
        check_options(self, enlarge=(0, 3))
        for name, regions in (("keep", self.keep), ("only", self.only)):
            if isinstance(regions, str):
                raise OptionError(f"{name} must be a list of regions, not the text {regions!r}. Put it in a list.")
            for region in regions:
                if region not in PARTS:
                    _rectangle(region)

    def treat(self, area: Array, face: Face) -> Array:
        """Return as many new pixels for the original ones (h, w, 3) around a face."""
        raise NotImplementedError

    def __call__(self, frames: Iterable[LocatedFrame], *, subject: str, rng: np.random.Generator) -> Iterator[Array]:
        """Yield a copy of each frame, uint8 RGB (height, width, 3), with its faces treated."""
        with PersonSegmenter() if self.cover in ("person", "background") else nullcontext() as segmenter:
            for frame in frames:
                image, faces = frame.image.copy(), np.zeros(frame.image.shape[:2], bool)
                for face in frame.faces:
                    box = enlarge(face.box, self.enlarge)
                    left, top = np.floor(box[:2]).astype(int).clip(0).tolist()
                    right, bottom = np.minimum(np.ceil(box[2:4]).astype(int), image.shape[1::-1]).tolist()
                    if right > left and bottom > top:
                        area = image[top:bottom, left:right]
                        mask = self._pixels(face, (left, top, right, bottom), image.shape)
                        cv2.copyTo(np.ascontiguousarray(self.treat(area, face)), mask, area)
                        faces[top:bottom, left:right] |= mask > 0
                if segmenter:
                    image[self._beside(frame, segmenter.confidence(frame.image), faces)] = COVER_LEVEL
                elif self.cover == "all":
                    image[~faces] = COVER_LEVEL
                yield image

    def _beside(self, frame: LocatedFrame, confidence: Array, faces: Array) -> Array:
        """Return (h, w) bool: what beside the treated pixels of its faces is covered of a frame."""
        doubtful = (confidence > _BACKGROUND) & (confidence < _PERSON)
        heads = np.zeros(faces.shape, bool)
        for face in frame.faces:
            (left, top), (right, bottom) = enlarge(face.box, -0.25).round().astype(int).clip(0).reshape(2, 2)
            inside = confidence[top:bottom, left:right]
            if inside.size and inside.mean() < _PERSON:
                return np.ones(faces.shape, bool)
            (left, top), (right, bottom) = enlarge(face.box, _HEAD).round().astype(int).clip(0).reshape(2, 2)
            heads[top:bottom, left:right] = True
        if doubtful.mean() > _MOST_DOUBTFUL:
            return np.ones(faces.shape, bool)
        if self.cover == "background":
            return np.asarray((confidence < _PERSON) & ~faces)
        reach = 2 * round(_OUTLINE * min(faces.shape)) + 1
        people = cv2.dilate((confidence > _BACKGROUND).astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
        return np.asarray((people | heads) & ~faces)

    def _pixels(self, face: Face, area: tuple[int, int, int, int], shape: tuple[int, ...]) -> Array:
        """Return (h, w) uint8: 255 where an area around a face is treated, in a frame of a shape."""
        left, top, right, bottom = area
        corner = np.array([left, top, left, top])
        mask = np.full((bottom - top, right - left), 0 if self.shape == "ellipse" else 255, np.uint8)
        if self.shape == "ellipse":
            reach = enlarge(face.box, self.enlarge) - corner
            center, size = (reach[:2] + reach[2:]) / 2, reach[2:] - reach[:2]
            cv2.ellipse(mask, (center.tolist(), size.tolist(), 0.0), 255, cv2.FILLED)

        def inside(regions: Sequence[str]) -> Array:
            marked = np.zeros_like(mask, bool)
            for region in regions:
                frame = np.tile([shape[1], shape[0]], 2)
                box = _part(face, region) if region in PARTS else _rectangle(region) * frame
                left, top, right, bottom = (box - corner).round().astype(int).clip(0)
                marked[top:bottom, left:right] = True
            return marked

        treated = ~inside(self.keep) & (inside(self.only) if self.only else True)
        return np.where(treated, mask, 0).astype(np.uint8)


def _rectangle(region: str) -> Array:
    """Return (4,) left, top, right, bottom as shares of a frame."""
    try:
        left, top, right, bottom = (float(number) for number in region.split(","))
    except ValueError:
        left = top = right = bottom = -1.0
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise OptionError(
            f"A region must be one of {', '.join(PARTS)}, or left,top,right,bottom between 0 and 1 "
            f"such as 0,0,0.5,1; {region!r} is neither."
        )
    return np.array([left, top, right, bottom])


def _part(face: Face, name: str) -> Array:
    """Return the box of a part of a face: from its mesh if it has one, otherwise from its proportions."""
    shares, points = PARTS[name]
    if face.landmarks is not None:
        mesh = face.landmarks[list(points), :2]
        return enlarge(np.concatenate([mesh.min(axis=0), mesh.max(axis=0)]), _PART_MARGIN)
    return np.asarray(np.tile(face.box[:2], 2) + np.array(shares) * np.tile(face.box[2:] - face.box[:2], 2))


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
