"""Names whose phone it is from behavior: what is done at which hour, where the phone is, and the routine of a week."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from personare.evaluate.classifiers import Clips, Kernel
from personare.features.phone import behavioral_features

__all__ = ["PhoneLinkage"]


@dataclass(frozen=True, kw_only=True)
class PhoneLinkage:
    """Learns the mean day, middle, spread and routine of each person's weeks, and looks for them in other weeks.

    **Guarantee**: what it says of a recording depends on that recording and on what was enrolled, not on other tests.

    **Source**: kernel ridge regression as in ``voice_prosody``; of what is hidden in a release nothing is used.
    """

    question: ClassVar = "identify"
    modality: ClassVar[str] = "phone"
    views: ClassVar[tuple[str, ...]] = ("phone",)
    learns: ClassVar[bool] = False

    def fit(self, clips: Clips, subjects: Mapping[str, str], *, rng: np.random.Generator) -> Kernel:
        """Nothing is learned before enrollment: a log is described by itself."""
        return Kernel(describe=behavioral_features)
