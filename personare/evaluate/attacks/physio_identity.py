"""Names people by their body: rates, levels and their course, the form of a beat and of a step, gait and tremor."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from personare.evaluate.classifiers import Clips, Kernel
from personare.evaluate.clips import stretched, window_moments
from personare.features.physio import FEATURES, SPECTRA

__all__ = ["PhysioIdentity"]

_MOMENTS = 24  # of a course: of a day each hour, which is what still names people after ``physio_windows``


@dataclass(frozen=True, kw_only=True)
class PhysioIdentity:
    """Compares moments over a recording's windows, the course of its features, and the spectrum of its movement.

    **Guarantee**: what it says of a recording depends on that recording and on what was enrolled, not on other tests.

    **Source**: ours; classifiers as in ``evaluate/classifiers.py``.
    """

    question: ClassVar = "identify"
    modality: ClassVar[str] = "physio"
    views: ClassVar[tuple[str, ...]] = ("physio",)
    learns: ClassVar[bool] = False

    def fit(self, clips: Clips, subjects: Mapping[str, str], *, rng: np.random.Generator) -> Kernel:
        """Nothing is learned before enrollment from (windows, D) of ``features.physio.view``."""
        return Kernel(
            describe=lambda clip: [
                window_moments(clip, -SPECTRA),
                stretched(clip[:, : len(FEATURES)], _MOMENTS).ravel(),
                clip[0, -SPECTRA:],
            ]
        )
