"""Counts the words that a speech recognizer hears otherwise in a release than in the original."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from personare.core.types import Array, Batch, Result
from personare.evaluate.clips import shown, usable_clips
from personare.evaluate.metrics import mean_over_people
from personare.features.language import words_of
from personare.features.transcription import Recognizer, transcribe_in_words

__all__ = ["WordError"]


@dataclass(frozen=True, kw_only=True)
class WordError:
    """Has Whisper write down both, and gives the word error rate (``wer``) of the release, a recording at a time.

    What it hears in the original counts as right; a recording in which it hears no word is left out.

    **Guarantee**: each release is heard alone, and in whatever language it is taken for.

    **Source**: word error rate as in the VoicePrivacy evaluation plans (N. Tomashenko et al., arXiv:2404.02677), there
    against what was read out; A. Radford et al., "Whisper" (ICML 2023), arXiv:2212.04356.
    """

    modality: ClassVar[str] = "audio"
    views: ClassVar[tuple[str, ...]] = ("waveform",)

    def __call__(
        self,
        original: Batch,
        released: Batch,
        *,
        rng: np.random.Generator,
        recognize: Recognizer = transcribe_in_words,
    ) -> list[Result]:
        """Measure the errors in (N,) samples at 16 kHz."""

        def heard(clip: Array) -> list[str]:
            return words_of(recognize(np.asarray(clip, np.float32).ravel()).text)

        before, after = usable_clips(original, "waveform"), usable_clips(released, "waveform")
        pairs = [
            (who, heard(before[i]), heard(after[i]))
            for i, who in shown(original, released)
            if i in before and i in after
        ]
        pairs = [pair for pair in pairs if pair[1]]
        errors = np.array([_edits(said, told) / len(said) for _, said, told in pairs])
        estimate = mean_over_people(errors, np.array([who for who, *_ in pairs]), rng=rng)
        return [Result(question="read", method="word_error", figure="wer", better="lower", **estimate.columns)]


def _edits(said: list[str], told: list[str]) -> int:
    """Return how many words must be changed, put in or taken out to make one of the other (Levenshtein)."""
    costs = list(range(len(told) + 1))
    for row, word in enumerate(said, 1):
        before, costs[0] = costs[0], row
        for column, other in enumerate(told, 1):
            before, costs[column] = (
                costs[column],
                min(before + (word != other), costs[column] + 1, costs[column - 1] + 1),
            )
    return costs[-1]
