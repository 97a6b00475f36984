"""How near two sets of rows are: shared neighborhoods, kernel means, a classifier that tells them apart, their ties."""

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import ks_2samp
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from personare.core.types import Array

__all__ = ["correlations_kept", "kernel_distance", "marginal_distance", "neighborhoods", "told_apart"]

_MOST = 800  # rows of each set that pairwise distances are taken of
_PERMUTATIONS = 200


def neighborhoods(real: Array, made: Array, *, k: int = 5) -> tuple[Array, Array, Array, Array]:
    """Return whom the neighborhoods of the others hold: a ball around each row reaches its k-th nearest of its own.

    Args:
        real: (N, D) on a scale where distances mean something.
        made: (M, D).
        k: Of neighbors.

    Returns:
        Precision of each made row (M,), recall of each real row (N,), density of each made row (M,), coverage of each
        real row (N,): their means are the figures. Density may be above 1.

    **Source**: M. Naeem, S. Oh, Y. Uh, Y. Choi, J. Yoo, "Reliable fidelity and diversity metrics for generative
    models", ICML 2020, arXiv:2002.09797.

    Example:
        >>> x = np.random.default_rng(0).standard_normal((60, 2))
        >>> [float(part.mean()) for part in neighborhoods(x, x + 100)]
        [0.0, 0.0, 0.0, 0.0]
    """
    between = cdist(real, made)  # (N, M)
    around_real, around_made = (np.partition(cdist(x, x), k, axis=1)[:, k] for x in (real, made))
    inside = between < around_real[:, None]
    found = (inside.any(axis=0), (between < around_made).any(axis=1), inside.sum(axis=0) / k, inside.any(axis=1))
    precision, recall, density, coverage = (np.asarray(part) for part in found)
    return precision, recall, density, coverage


def kernel_distance(real: Array, made: Array, *, rng: np.random.Generator) -> tuple[float, float]:
    """Return the unbiased squared distance of kernel means and the chance of one as large between two equal groups.

    Args:
        real: (N, D); as many rows are used as both have, at most 800.
        made: (M, D).
        rng: Draws rows and permutations.

    **Source**: A. Gretton et al., "A kernel two-sample test", JMLR 13 (2012); width by the median distance.
    Recordings of one person are alike, so the chance is too small where
    people are few: it orders generators, it tests nothing.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x, y = rng.standard_normal((2, 100, 3))
        >>> kernel_distance(x, y + 1, rng=rng)[1] < 0.01 < kernel_distance(x, y, rng=rng)[1]
        True
    """
    n = min(len(real), len(made), _MOST)
    rows = np.concatenate([x[rng.permutation(len(x))[:n]] for x in (real, made)])
    squares = cdist(rows, rows, "sqeuclidean")
    kernel = np.exp(-squares / np.median(squares[squares > 0])) if (squares > 0).any() else np.ones_like(squares)
    np.fill_diagonal(kernel, 0)
    signs = np.concatenate([np.ones(n), -np.ones(n)])
    drawn = np.stack([signs, *(rng.permutation(signs) for _ in range(_PERMUTATIONS))])  # (1 + R, 2 n)
    same = np.einsum("rn,rn->r", drawn @ kernel, drawn)
    # sum over pairs of s s' k is within less between: within has n (n - 1) pairs of each kind, between n n
    within = (kernel.sum() + same) / 2
    found = within / (n * (n - 1)) - (kernel.sum() - within) / n**2
    return float(found[0]), float((1 + (found[1:] >= found[0]).sum()) / (1 + _PERMUTATIONS))


def told_apart(real: Array, made: Array, real_people: Array, made_people: Array) -> dict[str, float]:
    """Return how well made rows are told from real ones of people not seen before: AUC of two kinds of classifier.

    Args:
        real: (N, D).
        made: (M, D).
        real_people: (N,) nobody is in training and in test.
        made_people: (M,).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x, who = rng.standard_normal((2, 200, 3)), np.repeat(np.arange(20), 10)
        >>> told_apart(x[0], x[1] + 3, who, who)["linear"] > 0.9
        True
    """
    x, y = np.concatenate([real, made]), np.repeat([0, 1], [len(real), len(made)])
    people = np.concatenate([np.char.add("r", real_people.astype(str)), np.char.add("m", made_people.astype(str))])
    kinds = {
        "linear": make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500)),
        "trees": HistGradientBoostingClassifier(max_iter=40, max_leaf_nodes=15, max_bins=63, random_state=0),
    }
    found = {}
    for name, classifier in kinds.items():
        each = []  # scores of different folds are on different scales, and are not put in one order
        for train, test in StratifiedGroupKFold(3).split(x, y, people):
            scores = classifier.fit(x[train], y[train]).predict_proba(x[test])[:, 1]
            each.append(roc_auc_score(y[test], scores))
        found[name] = float(np.mean(each))
    return found


def marginal_distance(real: Array, made: Array) -> float:
    """Return the mean over columns of the largest difference of distribution functions (Kolmogorov–Smirnov).

    Example:
        >>> marginal_distance(np.zeros((5, 2)), np.ones((5, 2)))
        1.0
    """
    # the statistic is the same by either method; the exact one takes minutes for a chance that nobody asks for
    return float(np.mean([ks_2samp(a, b, method="asymp").statistic for a, b in zip(real.T, made.T, strict=True)]))


def correlations_kept(real: Array, made: Array, parts: Array) -> tuple[float, float]:
    """Return how much of the correlations within and across modalities made rows have, at best 1.

    Args:
        real: (N, D).
        made: (M, D).
        parts: (D,) which modality a column is of.

    Returns:
        Of pairs of columns within a modality, and across: one less the summed squared error over the summed squares of
        real correlations, so that no correlation at all gives 0. NaN where there are no such pairs.

    Example:
        >>> x = np.random.default_rng(0).standard_normal((500, 1)) @ np.ones((1, 2))
        >>> correlations_kept(x, x, np.array([0, 1]))[1]
        1.0
    """
    told = (real.std(axis=0) > 1e-6) & (made.std(axis=0) > 1e-6)
    a, b = (np.corrcoef(x[:, told], rowvar=False) for x in (real, made))
    same = parts[told][:, None] == parts[told]
    upper = np.triu(np.ones_like(same), 1)
    return _explained(a, b, same & upper), _explained(a, b, ~same & upper)


def _explained(real: Array, made: Array, pairs: Array) -> float:
    if not pairs.any():
        return float("nan")
    return float(1 - ((real - made)[pairs] ** 2).sum() / max((real[pairs] ** 2).sum(), 1e-12))
