"""Shows the face's mesh alone, as lines on black: no skin and no hair, but the whole geometry and every movement."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np

from personare.core.options import Count, check_options
from personare.core.types import Array, LocatedFrame
from personare.features.painting import Color, disc, line

__all__ = ["FaceLandmarks"]

_CONTOURS: dict[str, Color] = {
    "FACE_OVAL": (150, 150, 150), "NOSE": (150, 150, 150),
    "LEFT_EYEBROW": (250, 190, 90), "RIGHT_EYEBROW": (250, 190, 90),
    "LEFT_EYE": (120, 220, 250), "RIGHT_EYE": (120, 220, 250),
    "LEFT_IRIS": (120, 220, 250), "RIGHT_IRIS": (120, 220, 250),
    "LIPS": (250, 120, 130),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class FaceLandmarks:
    """Replaces the whole picture by black ground with the mesh of each face drawn on it.

    This is the honest baseline for what geometry and motion give away: proportions of the face, and the way it
    moves, are shown exactly as they are. **Do not take it for anonymous**; use ``face_avatar``.

    **Guarantee**: no pixel of the original enters the picture; a face whose mesh was not found is not drawn at all.

    Source:
        The first plan of Ranade, Agrawal, Kochrekar and Vatsaraj 2024 (USC), "Privacy Preserving Representation
        Learning for Multimodal Behavior Understanding": landmarks instead of the face.
    """

    # outline, brows, eyes, nose and lips; every triangle; or points
    lines: Literal["contours", "mesh", "points"] = "contours"
    thickness: Count = 1  # of the lines in pixels

    needs_landmarks: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_options(self)

    def __call__(self, frames: Iterable[LocatedFrame], *, subject: str, rng: np.random.Generator) -> Iterator[Array]:
        """Yield a uint8 RGB picture (height, width, 3) for every frame."""
        for frame in frames:
            picture = np.zeros_like(frame.image)
            meshes = [np.asarray(f.landmarks, float)[:, :2] for f in frame.faces if f.landmarks is not None]
            for mesh in meshes:  # (478, 2) pixels
                if self.lines == "points":
                    for point in mesh:
                        disc(picture, point, self.thickness, (150, 150, 150))
                    continue
                if self.lines == "mesh":
                    line(picture, mesh[_edges("TESSELATION")], (90, 90, 90), self.thickness)
                for name, color in _CONTOURS.items():
                    line(picture, mesh[_edges(name)], color, self.thickness)
            yield picture


@lru_cache
def _edges(name: str) -> Array:
    """Return (edges, 2) indices into the mesh, as the landmarker's own package lists them."""
    from mediapipe.tasks.python.vision import FaceLandmarksConnections

    return np.array([(e.start, e.end) for e in getattr(FaceLandmarksConnections, f"FACE_LANDMARKS_{name}")])
