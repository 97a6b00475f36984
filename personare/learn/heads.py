"""Linear softmax heads on fixed features, many at once, privately or not, with gradients clipped in closed form.

The gradient of one recording is an outer product, so its norm is the product of two norms and needs no per-sample
gradient in memory. Heads that differ in whom they learn from (shadow heads) share every matrix product.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from personare.core.errors import DataError, OptionError
from personare.core.types import Array
from personare.learn.privacy import PaidBatch, PrivacyPlan

__all__ = ["Examples", "HeadTraining", "fit_heads", "predict"]

_CHUNK = 2**24  # numbers of per-person gradients held at a time


@dataclass(frozen=True, kw_only=True)
class Examples:
    """What heads learn from.

    Attributes:
        features: (N, D) float32, fixed: made without these people's help, or paid for.
        labels: (N,) class of each recording.
        classes: How many classes.
        groups: (N,) whose recording it is; needed for plans that protect people.
        inside: (S, N) bool, which recordings each of S heads learns from; None: one head, all of them.
        cap: Most recordings of one person; public; the first ones. None: all.

    Raises:
        DataError: Shapes that do not fit, or no recording.
    """

    features: Array
    labels: Array
    classes: int
    groups: Array | None = None
    inside: Array | None = None
    cap: int | None = None

    def __post_init__(self) -> None:
        """Check the shapes."""
        n = len(self.features)
        if self.features.ndim != 2 or not n or self.labels.shape != (n,):
            raise DataError(
                f"Heads need (N, D) features and (N,) labels of at least one recording, given {self.features.shape} "
                f"and {self.labels.shape}."
            )
        if self.labels.min() < 0 or self.labels.max() >= self.classes:
            span = f"{self.labels.min()} to {self.labels.max()}"
            raise DataError(f"Labels must lie in 0 to {self.classes - 1}, found {span}.")
        if (self.groups is not None and self.groups.shape != (n,)) or (
            self.inside is not None and (self.inside.ndim != 2 or self.inside.shape[1] != n)
        ):
            raise DataError(f"groups must be ({n},) and inside (S, {n}), one entry for each recording.")


@dataclass(frozen=True, kw_only=True)
class HeadTraining:
    """How heads are trained. Under a plan, these must be constants, not fitted to the people it protects.

    Attributes:
        steps: How many; a plan brings its own.
        batch: Recordings a step on average, 0 for all; a plan brings its own.
        optimizer: ``sgd``, ``adam``, or ``adam_bc``, which takes the noise's known part out of Adam's second moment.
        learning_rate: Constant.
        momentum: Of sgd.
        l2: Weight decay; costs nothing.
        clip_norm: Largest gradient of one unit, under a plan; see PrivacyPlan.
        average: The last share of the steps whose weights are averaged; 0 keeps the last.
        class_weights: One public weight for each class; none: all 1.

    Raises:
        OptionError: A number out of its range.

    **Source**: Q. Tang, F. Shpilevskiy, M. Lecuyer, "DP-AdamBC", AAAI 2024, arXiv:2312.14334; the second moment is
    kept above a hundredth of the noise's.
    """

    steps: int = 100
    batch: int = 0
    optimizer: Literal["sgd", "adam", "adam_bc"] = "sgd"
    learning_rate: float = 1.0
    momentum: float = 0.9
    l2: float = 0.0
    clip_norm: float = 1.0
    average: float = 0.25
    class_weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Check the options."""
        if self.optimizer not in ("sgd", "adam", "adam_bc"):
            raise OptionError(f"optimizer must be sgd, adam or adam_bc, it is {self.optimizer!r}.")
        if self.steps < 1 or self.batch < 0 or self.l2 < 0 or not self.learning_rate > 0 or not self.clip_norm > 0:
            raise OptionError(
                "steps must be at least 1, batch and l2 not negative, learning_rate and clip_norm above 0; they are "
                f"{self.steps}, {self.batch}, {self.l2}, {self.learning_rate} and {self.clip_norm}."
            )
        if not 0 <= self.momentum < 1 or not 0 <= self.average <= 1:
            raise OptionError(
                f"momentum must be in [0, 1) and average in [0, 1], they are {self.momentum} and {self.average}."
            )


def fit_heads(
    examples: Examples, *, plan: PrivacyPlan | None, options: HeadTraining, rng: np.random.Generator
) -> Array:
    """Train one head for each row of ``inside``, all together.

    **Guarantee**: under a plan each head *alone* is as private as the plan says. Several heads of the same people cost
    as much as so many runs: shadow heads are for attacks and are not released. All heads draw the same units in a
    step, each adds its own noise.

    Args:
        examples: What to learn from.
        plan: What is protected; None trains without protection, noise or clipping.
        options: How.
        rng: Draws batches and noise.

    Returns:
        Weights (S, D + 1, C), the bias last.

    Raises:
        DataError: The plan protects people and ``groups`` is missing.
        OptionError: The plan pays for other than one sum of each batch.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x = rng.standard_normal((200, 2)).astype(np.float32)
        >>> seen = Examples(features=x, labels=(x[:, 0] > 0).astype(np.int64), classes=2)
        >>> weights = fit_heads(seen, plan=None, options=HeadTraining(), rng=rng)
        >>> bool((predict(weights, x)[0].argmax(axis=1) == seen.labels).mean() > 0.95)
        True
    """
    bags = Bags.of(examples, people=plan is not None and plan.unit == "person")
    if options.class_weights and len(options.class_weights) != examples.classes:
        raise OptionError(f"class_weights must be {examples.classes}, one for each class, not {options.class_weights}.")
    if options.class_weights:
        bags.factor.mul_(torch.tensor(options.class_weights)[bags.labels])
    if plan is not None and plan.releases != 1:
        raise OptionError(f"A head releases one sum of each batch, the plan pays for {plan.releases}: give it 1.")
    weights = torch.zeros(examples.classes, len(bags.factor), bags.features.shape[2])  # (C, S, D + 1)
    descent = _Descent(options, plan, like=weights)
    steps = plan.steps if plan else options.steps
    total, kept = torch.zeros_like(weights), 0
    for step, (some, batch) in enumerate(_steps(bags, plan, options, rng)):
        gradient = _gradient(weights, some, options.clip_norm if batch else None)
        gradient = batch.add_noise(gradient, options.clip_norm) if batch else gradient.div_(_mean_batch(bags, options))
        descent.step(weights, gradient.add_(weights, alpha=options.l2))
        if step >= min(steps - 1, round(steps * (1 - options.average))):
            total, kept = total.add_(weights), kept + 1
    return np.ascontiguousarray((total / kept).permute(1, 2, 0).numpy())


def predict(weights: Array, features: Array, *, link: Literal["softmax", "linear"] = "softmax") -> Array:
    """Return the probabilities (S, N, C) that S heads (S, D + 1, C) give to (N, D) features.

    Args:
        weights: From ``fit_heads`` or ``least_squares_heads``.
        features: As in training.
        link: ``softmax``; or ``linear`` for least squares, whose scores are probabilities but for their range: they
            are cut to [0.001, 1] and made to add up to 1.
    """
    scores = np.matmul(features.astype(np.float32), weights[:, :-1]) + weights[:, -1:]  # (S, N, C)
    if link == "softmax":
        return np.asarray(torch.softmax(torch.from_numpy(scores), dim=2).numpy())
    cut = np.clip(scores, 1e-3, 1)
    return np.asarray(cut / cut.sum(axis=2, keepdims=True))


@dataclass(frozen=True, kw_only=True, eq=False)
class Bags:
    """Recordings by protected unit: a bag is one recording, or all of a person, padded with zeros.

    Attributes:
        features: (U, K, D + 1), the last column 1.
        labels: (U, K).
        factor: (S, U, K) what each recording counts in each head: one over its person's recordings there; 0 if padded.
    """

    features: Tensor
    labels: Tensor
    factor: Tensor

    @classmethod
    def of(cls, examples: Examples, *, people: bool) -> "Bags":
        """Sort recordings into bags of people, or leave each on its own."""
        n = len(examples.features)
        if people and examples.groups is None:
            raise DataError("The plan protects people, so groups must say whose recording each is.")
        owner = np.arange(n) if not people or examples.groups is None else examples.groups
        groups = np.unique(owner, return_inverse=True)[1]
        order = np.argsort(groups, kind="stable")
        counts = np.bincount(groups)
        place = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)  # which of its bag a sorted row is
        width = int(min(counts.max(), examples.cap or counts.max()))
        order, place = order[place < width], place[place < width]
        unit = groups[order]
        shape = (len(counts), width)
        features = torch.zeros(*shape, examples.features.shape[1] + 1)
        features[unit, place, :-1] = torch.from_numpy(examples.features[order].astype(np.float32))
        features[unit, place, -1] = 1
        labels = torch.zeros(shape, dtype=torch.int64)
        labels[unit, place] = torch.from_numpy(examples.labels[order].astype(np.int64))
        inside = np.ones((1, n), dtype=bool) if examples.inside is None else examples.inside
        factor = torch.zeros(len(inside), *shape)
        factor[:, unit, place] = torch.from_numpy(inside[:, order].astype(np.float32))
        factor /= factor.sum(dim=2, keepdim=True).clamp_min(1)
        # A number that is none would poison every head, and say that its person was there
        bad = ~torch.isfinite(features).all(dim=2)
        features[bad], factor[:, bad] = 0, 0
        return cls(features=features, labels=labels, factor=factor)

    def take(self, units: Array) -> "Bags":
        """Return some bags; itself where it is all of them."""
        if len(units) == len(self.features):
            return self
        rows = torch.from_numpy(units)
        return Bags(features=self.features[rows], labels=self.labels[rows], factor=self.factor[:, rows])


class _Descent:
    """Turns gradients into steps; sees nothing of the data but the (noised) gradients."""

    def __init__(self, options: HeadTraining, plan: PrivacyPlan | None, *, like: Tensor) -> None:
        self.options, self.count = options, 0
        self.noise = plan.noise_multiplier * options.clip_norm / plan.expected_batch if plan else 0.0
        self.first, self.second = torch.zeros_like(like), torch.zeros_like(like)

    def step(self, weights: Tensor, gradient: Tensor) -> None:
        self.count += 1
        rate = self.options.learning_rate
        if self.options.optimizer == "sgd":
            self.first.mul_(self.options.momentum).add_(gradient)
            weights.sub_(self.first, alpha=rate)
            return
        self.first.mul_(0.9).add_(gradient, alpha=0.1)
        self.second.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        spread = self.second / (1 - 0.999**self.count)
        if self.options.optimizer == "adam_bc":
            spread = (spread - self.noise**2).clamp_min(1e-2 * self.noise**2)
        weights.addcdiv_(self.first, spread.sqrt_().add_(1e-8), value=-rate / (1 - 0.9**self.count))


def _mean_batch(bags: Bags, options: HeadTraining) -> Tensor:
    """Return how many recordings a step of each head holds on average, (S, 1); not for plans."""
    share = min(1.0, options.batch / len(bags.features)) if options.batch else 1.0
    return share * (bags.factor > 0).sum(dim=(1, 2)).clamp_min(1)[:, None]


def _steps(
    bags: Bags, plan: PrivacyPlan | None, options: HeadTraining, rng: np.random.Generator
) -> Iterator[tuple[Bags, PaidBatch | None]]:
    count = len(bags.features)
    if plan is not None:
        for batch in plan.batches(rng, present=count):
            yield bags.take(batch.units), batch
        return
    rate = min(1.0, options.batch / count) if options.batch else 1.0
    for _ in range(options.steps):
        yield bags.take(np.flatnonzero(rng.random(count) < rate)), None


def _gradient(weights: Tensor, bags: Bags, clip_norm: float | None) -> Tensor:
    """Return the gradient (C, S, D + 1) summed over bags, each cut to ``clip_norm`` if there is one."""
    classes, heads, width = weights.shape
    rows, labels = bags.features.reshape(-1, width), bags.labels.reshape(-1)
    scores = (weights.reshape(-1, width) @ rows.T).reshape(classes, heads, -1)
    rest = torch.softmax(scores, dim=0)  # (C, S, R); the class first, where it is summed fastest
    rest[labels, :, torch.arange(len(rows))] -= 1
    factor = bags.factor.reshape(heads, -1)  # (S, R)
    if clip_norm is not None and bags.features.shape[1] == 1:
        norm = rest.square().sum(dim=0).mul_(rows.square().sum(dim=1)).sqrt_().mul_(factor)  # of the outer product
        factor = factor * (clip_norm / norm.clamp_min_(1e-30)).clamp_max_(1)
    rest.mul_(factor)
    if clip_norm is not None and bags.features.shape[1] > 1:
        return _clipped_bags(rest.reshape(classes, heads, *bags.labels.shape), bags.features, clip_norm)
    return (rest.reshape(classes * heads, -1) @ rows).reshape(weights.shape)


def _clipped_bags(rest: Tensor, features: Tensor, clip_norm: float) -> Tensor:
    """Sum the gradients of people, each cut to the norm, a few people at a time so that memory stays bounded."""
    classes, heads, people, _ = rest.shape
    width = features.shape[2]
    by_person = rest.permute(2, 0, 1, 3).reshape(people, classes * heads, -1)  # (U, C S, K)
    total = rest.new_zeros(classes, heads, width)
    size = max(1, _CHUNK // (classes * heads * width))
    for first in range(0, people, size):
        some = slice(first, first + size)
        each = torch.bmm(by_person[some], features[some]).reshape(-1, classes, heads, width)  # (U', C, S, D + 1)
        norm = each.square().sum(dim=(1, 3)).sqrt_()  # (U, S)
        total += torch.einsum("ucsd,us->csd", each, (clip_norm / norm.clamp_min_(1e-30)).clamp_max_(1))
    return total
