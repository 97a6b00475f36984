"""The means of classes from people who are protected, over directions and variances of people who are not."""

import math
from dataclasses import dataclass, replace

import numpy as np

from personare.core.errors import DataError
from personare.core.types import Array, Spend
from personare.learn.effects import Effects
from personare.learn.privacy import PrivacyPlan

__all__ = ["PrivateMeans", "Told", "main_directions"]

_LARGEST_NOISE = 1.0  # of what people differ by: beyond, a direction tells next to nothing
_FEWEST_SHOW = 0.25


@dataclass(frozen=True, kw_only=True)
class Told:
    """Recordings of several people.

    Attributes:
        rows: (N, K), complete.
        labels: (N,) classes, from 0.
        subjects: (N,) whose.
    """

    rows: Array
    labels: Array
    subjects: Array


@dataclass(frozen=True, kw_only=True)
class PrivateMeans:
    """Moves public effects toward the means of a private group, for one noised sum over people.

    Each person gives one row: how far the person's means of all classes together, and of each class beyond that, lie
    from the public ones, along the directions in which public recordings differ most, in units of what public people
    differ by. Noise is as long as such a row, so it is told from the public means and not from zero. Private and public
    means are then weighted by how sure each is: with little epsilon or few people the public ones stay. Everything else
    (the variances of people and of moments, and all other directions) is that of the public people: a covariance costs
    far more.

    **Guarantee**: what comes out is (epsilon, delta)-differentially private for each person of the private group.

    Attributes:
        epsilon: Bound.
        delta: Chance that it fails.
        directions: How many at most; fewer, where noise would be larger than what people differ by.
        clip: Longest row of one person, per root of its numbers.

    **Source**: the Gaussian mechanism with everybody in the one batch; weights by inverse variances as of
    R. DerSimonian, N. Laird, "Meta-analysis in clinical trials", Controlled Clinical Trials 7 (1986),
    doi:10.1016/0197-2456(86)90046-2: two groups, whose own difference is found from how far apart they are.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> who, labels = np.repeat(np.arange(200), 4), np.tile([0, 1], 400)
        >>> rows = rng.standard_normal((800, 3)) + labels[:, None] * [2.0, 0, 0]
        >>> known = Told(rows=rows[:80], labels=labels[:80], subjects=who[:80])
        >>> public = Effects.of(known.rows, known.labels, known.subjects, classes=2)
        >>> private = PrivateMeans(epsilon=4.0, delta=1e-4)
        >>> effects, spend = private.move(public, known, Told(rows=rows + 0.5, labels=labels, subjects=who), rng=rng)
        >>> bool((effects.means - public.means).mean(axis=0).min() > 0.3), spend.epsilon <= 4.0
        (True, True)
    """

    epsilon: float
    delta: float
    directions: int = 16
    clip: float = 1.0

    def move(self, public: Effects, known: Told, group: Told, *, rng: np.random.Generator) -> tuple[Effects, Spend]:
        """Return the group's effects and what they cost.

        Args:
            public: Effects of the public people.
            known: The public people.
            group: The private people, their rows completed without looking at other people.
            rng: Draws the noise.

        Raises:
            DataError: So few people that noise would be larger than what people differ by.
        """
        classes, people = len(public.means), len(np.unique(group.subjects))
        plan = PrivacyPlan(
            epsilon=self.epsilon, delta=self.delta, unit="person", units=people, expected_batch=people, steps=1
        )
        scale, directions = main_directions(public, self._affordable(plan, classes))
        usual = _by_person(known, public, directions / scale[:, None])  # (P, 1 + C, R)
        count = len(usual)
        each = np.sqrt([(part**2).mean() * count / (count - 1) for part in (usual[:, :1], usual[:, 1:])])
        spread = np.repeat(np.maximum(each, 1e-6), [1, classes])[:, None]  # (1 + C, 1)
        rows = (_by_person(group, public, directions / scale[:, None]) / spread).reshape(people, -1)
        clip_norm = self.clip * math.sqrt(rows.shape[1])
        batch = next(plan.batches(rng))
        # Anybody who knows the public people and the noise can do what follows: it costs nothing more.
        told = batch.release(rows, clip_norm).reshape(spread.shape[0], -1)
        shown = np.maximum((usual != 0).any(axis=2).mean(axis=0), _FEWEST_SHOW)[:, None]  # (1 + C, 1) who has a class
        unsure = (1 / people + (plan.noise_multiplier * clip_norm / people) ** 2) / shown**2
        found = zip(np.split(told / shown, [1]), np.split(unsure, [1]), strict=True)  # all together, and beyond that
        moved = np.concatenate([_trusted(part, noise, 1 / count) for part, noise in found]) * spread
        return replace(public, means=public.means + (moved[:1] + moved[1:]) @ directions.T * scale), plan.spend()

    def _affordable(self, plan: PrivacyPlan, classes: int) -> int:
        """Return how many directions the noise leaves something of; it depends on public numbers alone."""
        noise = plan.noise_multiplier * self.clip * math.sqrt(1 + classes) / plan.units  # of one direction
        most = math.floor((_LARGEST_NOISE / noise) ** 2)
        if most < 1:
            raise DataError(
                f"epsilon {self.epsilon} needs at least {math.ceil(noise * plan.units / _LARGEST_NOISE)} people here, "
                f"{plan.units} were given: with fewer, noise hides what there is. Add people, or take a larger epsilon."
            )
        return min(self.directions, most)


def main_directions(public: Effects, most: int) -> tuple[Array, Array]:
    """Return the deviation of a moment by column, (K,), and orthonormal directions (K, R), classes first."""
    scale = np.sqrt(np.maximum((public.moment**2).sum(axis=2).mean(axis=0), 1e-6))
    people = public.person / scale[:, None]
    within = np.mean([moment / scale[:, None] @ (moment / scale[:, None]).T for moment in public.moment], axis=0)
    main = np.linalg.eigh(within + people @ people.T)[1][:, ::-1]
    offsets = (public.means - public.means.mean(axis=0)) / scale
    basis = np.linalg.qr(np.concatenate([_span(offsets), main.T]).T)[0]
    return scale, basis[:, : min(most, len(scale))]


def _span(rows: Array) -> Array:
    _, strength, directions = np.linalg.svd(rows, full_matrices=False)
    return np.asarray(directions[strength > 1e-6 * max(float(strength[0]), 1e-12)])


def _by_person(told: Told, public: Effects, directions: Array) -> Array:
    """Return (P, 1 + C, R): how far each person's classes together, and each beyond that, lie from the public means.

    Of somebody who shows one class only, nothing tells the person from the class: all of it counts as the class's.
    """
    rows = (told.rows - public.means[told.labels]) @ directions
    people, whose = np.unique(told.subjects, return_inverse=True)
    classes = len(public.means)
    totals, counts = np.zeros((len(people), classes, rows.shape[1])), np.zeros((len(people), classes))
    np.add.at(totals, (whose, told.labels), rows)
    np.add.at(counts, (whose, told.labels), 1)
    means, has = totals / np.maximum(counts, 1)[:, :, None], (counts > 0)[:, :, None]
    several = has.sum(axis=1, keepdims=True) > 1
    center = np.where(several, means.sum(axis=1, keepdims=True) / has.sum(axis=1, keepdims=True), 0.0)  # (P, 1, R)
    return np.concatenate([center, (means - center) * has], axis=1)


def _trusted(difference: Array, unsure: Array, unsure_public: float) -> Array:
    """Shrink private differences from public means by how sure both are, and how far apart the groups turn out."""
    expected = unsure + unsure_public  # of the square, if the groups were of the same people
    luck = 2 * math.sqrt(2 / difference.size)  # two deviations of a mean of squares
    apart = max(0.0, float((difference**2 - expected * (1 + luck)).mean()))
    return np.asarray(difference * (unsure_public + apart) / (unsure_public + apart + unsure))
