"""Asks of models whether a recording, or a person, was in their training data: what every membership attack needs.

Many models are trained, each on a random half of one pool. Each in turn is the target; the attacker holds the others
(shadows) and knows what those were trained on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from scipy.special import log_softmax, logsumexp
from scipy.stats import trim_mean

from personare.core.errors import DataError, OptionError
from personare.core.types import Array

__all__ = ["Membership", "Scores", "Signals", "attack_people", "attack_recordings", "split_halves"]


@dataclass(frozen=True, kw_only=True)
class Signals:
    """What models answered about one pool of recordings, and which of them each model had learned from.

    Attributes:
        logits: (M, N, C) of M models; logarithms of probabilities serve as well (see ``of_probabilities``).
        inside: (M, N) bool, whether a model was trained on a recording.
        labels: (N,) int, the true classes.
        subjects: (N,) whose recording it is.
        population: (N,) bool, recordings that no model saw and that the attacker knows as such; they are looked at,
            never scored. None where there are none.

    Example:
        >>> shape = np.zeros((4, 6, 2))
        >>> halves = split_halves(np.arange(6), 4, rng=np.random.default_rng(0))
        >>> s = Signals(logits=shape, inside=halves, labels=np.zeros(6, int), subjects=np.arange(6))
        >>> s.confidence.shape
        (4, 6)
    """

    logits: Array
    inside: Array
    labels: Array
    subjects: Array
    population: Array | None = None

    def __post_init__(self) -> None:
        """Check that everything is about the same models and recordings."""
        models, recordings = self.inside.shape
        if self.logits.shape[:2] != (models, recordings) or self.inside.dtype != bool:
            raise DataError(
                f"Signals need logits (models, recordings, classes) and inside (models, recordings) of bool, given "
                f"{self.logits.shape} and {self.inside.shape} {self.inside.dtype}."
            )
        if len(self.labels) != recordings or len(self.subjects) != recordings or self.logits.shape[2] < 2:
            raise DataError(
                f"Signals of {recordings} recordings need as many labels and subjects, and at least two classes; given "
                f"{len(self.labels)}, {len(self.subjects)} and {self.logits.shape[2]}."
            )
        if not np.isfinite(self.logits).all():
            raise DataError(
                "Signals need finite logits: NaN or infinite ones were given. Use Signals.of_probabilities."
            )
        if self.population is not None and self.inside[:, self.population].any():
            raise DataError("Recordings of the population must be in no model's training data.")

    @classmethod
    def of_probabilities(cls, probabilities: Array, inside: Array, labels: Array, subjects: Array) -> "Signals":
        """Return the signals of (M, N, C) probabilities; 0 counts as 1e-30."""
        logits = np.log(np.maximum(probabilities.astype(float), 1e-30))
        return cls(logits=logits, inside=inside, labels=labels, subjects=subjects)

    @cached_property
    def log_probabilities(self) -> Array:
        """(M, N, C) logarithms."""
        return np.asarray(log_softmax(self.logits.astype(float), axis=2))

    @cached_property
    def log_likelihood(self) -> Array:
        """(M, N) logarithm of the true class's probability: minus the loss."""
        return np.asarray(self.log_probabilities[:, np.arange(len(self.labels)), self.labels])

    @cached_property
    def confidence(self) -> Array:
        """(M, N) log p_y - log of the sum of the others: the loss stretched until it looks Gaussian."""
        others = self.log_probabilities.copy()
        others[:, np.arange(len(self.labels)), self.labels] = -np.inf
        return np.asarray(self.log_likelihood - logsumexp(others, axis=2))

    @property
    def asked(self) -> Array:
        """(N,) bool, the recordings whose membership is asked."""
        return ~self.population if self.population is not None else np.ones(len(self.labels), dtype=bool)

    def evened(self, used: Array) -> Array:
        """Return which shadow models to use for each recording so that their number is the same for all asked about.

        Where everybody is in exactly half of all models, whoever is in the target is in one fewer of the others: a
        score that depends on that number would answer from the audit's design, not from the model.

        Args:
            used: (K, N) bool, shadow models that qualify.
        """
        fewest = used[:, self.asked].sum(axis=0).min(initial=len(used))
        return np.asarray(used & (used.cumsum(axis=0) <= fewest))

    def shadows(self, target: int) -> Array:
        """Return the positions of the other models."""
        return np.delete(np.arange(len(self.inside)), target)


class Membership(Protocol):
    """A membership attack. It never looks at ``signals.inside[target]``: that is what it must find out."""

    def __call__(self, signals: Signals, target: int) -> Array:
        """Return a finite score for each recording, (N,); higher = more likely in the target's training data."""
        ...


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What an attack said about many (model, recording) or (model, person) pairs.

    Attributes:
        scores: (K,) higher = more likely inside.
        inside: (K,) bool, the truth.
        person: (K,) whom it is about; resampled for intervals.
    """

    scores: Array
    inside: Array
    person: Array


def split_halves(units: Array, models: int, *, rng: np.random.Generator) -> Array:
    """Return which model learns from which recording: every unit is in exactly half of the models.

    Every model learns from half of the units too, however few there are. Models do not come as complements of each
    other: a target's complement would tell what it knows.

    Args:
        units: (N,) what stays together: recording ids, or subjects to keep each person's recordings together.
        models: M, even.
        rng: Draws the halves, for every unit by itself.

    Returns:
        (M, N) bool.

    Raises:
        OptionError: An odd number of models.

    Example:
        >>> split_halves(np.array(["a", "a", "b"]), 4, rng=np.random.default_rng(0)).sum(axis=0).tolist()
        [2, 2, 2]
    """
    if models < 2 or models % 2:
        raise OptionError(f"Halves need an even number of models, at least 2; given {models}.")
    _, index = np.unique(units, return_inverse=True)
    rank = rng.random((models, index.max(initial=-1) + 1)).argsort(axis=0).argsort(axis=0)
    inside = rank < models // 2
    sizes = inside.sum(axis=1)
    while np.ptp(sizes) > 1:  # the fullest gives some of what the emptiest lacks: units stay in as many models
        full, empty = int(sizes.argmax()), int(sizes.argmin())
        moved = rng.choice(np.flatnonzero(inside[full] & ~inside[empty]), (sizes[full] - sizes[empty]) // 2, False)
        inside[full, moved], inside[empty, moved] = False, True
        sizes = inside.sum(axis=1)
    return np.asarray(inside[:, index])


def attack_recordings(attack: Membership, signals: Signals) -> Scores:
    """Return the attack's scores of every recording, with each model in turn as the target."""
    asked = signals.asked
    found = [np.asarray(attack(signals, m))[asked] for m in range(len(signals.inside))]
    return Scores(
        scores=np.concatenate(found),
        inside=signals.inside[:, asked].ravel(),
        person=np.tile(signals.subjects[asked], len(found)),
    )


def attack_people(attack: Membership, signals: Signals, *, trim: float = 0.0) -> Scores:
    """Return the attack's scores of every person: the mean over the person's recordings.

    Args:
        attack: A membership attack on recordings.
        signals: Of models trained on whole people.
        trim: Share of each person's recordings left out at either end, below one half.

    Raises:
        DataError: A model was trained on some recordings of a person and not on others.

    **Source**: J. Tao, R. Shokri, "Range membership inference attacks", 2024 (arXiv 2408.05131), with all recordings of
    a person as the range.
    """
    asked = signals.asked
    people, index = np.unique(signals.subjects[asked], return_inverse=True)
    rows: Mapping[int, Array] = {p: np.flatnonzero(index == p) for p in range(len(people))}
    inside = signals.inside[:, asked]
    mixed = [p for p in rows if (inside[:, rows[p]] != inside[:, rows[p][:1]]).any()]
    if mixed:
        raise DataError(
            f"a person is in a model or not, but {len(mixed)} of {len(people)} people are in one with "
            "some of their recordings only. Draw the halves by subject."
        )
    found = []
    for m in range(len(inside)):
        scores = np.asarray(attack(signals, m))[asked]
        found.append(np.array([trim_mean(scores[rows[p]], trim) for p in rows]))
    first = np.array([rows[p][0] for p in rows])
    return Scores(scores=np.concatenate(found), inside=inside[:, first].ravel(), person=np.tile(people, len(found)))
