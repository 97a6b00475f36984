"""What a group's recordings are made of: a class, a person, and the moment; each a normal distribution."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from personare.core.types import Array

__all__ = ["Effects", "complete", "root"]

_ROUNDS = 5
_RIDGE = 1e-3


@dataclass(frozen=True, kw_only=True)
class Effects:
    """Rows are the mean of their class, plus a person's own part, plus what this recording adds.

    A person's part is one for all of the person's recordings, over all modalities together: that is what makes the
    voice, the face and the heart of a made-up person belong together, and stay the same.

    Attributes:
        means: (C, K) of classes.
        person: (K, R) a person's part is this times R normal numbers.
        moment: (C, K, S) the same for a recording of each class.

    **Source**: the linear mixed model, N. Laird, J. Ware, "Random-effects models for longitudinal data", Biometrics 38
    (1982), doi:10.2307/2529876, fitted by moments; the share of shrinkage is that of O. Ledoit, M. Wolf, J.
    Multivariate Analysis 88 (2004), doi:10.1016/S0047-259X(03)00096-4, its target (how recordings go together) is ours.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> who, labels = np.repeat(np.arange(30), 20), np.tile([0, 1], 300)
        >>> rows = rng.standard_normal((600, 2)) + 3 * rng.standard_normal((30, 2))[who] + 5 * labels[:, None]
        >>> effects = Effects.of(rows, labels, who, classes=2)
        >>> (effects.means[1] - effects.means[0]).round(0)
        array([5., 5.])
        >>> bool(2 < np.sqrt((effects.person**2).sum(axis=1)).mean() < 4)
        True
    """

    means: Array
    person: Array
    moment: Array

    @classmethod
    def of(cls, rows: Array, labels: Array, subjects: Array, *, classes: int) -> "Effects":
        """Fit to complete rows.

        Args:
            rows: (N, K).
            labels: (N,) from 0 to ``classes`` - 1; a class that does not occur has the mean of all.
            subjects: (N,) whose they are.
            classes: C.
        """
        whose = np.unique(subjects, return_inverse=True)[1]
        means = _class_means(rows, labels, whose, classes)
        left = rows - means[labels]
        counts = np.bincount(whose)
        own = _sums(left, whose) / counts[:, None]  # (P, K)
        moments = left - own[whose]
        freedom = max(1, len(rows) - len(counts))
        pooled = _moments(moments) * len(rows) / freedom
        between = _toward(own - own.mean(axis=0), _moments(left)) * len(counts) / max(1, len(counts) - 1)
        person = root(between - pooled * (1 / counts).mean())  # what recordings differ in is partly in a person's mean
        # a class has its own covariance as far as its recordings tell it
        covariances = []
        for c in range(classes):
            part = moments[labels == c]
            trust = len(part) / (len(part) + rows.shape[1])
            covariances.append(root(trust * _moments(part) * len(rows) / freedom + (1 - trust) * pooled))
        return cls(means=means, person=person, moment=np.stack(covariances))

    def draw(self, labels: Array, whose: Array, *, rng: np.random.Generator) -> Array:
        """Return (N, K) rows of made-up people.

        Args:
            labels: (N,) classes.
            whose: (N,) which made-up person, from 0.
            rng: Draws the people and the recordings.
        """
        people = rng.standard_normal((int(whose.max()) + 1, self.person.shape[1])) @ self.person.T  # (P, K)
        rows = self.means[labels] + people[whose]
        for c in np.unique(labels):
            chosen = labels == c
            rows[chosen] += rng.standard_normal((chosen.sum(), self.moment.shape[2])) @ self.moment[c].T
        return np.asarray(rows)

    def state(self) -> dict[str, Array]:
        """Return the arrays."""
        return {"effects.means": self.means, "effects.person": self.person, "effects.moment": self.moment}

    @classmethod
    def restore(cls, tensors: Mapping[str, Array]) -> "Effects":
        """Build again what ``state`` returned."""
        return cls(**{part: np.asarray(tensors[f"effects.{part}"]) for part in ("means", "person", "moment")})


def root(covariance: Array) -> Array:
    """Return a symmetric root of the nearest covariance; directions of negative variance are left out."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T)


def complete(rows: Array, labels: Array, *, rng: np.random.Generator) -> Array:
    """Fill what is missing by draws from what the rest of the row tells of it.

    Args:
        rows: (N, K), NaN where missing.
        labels: (N,) classes.
        rng: Draws what is filled in.

    **Source**: A. Dempster, N. Laird, D. Rubin, JRSS B 39 (1977), doi:10.1111/j.2517-6161.1977.tb01600.x (the normal
    case); the last fill is drawn, so that variances are not too small.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x = rng.standard_normal((200, 1)) @ np.ones((1, 2))
        >>> holes = x.copy()
        >>> holes[:50, 1] = np.nan
        >>> bool(abs(complete(holes, np.zeros(200, dtype=int), rng=rng) - x).max() < 0.3)
        True
    """
    missing = np.isnan(rows)
    if not missing.any():
        return rows
    filled = np.where(missing, np.nanmean(rows, axis=0), rows)
    patterns = np.unique(missing, axis=0)
    for last in [False] * _ROUNDS + [True]:
        means = np.stack(
            [
                filled[labels == c].mean(axis=0) if (labels == c).any() else filled.mean(axis=0)
                for c in range(labels.max() + 1)
            ]
        )
        left = filled - means[labels]
        covariance = _moments(left) + _RIDGE * np.eye(rows.shape[1])
        for hole in patterns[patterns.any(axis=1)]:
            chosen = (missing == hole).all(axis=1)
            slope = np.linalg.solve(covariance[np.ix_(~hole, ~hole)], covariance[np.ix_(~hole, hole)])  # (seen, lost)
            told = means[labels[chosen]][:, hole] + left[np.ix_(chosen, ~hole)] @ slope
            if last:
                unknown = root(covariance[np.ix_(hole, hole)] - covariance[np.ix_(hole, ~hole)] @ slope)
                told = told + rng.standard_normal(told.shape) @ unknown
            filled[np.ix_(chosen, hole)] = told
    return filled


def _class_means(rows: Array, labels: Array, whose: Array, classes: int) -> Array:
    """Return class means (C, K), found within people: somebody who gave more of one class does not shift it."""
    overall = _sums(rows, whose) / np.bincount(whose)[:, None]  # (P, K)
    centered = rows - overall[whose]
    mean, counts = overall.mean(axis=0), np.bincount(labels, minlength=classes)
    return np.asarray(mean + _sums(centered, labels, classes) / np.maximum(counts, 1)[:, None])


def _sums(rows: Array, whose: Array, count: int | None = None) -> Array:
    total = np.zeros((count or int(whose.max()) + 1, rows.shape[1]))
    np.add.at(total, whose, rows)
    return total


def _moments(rows: Array) -> Array:
    return np.asarray(rows.T @ rows / max(1, len(rows)))


def _toward(rows: Array, like: Array) -> Array:
    """Return the covariance of few centered rows, with correlations drawn toward ``like`` the more the fewer there are.

    People are few, recordings are many: where people do not tell how two columns go together, recordings do.
    """
    n = len(rows)
    found, deviation = _moments(rows), np.sqrt(np.maximum((rows**2).mean(axis=0), 1e-12))
    scale = np.sqrt(np.maximum(np.diag(like), 1e-12))
    target = like / np.outer(scale, scale) * np.outer(deviation, deviation)
    squares = rows**2
    noise = (squares.T @ squares / n - found**2).sum() / n  # variance of all entries
    share = float(np.clip(noise / max(((found - target) ** 2).sum(), 1e-12), 0, 1))
    return np.asarray((1 - share) * found + share * target)
