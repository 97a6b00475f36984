"""Reads which sentence was said: where sentences repeat, this stands in for the word error rate."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.fft import dct
from scipy.ndimage import gaussian_filter1d
from scipy.special import softmax

from personare.core.errors import DataError, OptionError
from personare.core.types import Array, Evidence, Result
from personare.evaluate.reading import Clips, Predict, Question, measure_reading, read_view, unread
from personare.evaluate.warping import warped_distances

__all__ = ["Sentence"]

_CEPSTRA = 12
_STRIDE = 4  # frames of 10 ms
_LONGEST = 150  # steps; of longer speech fewer frames are kept
_QUIET_DB = 25.0  # this far under a clip's loudest band nobody speaks
_TEMPLATES = 240  # clips that a new one is compared with
_NEAREST = 3


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """Compares the course of the spectrum with that of other people who said the same sentences.

    Silence at the ends is cut off, each clip's mean is removed, and time may be stretched (dynamic time warping); the
    sentence whose three nearest clips are nearest is taken.

    **Guarantee**: no reader was trained on the person that it reads.

    Attributes:
        folds: In how many groups people are left out; up to eight people, each alone.

    **Source**: H. Sakoe, S. Chiba, "Dynamic programming algorithm optimization for spoken word recognition", IEEE TASSP
    26(1), 1978; as a stand-in for word errors ours. It says nothing of sentences that nobody else said.

    Example:
        >>> Sentence().views
        ('logmel',)
    """

    modality: ClassVar[str] = "audio"
    views: ClassVar[tuple[str, ...]] = ("logmel",)

    folds: int = 6

    def __post_init__(self) -> None:
        """Check the options."""
        if self.folds < 2:
            raise OptionError(f"sentence needs folds of at least 2, given {self.folds}. Try 6.")

    def __call__(self, original: Evidence, released: Evidence, *, rng: np.random.Generator) -> list[Result]:
        """Measure recall and accuracy of both kinds of reader.

        Args:
            original: Recordings before, with ``logmel`` (T, 64) dB and ``sentence``.
            released: The same after.
            rng: Folds, bootstrap.
        """
        question = Question(view="logmel", label="sentence", folds=self.folds, describe=_course)
        try:
            readings = read_view(original, released, question, _learn, rng=rng)
        except DataError as error:
            return unread("sentence", error, modality="audio")
        return [row for r in readings for row in measure_reading(r, "sentence", modality="audio", rng=rng)]


def _course(clip: Array) -> Array:
    """Return smoothed cepstra of the spoken part, (T, 12), every 40 ms."""
    rows = np.nan_to_num(np.asarray(clip, dtype=float), nan=-100.0)
    level = gaussian_filter1d(rows.max(axis=1), 3)
    loud = np.flatnonzero(level > level.max() - _QUIET_DB)
    spoken = rows[loud[0] : loud[-1] + 1]
    cepstra = dct(spoken, type=2, norm="ortho", axis=1)[:, 1 : _CEPSTRA + 1]
    cepstra = cepstra - cepstra.mean(axis=0)
    stride = max(_STRIDE, -(-len(cepstra) // _LONGEST))
    return np.asarray(gaussian_filter1d(cepstra, stride / 3, axis=0)[::stride])


def _learn(clips: Clips, labels: Mapping[str, str], rng: np.random.Generator) -> tuple[Array, Predict]:
    """Keep some clips of every sentence."""
    classes = np.unique(list(labels.values()))
    each = int(np.clip(_TEMPLATES // len(classes), 2, 12))
    kept = [i for c in classes for i in rng.permutation([i for i in clips if labels[i] == c])[:each]]
    templates, said = [clips[i] for i in kept], np.array([labels[i] for i in kept])

    def predict(asked: Clips) -> Array:
        rows = []
        for clip in asked.values():
            distance = warped_distances(clip, templates)
            rows.append([-np.sort(distance[said == c])[:_NEAREST].mean() for c in classes])
        return np.asarray(softmax(np.array(rows), axis=1))

    return classes, predict
