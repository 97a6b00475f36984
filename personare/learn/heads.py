"""Linear heads on fixed features, many at once, privately or not: by clipped gradients, or by noised least squares.

The gradient of one recording is an outer product, so its norm is the product of two norms and needs no per-sample
gradient in memory. Heads that differ in whom they learn from (shadow heads) share every matrix product.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from personare.core.errors import DataError, OptionError
from personare.core.options import Count, PartShare, Positive, Share, Whole, check_options
from personare.core.types import Array
from personare.learn.privacy import PaidBatch, PrivacyPlan, clip_rows

_CHUNK = 2**24  # numbers of per-person gradients held at a time
_SHARE = 0.5  # of the squared sensitivity of least squares given to the outer products; the rest to the class sums


@dataclass(frozen=True, kw_only=True)
class Examples:
    """What heads learn from.

    Attributes:
        features: (N, D) float32, fixed: made without these people's help, or paid for.
        labels: (N,) class of each recording.
        classes: How many classes.
        groups: (N,) whose recording it is; needed for plans that protect people.
        inside: (S, N) bool, which recordings each of S heads learns from; None: one head, all of them.
    """

    features: Array
    labels: Array
    classes: int
    groups: Array | None = None
    inside: Array | None = None

    def __post_init__(self) -> None:
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
        learning_rate: Constant.
        momentum: Of the steps.
        clip_norm: Largest gradient of one unit, under a plan; see PrivacyPlan.
        average: The last share of the steps whose weights are averaged; 0 keeps the last.
    """

    steps: Count = 100
    batch: Whole = 0
    learning_rate: Positive = 1.0
    momentum: PartShare = 0.9
    clip_norm: Positive = 1.0
    average: Share = 0.25

    def __post_init__(self) -> None:
        check_options(self)


def fit_heads(
    examples: Examples, *, plan: PrivacyPlan | None, options: HeadTraining, rng: np.random.Generator
) -> Array:
    """Train one softmax head for each row of ``inside``, all together; None for a plan trains without protection.

    **Guarantee**: under a plan each head *alone* is as private as the plan says. Several heads of the same people cost
    as much as so many runs: shadow heads are for attacks and are not released. All heads draw the same units in a
    step, each adds its own noise.

    Returns:
        Weights (S, D + 1, C), the bias last.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x = rng.standard_normal((200, 2)).astype(np.float32)
        >>> examples = Examples(features=x, labels=(x[:, 0] > 0).astype(np.int64), classes=2)
        >>> weights = fit_heads(examples, plan=None, options=HeadTraining(), rng=rng)
        >>> bool((predict(weights, x)[0].argmax(axis=1) == examples.labels).mean() > 0.95)
        True
    """
    bags = Bags.of(examples, people=plan is not None and plan.unit == "person")
    if plan is not None and plan.releases != 1:
        raise OptionError(f"A head releases one sum of each batch, the plan pays for {plan.releases}: give it 1.")
    weights = torch.zeros(examples.classes, len(bags.factor), bags.features.shape[2])  # (C, S, D + 1)
    speed = torch.zeros_like(weights)
    share = min(1.0, options.batch / len(bags.features)) if options.batch else 1.0
    mean_batch = share * (bags.factor > 0).sum(dim=(1, 2)).clamp_min(1)[:, None]  # (S, 1)
    count, steps = len(bags.features), plan.steps if plan else options.steps
    paid: Iterator[PaidBatch | None] = plan.batches(rng, present=count) if plan else repeat(None, steps)
    total, count_averaged = torch.zeros_like(weights), 0
    for step, batch in enumerate(paid):
        drawn = np.flatnonzero(rng.random(count) < share) if batch is None else batch.units
        gradient = _gradient(weights, bags.take(drawn), None if batch is None else options.clip_norm)
        gradient = gradient.div_(mean_batch) if batch is None else batch.add_noise(gradient, options.clip_norm)
        speed.mul_(options.momentum).add_(gradient)
        weights.sub_(speed, alpha=options.learning_rate)
        if step >= min(steps - 1, round(steps * (1 - options.average))):
            total, count_averaged = total.add_(weights), count_averaged + 1
    return np.ascontiguousarray((total / count_averaged).permute(1, 2, 0).numpy())


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
        unit = groups[order]
        shape = (len(counts), int(counts.max()))
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
    if clip_norm is None or bags.features.shape[1] == 1:
        return (rest.reshape(classes * heads, -1) @ rows).reshape(weights.shape)
    # People are summed up and cut a few at a time, so that memory stays bounded
    people = len(bags.features)
    by_person = rest.reshape(classes * heads, people, -1).transpose(0, 1).contiguous()  # (U, C S, K)
    total = rest.new_zeros(classes, heads, width)
    size = max(1, _CHUNK // (classes * heads * width))
    for start in range(0, people, size):
        chunk = slice(start, start + size)
        each = torch.bmm(by_person[chunk], bags.features[chunk]).reshape(-1, classes, heads, width)  # (U', C, S, D + 1)
        norm = each.square().sum(dim=(1, 3)).sqrt_()  # (U', S)
        total += torch.einsum("ucsd,us->csd", each, (clip_norm / norm.clamp_min_(1e-30)).clamp_max_(1))
    return total


def least_squares_heads(
    examples: Examples,
    *,
    plan: PrivacyPlan | None,
    rng: np.random.Generator,
    feature_norm: float = 1.0,
    ridge: float = 1e-4,
) -> Array:
    """Solve for one head for each row of ``inside``; scores estimate the probabilities of the classes.

    **Guarantee**: under a plan (one step, everybody in it) each head alone is as private as the plan says: both tables
    are one Gaussian release, in which a unit changes a vector of norm 1 at most. A person counts as the mean of the
    recordings.

    Args:
        examples: What to learn from.
        plan: None adds no noise.
        rng: Draws the noise.
        feature_norm: Features are cut to this L2 norm; a public constant. In use, cut them too (``clip_rows``).
        ridge: Added to the diagonal of the mean outer product, in units where features have norm 1; and beside it the
            noise's largest expected eigenvalue.

    Returns:
        Weights (S, D + 1, C), the bias last; ``predict(..., link="linear")`` reads them.

    **Source**: noised sufficient statistics, as in H. Mehta, W. Krichene, A. Thakurta, A. Kurakin, A. Cutkosky,
    "Differentially Private Image Classification from Features", TMLR 2023, arXiv:2211.13403 (DP least
    squares); our ridge follows from the noise, and eigenvalues that noise made negative are set to 0.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x = rng.standard_normal((400, 2)).astype(np.float32)
        >>> examples = Examples(features=x, labels=(x[:, 0] > 0).astype(np.int64), classes=2)
        >>> once = PrivacyPlan(epsilon=2, delta=1e-4, unit="recording", units=400, expected_batch=400, steps=1)
        >>> weights = least_squares_heads(examples, plan=once, rng=rng)
        >>> scores = x @ weights[0, :-1] + weights[0, -1]
        >>> bool((scores.argmax(axis=1) == examples.labels).mean() > 0.9)
        True
    """
    if not 0 < feature_norm < math.inf or not ridge > 0:
        raise OptionError(f"feature_norm and ridge must be above 0, they are {feature_norm} and {ridge}.")
    if plan is not None and (plan.steps != 1 or plan.expected_batch != plan.units or plan.releases != 1):
        raise OptionError(
            "Least squares look once at everybody: the plan must have steps=1, releases=1 and expected_batch=units, "
            f"it has {plan.steps}, {plan.releases} and {plan.expected_batch} of {plan.units}."
        )
    bags = Bags.of(examples, people=plan is not None and plan.unit == "person")
    rows = _unit_rows(bags.features, feature_norm)  # (R, D + 1), norm 1 at most
    targets = torch.nn.functional.one_hot(bags.labels.reshape(-1), examples.classes).to(rows)
    factor = bags.factor.reshape(len(bags.factor), -1)  # (S, R)
    tables = torch.stack([_tables(rows, targets, each) for each in factor])  # (S, P + (D + 1) C)
    if plan is not None:
        (batch,) = plan.batches(rng, present=len(bags.features))
        tables = batch.add_noise(tables, 1.0)
        noise = plan.noise_multiplier / plan.expected_batch
    else:
        tables, noise = tables / factor.sum(dim=1, keepdim=True), 0.0
    width = rows.shape[1]
    upper = torch.triu_indices(width, width)
    half = torch.where(upper[0] == upper[1], 1.0, 1 / math.sqrt(2)) / math.sqrt(_SHARE)
    # The largest eigenvalue of a symmetric noise matrix with spread s off the diagonal is near 2 s sqrt(width)
    ridge += noise * math.sqrt(2 * width / _SHARE)
    heads = []
    for table in tables:
        products = table.new_zeros(width, width)
        products[upper[0], upper[1]] = table[: upper.shape[1]] * half
        products[upper[1], upper[0]] = products[upper[0], upper[1]]
        sums = table[upper.shape[1] :].reshape(width, -1) / math.sqrt(1 - _SHARE)
        values, vectors = torch.linalg.eigh(products)
        heads.append((vectors / (values.clamp_min(0) + ridge)) @ (vectors.T @ sums))  # (D + 1, C)
    solved = torch.stack(heads)  # (S, D + 1, C)
    solved[:, :-1] /= math.sqrt(2) * feature_norm
    solved[:, -1] /= math.sqrt(2)
    return np.asarray(solved.float().numpy())


def _unit_rows(features: Tensor, norm: float) -> Tensor:
    """Return rows of norm 1 at most: half of the square for the features, half for the constant."""
    rows = features.reshape(-1, features.shape[2]).double()
    return torch.cat([clip_rows(rows[:, :-1], norm) / norm, rows[:, -1:]], dim=1) / math.sqrt(2)


def _tables(rows: Tensor, targets: Tensor, factor: Tensor) -> Tensor:
    """Return the outer products' upper half and the class sums as one vector to which a unit adds norm 1 at most."""
    weighted = rows * factor[:, None]
    upper = torch.triu_indices(rows.shape[1], rows.shape[1])
    # Off the diagonal each entry stands for two: sqrt(2) keeps the norm of the whole matrix
    twice = torch.where(upper[0] == upper[1], 1.0, math.sqrt(2))
    products = (weighted.T @ rows)[upper[0], upper[1]] * twice
    return torch.cat([products * math.sqrt(_SHARE), (weighted.T @ targets).flatten() * math.sqrt(1 - _SHARE)])
