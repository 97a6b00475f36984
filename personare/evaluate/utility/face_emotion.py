"""Reads the emotion from the face: from its motion, and from the picture itself."""

from dataclasses import dataclass, replace
from typing import ClassVar

import cv2
import numpy as np

from personare.core.options import check_options
from personare.core.types import Array, Batch, Result
from personare.evaluate.classifiers import Kernel, Train, discriminant, svm
from personare.evaluate.clips import evenly, expressive_motion
from personare.evaluate.reading import Task, read_and_measure

__all__ = ["FaceEmotion"]


@dataclass(frozen=True, kw_only=True)
class FaceEmotion:
    """Readers of blendshapes over time (plain, and used to each face) and of gradients in the picture.

    Where no face can be counts in a release the readers of motion have nothing to read, and say so; the reader of
    pictures still looks where the face was.

    **Guarantee**: no reader was trained on the person that it reads.

    **Source**: histograms of oriented gradients after N. Dalal, B. Triggs, CVPR 2005; kernel classifiers and the
    statistics of motion are ours.
    """

    modality: ClassVar[str] = "video"
    views: ClassVar[tuple[str, ...]] = ("blendshapes", "crops")

    label: str = "emotion"  # what is read: a column of the table
    kind: str = ""  # ``nominal``, ``ordinal`` or ``continuous``; empty to tell from the values
    folds: int = 6  # in how many groups people are left out; up to eight people, each alone
    pictures: int = 6  # how many of a clip's pictures are looked at

    def __post_init__(self) -> None:
        check_options(self, folds=2, pictures=1)

    def __call__(self, original: Batch, released: Batch, *, rng: np.random.Generator) -> list[Result]:
        """Measure what both kinds of reader read in ``blendshapes`` (F, 52) and ``crops`` (F, H, W, 3)."""
        pictures = Task(view="crops", folds=self.folds, label=self.label, kind=self.kind)
        motion = replace(pictures, view="blendshapes", describe=expressive_motion)
        readers: dict[str, tuple[Task, Train]] = {
            "face_emotion_motion": (motion, svm()),
            "face_emotion_adapted": (replace(motion, adapt=True), discriminant()),
            "face_emotion_pixels": (pictures, Kernel(describe=self._pictures)),
        }
        return read_and_measure(original, released, readers, rng=rng)

    def _pictures(self, clip: Array) -> list[Array]:
        """Return gradients (mean and change over the clip) and a small grey picture."""
        pictures = evenly(clip, self.pictures)
        grey = np.stack([cv2.cvtColor(np.ascontiguousarray(p), cv2.COLOR_RGB2GRAY) for p in pictures])
        gradients = np.stack([_gradients(p) for p in grey])
        small = np.stack([cv2.resize(p, (16, 16), interpolation=cv2.INTER_AREA) for p in grey]).astype(float)
        light = np.concatenate([small.mean(axis=0).ravel(), small.std(axis=0).ravel()])
        return [np.concatenate([gradients.mean(axis=0), gradients.std(axis=0)]), light - light.mean()]


def _gradients(grey: Array) -> Array:
    """Return histograms of 8 directions in 8 x 8 cells, each cell to length 1, (512,)."""
    dx = cv2.Sobel(grey, cv2.CV_32F, 1, 0)
    dy = cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    strength = np.hypot(dx, dy)
    direction = (np.arctan2(dy, dx) % np.pi / np.pi * 8).astype(int) % 8
    rows, columns = (np.arange(size) * 8 // size for size in grey.shape)
    cell = rows[:, None] * 8 + columns
    counts = np.bincount((cell * 8 + direction).ravel(), strength.ravel(), minlength=512).reshape(64, 8)
    return np.asarray(counts / (np.linalg.norm(counts, axis=1, keepdims=True) + 16.0)).ravel()
