"""A linear head on fixed features, privately or not: by clipped gradients, or by noised least squares.

The gradient of one recording is an outer product, so its norm is the product of two norms and needs no per-sample
gradient in memory.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Literal

import numpy as np
import torch
from scipy.special import softmax
from torch import Tensor

from personare.core.errors import DataError, OptionError
from personare.core.options import Count, PartShare, Positive, Share, check_options
from personare.core.types import Array
from personare.learn.privacy import PaidBatch, PrivacyPlan, clip_rows

_CHUNK = 2**24  # numbers of per-person gradients held at a time
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
    features: Array,
    labels: Array,
    *,
    classes: int,
    plan: PrivacyPlan | None,
    training: HeadTraining,
    rng: np.random.Generator,
    groups: Array | None = None,
) -> Array:
    """Train a softmax head, (D + 1, C) with the bias last, on (N, D) features and (N,) labels.

    ``groups`` (N,) say whose recording each is, needed for a plan that protects people. A plan of None trains without
    protection.

    **Guarantee**: under a plan the head is as private as the plan says, if the features were made without these
    people's help, or are paid for.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x = rng.standard_normal((200, 2)).astype(np.float32)
        >>> weights = fit_head(x, (x[:, 0] > 0).astype(int), classes=2, plan=None, training=HeadTraining(), rng=rng)
        >>> bool((predict(weights, x).argmax(axis=1) == (x[:, 0] > 0)).mean() > 0.95)
        True
    """
    if plan is not None and plan.releases != 1:
        raise OptionError(f"A head releases one sum of each batch, the plan pays for {plan.releases}: give it 1.")
    x, target, factor = _by_unit(features, labels, classes, groups, plan)
    weights, speed, total = (torch.zeros(classes, x.shape[2]) for _ in range(3))  # (C, D + 1)
    steps = plan.steps if plan else training.steps
    first = min(steps - 1, round(steps * (1 - training.average)))
    paid: Iterator[PaidBatch | None] = plan.batches(rng, present=len(x)) if plan else repeat(None, steps)
    for step, batch in enumerate(paid):
        if batch is None:
            gradient = _gradient(weights, x, target, factor, None) / max(1, int((factor > 0).sum()))
        else:
            part = slice(None) if len(batch.units) == len(x) else torch.from_numpy(batch.units)  # all need no copy
            total_gradient = _gradient(weights, x[part], target[part], factor[part], training.clip_norm)
            gradient = batch.add_noise(total_gradient, training.clip_norm)
        speed.mul_(training.momentum).add_(gradient)
        weights.sub_(speed, alpha=training.learning_rate)
        if step >= first:
            total.add_(weights)
    return np.ascontiguousarray((total / (steps - first)).T.numpy())


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


def _by_unit(
    features: Array, labels: Array, classes: int, groups: Array | None, plan: PrivacyPlan | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return features (U, K, D + 1) with a last column of 1, labels (U, K), and what each counts in its unit, (U, K).

    A unit is one recording, or under a plan for people all recordings of one, padded with zeros that count nothing.
    """
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
    order = np.argsort(owner, kind="stable")
    counts = np.bincount(owner)
    unit = owner[order]
    place = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)  # which of its unit a sorted row is
    shape = (len(counts), int(counts.max()))
    x, target, factor = torch.zeros(*shape, features.shape[1] + 1), torch.zeros(shape).long(), torch.zeros(shape)
    x[unit, place, :-1] = torch.from_numpy(features[order].astype(np.float32))
    x[unit, place, -1] = 1
    target[unit, place] = torch.from_numpy(labels[order].astype(np.int64))
    factor[unit, place] = 1 / torch.from_numpy(counts[unit]).float()
    # A number that is none would poison the head, and say that its person was there
    bad = ~torch.isfinite(x).all(dim=2)
    x[bad], factor[bad] = 0, 0
    return x, target, factor


def _gradient(weights: Tensor, x: Tensor, target: Tensor, factor: Tensor, clip_norm: float | None) -> Tensor:
    """Return the gradient (C, D + 1) summed over units, each cut to ``clip_norm`` if there is one."""
    rows, weight = x.flatten(0, 1), factor.flatten()  # (R, D + 1), (R,)
    rest = torch.softmax(weights @ rows.T, dim=0)  # (C, R)
    rest[target.flatten(), torch.arange(len(rows))] -= 1
    if clip_norm is not None and x.shape[1] == 1:
        norm = rest.square().sum(dim=0).mul_(rows.square().sum(dim=1)).sqrt_().mul_(weight)  # of the outer product
        weight = weight * (clip_norm / norm.clamp_min_(1e-30)).clamp_max_(1)
    rest.mul_(weight)
    if clip_norm is None or x.shape[1] == 1:
        return rest @ rows
    # People are summed up and cut a few at a time, so that memory stays bounded
    by_person = rest.reshape(len(weights), len(x), -1).transpose(0, 1)  # (U, C, K)
    total, size = torch.zeros_like(weights), max(1, _CHUNK // weights.numel())
    for start in range(0, len(x), size):
        each = by_person[start : start + size] @ x[start : start + size]  # (U', C, D + 1)
        total += clip_rows(each.flatten(1), clip_norm).sum(dim=0).view_as(total)
    return total


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
    x, target, factor = _by_unit(features, labels, classes, groups, plan)
    flat = x.flatten(0, 1).double()
    # rows of norm 1 at most, (R, D + 1): half of the square for the features, half for the constant
    rows = torch.cat([clip_rows(flat[:, :-1], feature_norm) / feature_norm, flat[:, -1:]], dim=1) / math.sqrt(2)
    weighted, width = rows * factor.flatten()[:, None], rows.shape[1]
    sums = weighted.T @ torch.nn.functional.one_hot(target.flatten(), classes).to(rows)  # (D + 1, C)
    # The outer products' upper half and the class sums are one vector to which a unit adds norm 1 at most. Off the
    # diagonal each entry stands for two: sqrt(2) keeps the norm of the whole matrix
    i, j = torch.triu_indices(width, width)
    twice = torch.where(i == j, 1.0, math.sqrt(2)).double() * math.sqrt(_SHARE)
    table = torch.cat([(weighted.T @ rows)[i, j] * twice, sums.flatten() * math.sqrt(1 - _SHARE)])
    if plan is None:
        table /= factor.sum()
    else:
        (batch,) = plan.batches(rng, present=len(x))
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
