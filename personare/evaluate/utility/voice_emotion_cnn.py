"""Reads the emotion from the spectrogram of the voice with a small convolutional network."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from personare.core.options import check_options
from personare.core.types import Array, Batch, Result
from personare.evaluate.clips import audible, looped
from personare.evaluate.networks import cnn
from personare.evaluate.reading import Task, read_and_measure

__all__ = ["VoiceEmotionCnn"]

_WINDOW = 96  # frames of 20 ms


@dataclass(frozen=True, kw_only=True)
class VoiceEmotionCnn:
    """A reader that sees time and frequency, trained anew for every fold.

    **Guarantee**: no reader was trained on the person that it reads.

    **Source**: ours, the role of the 2024 USC pipeline's neural reader; trained on this cohort instead of another.
    """

    modality: ClassVar[str] = "audio"
    views: ClassVar[tuple[str, ...]] = ("logmel",)

    label: str = "emotion"  # what is read: a column of the table
    kind: str = ""  # ``nominal``, ``ordinal`` or ``continuous``; empty to tell from the values
    folds: int = 4  # in how many groups people are left out; up to eight people, each alone
    steps: int = 200  # batches of training; the same for originals and releases

    def __post_init__(self) -> None:
        check_options(self, folds=2, steps=2)

    def __call__(self, original: Batch, released: Batch, *, rng: np.random.Generator) -> list[Result]:
        """Measure what both kinds of reader read in ``logmel`` (T, bands) in dB."""
        task = Task(view="logmel", folds=self.folds, label=self.label, kind=self.kind, describe=_ready)
        reader = cnn(_window, _windows, self.steps)
        return read_and_measure(original, released, {"voice_emotion_cnn": (task, reader)}, rng=rng)


def _ready(clip: Array) -> Array:
    rows = looped(audible(clip), 2 * _WINDOW)
    rows = rows[: len(rows) // 2 * 2].reshape(-1, 2, rows.shape[1]).mean(axis=1)  # 20 ms: half the work
    return np.asarray((rows - rows.mean()) / 15.0, dtype=np.float32)


def _window(clip: Array, rng: np.random.Generator) -> Array:
    """Cut a window out, shift it by up to two bands, hide a stripe of bands."""
    start = int(rng.integers(len(clip) - _WINDOW + 1))
    view = np.roll(clip[start : start + _WINDOW], int(rng.integers(-2, 3)), axis=1)
    low = int(rng.integers(view.shape[1]))
    view[:, low : low + 6] = 0.0
    return np.ascontiguousarray(view.T[None])  # (1, bands, frames)


def _windows(clip: Array) -> Array:
    starts = np.unique(np.linspace(0, len(clip) - _WINDOW, 3).astype(int))
    return np.stack([np.ascontiguousarray(clip[s : s + _WINDOW].T[None]) for s in starts])
