"""Shows the face's mesh alone, as lines on black: no skin and no hair, but the whole geometry and every movement."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from personare.core.errors import OptionError
from personare.core.types import Array, LocatedFrame
from personare.features.drawing import draw_mesh

__all__ = ["FaceLandmarks"]


@dataclass(frozen=True, kw_only=True)
class FaceLandmarks:
    """Replaces the whole picture by black ground with the mesh of each face drawn on it.

    This is the honest baseline for what geometry and motion give away: proportions of the face, and the way it
    moves, are shown exactly as they are. **Do not take it for anonymous**; use ``face_avatar``.

    **Guarantee**: no pixel of the original enters the picture; a face whose mesh was not found is not drawn at all.

    Attributes:
        lines: ``contours`` (outline, brows, eyes, nose, lips), ``mesh`` (every triangle), or ``points``.
        thickness: Width of the lines in pixels.

    Raises:
        OptionError: An option out of its range.

    Source:
        The first plan of Ranade, Agrawal, Kochrekar and Vatsaraj 2024 (USC), "Privacy Preserving Representation
        Learning for Multimodal Behavior Understanding": landmarks instead of the face.

    Example:
        >>> frames = [LocatedFrame(index=0, time_s=0.0, image=np.ones((48, 64, 3), np.uint8), faces=(), certain=True)]
        >>> [int(f.max()) for f in FaceLandmarks()(frames, subject="01", rng=np.random.default_rng(0))]
        [0]
    """

    lines: Literal["contours", "mesh", "points"] = "contours"
    thickness: int = 1

    needs_landmarks: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the options."""
        if self.lines not in ("contours", "mesh", "points"):
            raise OptionError(f"lines must be contours, mesh or points, it is '{self.lines}'.")
        if self.thickness < 1:
            raise OptionError(f"thickness must be at least 1 pixel, it is {self.thickness}.")

    def __call__(self, frames: Iterable[LocatedFrame], *, subject: str, rng: np.random.Generator) -> Iterator[Array]:
        """Yield a uint8 RGB picture (height, width, 3) for every frame."""
        for frame in frames:
            picture = np.zeros_like(frame.image)
            for face in frame.faces:
                if face.landmarks is not None:
                    draw_mesh(picture, face.landmarks, lines=self.lines, thickness=self.thickness)
            yield picture
