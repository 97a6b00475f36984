"""Names the person from facial motion alone: how the face is built and moves, without any picture."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from personare.evaluate.classifiers import Clips, Kernel
from personare.evaluate.clips import describe_motion

__all__ = ["FaceMotion"]


@dataclass(frozen=True, kw_only=True)
class FaceMotion:
    """Compares geometry, dynamics and coordination of blendshapes and landmarks read from the released picture.

    It is the attack on avatars and landmark drawings: another face does not hide whose smile it is.

    **Guarantee**: what it says of a recording depends on that recording and on what was enrolled, not on other tests.

    **Source**: the threat after "expression and jaw motion alone name people" (arXiv:2510.11223, 2025); the
    statistics and the kernel classifier are ours.
    """

    question: ClassVar = "identify"
    modality: ClassVar[str] = "video"
    views: ClassVar[tuple[str, ...]] = ("blendshapes", "landmarks")
    learns: ClassVar[bool] = False

    def fit(self, clips: Clips, subjects: Mapping[str, str], *, rng: np.random.Generator) -> Kernel:
        """Nothing is learned before enrollment from (F, 52) blendshapes or (F, 478, 2) landmarks."""
        return Kernel(describe=describe_motion)
