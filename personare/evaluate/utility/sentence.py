"""Reads which sentence was said: where sentences repeat, this stands in for the word error rate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.fft import dct
from scipy.ndimage import gaussian_filter1d
from scipy.special import softmax

from personare.core.options import check_options
from personare.core.types import Array, Batch, Result
from personare.evaluate.classifiers import Clips, Predict
from personare.evaluate.reading import Task, read_and_measure

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

    **Source**: H. Sakoe, S. Chiba, "Dynamic programming algorithm optimization for spoken word recognition", IEEE TASSP
    26(1), 1978; as a stand-in for word errors ours. It says nothing of sentences that nobody else said.
    """

    modality: ClassVar[str] = "audio"
    views: ClassVar[tuple[str, ...]] = ("logmel",)

    folds: int = 6  # in how many groups people are left out; up to eight people, each alone

    def __post_init__(self) -> None:
        check_options(self, folds=2)

    def __call__(self, original: Batch, released: Batch, *, rng: np.random.Generator) -> list[Result]:
        """Measure what both kinds of reader read in ``logmel`` (T, 64) in dB."""
        task = Task(view="logmel", label="sentence", folds=self.folds, describe=_course)
        return read_and_measure(original, released, {"sentence": (task, _learn)}, rng=rng)


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
    templates, sentences = [clips[i] for i in kept], np.array([labels[i] for i in kept])

    def predict(asked: Clips) -> Array:
        rows = []
        for clip in asked.values():
            distance = warped_distances(clip, templates)
            rows.append([-np.sort(distance[sentences == c])[:_NEAREST].mean() for c in classes])
        return np.asarray(softmax(np.array(rows), axis=1))

    return classes, predict


def warped_distances(clip: Array, templates: Sequence[Array]) -> Array:
    """Return how far a clip (T, D) is from each of M templates (their own T, D) when both may be stretched.

    (M,) mean Euclidean distance along the best path, steps of one in either or both directions.
    """
    lengths = np.array([len(t) for t in templates])
    padded = np.zeros((len(templates), lengths.max(), clip.shape[1]))
    for row, template in zip(padded, templates, strict=True):
        row[: len(template)] = template
    square = (clip**2).sum(axis=1)[:, None] + (padded**2).sum(axis=2)[:, None]  # (M, T, S)
    local = np.sqrt(np.maximum(square - 2 * np.einsum("td,msd->mts", clip, padded, optimize=True), 0))
    count, rows, columns = local.shape
    # diagonals of constant row + column depend on the two before them only: all pairs advance together
    last, before = np.full((2, count, rows), np.inf)
    end = np.full((count, columns), np.inf)  # the cost of the best path to the clip's last row
    for diagonal in range(rows + columns - 1):
        index = np.arange(max(0, diagonal - columns + 1), min(rows, diagonal + 1))
        here = local[:, index, diagonal - index]
        reach = np.zeros((count, 1))
        if diagonal:
            first = np.where(index > 0, 0, np.inf)  # nothing comes before the first row
            up, slant = (passed[:, np.maximum(index - 1, 0)] + first for passed in (last, before))
            # a slanted step passes two cells' worth of time, so it costs twice
            reach = np.minimum(np.minimum(up, last[:, index]), slant + here)
        now = np.full((count, rows), np.inf)
        now[:, index] = here + reach
        if index[-1] == rows - 1:
            end[:, diagonal - rows + 1] = now[:, rows - 1]
        before, last = last, now
    return np.asarray(end[np.arange(count), lengths - 1] / (rows + lengths))
