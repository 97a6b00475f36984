"""Names the person with a small convolutional network trained on the cohort's pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
import torch

from personare.core.options import check_options
from personare.core.types import Array
from personare.evaluate.classifiers import Clips, Cosine, unit
from personare.evaluate.clips import evenly
from personare.learn.loop import seeded, train
from personare.learn.networks import MarginHead, SmallCnn

__all__ = ["FaceCnn"]

_PICTURES = 8
_EMBEDDING = 64


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
        people, target = np.unique([subjects[i] for i in clips], return_inverse=True)
        pictures = np.concatenate(ready)  # (N, 3, size, size)
        mean, spread = pictures.mean(axis=0), pictures.std() + 1e-3
        owner = np.repeat(target, [len(r) for r in ready])
        by_person = [np.flatnonzero(owner == p) for p in range(len(people))]

        def draw(rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
            who = rng.integers(len(people), size=self.batch)
            chosen = pictures[[int(rng.choice(by_person[p])) for p in who]]
            return torch.from_numpy(_varied((chosen - mean) / spread, rng)), torch.from_numpy(who)

        with seeded(rng):
            net = SmallCnn(channels=3, outputs=_EMBEDDING, width=self.width)
            head = MarginHead(embedding=_EMBEDDING, people=len(people))
            net.add_module("margin_head", head)  # so that both are trained
            train(net, draw, head.loss, steps=self.steps, rng=rng)

        def embed(asked: Clips) -> Array:
            with torch.no_grad():
                found = [net(torch.from_numpy((_ready(c, self.size) - mean) / spread)).numpy() for c in asked.values()]
            return np.stack([unit(rows).mean(axis=0) for rows in found])

        return Cosine(embed=embed)


def _ready(clip: Array, size: int) -> Array:
    pictures = [cv2.resize(p, (size, size), interpolation=cv2.INTER_AREA) for p in evenly(clip, _PICTURES)]
    return np.stack(pictures).astype(np.float32).transpose(0, 3, 1, 2) / 255  # (F, 3, size, size)


def _varied(pictures: Array, rng: np.random.Generator) -> Array:
    """Mirror half of the pictures, shift all by up to two pixels, change their light a little."""
    mirrored = rng.random(len(pictures)) < 0.5
    pictures[mirrored] = pictures[mirrored, :, :, ::-1]
    shifted = np.stack([np.roll(p, rng.integers(-2, 3, size=2), axis=(1, 2)) for p in pictures])
    light = 1 + 0.1 * rng.standard_normal((len(pictures), 1, 1, 1))
    return np.asarray(shifted * light, dtype=np.float32)
