"""Small networks on the shelf of classifiers: what reads pictures and spectrograms, and a perceptron."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import softmax
from torch import nn
from torch.nn import functional

from personare.core.types import Array
from personare.evaluate.classifiers import Clips, Predict, numbered, vectors
from personare.learn.loop import seeded, train
from personare.learn.networks import SmallCnn, TableMlp


@dataclass(frozen=True, kw_only=True)
class Perceptron:
    """A small network with one hidden layer of ``width``."""

    width: int = 64
    steps: int = 200

    def __call__(self, clips: Clips, labels: Mapping[str, str], rng: np.random.Generator) -> tuple[Array, Predict]:
        """Train on vectors (D,) by recording."""
        classes, number = numbered(clips, labels)
        rows, target = torch.from_numpy(vectors(clips)).float(), torch.from_numpy(number)
        with seeded(rng):
            table = TableMlp(features=rows.shape[1], width=self.width, dropout=0.3)
            net = nn.Sequential(table, nn.Linear(self.width, len(classes)))
            table.scaling.center.copy_(rows.mean(dim=0))
            table.scaling.scale.copy_(rows.std(dim=0).clamp_min(1e-6))

            def draw(rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
                chosen = torch.from_numpy(rng.integers(len(rows), size=64))
                return rows[chosen], target[chosen]

            train(net, draw, functional.cross_entropy, steps=self.steps, rng=rng)

        def predict(asked: Clips) -> Array:
            with torch.inference_mode():
                return np.asarray(softmax(net(torch.from_numpy(vectors(asked)).float()).numpy(), axis=1))

        return classes, predict


@dataclass(frozen=True, kw_only=True)
class CnnReader:
    """Trains a small network on random views of clips and averages what it says of a clip's views."""

    varied: Callable[[Array, np.random.Generator], Array]  # a prepared clip in, one random view (1, H, W) out
    views: Callable[[Array], Array]  # a prepared clip in, the views (V, 1, H, W) that are averaged out
    steps: int  # batches of 32 views; the same for originals and releases

    def __call__(self, clips: Clips, labels: Mapping[str, str], rng: np.random.Generator) -> tuple[Array, Predict]:
        """Train on prepared clips by recording."""
        classes, target = numbered(clips, labels)
        arrays = list(clips.values())
        by_class = [np.flatnonzero(target == c) for c in range(len(classes))]

        def draw(rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
            which = rng.integers(len(classes), size=32)  # classes, not clips: rare ones count as much
            chosen = [self.varied(arrays[int(rng.choice(by_class[c]))], rng) for c in which]
            return torch.from_numpy(np.stack(chosen)), torch.from_numpy(which)

        def loss(scores: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            return functional.cross_entropy(scores, target, label_smoothing=0.1)

        with seeded(rng):
            net = SmallCnn(channels=1, outputs=len(classes), width=16)
            train(net, draw, loss, steps=self.steps, rng=rng)

        def predict(asked: Clips) -> Array:
            with torch.no_grad():
                found = [net(torch.from_numpy(self.views(clip))).numpy().mean(axis=0) for clip in asked.values()]
            return np.asarray(softmax(np.stack(found), axis=1))

        return classes, predict
