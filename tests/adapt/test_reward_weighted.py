"""Weights over a pool of latents: as sharp as a divergence allows, and no latent comes back as it was."""

from dataclasses import replace

import numpy as np
import pytest
from numbers_made_up import Numbers, feedback, taste

from personare.adapt.reward_weighted import Resampling, RewardWeighted, divergence, weights_within
from personare.core.errors import OptionError


def test_weights_follow_rewards_as_far_as_the_divergence_allows() -> None:
    """Of normal rewards of deviation 1 it shifts the mean by s at a cost of s squared over 2."""
    rewards = np.random.default_rng(0).standard_normal(200_000)
    weights = weights_within(rewards, 0.5)
    assert divergence(weights) == pytest.approx(0.5)
    assert weights @ rewards == pytest.approx(1.0, abs=0.02)
    assert divergence(np.full(4, 0.25)) == 0
    # two that are alike can be told from two others by no more than log 2
    assert weights_within(np.array([1.0, 1.0, -1.0, -1.0]), 5.0) == pytest.approx([0.5, 0.5, 0, 0])


def test_no_latent_of_the_pool_comes_back_as_it_was_and_a_person_stays_one() -> None:
    rng = np.random.default_rng(0)
    pool = Numbers().latents(30, 1, rng=rng)
    resampling = Resampling(pool=pool, weights=np.full(30, 1 / 30), fresh=0.05)
    latents = resampling.moved(Numbers().latents(40, 3, rng=rng), rng)
    for values, of in ((latents.person, pool.person), (latents.moment, pool.moment)):
        assert np.abs(values[:, None] - of).min() > 0
    assert latents.person.shape == (40, 2)
    assert np.array_equal(latents.whose, np.repeat(np.arange(40), 3))


def test_a_class_that_the_pool_lacks_keeps_its_own_moments() -> None:
    rng = np.random.default_rng(0)
    pool = Numbers().latents(30, 1, rng=rng, labels=np.zeros(30, int))
    fresh = Numbers().latents(4, 1, rng=rng, labels=np.array([0, 1, 0, 1]))
    moved = Resampling(pool=pool, weights=np.full(30, 1 / 30), fresh=0.05).moved(fresh, rng)
    assert np.array_equal(moved.moment[[1, 3]], fresh.moment[[1, 3]])
    assert not np.array_equal(moved.moment[[0, 2]], fresh.moment[[0, 2]])


def test_the_taste_is_met_in_every_class() -> None:
    fitted = RewardWeighted(nats=(1.0,)).fit(Numbers(), feedback(), rng=np.random.default_rng(0))
    made = fitted(4000, 1, rng=np.random.default_rng(1))
    # a divergence of 1 moves a normal taste by sqrt 2 of its deviation, which is sqrt 2
    assert taste(made)[made.labels == 0].mean() == pytest.approx(2.0, abs=0.2)
    assert taste(made)[made.labels == 1].mean() == pytest.approx(2.0, abs=0.2)


def test_a_reward_that_says_nothing_changes_nothing() -> None:
    silent = replace(feedback(), reward=lambda batch: np.zeros(len(batch)))
    fitted = RewardWeighted()._strengths(Numbers(), silent.reward, np.random.default_rng(0))
    assert next(fitted).drift == pytest.approx(0)


@pytest.mark.parametrize("nats", [(), (0.0, 1.0), (2.0, 1.0), (1.0, np.inf)])
def test_strengths_that_do_not_rise_are_refused(nats: tuple[float, ...]) -> None:
    with pytest.raises(OptionError, match="nats must be rising"):
        RewardWeighted(nats=nats)
