"""Blur every face, as strongly for its size near and far."""

from dataclasses import dataclass

import cv2
import numpy as np

from personare.core.options import check_options
from personare.core.types import Array, Face
from personare.features.centerface import shrink
from personare.features.masking import FaceMask

__all__ = ["FaceBlur"]

_SIGMA = 3.0  # a blur is done where it is this many pixels wide: its cost does not grow with the face


@dataclass(frozen=True, kw_only=True)
class FaceBlur(FaceMask):
    """A known weak method: who learns from blurred faces names the same people nearly as often as from clear ones.

    **Guarantee**: Every pixel of the covered area is a Gaussian mean over its surroundings, as wide as ``strength``
    of the face, however large the face is in the picture. That this hides identity is *not* guaranteed.

    **Source**: R. McPherson, R. Shokri, V. Shmatikov, "Defeating Image Obfuscation with Deep Learning", 2016,
    arXiv:1609.00408, on how little it hides.
    """

    strength: float = 0.25  # standard deviation of the blur as a share of the face's size, 0.02 to 2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_options(self, strength=(0.02, 2))

    def treat(self, area: Array, face: Face) -> Array:
        """Return the pixels blurred: small where few pixels are enough, and large again."""
        height, width = area.shape[:2]
        sigma = self.strength * float(np.sqrt(np.prod(face.box[2:] - face.box[:2])))
        factor = max(1.0, sigma / _SIGMA)
        small = shrink(area, (max(1, round(width / factor)), max(1, round(height / factor))))
        small = cv2.GaussianBlur(small, (0, 0), min(_SIGMA, sigma), borderType=cv2.BORDER_REPLICATE)
        return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))
