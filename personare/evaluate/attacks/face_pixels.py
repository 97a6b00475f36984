"""Names the person from the picture itself: pixels and local texture of the face and of the whole frame."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from personare.core.options import check_options
from personare.core.types import Array
from personare.evaluate.classifiers import Clips, Kernel
from personare.evaluate.clips import evenly

__all__ = ["FacePixels"]

_GRID = 4  # cells a side in which textures are counted
_SMALL = 24  # side of the small grey picture


@dataclass(frozen=True, kw_only=True)
class FacePixels:
    """Compares small pictures, colors and local binary patterns, averaged over a clip.

    The face is cut out where the original's was, or where a mask moved it, and the whole frame is looked at as well
    (hair, clothes, room): enrollment data say how far to believe each. Blurred or pixelated pictures still differ from
    person to person in every pixel, which is what a retrained attacker uses.

    **Guarantee**: what it says of a recording depends on that recording and on what was enrolled, not on other tests.

    **Source**: T. Ahonen, A. Hadid, M. Pietikäinen, "Face description with local binary patterns", IEEE TPAMI 28(12),
    2006; the retrained attacker after R. McPherson, R. Shokri, V. Shmatikov, "Defeating image obfuscation with deep
    learning", arXiv:1609.00408, 2016. Ours: one kernel classifier with settings chosen on enrollment data.
    """

    question: ClassVar = "identify"
    modality: ClassVar[str] = "video"
    views: ClassVar[tuple[str, ...]] = ("crops", "frames")
    learns: ClassVar[bool] = False

    pictures: int = 6  # how many of a clip's pictures are looked at

    def __post_init__(self) -> None:
        check_options(self, pictures=1)

    def fit(self, clips: Clips, subjects: Mapping[str, str], *, rng: np.random.Generator) -> Kernel:
        """Nothing is learned before enrollment from pictures (F, H, W, 3) uint8."""

        def describe(clip: Array) -> list[Array]:
            """Return three descriptions: grey pixels, colors, textures."""
            pictures = evenly(clip, self.pictures)
            grey = np.stack([cv2.cvtColor(np.ascontiguousarray(p), cv2.COLOR_RGB2GRAY) for p in pictures])
            small = np.stack([cv2.resize(p, (_SMALL, _SMALL), interpolation=cv2.INTER_AREA) for p in grey]).astype(
                float
            )
            lit = small - small.mean(axis=(1, 2), keepdims=True)
            level = np.maximum(small.std(axis=(1, 2), keepdims=True), 1.0)
            color = np.stack([cv2.resize(p, (8, 8), interpolation=cv2.INTER_AREA) for p in pictures]).astype(float)
            textures = np.sqrt(np.mean([_patterns(p) for p in grey], axis=0))
            return [(lit / level).mean(axis=0).ravel(), color.mean(axis=0).ravel(), textures]

        return Kernel(describe=describe)


def _patterns(grey: Array) -> Array:
    """Return the share of each local binary pattern in each cell, (cells * 59,)."""
    center = grey[1:-1, 1:-1]
    code = np.zeros(center.shape, dtype=np.uint8)
    for bit, (dy, dx) in enumerate(((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))):
        beside = grey[dy : dy + center.shape[0], dx : dx + center.shape[1]]
        code |= (beside >= center).astype(np.uint8) << bit
    rows, columns = (np.arange(size) * _GRID // size for size in center.shape)
    cell = rows[:, None] * _GRID + columns
    counts = np.bincount((cell * 59 + _UNIFORM[code]).ravel(), minlength=_GRID**2 * 59)
    return np.asarray(counts / center.size * _GRID**2)


# the 58 patterns with at most two changes round the circle are numbered; all others share the last number
_BITS = (np.arange(256)[:, None] >> np.arange(8)) & 1
_FEW_CHANGES = (np.roll(_BITS, 1, axis=1) != _BITS).sum(axis=1) <= 2
_UNIFORM = np.where(_FEW_CHANGES, np.cumsum(_FEW_CHANGES) - 1, 58)
