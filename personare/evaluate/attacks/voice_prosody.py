"""Names the speaker from the manner of speaking: pitch, loudness, rhythm and voice quality of the whole clip."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from personare.evaluate.classifiers import Clips, Kernel

__all__ = ["VoiceProsody"]


@dataclass(frozen=True, kw_only=True)
class VoiceProsody:
    """Compares acoustic functionals: weaker than timbre on plain speech, useful where timbre is hidden.

    **Guarantee**: what it says of a recording depends on that recording and on what was enrolled, not on other tests.

    **Source**: functionals as in ``features/functionals.py``; kernel ridge regression with settings chosen by leaving
    enrollment clips out.
    """

    question: ClassVar = "identify"
    modality: ClassVar[str] = "audio"
    views: ClassVar[tuple[str, ...]] = ("functionals",)
    learns: ClassVar[bool] = False

    def fit(self, clips: Clips, subjects: Mapping[str, str], *, rng: np.random.Generator) -> Kernel:
        """Nothing is learned before enrollment from (1, D) functionals: they are what they are."""
        return Kernel(describe=lambda clip: [np.asarray(clip[0], dtype=float)])
