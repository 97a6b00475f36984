"""Turn every face into a mosaic of a few squares."""

from dataclasses import dataclass

import cv2
import numpy as np

from personare.core.options import check_options
from personare.core.types import Array, Face
from personare.features.masking import FaceMask

__all__ = ["FacePixelate"]


@dataclass(frozen=True, kw_only=True)
class FacePixelate(FaceMask):
    """A known weak method: who learns from mosaics names the same people nearly as often as from clear faces.

    **Guarantee**: In the covered area each square shows only the mean of its pixels; a face is ``columns`` squares
    wide, however large it is in the picture. That this hides identity is *not* guaranteed.

    **Source**: R. McPherson, R. Shokri, V. Shmatikov, "Defeating Image Obfuscation with Deep Learning", 2016,
    arXiv:1609.00408, on how little it hides.
    """

    columns: int = 6  # squares across the width of a face, 1 to 64

    def __post_init__(self) -> None:
        super().__post_init__()
        check_options(self, columns=(1, 64))

    def treat(self, area: Array, face: Face) -> Array:
        """Return the pixels as a mosaic."""
        height, width = area.shape[:2]
        cell = max(1.0, float(face.box[2] - face.box[0]) / self.columns)
        size = (max(1, round(width / cell)), max(1, round(height / cell)))
        means = cv2.resize(area, size, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(means, (width, height), interpolation=cv2.INTER_NEAREST))
