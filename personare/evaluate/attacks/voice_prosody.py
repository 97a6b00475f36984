"""Names the speaker from the manner of speaking: pitch, loudness, rhythm and voice quality of the whole clip."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from personare.core.types import Array
from personare.evaluate.people import VectorEnroller

__all__ = ["VoiceProsody"]


@dataclass(frozen=True, kw_only=True)
class VoiceProsody:
    """Compares acoustic functionals: weaker than timbre on plain speech, useful where timbre is hidden.

    **Guarantee**: what it says of a recording depends on that recording and on what was enrolled, not on other tests.

    **Source**: functionals as in ``features/functionals.py``; kernel ridge regression with settings chosen by leaving
    enrollment clips out.

    Example:
        >>> VoiceProsody().views
        ('functionals',)
    """

    question: ClassVar = "identify"
    kinds: ClassVar[tuple[str, ...]] = ("recordings",)
    modality: ClassVar[str] = "audio"
    views: ClassVar[tuple[str, ...]] = ("functionals",)
    needs_people: ClassVar[int] = 3
    needs_recordings_per_person: ClassVar[int] = 2
    learns: ClassVar[bool] = False

    def fit(
        self, clips: Mapping[str, Array], subjects: Mapping[str, str], *, rng: np.random.Generator
    ) -> VectorEnroller:
        """Nothing is learned before enrollment: the functionals are what they are.

        Args:
            clips: (1, D) functionals by recording.
            subjects: Who is in them.
            rng: Not used.
        """
        return VectorEnroller(describe=_describe)


def _describe(clip: Array) -> list[Array]:
    return [np.asarray(clip[0], dtype=float)]
