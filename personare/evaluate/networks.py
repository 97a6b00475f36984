"""Small convolutional readers of behavior, as two measures need them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import softmax
from torch.nn import functional

from personare.core.types import Array
from personare.evaluate.reading import Clips, Predict
from personare.learn.loop import Budget, seeded, train
from personare.learn.networks import SmallCnn

__all__ = ["CnnReader"]


@dataclass(frozen=True, kw_only=True)
class CnnReader:
    """Trains a small network on random views of clips and averages what it says of a clip's views.

    Attributes:
        channels: Of a view.
        varied: A prepared clip and a generator in, one random view (channels, H, W) out.
        views: A prepared clip in, the views (V, channels, H, W) that are averaged out.
        steps: Batches of training; the same for originals and releases.
        batch: Views a batch.
        width: Channels of the first layer.
    """

    channels: int
    varied: Callable[[Array, np.random.Generator], Array]
    views: Callable[[Array], Array]
    steps: int
    batch: int = 32
    width: int = 16

    def __call__(self, clips: Clips, labels: Mapping[str, str], rng: np.random.Generator) -> tuple[Array, Predict]:
        """Train on prepared clips by recording."""
        classes, target = np.unique([labels[i] for i in clips], return_inverse=True)
        arrays = list(clips.values())
        by_class = [np.flatnonzero(target == c) for c in range(len(classes))]

        def draw(rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
            which = rng.integers(len(classes), size=self.batch)  # classes, not clips: rare ones count as much
            chosen = [self.varied(arrays[int(rng.choice(by_class[c]))], rng) for c in which]
            return torch.from_numpy(np.stack(chosen)), torch.from_numpy(which)

        with seeded(rng):
            net = SmallCnn(channels=self.channels, outputs=len(classes), width=self.width)
            loss = _smoothed
            train(net, draw, loss, budget=Budget(steps=self.steps), rng=rng)

        def predict(asked: Clips) -> Array:
            with torch.no_grad():
                found = [net(torch.from_numpy(self.views(clip))).numpy().mean(axis=0) for clip in asked.values()]
            return np.asarray(softmax(np.stack(found), axis=1))

        return classes, predict


def _smoothed(scores: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(scores, target, label_smoothing=0.1)
