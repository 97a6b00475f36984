"""Puts one average face of a group of people over the face of each of them, the same still face in every recording."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import cv2
import numpy as np

from personare.core.errors import DataError, OptionError
from personare.core.types import Array, Face, LocatedFrame
from personare.features.masking import Disc, disc_over

__all__ = ["FaceKSame"]

_SIDE = 160  # pixels of an average face with its surroundings
_RADIUS = 1.9  # of the covered disc, at least, in eye distances
_CENTRE = 0.45  # of the disc below the eyes, in eye distances
_EYES = ((33, 133), (362, 263))
_EVERY = 3  # of the frames to learn from


@dataclass(frozen=True, kw_only=True)
class FaceKSame:
    """Hides each person in a group of at least ``k``: all of a group show the same average face.

    A k-same method on *people*: a k-same method on pictures, which gives each picture an average of its own, leaves
    the person in it. The face keeps its place, size and tilt, and does not move: expression is lost.

    **Guarantee**: everybody of a group is covered by the very same picture, to which each of at least ``k`` people
    has contributed equally; people differ in it by place, size and tilt of the head alone. Hair, clothes, body and
    movements of the head are *not* hidden.

    Source:
        Newton, Sweeney and Malin 2005, "Preserving privacy by de-identifying face images",
        doi:10.1109/TKDE.2005.32 (k-same). Changed: averages over people instead of pictures, groups drawn at random.
    """

    k: int = 3  # fewest people in a group

    fit_on: ClassVar[str] = "everyone"
    needs_landmarks: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.k < 2:
            raise OptionError(f"k must be at least 2 people, it is {self.k}: one person's average is that person.")

    def fit(
        self, background: Iterable[tuple[str, Iterable[LocatedFrame]]], *, rng: np.random.Generator
    ) -> "FittedFaceKSame":
        """Draw groups of everybody to be hidden, and make the average face of each."""
        sums: dict[str, Array] = {}
        counts: dict[str, int] = {}
        for subject, frames in background:
            for frame in frames:
                disc = _place(frame.faces[0]) if frame.faces and frame.index % _EVERY == 0 else None
                if disc is not None:  # the main face upright, the eyes always at the same spot
                    how = {"flags": cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, "borderMode": cv2.BORDER_REPLICATE}
                    picture = cv2.warpAffine(frame.image, disc.from_patch(_SIDE), (_SIDE, _SIDE), **how)
                    sums[subject] = sums.get(subject, 0.0) + picture.astype(np.float64)
                    counts[subject] = counts.get(subject, 0) + 1
        people = {subject: sums[subject] / counts[subject] for subject in sorted(sums)}
        if len(people) < self.k:
            raise DataError(
                f"face_k_same hides people in groups of {self.k}, but a face was read of only {len(people)}: "
                "give more people, or a smaller k."
            )
        order = [list(people)[i] for i in rng.permutation(len(people))]
        count = len(order) // self.k  # groups of at least k: the remainder is spread over them
        groups = [order[g::count] for g in range(count)]
        averages = tuple(_mean([people[s] for s in group]) for group in groups)
        return FittedFaceKSame(averages=averages, group_of={s: g for g, group in enumerate(groups) for s in group})

    def __call__(self, frames: Iterable[LocatedFrame], *, subject: str, rng: np.random.Generator) -> Iterator[Array]:
        """Refuse: an average needs people."""
        raise DataError("face_k_same must be fitted on a group of people first: call fit, or give --background COHORT.")


def _mean(pictures: list[Array]) -> Array:
    return np.asarray(np.clip(np.round(np.mean(pictures, axis=0)), 0, 255).astype(np.uint8))


def _place(face: Face) -> Disc | None:
    """Return the disc over a face by its eyes: no other proportion of the face enters it; None without a mesh."""
    if face.landmarks is None:
        return None
    right, left = (np.asarray(face.landmarks)[list(pair), :2].mean(axis=0).astype(float) for pair in _EYES)
    across = left - right
    apart = float(np.hypot(*across))
    # A head turned far aside shows its eyes close together: then its height tells its size.
    apart = max(apart, 0.2 * float(face.box[3] - face.box[1]), 1.0)
    turn = float(np.arctan2(across[1], across[0]))
    down = _CENTRE * apart * np.array([-np.sin(turn), np.cos(turn)])
    x, y = (right + left) / 2 + down
    return Disc(x=float(x), y=float(y), radius=_RADIUS * apart, turn=turn)


@dataclass(frozen=True, kw_only=True)
class FittedFaceKSame:
    """A ``FaceKSame`` with the uint8 RGB average face of each of its groups, and which group a person is in."""

    averages: tuple[Array, ...] = field(repr=False)
    group_of: Mapping[str, int] = field(repr=False)

    def __call__(self, frames: Iterable[LocatedFrame], *, subject: str, rng: np.random.Generator) -> Iterator[Array]:
        """Yield a uint8 RGB picture (height, width, 3) for every frame; somebody unknown gets the average of all."""
        group = self.group_of.get(subject)
        average = self.averages[group] if group is not None else _mean(list(self.averages))
        for frame in frames:
            shown = frame.image.copy()
            for face in frame.faces:
                box = disc_over(face.box)
                disc = _place(face) or box
                disc.put(shown, average, reach=disc.reaching(box))
            yield shown
