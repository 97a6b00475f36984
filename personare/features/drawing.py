"""Draws a face mesh as lines."""

from functools import lru_cache

import cv2
import numpy as np

from personare.core.types import Array

__all__ = ["draw_mesh"]

_COLORS = {"oval": (150, 150, 150), "brow": (250, 190, 90), "eye": (120, 220, 250), "lips": (250, 120, 130)}
_GROUPS = {
    "oval": ("FACE_OVAL", "NOSE"),
    "brow": ("LEFT_EYEBROW", "RIGHT_EYEBROW"),
    "eye": ("LEFT_EYE", "RIGHT_EYE", "LEFT_IRIS", "RIGHT_IRIS"),
    "lips": ("LIPS",),
}
_SHIFT = 4  # cv2 takes points in sixteenths of a pixel


@lru_cache
def _edges(name: str) -> Array:
    """Return (edges, 2) indices into the mesh, as the landmarker's own package lists them."""
    from mediapipe.tasks.python.vision import FaceLandmarksConnections

    return np.array([(e.start, e.end) for e in getattr(FaceLandmarksConnections, f"FACE_LANDMARKS_{name}")])


def draw_mesh(picture: Array, landmarks: Array, *, lines: str = "contours", thickness: int = 1) -> None:
    """Draw a mesh (478, 3), in pixels, onto a uint8 RGB picture.

    Args:
        picture: (height, width, 3), drawn upon.
        landmarks: (478, 3).
        lines: ``contours``, ``mesh`` (every triangle) or ``points``.
        thickness: Width of the lines in pixels.

    Example:
        >>> picture = np.zeros((60, 60, 3), np.uint8)
        >>> draw_mesh(picture, 60 * np.random.default_rng(0).random((478, 3)), lines="points")
        >>> bool(picture.any())
        True
    """
    dots = np.round(np.asarray(landmarks, dtype=float)[:, :2] * (1 << _SHIFT)).astype(np.int32)
    if lines == "points":
        for x, y in dots.tolist():
            cv2.circle(picture, (x, y), thickness << _SHIFT, _COLORS["oval"], -1, cv2.LINE_AA, _SHIFT)
        return
    if lines == "mesh":
        _draw(picture, dots, "TESSELATION", (90, 90, 90), thickness)
    for group, names in _GROUPS.items():
        for name in names:
            _draw(picture, dots, name, _COLORS[group], thickness)


def _draw(picture: Array, dots: Array, name: str, color: tuple[int, int, int], thickness: int) -> None:
    strokes = dots[_edges(name)]  # (edges, 2, 2)
    cv2.polylines(picture, list(strokes), False, color, thickness, cv2.LINE_AA, _SHIFT)
