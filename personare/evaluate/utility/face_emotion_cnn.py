"""Reads the emotion from pictures of the face with a small convolutional network."""

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from personare.core.options import check_options
from personare.core.types import Array, Batch, Result
from personare.evaluate.clips import evenly
from personare.evaluate.networks import cnn
from personare.evaluate.reading import Task, read_and_measure

__all__ = ["FaceEmotionCnn"]

_SIZE = 48
_PICTURES = 6


@dataclass(frozen=True, kw_only=True)
class FaceEmotionCnn:
    """A reader that looks where the face is, trained anew for every fold.

    **Guarantee**: no reader was trained on the person that it reads.

    **Source**: ours, the role of the 2024 USC pipeline's off-the-shelf reader; trained on this cohort.
    """

    modality: ClassVar[str] = "video"
    views: ClassVar[tuple[str, ...]] = ("crops",)

    label: str = "emotion"  # what is read: a column of the table
    kind: str = ""  # ``nominal``, ``ordinal`` or ``continuous``; empty to tell from the values
    folds: int = 4  # in how many groups people are left out; up to eight people, each alone
    steps: int = 200  # batches of training; the same for originals and releases

    def __post_init__(self) -> None:
        check_options(self, folds=2, steps=2)

    def __call__(self, original: Batch, released: Batch, *, rng: np.random.Generator) -> list[Result]:
        """Measure what both kinds of reader read in ``crops`` (F, H, W, 3) uint8."""
        task = Task(view="crops", folds=self.folds, label=self.label, kind=self.kind, describe=_ready)
        reader = cnn(_picture, lambda clip: clip[:, None], self.steps)  # (F, 1, size, size)
        return read_and_measure(original, released, {"face_emotion_cnn": (task, reader)}, rng=rng)


def _ready(clip: Array) -> Array:
    """Return grey pictures (F, size, size), each with mean 0 and spread 1: light and skin are not the expression."""
    grey = [cv2.cvtColor(np.ascontiguousarray(p), cv2.COLOR_RGB2GRAY) for p in evenly(clip, _PICTURES)]
    small = np.stack([cv2.resize(p, (_SIZE, _SIZE), interpolation=cv2.INTER_AREA) for p in grey]).astype(np.float32)
    level = np.maximum(small.std(axis=(1, 2), keepdims=True), 1.0)
    return np.asarray((small - small.mean(axis=(1, 2), keepdims=True)) / level, dtype=np.float32)


def _picture(clip: Array, rng: np.random.Generator) -> Array:
    """One picture of the clip, perhaps mirrored, shifted by up to three pixels."""
    picture = clip[int(rng.integers(len(clip)))]
    picture = picture[:, ::-1] if rng.random() < 0.5 else picture
    return np.ascontiguousarray(np.roll(picture, rng.integers(-3, 4, size=2), axis=(0, 1))[None])
