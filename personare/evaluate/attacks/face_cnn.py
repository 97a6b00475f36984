"""Names the person with a small convolutional network trained on the cohort's pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
import torch

from personare.core.options import check_options
from personare.core.types import Array
from personare.evaluate.classifiers import Clips, Cosine, numbered, unit
from personare.evaluate.clips import evenly
from personare.evaluate.networks import embedding
from personare.learn.networks import SmallCnn

__all__ = ["FaceCnn"]

_PICTURES = 8
_WIDTH = 64  # of the embedding


@dataclass(frozen=True, kw_only=True)
class FaceCnn:
    """Learns an embedding of faces with an angular margin, then compares clips by cosine with each person's mean.

    The role of the VGG16 in the 2024 USC pipeline, but trained on people, held to a self-test, and retrained.

    **Guarantee**: what it says of a recording depends on that recording and on what was enrolled, not on other tests.

    **Source**: J. Deng et al., "ArcFace", CVPR 2019 (the margin); the network is ours.
    """

    question: ClassVar = "identify"
    modality: ClassVar[str] = "video"
    views: ClassVar[tuple[str, ...]] = ("crops", "frames")

    steps: int = 250  # batches of training; the same for originals and releases
    batch: int = 32  # pictures a batch
    size: int = 48  # side of the pictures, pixels
    width: int = 16  # channels of the first layer

    def __post_init__(self) -> None:
        check_options(self, steps=2, batch=2, size=16, width=1)

    def fit(self, clips: Clips, subjects: Mapping[str, str], *, rng: np.random.Generator) -> Cosine:
        """Train the network to tell the people of pictures (F, H, W, 3) uint8 apart."""
        ready = [_ready(clip, self.size) for clip in clips.values()]
        number = np.repeat(numbered(clips, subjects)[1], [len(r) for r in ready])
        pictures = np.concatenate(ready)  # (N, 3, size, size)
        mean, spread = pictures.mean(axis=0), pictures.std() + 1e-3

        def network() -> SmallCnn:
            return SmallCnn(channels=3, outputs=_WIDTH, width=self.width)

        seen = (pictures - mean) / spread
        net = embedding(network, seen, number, _varied, width=_WIDTH, batch=self.batch, steps=self.steps, rng=rng)

        def embed(asked: Clips) -> Array:
            with torch.no_grad():
                return np.stack(
                    [
                        unit(net(torch.from_numpy((_ready(clip, self.size) - mean) / spread)).numpy()).mean(axis=0)
                        for clip in asked.values()
                    ]
                )

        return Cosine(embed=embed)


def _ready(clip: Array, size: int) -> Array:
    pictures = [cv2.resize(p, (size, size), interpolation=cv2.INTER_AREA) for p in evenly(clip, _PICTURES)]
    return np.stack(pictures).astype(np.float32).transpose(0, 3, 1, 2) / 255  # (F, 3, size, size)


def _varied(picture: Array, rng: np.random.Generator) -> Array:
    """Mirror the picture or not, shift it by up to two pixels, change its light a little."""
    picture = picture[:, :, ::-1] if rng.random() < 0.5 else picture
    shifted = np.roll(picture, rng.integers(-2, 3, size=2), axis=(1, 2))
    return np.asarray(shifted * (1 + 0.1 * rng.standard_normal()), dtype=np.float32)
