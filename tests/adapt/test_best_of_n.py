"""The best of several: what it costs in nats, and which it is."""

import numpy as np
import pytest
from numbers_made_up import Numbers, feedback

from personare.adapt.best_of_n import BestOf, BestOfN
from personare.core.errors import OptionError


def test_the_divergence_told_is_that_of_the_best_of_two() -> None:
    """The larger of two numbers in [0, 1] has the density 2 u: its divergence is the integral of 2 u log 2 u."""
    u = (np.arange(100_000) + 0.5) / 100_000
    fitted = BestOfN(numbers=(2,)).fit(Numbers(), feedback(), rng=np.random.default_rng(0))
    assert fitted.drift == pytest.approx((2 * u * np.log(2 * u)).mean(), abs=1e-6)


def test_the_best_of_one_person_and_class_is_kept_under_the_usual_names() -> None:
    labels = np.array([0, 1, 1, 1, 0, 0])
    generator, reward = Numbers(), feedback().reward
    best = BestOf(generator=generator, reward=reward, n=5)(2, 3, rng=np.random.default_rng(0), labels=labels)
    every = generator(2, 15, rng=np.random.default_rng(0), labels=np.repeat(labels, 5))
    assert np.array_equal(reward(best), reward(every).reshape(6, 5).max(axis=1))
    assert best.labels.tolist() == labels.tolist()
    usual = generator(2, 3, rng=np.random.default_rng(1))
    assert (best.ids, best.subjects.tolist()) == (usual.ids, usual.subjects.tolist())


@pytest.mark.parametrize("numbers", [(), (1, 2), (4, 2), (2, 2)])
def test_numbers_that_do_not_rise_are_refused(numbers: tuple[int, ...]) -> None:
    with pytest.raises(OptionError, match="numbers must be rising"):
        BestOfN(numbers=numbers)
