"""Links recordings of one body without any training: whose are nearest, moment by moment."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from personare.core.protocols import Scorer
from personare.core.types import Array
from personare.evaluate.classifiers import Clips, neighbors
from personare.evaluate.clips import stretched

__all__ = ["PhysioLinkage"]

_MOMENTS = 12


@dataclass(frozen=True, kw_only=True)
class PhysioLinkage:
    """Lays the windows of a recording over those of all enrolled; the nearest say who it is.

    **Guarantee**: what it says of a recording depends on that recording and on what was enrolled, not on other tests.

    **Source**: after L. Alam et al., "Person re-identification from wearable sensors by slicing dynamic time warping"
    (2021); described windows are matched as they are in place of raw ones that are warped, which is far faster.
    """

    question: ClassVar = "identify"
    modality: ClassVar[str] = "physio"
    views: ClassVar[tuple[str, ...]] = ("physio",)
    learns: ClassVar[bool] = False

    def fit(self, clips: Clips, subjects: Mapping[str, str], *, rng: np.random.Generator) -> "PhysioLinkage":
        """Nothing is learned."""
        return self

    def enroll(self, clips: Clips, subjects: Mapping[str, str], *, rng: np.random.Generator) -> Scorer:
        """Keep the windows (W, D) of everybody."""
        _, predict = neighbors(_courses(clips), subjects, rng)
        return lambda asked: predict(_courses(asked))


def _courses(clips: Clips) -> dict[str, Array]:
    return {i: np.nan_to_num(stretched(clip, _MOMENTS)) for i, clip in clips.items()}
