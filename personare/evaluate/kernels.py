"""A linear or radial classifier in closed form, which chooses its own settings on what it is given to learn from.

Kernel ridge regression on one-hot classes is as good as a support vector machine here (measured on GMM supervectors of
EmoDB and RAVDESS), and its leave-one-out predictions cost nothing: so the kernel, its strength and which description of
the clips to trust are chosen on enrollment data alone, within milliseconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import cdist

from personare.core.types import Array

__all__ = ["KernelClassifier", "learn_classes"]

_RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
# A constant column. Centering rows and targets instead would tell each left-out clip its own class: without a constant
# the rows' mean has no length in the kernel, and with a small ridge that direction rules the leave-one-out formula.
_BIAS = 1.0
_CHOSEN_ON = 600  # clips looked at when choosing; all are used afterwards


@dataclass(frozen=True, kw_only=True)
class _Space:
    """One description of the clips as a kernel, scaled so that a training clip has about unit length."""

    train: Array  # (N, D), standardized
    mean: Array
    scale: Array
    width: float  # of the radial kernel; 0 = linear
    norm: float

    @classmethod
    def of(cls, rows: Array, *, radial: bool, standardize: bool) -> "_Space":
        seen = np.isfinite(rows)
        count = np.maximum(seen.sum(axis=0), 1)
        mean = np.where(seen, rows, 0).sum(axis=0) / count
        spread = np.sqrt((np.where(seen, rows - mean, 0) ** 2).sum(axis=0) / count)
        scale = spread if standardize else np.ones(rows.shape[1])
        scale = np.where(spread > 1e-9, scale, np.inf)  # a constant says nothing
        train = np.nan_to_num((rows - mean) / scale)
        length = float(np.mean((train**2).sum(axis=1))) or 1.0
        return cls(train=train, mean=mean, scale=scale, width=length if radial else 0.0, norm=length)

    def against(self, rows: Array) -> Array:
        """Return the kernel of (M, D) rows against the training clips, (M, N)."""
        ready = np.nan_to_num((rows - self.mean) / self.scale)
        if self.width:
            return np.asarray(np.exp(-cdist(ready, self.train, "sqeuclidean") / self.width))
        return np.asarray(ready @ self.train.T / self.norm)


@dataclass(frozen=True, kw_only=True)
class KernelClassifier:
    """Scores clips against the classes it learned.

    Attributes:
        classes: (K,) sorted.
        spaces: The kernels it uses, each with the number of the description that it reads.
        weights: (N, K) of the training clips.
        loo_accuracy: Share of the training clips named right by classifiers that had not learned from them.
    """

    classes: Array
    spaces: tuple[tuple[int, _Space], ...]
    weights: Array
    loo_accuracy: float

    def __call__(self, descriptions: Sequence[Array]) -> Array:
        """Return (M, K) scores of clips, higher = more likely, from descriptions as given for learning."""
        kernel = sum((space.against(descriptions[which]) for which, space in self.spaces), start=np.zeros(()))
        return np.asarray((kernel / len(self.spaces) + _BIAS) @ self.weights)


def learn_classes(
    descriptions: Sequence[Array], labels: Sequence[str], *, standardize: bool = True, radial: bool = True
) -> KernelClassifier:
    """Learn to tell classes (people, emotions) apart from one or more descriptions of the same clips.

    Args:
        descriptions: Each (N, D) with its own D; NaN counts as the mean.
        labels: (N,) classes.
        standardize: Whether columns get unit variance first.
        radial: Whether radial kernels are tried too.

    Returns:
        The classifier with the kernel, the ridge and the description (or all of them together) that named the training
        clips best when each was left out.

    Example:
        >>> read = learn_classes([np.array([[0.0], [0.1], [1.0], [1.1]])], ["a", "a", "b", "b"])
        >>> read([np.array([[0.0], [1.0]])]).argmax(axis=1).tolist()
        [0, 1]
    """
    classes, index = np.unique(np.asarray(labels), return_inverse=True)
    target = (index[:, None] == np.arange(len(classes))) - 1 / len(classes)
    singles = [
        (which, _Space.of(rows, radial=r, standardize=standardize))
        for which, rows in enumerate(descriptions)
        for r in ((False, True) if radial else (False,))
    ]
    candidates: list[tuple[tuple[int, _Space], ...]] = [(space,) for space in singles]
    if len(descriptions) > 1:  # all descriptions together, once linear and once radial
        step = 2 if radial else 1
        candidates += [tuple(singles[k::step]) for k in range(step)]
    kept = _spread(index)
    scored = [_best_ridge(_gram(c, descriptions)[np.ix_(kept, kept)], target[kept], index[kept]) for c in candidates]
    best = int(np.argmax([quality for quality, _ in scored]))
    gram = _gram(candidates[best], descriptions)
    weights, loo = _ridge(gram, target, scored[best][1])
    return KernelClassifier(
        classes=classes,
        spaces=candidates[best],
        weights=weights,
        loo_accuracy=float(np.mean(loo.argmax(axis=1) == index)),
    )


def _gram(spaces: tuple[tuple[int, _Space], ...], descriptions: Sequence[Array]) -> Array:
    parts = [space.against(descriptions[which]) for which, space in spaces]
    return np.asarray(sum(parts[1:], start=parts[0]) / len(parts) + _BIAS)


def _spread(index: Array) -> Array:
    """Return clips to choose settings on: at most ``_CHOSEN_ON``, the same share of every class."""
    order = np.argsort(index, kind="stable")
    return order[:: max(1, int(np.ceil(len(order) / _CHOSEN_ON)))]


def _best_ridge(gram: Array, target: Array, index: Array) -> tuple[float, float]:
    """Return how well left-out clips are named with the best ridge, and that ridge."""
    values, basis = np.linalg.eigh(gram)
    found = []
    for ridge in _RIDGES:
        inverse = (basis / (np.maximum(values, 0) + ridge)) @ basis.T
        loo = target - inverse @ target / np.diag(inverse)[:, None]
        right = loo.argmax(axis=1) == index
        # the squared error breaks ties between settings that name the same clips
        found.append((float(right.mean() - 0.05 * np.mean((target - loo) ** 2)), ridge))
    return max(found)


def _ridge(gram: Array, target: Array, ridge: float) -> tuple[Array, Array]:
    factor = cho_factor(gram + ridge * np.eye(len(gram)), lower=True)
    weights = cho_solve(factor, target)
    diagonal = np.diag(cho_solve(factor, np.eye(len(gram))))
    return weights, target - weights / diagonal[:, None]
