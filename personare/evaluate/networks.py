"""Small networks on the shelf of classifiers: what reads pictures and spectrograms, a perceptron, and embeddings."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from scipy.special import softmax
from torch import nn
from torch.nn import functional

from personare.core.types import Array
from personare.evaluate.classifiers import Clips, Predict, Train, numbered, vectors
from personare.learn.loop import seeded, train
from personare.learn.networks import MarginHead, SmallCnn, TableMlp

View = Callable[[Array, np.random.Generator], Array]
"""A prepared clip in, one random view of it out."""


def perceptron(clips: Clips, labels: Mapping[str, str], rng: np.random.Generator) -> tuple[Array, Predict]:
    """Train one hidden layer on vectors (D,) by recording."""
    classes, number = numbered(clips, labels)
    rows, target = torch.from_numpy(vectors(clips)).float(), torch.from_numpy(number)
    with seeded(rng):
        table = TableMlp(features=rows.shape[1], width=64, dropout=0.3)
        net = nn.Sequential(table, nn.Linear(64, len(classes)))
        table.scaling.center.copy_(rows.mean(dim=0))
        table.scaling.scale.copy_(rows.std(dim=0).clamp_min(1e-6))

        def draw(rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
            drawn = torch.from_numpy(rng.integers(len(rows), size=64))
            return rows[drawn], target[drawn]

        train(net, draw, functional.cross_entropy, steps=200, rng=rng)

    def predict(asked: Clips) -> Array:
        with torch.inference_mode():
            return np.asarray(softmax(net(torch.from_numpy(vectors(asked)).float()).numpy(), axis=1))

    return classes, predict


def _balanced(
    clips: Sequence[Array], number: Array, view: View, size: int
) -> Callable[[np.random.Generator], tuple[torch.Tensor, torch.Tensor]]:
    """Return what draws a batch of random views: classes, not clips, so that rare ones count as much."""
    of_class = [np.flatnonzero(number == k) for k in range(number.max() + 1)]

    def draw(rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        which = rng.integers(len(of_class), size=size)
        views = [view(clips[int(rng.choice(of_class[k]))], rng) for k in which]
        return torch.from_numpy(np.stack(views)), torch.from_numpy(which)

    return draw


def cnn(view: View, views: Callable[[Array], Array], steps: int) -> Train:
    """Return what trains a small network on random views (1, H, W) of prepared clips.

    What it says of all ``views`` of a clip, (V, 1, H, W), is averaged.
    """

    def learn(clips: Clips, labels: Mapping[str, str], rng: np.random.Generator) -> tuple[Array, Predict]:
        classes, number = numbered(clips, labels)

        def loss(scores: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            return functional.cross_entropy(scores, target, label_smoothing=0.1)

        with seeded(rng):
            net = SmallCnn(channels=1, outputs=len(classes), width=16)
            draw = _balanced(list(clips.values()), number, view, 32)
            train(net, draw, loss, steps=steps, rng=rng)

        def predict(asked: Clips) -> Array:
            with torch.no_grad():
                scores = [net(torch.from_numpy(views(clip))).numpy().mean(axis=0) for clip in asked.values()]
            return np.asarray(softmax(np.stack(scores), axis=1))

        return classes, predict

    return learn


def embedding(
    network: Callable[[], nn.Module],
    clips: Sequence[Array],
    number: Array,
    view: View,
    *,
    width: int,
    batch: int,
    steps: int,
    learning_rate: float = 3e-3,
    rng: np.random.Generator,
) -> nn.Module:
    """Return a network trained on random views to put people apart in ``width`` dimensions, by an angular margin."""
    with seeded(rng):
        net, head = network(), MarginHead(embedding=width, people=int(number.max()) + 1)
        net.add_module("margin_head", head)  # so that both are trained
        draw = _balanced(clips, number, view, batch)
        train(net, draw, head.loss, steps=steps, learning_rate=learning_rate, rng=rng)
    return net
