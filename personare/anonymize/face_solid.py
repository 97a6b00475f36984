"""Paint one flat color over every face; nothing of it is left."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from personare.core.errors import OptionError
from personare.core.types import Array, Face
from personare.features.masking import FaceMask

__all__ = ["FaceSolid"]


@dataclass(frozen=True, kw_only=True)
class FaceSolid(FaceMask):
    """Nothing of the face is left: not its color, not its expression. Its place, its size and the body remain.

    **Guarantee**: Inside the covered area, the output does not depend on the input at all: all pixels have the one
    chosen color. The color is fixed, not the mean of what was there, which would tell the skin's color.
    """

    color: Sequence[int] = (128, 128, 128)  # red, green, blue, each 0 to 255
    shape: Literal["ellipse", "box"] = "box"

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.color) != 3 or not all(isinstance(c, int) and 0 <= c <= 255 for c in self.color):
            raise OptionError(f"color must be three whole numbers 0 to 255, not {self.color}.")

    def treat(self, area: Array, face: Face) -> Array:
        """Return the one color."""
        return np.full(area.shape, self.color, dtype=np.uint8)
