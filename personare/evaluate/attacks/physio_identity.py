"""Names people by their body: rates, levels and their course, the form of a beat and of a step."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from personare.evaluate.classifiers import Clips, Kernel
from personare.evaluate.clips import stretched, window_moments
from personare.features.physio import FEATURES

__all__ = ["PhysioIdentity"]


@dataclass(frozen=True, kw_only=True)
class PhysioIdentity:
    """Compares moments over the windows of a recording, and the course of its features from window to window.

    **Guarantee**: what it says of a recording depends on that recording and on what was enrolled, not on other tests.

    **Source**: ours; classifiers as in ``evaluate/classifiers.py``.
    """

    question: ClassVar = "identify"
    modality: ClassVar[str] = "physio"
    views: ClassVar[tuple[str, ...]] = ("physio",)
    learns: ClassVar[bool] = False

    def fit(self, clips: Clips, subjects: Mapping[str, str], *, rng: np.random.Generator) -> Kernel:
        """Nothing is learned before enrollment from (windows, D) of ``features.physio.view``."""
        return Kernel(describe=lambda clip: [window_moments(clip), stretched(clip[:, : len(FEATURES)], 12).ravel()])
