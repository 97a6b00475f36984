"""Names the person from facial motion alone: how the face is built and moves, without any picture."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from personare.core.types import Array
from personare.evaluate.motion import describe_motion
from personare.evaluate.people import VectorEnroller

__all__ = ["Motion"]


@dataclass(frozen=True, kw_only=True)
class Motion:
    """Compares geometry, dynamics and coordination of blendshapes and landmarks read from the released picture.

    It is the attack on avatars and landmark drawings: another face does not hide whose smile it is.

    **Guarantee**: what it says of a recording depends on that recording and on what was enrolled, not on other tests.

    **Source**: the threat after "expression and jaw motion alone name people" (arXiv:2510.11223, 2025); the
    statistics and the kernel classifier are ours.

    Example:
        >>> Motion().views
        ('blendshapes', 'landmarks')
    """

    question: ClassVar = "identify"
    kinds: ClassVar[tuple[str, ...]] = ("recordings",)
    modality: ClassVar[str] = "video"
    views: ClassVar[tuple[str, ...]] = ("blendshapes", "landmarks")
    needs_people: ClassVar[int] = 3
    needs_recordings_per_person: ClassVar[int] = 2
    learns: ClassVar[bool] = False

    def fit(
        self, clips: Mapping[str, Array], subjects: Mapping[str, str], *, rng: np.random.Generator
    ) -> VectorEnroller:
        """Nothing is learned before enrollment.

        Args:
            clips: (F, 52) blendshapes or (F, 478, 2) landmarks by recording.
            subjects: Who is in them.
            rng: Not used.
        """
        return VectorEnroller(describe=describe_motion)
