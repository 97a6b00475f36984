"""Fresh attackers who name people by one row of numbers a recording, each in the shape of ``reading.Train``."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from personare.core.types import Array
from personare.evaluate.people import unit
from personare.evaluate.reading import Clips, Predict
from personare.learn.loop import Budget, seeded, train
from personare.learn.networks import TableMlp

__all__ = ["Centroids", "Neighbors", "Perceptron"]


def _rows(clips: Clips) -> Array:
    return np.stack([np.asarray(clip, dtype=float) for clip in clips.values()])


def _numbered(clips: Clips, labels: Mapping[str, str]) -> tuple[Array, Array]:
    classes, number = np.unique([labels[i] for i in clips], return_inverse=True)
    return classes, number


@dataclass(frozen=True, kw_only=True)
class Neighbors:
    """Asks the nearest recordings, each weighing more the nearer it is.

    Attributes:
        count: How many.
    """

    count: int = 15

    def __call__(self, clips: Clips, labels: Mapping[str, str], rng: np.random.Generator) -> tuple[Array, Predict]:
        """Remember vectors (D,) by recording."""
        classes, number = _numbered(clips, labels)
        nearest = KNeighborsClassifier(min(self.count, len(clips)), weights="distance")
        model = make_pipeline(StandardScaler(), nearest).fit(_rows(clips), number)
        return classes, lambda asked: np.asarray(model.predict_proba(_rows(asked)))


@dataclass(frozen=True, kw_only=True)
class Perceptron:
    """A small network with one hidden layer.

    Attributes:
        width: Of the layer.
        steps: How long it learns.
    """

    width: int = 64
    steps: int = 200

    def __call__(self, clips: Clips, labels: Mapping[str, str], rng: np.random.Generator) -> tuple[Array, Predict]:
        """Train on vectors (D,) by recording."""
        classes, number = _numbered(clips, labels)
        rows, target = torch.from_numpy(_rows(clips)).float(), torch.from_numpy(number)
        with seeded(rng):
            table = TableMlp(features=rows.shape[1], width=self.width, dropout=0.3)
            net = nn.Sequential(table, nn.Linear(self.width, len(classes)))
            table.center.copy_(rows.mean(dim=0))
            table.scale.copy_(rows.std(dim=0).clamp_min(1e-6))

            def draw(rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
                chosen = torch.from_numpy(rng.integers(len(rows), size=64))
                return rows[chosen], target[chosen]

            train(net, draw, nn.functional.cross_entropy, budget=Budget(steps=self.steps), rng=rng)

        def predict(asked: Clips) -> Array:
            with torch.inference_mode():
                return np.asarray(softmax(net(torch.from_numpy(_rows(asked)).float()).numpy(), axis=1))

        return classes, predict


@dataclass(frozen=True, kw_only=True)
class Centroids:
    """Learns from other people what makes people differ, and compares recordings there with the mean of each person.

    A linear discriminant space, and cosine in it: what embeddings of voices and faces were long compared with.

    Attributes:
        rows: (N, D) of the other people.
        subjects: (N,) who they are.
    """

    rows: Array
    subjects: Array

    def __call__(self, clips: Clips, labels: Mapping[str, str], rng: np.random.Generator) -> tuple[Array, Predict]:
        """Average the vectors (D,) of each person."""
        _, others = np.unique(self.subjects, return_inverse=True)
        space = make_pipeline(StandardScaler(), LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.1))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Only one sample available")  # of a person; covariances are shrunk
            space.fit(np.asarray(self.rows, dtype=float) + 1e-6 * rng.standard_normal(self.rows.shape), others)
        classes, number = _numbered(clips, labels)
        found = space.transform(_rows(clips))
        people = unit(np.stack([found[number == p].mean(axis=0) for p in range(len(classes))]))
        return classes, lambda asked: np.asarray(softmax(20 * unit(space.transform(_rows(asked))) @ people.T, axis=1))
