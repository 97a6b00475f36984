"""Noise of whole numbers has the distribution that it says."""

import numpy as np
import pytest
from scipy.stats import chisquare, kstest

from personare.learn.discrete_gaussian import discrete_gaussian


@pytest.mark.parametrize("deviation", [0.4, 1.5])
def test_small_numbers_are_as_likely_as_the_formula_says(deviation):
    drawn = discrete_gaussian(deviation, 40_000, np.random.default_rng(0))
    values = np.arange(-30, 31)
    chances = np.exp(-(values**2) / (2 * deviation**2))
    expected = 40_000 * chances / chances.sum()
    often = expected > 5
    counts = np.array([(drawn == value).sum() for value in values])
    assert chisquare([*counts[often], counts[~often].sum()], [*expected[often], expected[~often].sum()]).pvalue > 1e-3


def test_large_ones_are_gaussian():
    drawn = discrete_gaussian(3e11, 40_000, np.random.default_rng(0))
    assert drawn.dtype == np.int64
    assert kstest(drawn / 3e11, "norm").pvalue > 1e-3
