"""Recordings as rows, their nearest others and their density: the quick ways give what the plain ones do."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import multivariate_normal
from sklearn.covariance import ledoit_wolf

from personare.core.types import Array
from personare.evaluate.synthetic_case import nearest, normal_density
from personare.learn import describing


def rows(count: int, seed: int = 0) -> Array:
    # far from 0: where differences of products lose digits
    return np.random.default_rng(seed).standard_normal((count, 12)) * 50 + 1000


def test_the_nearest_of_others_is_as_far_as_an_exhaustive_search_says() -> None:
    real, made = rows(300), rows(700, seed=1)
    np.testing.assert_allclose(nearest(real, made), cdist(real, made).min(axis=1), rtol=1e-6)


def test_a_copy_is_at_no_distance_at_all() -> None:
    real = rows(300)
    assert not nearest(real[:40], real).any()


def test_nobodys_own_recordings_are_the_nearest_and_who_is_alone_has_none() -> None:
    real, people = rows(300), np.random.default_rng(2).integers(0, 5, 300)
    apart = cdist(real, real)
    apart[people[:, None] == people] = np.inf
    np.testing.assert_allclose(nearest(real, real, people), apart.min(axis=1), rtol=1e-6)
    assert np.isinf(nearest(real, real, np.zeros(300))).all()


@pytest.mark.parametrize("shape", [(7,), (50, 3), (1, 64, 90), (3, 40, 40)])
def test_a_few_at_a_time_are_described_as_all_at_once(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    values: Array = np.random.default_rng(0).random((60, *shape), dtype=np.float32)
    whole = describing.describe_rows(values)
    monkeypatch.setattr(describing, "_AT_ONCE", 1)
    np.testing.assert_array_equal(describing.describe_rows(values), whole)
    assert describing.describe_rows(values[:0]).shape == (0, whole.shape[1])


def test_density_is_that_of_the_shrunk_normal_distribution() -> None:
    known, asked = (
        np.random.default_rng(seed).standard_normal((80, 6)) @ np.diag([1, 2, 3, 4, 5, 0]) for seed in (0, 1)
    )
    covariance = ledoit_wolf(known)[0] + 1e-6 * np.eye(6)
    expected = multivariate_normal(known.mean(axis=0), covariance).logpdf(asked)
    found = normal_density(known)(asked)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert normal_density(known)(asked[:1]).shape == (1,)
