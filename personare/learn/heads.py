"""A linear head on fixed features, privately or not: by clipped gradients, or by noised least squares."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
import torch
from scipy.special import softmax
from torch import Tensor, nn

from personare.core.errors import DataError, OptionError
from personare.core.options import Count, PartShare, Positive, Share, check_options
from personare.core.types import Array
from personare.learn.federation import Federation, Observed
from personare.learn.privacy import PrivacyPlan, clip_rows

_SHARE = 0.5  # of the squared sensitivity of least squares given to the outer products; the rest to the class sums


@dataclass(frozen=True, kw_only=True)
class HeadTraining:
    """How a head is trained. Under a plan, these must be constants, not fitted to the people it protects."""

    steps: Count = 100  # a plan brings its own
    learning_rate: Positive = 1.0
    momentum: PartShare = 0.9
    clip_norm: Positive = 1.0  # largest gradient of one unit, under a plan
    average: Share = 0.25  # the last share of the steps whose weights are averaged; 0 keeps the last

    def __post_init__(self) -> None:
        check_options(self)


def fit_head(
    features: Sequence[Array],
    labels: Sequence[Array],
    *,
    classes: int,
    plans: Sequence[PrivacyPlan | None] = (None,),
    training: HeadTraining,
    rng: np.random.Generator,
    groups: Sequence[Array | None] = (None,),
    federation: Federation = Federation(),  # noqa: B008 - frozen
) -> Array:
    """Train a softmax head, (D + 1, C) with the bias last, on (N, D) features and (N,) labels of one site or several.

    Of each site its ``groups`` (N,) say whose recording each is, needed for a plan that protects people. A plan of None
    trains without protection.

    **Guarantee**: under a plan the head is as private as the plan says, if the features were made without these
    people's help, or are paid for.
    """
    weights = torch.zeros(classes, features[0].shape[-1] + 1)  # (C, D + 1)
    examples = [_examples(x, y, classes, own, p) for x, y, own, p in zip(features, labels, groups, plans, strict=True)]
    parts = [[example] for example in examples]
    if plans[0] and plans[0].shares > 1:  # each step is a sum over all sites, and one training goes through them
        parts, plans, outer = [examples], plans[:1], Federation()
    else:
        outer = federation
    sites = [
        _rounds(
            weights,
            _gradients(weights, part, plan, training, federation, rng),
            plan.steps if plan else training.steps,
            training,
            outer,
        )
        for part, plan in zip(parts, plans, strict=True)
    ]
    people = [len(y) if owner is None else len(np.unique(owner)) for y, owner in zip(labels, groups, strict=True)]
    outer.in_rounds([weights], sites, people)
    return np.ascontiguousarray(weights.T.numpy())


def _rounds(
    weights: Tensor, gradients: Iterator[Tensor], steps: int, training: HeadTraining, federation: Federation
) -> Iterator[tuple[()]]:
    """Move the weights (C, D + 1) in place by a round's share of the steps whenever asked; see ``fit_head``."""
    speed, total = torch.zeros_like(weights), torch.zeros_like(weights)
    first = min(steps - 1, round(steps * (1 - training.average)))
    numbered = enumerate(gradients)
    for share in federation.shares(steps):
        start = weights.clone()
        for step, gradient in islice(numbered, share):
            if federation.proximal:
                gradient.add_(weights - start, alpha=federation.proximal)
            speed.mul_(training.momentum).add_(gradient)
            weights.sub_(speed, alpha=training.learning_rate)
            if step >= first:
                total.add_(weights)
        if step == steps - 1:
            weights.copy_(total / (steps - first))
        yield ()


def _gradients(
    weights: Tensor,
    sites: Sequence[tuple[Tensor, Tensor, Array]],
    plan: PrivacyPlan | None,
    training: HeadTraining,
    federation: Federation,
    rng: np.random.Generator,
) -> Iterator[Tensor]:
    """Yield the gradient (C, D + 1) of where the weights are by then: of a site, or of all that share their noise."""
    rows, target, _ = sites[0]
    if plan is None:
        for _ in range(training.steps):
            yield _gradient(weights, rows, target) / len(rows)
        return
    if plan.releases != 1:
        raise OptionError(f"A head releases one sum of each batch, the plan pays for {plan.releases}: give it 1.")
    for batches in zip(*(plan.batches(rng, present=int(site[2].max()) + 1) for site in sites), strict=True):
        if plan.shares > 1:
            shares = [
                batch.share(_unit_gradients(weights, *site, batch.units), training.clip_norm)
                for batch, site in zip(batches, sites, strict=True)
            ]
            gradient = torch.from_numpy(federation.total(shares) / plan.expected_batch).float().view_as(weights)
            if federation.observe:
                before, moved = (w.double().numpy().flatten() for w in (weights, training.learning_rate * gradient))
                federation.observe(Observed(before=before, after=(before - moved)[None]))
            yield gradient
        elif plan.unit == "recording":
            units = batches[0].units
            part = slice(None) if len(units) == len(rows) else units  # all of them need no copy
            clipped = _gradient(weights, rows[part], target[part], training.clip_norm)
            yield batches[0].add_noise(clipped, training.clip_norm)
        else:
            each = _unit_gradients(weights, *sites[0], batches[0].units)
            yield torch.from_numpy(batches[0].release(each, training.clip_norm)).view_as(weights)


def predict(weights: Array, features: Array, *, link: Literal["softmax", "linear"] = "softmax") -> Array:
    """Return the probabilities (N, C) that a head (D + 1, C) gives to (N, D) features.

    ``linear`` is for least squares, whose scores are probabilities but for their range: they are cut to [0.001, 1] and
    made to add up to 1.
    """
    scores = features.astype(np.float32) @ weights[:-1] + weights[-1]
    if link == "softmax":
        return np.asarray(softmax(scores, axis=1))
    cut = np.clip(scores, 1e-3, 1)
    return np.asarray(cut / cut.sum(axis=1, keepdims=True))


def _examples(
    features: Array, labels: Array, classes: int, groups: Array | None, plan: PrivacyPlan | None
) -> tuple[Tensor, Tensor, Array]:
    """Return features with a last column of 1, (N, D + 1), labels (N,), and which unit each recording is of, (N,)."""
    n = len(features)
    if features.ndim != 2 or not n or labels.shape != (n,) or (groups is not None and groups.shape != (n,)):
        raise DataError(
            f"A head needs (N, D) features, (N,) labels and groups of at least one recording, given {features.shape}, "
            f"{labels.shape} and {None if groups is None else groups.shape}."
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise DataError(f"Labels must lie in 0 to {classes - 1}, they are {labels.min()} to {labels.max()}.")
    owner = np.arange(n)
    if plan is not None and plan.unit == "person":
        if groups is None:
            raise DataError("The plan protects people, so groups must say whose recording each is.")
        owner = np.unique(groups, return_inverse=True)[1]
    rows = np.column_stack([features, np.ones(n)]).astype(np.float32)
    # A number that is none would poison the head, and say that its person was there: such a recording teaches nothing
    rows[~np.isfinite(rows).all(axis=1)] = 0
    return torch.from_numpy(rows), torch.from_numpy(labels.astype(np.int64)), owner


def _gradient(weights: Tensor, rows: Tensor, target: Tensor, clip_norm: float = math.inf) -> Tensor:
    """Return the gradient (C, D + 1) summed over recordings, each cut to ``clip_norm``."""
    rest = torch.softmax(weights @ rows.T, dim=0)  # (C, R)
    rest[target, torch.arange(len(rows))] -= 1
    if clip_norm < math.inf:  # the norm of an outer product is that of two norms
        norm = rest.square().sum(dim=0).mul_(rows.square().sum(dim=1)).sqrt_()
        scale = (clip_norm / norm.clamp_min(1e-30)).clamp_max_(1)
        rest = torch.where(norm.isfinite(), rest.mul_(scale), 0.0)  # what overflows would show that it is there
    return rest @ rows


def _unit_gradients(weights: Tensor, rows: Tensor, target: Tensor, owner: Array, units: Array) -> Array:
    """Return (B, C * (D + 1)), the mean gradient of each unit's recordings, not clipped."""
    parts = [np.flatnonzero(owner == unit) for unit in units]
    each = [_gradient(weights, rows[part], target[part]).flatten().numpy() / len(part) for part in parts]
    return np.array(each, dtype=np.float32).reshape(len(units), weights.numel())


def least_squares_head(
    features: Array,
    labels: Array,
    *,
    classes: int,
    plan: PrivacyPlan | None,
    rng: np.random.Generator,
    groups: Array | None = None,
    feature_norm: float = 1.0,
    ridge: float = 1e-4,
) -> Array:
    """Solve for a head as ``fit_head`` trains one; its scores estimate the probabilities of the classes.

    Features are cut to the L2 norm ``feature_norm``, a public constant; in use, cut them too (``clip_rows``). ``ridge``
    is added to the diagonal of the mean outer product, in units where features have norm 1; and beside it the noise's
    largest expected eigenvalue.

    **Guarantee**: under a plan (one step, everybody in it) the head is as private as the plan says: both tables are one
    Gaussian release, in which a unit changes a vector of norm 1 at most. A person counts as the mean of the recordings.

    **Source**: noised sufficient statistics, as in H. Mehta, W. Krichene, A. Thakurta, A. Kurakin, A. Cutkosky,
    "Differentially Private Image Classification from Features", TMLR 2023, arXiv:2211.13403 (DP least
    squares); our ridge follows from the noise, and eigenvalues that noise made negative are set to 0.
    """
    if not 0 < feature_norm < math.inf or not ridge > 0:
        raise OptionError(f"feature_norm and ridge must be above 0, they are {feature_norm} and {ridge}.")
    if plan is not None and (plan.steps != 1 or plan.expected_batch != plan.units or plan.releases != 1):
        raise OptionError(
            "Least squares look once at everybody: the plan must have steps=1, releases=1 and expected_batch=units, "
            f"it has {plan.steps}, {plan.releases} and {plan.expected_batch} of {plan.units}."
        )
    x, target, owner = _examples(features, labels, classes, groups, plan)
    counts = np.bincount(owner)
    # rows of norm 1 at most, (N, D + 1): half of the square for the features, half for the constant
    rows = torch.cat([clip_rows(x[:, :-1].double(), feature_norm) / feature_norm, x[:, -1:]], dim=1) / math.sqrt(2)
    weighted, width = rows / torch.from_numpy(counts[owner])[:, None], rows.shape[1]
    sums = weighted.T @ nn.functional.one_hot(target, classes).to(rows)  # (D + 1, C)
    # The outer products' upper half and the class sums are one vector to which a unit adds norm 1 at most. Off the
    # diagonal each entry stands for two: sqrt(2) keeps the norm of the whole matrix
    i, j = torch.triu_indices(width, width)
    twice = torch.where(i == j, 1.0, math.sqrt(2)).double() * math.sqrt(_SHARE)
    table = torch.cat([(weighted.T @ rows)[i, j] * twice, sums.flatten() * math.sqrt(1 - _SHARE)])
    if plan is None:
        table /= x[:, -1].sum()
    else:
        (batch,) = plan.batches(rng, present=len(counts))
        table = batch.add_noise(table, 1.0)
        # The largest eigenvalue of a symmetric noise matrix with spread s off the diagonal is near 2 s sqrt(width)
        ridge += plan.noise_multiplier / plan.expected_batch * math.sqrt(2 * width / _SHARE)
    products = table.new_zeros(width, width)
    products[i, j] = products[j, i] = table[: len(i)] / twice
    values, vectors = torch.linalg.eigh(products)
    sums = table[len(i) :].reshape(width, -1) / math.sqrt(1 - _SHARE)
    solved = (vectors / (values.clamp_min(0) + ridge)) @ (vectors.T @ sums) / math.sqrt(2)  # (D + 1, C)
    solved[:-1] /= feature_norm
    return np.asarray(solved.float().numpy())
