"""The means of classes from people who are protected, over directions and variances of people who are not."""

import math
from dataclasses import dataclass, replace

import numpy as np

from personare.core.errors import DataError
from personare.core.types import Array, Spend
from personare.learn.effects import Effects
from personare.learn.privacy import PrivacyPlan

__all__ = ["PrivateMeans"]


@dataclass(frozen=True, kw_only=True)
class PrivateMeans:
    """Moves public effects to the means of a private group, for one noised sum over people.

    Each person gives one row: the mean of the recordings, the difference of each class from it, and which classes
    there are, along the few directions in which public people and classes differ most. Everything else (the variances
    of people and of moments, and all other directions) stays that of the public people: a covariance costs far more.

    **Guarantee**: what comes out is (epsilon, delta)-differentially private for each person.

    Attributes:
        epsilon: Bound.
        delta: Chance that it fails.
        directions: How many.
        clip: Longest row of one person, per root of its numbers, in deviations of a moment.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> who, labels = np.repeat(np.arange(200), 4), np.tile([0, 1], 400)
        >>> rows = rng.standard_normal((800, 3)) + labels[:, None] * [2.0, 0, 0]
        >>> public = Effects.of(rows[:80], labels[:80], who[:80], classes=2)
        >>> private = PrivateMeans(epsilon=4.0, delta=1e-4, directions=2)
        >>> effects, spend = private.move(public, rows + 1, labels, who, rng=rng)
        >>> bool(abs(effects.means.mean(axis=0) - [2, 1, 1])[0] < 0.5), spend.epsilon <= 4.0
        (True, True)
    """

    epsilon: float
    delta: float
    directions: int = 16
    clip: float = 1.0

    def move(
        self, public: Effects, rows: Array, labels: Array, subjects: Array, *, rng: np.random.Generator
    ) -> tuple[Effects, Spend]:
        """Return the group's effects and what they cost.

        Args:
            public: Effects of public people, which tell the directions.
            rows: (N, K) of the private group, complete without looking at other people.
            labels: (N,).
            subjects: (N,).
            rng: Draws the noise.

        Raises:
            DataError: So few people that noise would be larger than the differences between recordings.
        """
        scale, directions = self._directions(public)
        statistics = _by_person((rows - public.means.mean(axis=0)) / scale @ directions, labels, subjects, public)
        clip_norm = self.clip * math.sqrt(statistics.shape[1])
        people = len(statistics)
        plan = PrivacyPlan(
            epsilon=self.epsilon, delta=self.delta, unit="person", units=people, expected_batch=people, steps=1
        )
        noise = plan.noise_multiplier * clip_norm / people
        if noise > 1:
            raise DataError(
                f"epsilon {self.epsilon} needs at least {math.ceil(noise * people)} people here, {people} were given: "
                "with fewer, noise hides what there is. Add people, or take fewer directions or a larger epsilon."
            )
        batch = next(plan.batches(rng))
        told = batch.release(statistics, clip_norm)
        # Anybody who knows the public means and the noise can do what follows: it costs nothing more.
        classes, width = len(public.means), directions.shape[1]
        shown = np.maximum(told[-classes:], 0.25)[:, None]
        wanted = np.concatenate([told[None, :width], told[width:-classes].reshape(classes, width) / shown])
        known = np.concatenate([np.zeros((1, width)), _offsets(public, scale) @ directions])
        moved = np.concatenate(
            [_trusted(wanted[:1] - known[:1], noise), _trusted(wanted[1:] - known[1:], noise / shown)]
        )
        change = (moved[:1] + moved[1:]) @ np.linalg.pinv(directions) * scale  # (C, K)
        return replace(public, means=public.means + change), plan.spend()

    def _directions(self, public: Effects) -> tuple[Array, Array]:
        """Return the deviation of a moment by column, (K,), and orthonormal directions (K, R), classes first."""
        scale = np.sqrt(np.maximum((public.moment**2).sum(axis=2).mean(axis=0), 1e-6))
        offsets = _offsets(public, scale)
        people = (public.person / scale[:, None]).T
        within = np.mean([moment / scale[:, None] @ (moment / scale[:, None]).T for moment in public.moment], axis=0)
        main = np.linalg.eigh(within + people.T @ people)[1][:, ::-1].T
        size = min(self.directions, len(scale))
        basis = np.linalg.qr(np.concatenate([_span(offsets), main]).T)[0]
        return scale, basis[:, :size]


def _offsets(effects: Effects, scale: Array) -> Array:
    return np.asarray((effects.means - effects.means.mean(axis=0)) / scale)


def _span(rows: Array) -> Array:
    _, strength, directions = np.linalg.svd(rows, full_matrices=False)
    return np.asarray(directions[strength > 1e-6 * max(float(strength[0]), 1e-12)])


def _by_person(rows: Array, labels: Array, subjects: Array, public: Effects) -> Array:
    """Return a row for each person, (P, R + C * R + C)."""
    found, classes = [], len(public.means)
    for person in np.unique(subjects):
        mine, said = rows[subjects == person], labels[subjects == person]
        has = np.bincount(said, minlength=classes) > 0
        means = np.stack([mine[said == c].mean(axis=0) if has[c] else np.zeros(rows.shape[1]) for c in range(classes)])
        center = means[has].mean(axis=0)
        found.append(np.concatenate([center, ((means - center) * has[:, None]).ravel(), has]))
    return np.stack(found)


def _trusted(difference: Array, noise: Array | float) -> Array:
    """Shrink noisy differences from public numbers as far as their size is no more than noise."""
    variance = np.broadcast_to(np.square(noise), difference.shape)
    excess = max(float((difference**2 - variance).mean()), 0.0)
    return np.asarray(difference * excess / np.maximum(excess + variance, 1e-12))
