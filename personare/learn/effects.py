"""What a group's recordings are made of: a class, a person, and the moment; each a normal distribution."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.covariance import ledoit_wolf_shrinkage

from personare.core.types import Array

__all__ = ["Effects", "complete", "root"]

_ROUNDS = 5
_RIDGE = 1e-3
_MOST_TAKEN = 0.99  # of a person's mean: what is left still tells the classes of people who show one each
_WORTH = 5  # people whom all recordings together count as, when few people must tell how two columns go together


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
    (1982), doi:10.2307/2529876, fitted by moments; class means after W. Fuller, G. Battese, "Transformations for
    estimation of linear models with nested-error structure", JASA 68 (1973), doi:10.1080/01621459.1973.10481396, with
    one share for all columns; moments are shrunk as by O. Ledoit, M. Wolf, J. Multivariate Analysis 88 (2004),
    doi:10.1016/S0047-259X(03)00096-4, to no correlation; that people are shrunk to recordings is ours.

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
        moments = (left - own[whose]) * np.sqrt(len(rows) / max(1, len(rows) - len(counts)))  # as if people were known
        pooled, share = _moments(moments), _noise_share(moments)
        between = _toward(own - own.mean(axis=0), _moments(left)) * len(counts) / max(1, len(counts) - 1)
        person = root(between - pooled * (1 / counts).mean())  # what recordings differ in is partly in a person's mean
        # a class has its own covariance as far as its recordings tell it
        covariances = []
        for c in range(classes):
            part = moments[labels == c]
            trust = len(part) / (len(part) + rows.shape[1])
            found = trust * _moments(part) + (1 - trust) * pooled
            covariances.append(root((1 - share) * found + share * np.diag(np.diag(found))))
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
        means = _plain_means(filled, labels, int(labels.max()) + 1)
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
    """Return class means (C, K), found within people as far as people differ and give more than one class.

    Of each person's recordings a share of their mean is taken off, all of it if recordings of one person are alike.
    """
    counts = np.bincount(whose)
    left = rows - _plain_means(rows, labels, classes)[labels]
    own = _sums(left, whose) / counts[:, None]  # (P, K)
    within = ((left - own[whose]) ** 2).sum() / max(1, len(rows) - len(counts))
    between = max(float((own**2).sum() / len(counts) - within * (1 / counts).mean()), 0.0)
    share = 1 - np.sqrt(within / np.maximum(within + counts * between, 1e-12))  # (P,)
    share = np.minimum(share, _MOST_TAKEN)
    which = np.eye(classes)[labels]  # (N, C)
    asked, told = (x - (share[:, None] * _sums(x, whose) / counts[:, None])[whose] for x in (which, rows))
    found = np.linalg.lstsq(asked, told, rcond=None)[0]
    found[which.sum(axis=0) == 0] = rows.mean(axis=0)
    return np.asarray(found)


def _plain_means(rows: Array, labels: Array, classes: int) -> Array:
    return _sums(rows, labels, classes) / np.maximum(np.bincount(labels, minlength=classes), 1)[:, None]


def _sums(rows: Array, whose: Array, count: int | None = None) -> Array:
    total = np.zeros((count or int(whose.max()) + 1, rows.shape[1]))
    np.add.at(total, whose, rows)
    return total


def _moments(rows: Array) -> Array:
    return np.asarray(rows.T @ rows / max(1, len(rows)))


def _noise_share(rows: Array) -> float:
    """Return which share of the correlations of few rows is noise."""
    scale = np.sqrt(np.maximum((rows**2).mean(axis=0), 1e-12))
    return float(ledoit_wolf_shrinkage(rows / scale, assume_centered=True))


def _toward(rows: Array, like: Array) -> Array:
    """Return the covariance of few centered rows, with correlations drawn toward ``like`` the more the fewer there are.

    People are few, recordings are many: where people do not tell how two columns go together, recordings do.
    """
    found, deviation = _moments(rows), np.sqrt(np.maximum((rows**2).mean(axis=0), 1e-12))
    scale = np.sqrt(np.maximum(np.diag(like), 1e-12))
    target = like / np.outer(scale, scale) * np.outer(deviation, deviation)
    share = _WORTH / (_WORTH + len(rows))
    return np.asarray((1 - share) * found + share * target)
