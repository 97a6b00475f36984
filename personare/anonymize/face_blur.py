"""Blur every face, as strongly for its size near and far.

A known weak method, kept because everybody uses it: an attacker who learns from blurred faces of the same people
names them nearly as often as from clear ones.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from personare.core.errors import OptionError
from personare.core.types import Array, Face, LocatedFrame
from personare.features.masking import FaceMask, blurred

__all__ = ["FaceBlur"]


@dataclass(frozen=True, kw_only=True)
class FaceBlur:
    """Blur every face, as strongly for its size near and far.

    **Guarantee**: Every pixel of the covered area is a Gaussian mean over its surroundings, as wide as ``strength``
    of the face, however large the face is in the picture. That this hides identity is *not* guaranteed.

    Attributes:
        strength: Standard deviation of the blur as a share of the face's size.
        shape: ``ellipse`` or ``box``.
        enlarge: Share of the face's size by which the covered area reaches beyond it on each side.
        keep: Left untouched: ``brows``, ``eyes``, ``nose``, ``mouth`` of each face, or rectangles of the frame such as
            ``0,0,0.5,1`` (left, top, right, bottom as shares of its width and height).
        only: Written in the same way: nothing else is treated. What is kept or not chosen stays identifiable.

    **Source**: R. McPherson, R. Shokri, V. Shmatikov, "Defeating Image Obfuscation with Deep Learning", 2016,
    arXiv:1609.00408, on how little it hides.

    Example:
        >>> face = Face(box=np.array([20.0, 20, 60, 60]), score=1.0, track=0)
        >>> image = np.random.default_rng(0).integers(0, 255, (80, 80, 3), dtype=np.uint8)
        >>> frame = LocatedFrame(index=0, time_s=0.0, image=image, faces=(face,), certain=True)
        >>> shown = next(FaceBlur()([frame], subject="01", rng=np.random.default_rng(0)))
        >>> bool(shown[30:50, 30:50].std() < image[30:50, 30:50].std() / 5)
        True
    """

    strength: float = 0.25
    shape: str = "ellipse"
    enlarge: float = 0.3
    keep: Sequence[str] = ()
    only: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Check the options."""
        if not 0.02 <= self.strength <= 2:
            raise OptionError(f"strength must be 0.02 to 2 face sizes, not {self.strength}.")
        self._mask()

    def __call__(self, frames: Iterable[LocatedFrame], *, subject: str, rng: np.random.Generator) -> Iterator[Array]:
        """Yield each frame with its faces blurred; nothing is random here.

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
        size = float(np.sqrt(np.prod(face.box[2:] - face.box[:2])))
        return blurred(area, self.strength * size)

    def _mask(self) -> FaceMask:
        return FaceMask(shape=self.shape, enlarge=self.enlarge, keep=self.keep, only=self.only)
