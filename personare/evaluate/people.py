"""Enrollment of people from one or more vectors a clip, as several attacks need it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from personare.core.types import Array
from personare.evaluate.kernels import KernelClassifier, learn_classes

__all__ = ["EmbeddingEnroller", "VectorEnroller", "unit"]

Describe = Callable[[Mapping[str, Array]], list[Array]]


@dataclass(frozen=True, kw_only=True)
class VectorEnroller:
    """Learns people from vectors with a kernel classifier.

    Attributes:
        describe: Clips in; one or more descriptions out, each (N, D).
        standardize: Whether columns get unit variance.
    """

    describe: Describe
    standardize: bool = True

    def enroll(
        self, clips: Mapping[str, Array], subjects: Mapping[str, str], *, rng: np.random.Generator
    ) -> "_Classified":
        """Learn everybody in the clips."""
        labels = [subjects[name] for name in clips]
        classifier = learn_classes(self.describe(clips), labels, standardize=self.standardize)
        return _Classified(describe=self.describe, classifier=classifier)


@dataclass(frozen=True, kw_only=True)
class _Classified:
    describe: Describe
    classifier: KernelClassifier

    def __call__(self, clips: Mapping[str, Array]) -> Array:
        """Score clips against everybody enrolled."""
        return self.classifier(self.describe(clips))


@dataclass(frozen=True, kw_only=True)
class EmbeddingEnroller:
    """Remembers the mean direction of each person's embeddings.

    Attributes:
        embed: Clips in; (N, D) embeddings out.
    """

    embed: Callable[[Mapping[str, Array]], Array]

    def enroll(
        self, clips: Mapping[str, Array], subjects: Mapping[str, str], *, rng: np.random.Generator
    ) -> "_Cosine":
        """Average each person's clips."""
        found = unit(self.embed(clips))
        labels = np.array([subjects[name] for name in clips])
        people = np.unique(labels)
        return _Cosine(embed=self.embed, people=unit(np.stack([found[labels == p].mean(axis=0) for p in people])))


@dataclass(frozen=True, kw_only=True)
class _Cosine:
    embed: Callable[[Mapping[str, Array]], Array]
    people: Array  # (P, D)

    def __call__(self, clips: Mapping[str, Array]) -> Array:
        """Score clips by cosine."""
        return np.asarray(unit(self.embed(clips)) @ self.people.T)


def unit(rows: Array) -> Array:
    """Return rows of length 1."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12))
