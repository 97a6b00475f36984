"""Shows a drawn face that is nobody's, moved by the person's expression alone, with what is personal in it removed."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Literal

import cv2
import numpy as np

from personare.core.errors import DataError
from personare.core.options import NotNegative, Share, Whole, check_options
from personare.core.protocols import FaceAnonymizer
from personare.core.types import Array, LocatedFrame
from personare.features.avatar import BACKGROUND, Avatar, legible
from personare.features.expression import BLENDSHAPES
from personare.features.motion import (
    REST,
    Motion,
    Space,
    adopt,
    fill_gaps,
    group_habits,
    habits,
    learn_space,
    read_motions,
    smooth,
    symmetrize,
    wander,
)

__all__ = ["FaceAvatar"]

_LARGEST = 256  # pixels of the drawing's side: more is scaled up, so that a large picture costs no more
_REGIONS = ("brow", "eye", "mouth")
_REGION_OF = [next((i for i, region in enumerate(_REGIONS) if name.startswith(region)), 2) for name in BLENDSHAPES]

Normal = Callable[[Array], Array]
"""Gives a person's expression (F, 52) the group's habits."""


@dataclass(frozen=True, kw_only=True)
class FaceAvatar:
    """Replaces the whole picture by a drawn face on plain ground that shows the person's expression.

    Several people in one film are drawn side by side, each with another hair and shirt; what ``fit`` knows of the
    recording's person is used for the largest face, the others are freed of their own rest alone. Of the video nothing
    is kept but 52 expression values and the turn of the head a frame, and of these only what the options let through.
    Two passes: the first reads the motion of the whole recording, the second draws.

    **Guarantee**: no pixel and no geometry of the person enters the picture: two people whose protected motion is
    the same get the same picture. Where no expression was read for longer than ``gap_s`` the ground alone is shown.
    The expression's course itself is kept on purpose, and may still tell people apart who move unlike others.

    Source:
        Expression motion alone names people (arXiv 2510.11223, 2025), which is why it is protected here. The drawing
        and the protection are ours.
    """

    smoothing_s: NotNegative = 0.01  # what happens faster is smoothed away (standard deviation of a Gaussian)
    # recording: the rest position of each recording is subtracted. person: each person's habits (how far and how often
    # each shape moves), learned by fit from several recordings, are brought to the group's; a held expression survives:
    # far better in both respects. none: neither.
    normalize: Literal["none", "recording", "person"] = "person"
    directions: Whole = 20  # of expression that are kept once fitted, those the whole group uses most; 0 keeps all
    symmetric: bool = True  # both halves of the face move alike
    levels: Whole = 0  # steps each expression value is rounded to; 0 leaves it as it is
    # standard deviation of slow noise, as a share of the group's spread along each direction; unfitted, of 0.1
    noise: NotNegative = 0.05
    gain_noise: NotNegative = (
        0.0  # spread of a random strength (log-normal) of brows, eyes, mouth, head in each recording
    )
    head: Share = 0.5  # share of the head's turning that is kept; its mean over the recording never is
    gap_s: NotNegative = 0.4  # longest gap in the reading that is bridged
    place: Literal["centre", "near"] = "centre"  # of the picture, or near the person, to an eighth of the picture
    policy: Literal["recording", "person", "common"] = "recording"  # whose randomness a recording gets

    needs_landmarks: ClassVar[bool] = True
    moves_face: ClassVar[bool] = True  # where the original's face was is nowhere to be seen
    works_alone: ClassVar[bool] = True  # without a group to fit on, each recording's own rest is taken away

    def __post_init__(self) -> None:
        check_options(self)

    @property
    def fit_on(self) -> str:
        """``everyone`` where each person's range must be known, ``nothing`` otherwise."""
        return "everyone" if self.normalize == "person" else "nothing"

    def fit(
        self, background: Iterable[tuple[str, Iterable[LocatedFrame]]], *, rng: np.random.Generator
    ) -> FaceAnonymizer:
        """Learn how far and how often each person moves every shape, and which directions the group uses."""
        rows: dict[str, list[Array]] = {}
        for subject, frames in background:
            motion = read_motions(frames)[0]
            shapes = smooth(self._plain(motion.blendshapes), rate_hz=motion.rate_hz, seconds=self.smoothing_s)
            rows.setdefault(subject, []).append(shapes[motion.seen])
        people = {s: habits(np.concatenate(r)) for s, r in rows.items() if sum(map(len, r))}
        if not people:
            raise DataError("face_avatar found no expression in any recording: the faces carry no landmarks.")
        common = group_habits(people.values())
        normals = {s: partial(adopt, own=habit, common=common) for s, habit in people.items()}
        every = np.concatenate([normals[s](r) for s, rs in rows.items() for r in rs if s in normals])
        space = learn_space(every, self.directions) if self.directions else None

        def fitted(frames: Iterable[LocatedFrame], *, subject: str, rng: np.random.Generator) -> Iterator[Array]:
            # somebody unknown is treated recording by recording
            return self(frames, subject=subject, rng=rng, normal=normals.get(subject), space=space)

        return fitted

    def __call__(
        self,
        frames: Iterable[LocatedFrame],
        *,
        subject: str,
        rng: np.random.Generator,
        normal: Normal | None = None,
        space: Space | None = None,
    ) -> Iterator[Array]:
        """Yield a picture for every frame, after reading all; ``normal`` and ``space`` are what ``fit`` learned."""
        motions = read_motions(frames)
        if not len(motions[0].blendshapes):
            return
        motions = [self.protect(m, None if number else normal, space, rng) for number, m in enumerate(motions)]
        spots = self._spots(motions)
        avatars = [Avatar(size=min(side, _LARGEST), look=look) for look, (_, _, side) in enumerate(spots)]
        drawn = [legible(motion.blendshapes) for motion in motions]
        for number in range(len(drawn[0])):
            picture = np.full((*motions[0].shape, 3), BACKGROUND, np.uint8)
            for motion, shapes, avatar, (top, left, side) in zip(motions, drawn, avatars, spots, strict=True):
                if not np.isnan(shapes[number, 0]):
                    face = avatar.draw(shapes[number], motion.turn[number])
                    if side > avatar.size:
                        face = cv2.resize(face, (side, side), interpolation=cv2.INTER_LINEAR)
                    picture[top : top + side, left : left + side] = face
            yield picture

    def protect(self, motion: Motion, normal: Normal | None, space: Space | None, rng: np.random.Generator) -> Motion:
        """Return the motion with what is personal in it removed, as the options say."""
        motion = fill_gaps(motion, gap_s=self.gap_s)
        gains = np.exp(self.gain_noise * rng.standard_normal(len(_REGIONS) + 1))
        shapes = smooth(self._plain(motion.blendshapes), rate_hz=motion.rate_hz, seconds=self.smoothing_s)
        turn = smooth(motion.turn, rate_hz=motion.rate_hz, seconds=self.smoothing_s)
        if motion.seen.any():
            if self.normalize != "none":
                shapes = normal(shapes) if normal else shapes - habits(shapes)[REST]
            shapes = shapes * gains[_REGION_OF]
            turn = self.head * gains[-1] * (turn - np.nanmean(turn, axis=0))
        # slow noise, in the group's space if there is one
        columns = len(BLENDSHAPES) if space is None else len(space.axes)
        noise = wander(len(shapes), columns, rate_hz=motion.rate_hz, seconds=self.smoothing_s, rng=rng)
        if space is None:
            shapes = shapes + 0.1 * self.noise * self._plain(noise)
        else:
            shapes = space.inside(shapes, self.noise * noise)
        if self.levels:
            shapes = np.round(shapes * self.levels) / self.levels
        return replace(motion, blendshapes=np.clip(shapes, 0, 1), turn=turn)

    def _plain(self, blendshapes: Array) -> Array:
        return symmetrize(blendshapes) if self.symmetric else blendshapes

    def _spots(self, motions: list[Motion]) -> list[tuple[int, int, int]]:
        """Return top, left and side in pixels of each drawing: side by side, in the order in which people stand."""
        across = [float(np.nanmedian(m.place[:, 0])) if m.seen.any() else 0.0 for m in motions]
        seats, spots = len(motions), []
        for motion, seat in zip(motions, np.argsort(np.argsort(across)).tolist(), strict=True):
            height, width = motion.shape
            side = max(min(height, width // seats), 1)
            top, left = height - side, (2 * seat + 1) * width // (2 * seats) - (side + 1) // 2
            if self.place == "near" and motion.seen.any():
                x, y, tall = np.round(np.nanmedian(motion.place, axis=0) * 8) / 8
                side = int(np.clip(1.6 * max(tall, 0.125) * height, 16, side))
                top = int(np.clip(y * height - 0.5 * side, 0, height - side))
                left = int(np.clip(x * height - 0.5 * side, 0, width - side))
            spots.append((top, left, side))
        return spots
