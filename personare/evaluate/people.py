"""Enrollment of people from one or more vectors a clip, as several attacks need it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from personare.core.types import Array
from personare.evaluate.kernels import KernelClassifier, learn_classes

__all__ = ["EmbeddingEnroller", "VectorEnroller", "unit"]

Describe = Callable[[Array], list[Array]]


@dataclass(frozen=True, kw_only=True)
class VectorEnroller:
    """Learns people from vectors with a kernel classifier.

    Attributes:
        describe: One clip in; one or more vectors out.
        standardize: Whether columns get unit variance.
        known: What was described before; the clip is kept beside it so that its ``id`` stays its own.
    """

    describe: Describe
    standardize: bool = True
    known: dict[int, tuple[Array, list[Array]]] = field(default_factory=dict, repr=False, compare=False)

    def enroll(
        self, clips: Mapping[str, Array], subjects: Mapping[str, str], *, rng: np.random.Generator
    ) -> "_Classified":
        """Learn everybody in the clips."""
        labels = [subjects[name] for name in clips]
        classifiers = [learn_classes([rows], labels, standardize=self.standardize) for rows in self.descriptions(clips)]
        return _Classified(describe=self.descriptions, classifiers=classifiers)

    def descriptions(self, clips: Mapping[str, Array]) -> list[Array]:
        """Return each description of all clips, (N, D); a clip is described once, however often it is asked for."""
        for clip in clips.values():
            if id(clip) not in self.known:
                self.known[id(clip)] = (clip, self.describe(clip))
        found = [self.known[id(clip)][1] for clip in clips.values()]
        return [np.stack(rows) for rows in zip(*found, strict=True)]


@dataclass(frozen=True, kw_only=True)
class _Classified:
    describe: Callable[[Mapping[str, Array]], list[Array]]
    classifiers: Sequence[KernelClassifier]

    def __call__(self, clips: Mapping[str, Array]) -> Array:
        """Score clips against everybody enrolled; a description counts as far as it named left-out clips."""
        total = np.zeros((len(clips), len(self.classifiers[0].classes)))
        for classifier, rows in zip(self.classifiers, self.describe(clips), strict=True):
            scores = classifier([rows])
            spread = scores.std(axis=1, keepdims=True)
            belief = max(classifier.loo_accuracy - 1 / scores.shape[1], 1e-3) ** 2
            total += belief * (scores - scores.mean(axis=1, keepdims=True)) / np.where(spread > 1e-12, spread, np.inf)
        return total


@dataclass(frozen=True, kw_only=True)
class EmbeddingEnroller:
    """Remembers the mean direction of each person's embeddings.

    Attributes:
        embed: Clips in; (N, D) embeddings out.
    """

    embed: Callable[[Mapping[str, Array]], Array]

    def enroll(self, clips: Mapping[str, Array], subjects: Mapping[str, str], *, rng: np.random.Generator) -> "_Cosine":
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
