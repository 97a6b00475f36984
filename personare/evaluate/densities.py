"""How likely recordings are among others: one normal distribution, its covariance shrunk so that few are enough."""

from collections.abc import Callable

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from sklearn.covariance import ledoit_wolf

from personare.core.errors import DataError
from personare.core.types import Array

__all__ = ["normal_density"]

_FLOOR = 1e-6  # of the variance, against columns that are constant


def normal_density(rows: Array) -> Callable[[Array], Array]:
    """Return what gives the log-density of (N, D) rows, (N,), under the normal distribution of these.

    **Source**: O. Ledoit, M. Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", Journal
    of Multivariate Analysis 88(2), 2004, doi:10.1016/S0047-259X(03)00096-4 (scikit-learn's), up to a constant.

    Example:
        >>> rows = np.random.default_rng(0).standard_normal((500, 2))
        >>> normal_density(rows)(np.array([[0.0, 0.0], [3.0, 3.0]])).round().tolist()
        [0.0, -10.0]
    """
    if len(rows) < 2:
        raise DataError(f"A normal distribution needs at least two recordings, given {len(rows)}.")
    center = rows.mean(axis=0)
    covariance = ledoit_wolf(rows - center, assume_centered=True)[0]
    lower = cholesky(covariance + _FLOOR * np.eye(rows.shape[1]), lower=True)
    volume = 2 * np.log(np.diag(lower)).sum()

    def density(asked: Array) -> Array:
        apart = solve_triangular(lower, (asked - center).T, lower=True)  # (D, N)
        return np.asarray(-((apart**2).sum(axis=0) + volume) / 2)

    return density
