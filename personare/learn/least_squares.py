"""Linear heads by private least squares: everybody's data are looked at once, as two noised tables of sums."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from personare.core.errors import OptionError
from personare.core.types import Array
from personare.learn.heads import Bags, Examples
from personare.learn.privacy import PrivacyPlan, clip_rows

__all__ = ["LeastSquares", "least_squares_heads"]


@dataclass(frozen=True, kw_only=True)
class LeastSquares:
    """How heads are solved for. Under a plan these must be constants, not fitted to the people it protects.

    Attributes:
        feature_norm: Features are cut to this L2 norm; public. In use, cut them too (``clip_rows``).
        ridge: Added to the diagonal of the mean outer product, in units where features have norm 1.
        noise_ridge: How many times the noise's largest expected eigenvalue is added as well.
        share: Part of the squared sensitivity given to the outer products; the rest goes to the class sums.

    Raises:
        OptionError: A number out of its range.
    """

    feature_norm: float = 1.0
    ridge: float = 1e-4
    noise_ridge: float = 1.0
    share: float = 0.5

    def __post_init__(self) -> None:
        """Check the options."""
        if not 0 < self.feature_norm < math.inf or not 0 < self.share < 1 or not self.ridge > 0 or self.noise_ridge < 0:
            raise OptionError(
                "feature_norm and ridge must be above 0, noise_ridge not negative and share between 0 and 1; they are "
                f"{self.feature_norm}, {self.ridge}, {self.noise_ridge} and {self.share}."
            )


def least_squares_heads(
    examples: Examples, *, plan: PrivacyPlan | None, options: LeastSquares, rng: np.random.Generator
) -> Array:
    """Solve for one head for each row of ``inside``; scores estimate the probabilities of the classes.

    **Guarantee**: under a plan each head alone is as private as the plan says: both tables are one Gaussian release,
    in which a unit changes a vector of norm 1 at most. A person counts as the mean of the recordings.

    Args:
        examples: What to learn from.
        plan: Of one step with everybody in it; None adds no noise.
        options: How.
        rng: Draws the noise.

    Returns:
        Weights (S, D + 1, C), the bias last; ``heads.predict(..., link="linear")`` reads them.

    Raises:
        OptionError: The plan has several steps or draws some units only.

    **Source**: noised sufficient statistics, as in H. Mehta, W. Krichene, A. Thakurta, A. Kurakin, A. Cutkosky,
    "Differentially Private Image Classification from Features", TMLR 2023, arXiv:2211.13403 (DP least
    squares); our ridge follows from the noise, and eigenvalues that noise made negative are set to 0.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x = rng.standard_normal((400, 2)).astype(np.float32)
        >>> seen = Examples(features=x, labels=(x[:, 0] > 0).astype(np.int64), classes=2)
        >>> once = PrivacyPlan(epsilon=2, delta=1e-4, unit="recording", units=400, expected_batch=400, steps=1)
        >>> weights = least_squares_heads(seen, plan=once, options=LeastSquares(), rng=rng)
        >>> scores = x @ weights[0, :-1] + weights[0, -1]
        >>> bool((scores.argmax(axis=1) == seen.labels).mean() > 0.9)
        True
    """
    if plan is not None and (plan.steps != 1 or plan.expected_batch != plan.units or plan.releases != 1):
        raise OptionError(
            "Least squares look once at everybody: the plan must have steps=1, releases=1 and expected_batch=units, "
            f"it has {plan.steps}, {plan.releases} and {plan.expected_batch} of {plan.units}."
        )
    bags = Bags.of(examples, people=plan is not None and plan.unit == "person")
    rows = _unit_rows(bags.features, options.feature_norm)  # (R, D + 1), norm 1 at most
    targets = torch.nn.functional.one_hot(bags.labels.reshape(-1), examples.classes).to(rows)
    factor = bags.factor.reshape(len(bags.factor), -1)  # (S, R)
    tables = torch.stack([_tables(rows, targets, each, options.share) for each in factor])  # (S, P + (D + 1) C)
    if plan is not None:
        (batch,) = plan.batches(rng, present=len(bags.features))
        tables = batch.add_noise(tables, 1.0)
        noise = plan.noise_multiplier / plan.expected_batch
    else:
        tables, noise = tables / factor.sum(dim=1, keepdim=True), 0.0
    solved = torch.stack([_solve(table, noise, rows.shape[1], options) for table in tables])  # (S, D + 1, C)
    solved[:, :-1] /= math.sqrt(2) * options.feature_norm
    solved[:, -1] /= math.sqrt(2)
    return np.asarray(solved.float().numpy())


def _unit_rows(features: Tensor, norm: float) -> Tensor:
    """Return rows of norm 1 at most: half of the square for the features, half for the constant."""
    width = features.shape[2]
    rows = features.reshape(-1, width).double()
    return torch.cat([clip_rows(rows[:, :-1], norm) / norm, rows[:, -1:]], dim=1) / math.sqrt(2)


def _tables(rows: Tensor, targets: Tensor, factor: Tensor, share: float) -> Tensor:
    """Return the outer products' upper half and the class sums as one vector to which a unit adds norm 1 at most."""
    weighted = rows * factor[:, None]
    upper = torch.triu_indices(rows.shape[1], rows.shape[1])
    # Off the diagonal each entry stands for two: sqrt(2) keeps the norm of the whole matrix
    twice = torch.where(upper[0] == upper[1], 1.0, math.sqrt(2))
    products = (weighted.T @ rows)[upper[0], upper[1]] * twice
    return torch.cat([products * math.sqrt(share), (weighted.T @ targets).flatten() * math.sqrt(1 - share)])


def _solve(table: Tensor, noise: float, width: int, options: LeastSquares) -> Tensor:
    """Return the weights (D + 1, C) of one head from its noised means."""
    upper = torch.triu_indices(width, width)
    count = upper.shape[1]
    half = torch.where(upper[0] == upper[1], 1.0, 1 / math.sqrt(2)) / math.sqrt(options.share)
    products = table.new_zeros(width, width)
    products[upper[0], upper[1]] = table[:count] * half
    products[upper[1], upper[0]] = products[upper[0], upper[1]]
    sums = table[count:].reshape(width, -1) / math.sqrt(1 - options.share)
    values, vectors = torch.linalg.eigh(products)
    # The largest eigenvalue of a symmetric noise matrix with spread s off the diagonal is near 2 s sqrt(width)
    largest = noise * math.sqrt(2 * width / options.share)
    ridge = options.ridge + options.noise_ridge * largest
    solved: Tensor = (vectors / (values.clamp_min(0) + ridge)) @ (vectors.T @ sums)
    return solved
