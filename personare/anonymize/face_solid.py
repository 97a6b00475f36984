"""Paint one flat color over every face; nothing of it is left.

Nothing of the face is left: not its color, not its expression. Its place, its size and the body remain.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from personare.core.errors import OptionError
from personare.core.types import Array, Face, LocatedFrame
from personare.features.masking import FaceMask

__all__ = ["FaceSolid"]


@dataclass(frozen=True, kw_only=True)
class FaceSolid:
    """Paint one flat color over every face; nothing of it is left.

    **Guarantee**: Inside the covered area, the output does not depend on the input at all: all pixels have the one
    chosen color. The color is fixed, not the mean of what was there, which would tell the skin's color.

    Attributes:
        color: Red, green, blue, each 0 to 255.
        shape: ``ellipse`` or ``box``.
        enlarge: Share of the face's size by which the covered area reaches beyond it on each side.
        keep: Left untouched: ``brows``, ``eyes``, ``nose``, ``mouth`` of each face, or rectangles of the frame such as
            ``0,0,0.5,1`` (left, top, right, bottom as shares of its width and height).
        only: Written in the same way: nothing else is treated. What is kept or not chosen stays identifiable.

    **Source**: In use since television; nothing is taken from anybody.

    Example:
        >>> face = Face(box=np.array([20.0, 20, 60, 60]), score=1.0, track=0)
        >>> image = np.random.default_rng(0).integers(0, 255, (80, 80, 3), dtype=np.uint8)
        >>> frame = LocatedFrame(index=0, time_s=0.0, image=image, faces=(face,), certain=True)
        >>> shown = next(FaceSolid()([frame], subject="01", rng=np.random.default_rng(0)))
        >>> shown[40, 40]
        array([128, 128, 128], dtype=uint8)
    """

    color: Sequence[int] = (128, 128, 128)
    shape: str = "box"
    enlarge: float = 0.3
    keep: Sequence[str] = ()
    only: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Check the options."""
        if len(self.color) != 3 or not all(isinstance(c, int) and 0 <= c <= 255 for c in self.color):
            raise OptionError(f"color must be three whole numbers 0 to 255, not {self.color}.")
        self._mask()

    def __call__(self, frames: Iterable[LocatedFrame], *, subject: str, rng: np.random.Generator) -> Iterator[Array]:
        """Yield each frame with its faces covered; nothing is random here.

        Args:
            frames: Located frames.
            subject: The person's pseudonym; not used, everybody is treated alike.
            rng: Not used.

        Yields:
            uint8 RGB (height, width, 3), one for each frame.
        """
        mask = self._mask()
        for frame in frames:
            yield mask.paint(frame, self._treat)

    def _treat(self, area: Array, face: Face) -> Array:
        return np.full(area.shape, self.color, dtype=np.uint8)

    def _mask(self) -> FaceMask:
        return FaceMask(shape=self.shape, enlarge=self.enlarge, keep=self.keep, only=self.only)
