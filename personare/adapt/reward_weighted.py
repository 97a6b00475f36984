"""Draws latents again and again of those whose recordings experts like, the more often the better liked."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq
from scipy.special import softmax

from personare.core.options import Count, Share, check_options
from personare.core.protocols import LatentSampler, Sampler
from personare.core.types import Array, Feedback, Latents, Reward
from personare.learn.preferring import (
    NATS,
    Adapted,
    MovedLatents,
    Nats,
    Strength,
    beyond_class,
    check_offers,
    strongest_agreed,
)

__all__ = ["RewardWeighted"]


@dataclass(frozen=True, kw_only=True)
class RewardWeighted:
    """Look at nobody: draw a pool of latents once, and draw from it with weights ``exp(reward / temperature)``.

    The temperature is as low as the divergence allows that each strength may cost. The numbers of a person and those of
    a recording are drawn apart, the first once for all recordings of a made-up person, the second of the same class.
    What is drawn is mixed with fresh numbers, so that no latent of the pool comes back as it was.

    **Guarantee**: what is made costs the privacy that the generator cost: the pool is made up. The divergence told is
    that of the weights; mixing with fresh numbers lowers it.

    **Source**: J. Peters, S. Schaal, "Reinforcement learning by reward-weighted regression for operational space
    control", ICML 2007, doi:10.1145/1273496.1273590; the temperature by a bound on the divergence, J. Peters,
    K. Mülling, Y. Altün, "Relative entropy policy search", AAAI 2010. Drawing from the pool in place of a regression,
    and persons apart from recordings, are ours.
    """

    nats: Nats = NATS  # strengths, weakest first
    draws: Count = 400  # recordings that are compared at each strength
    pool: Count = 4000  # latents that are weighted
    fresh: Share = 0.05  # share of the variance of what is drawn that is not of the pool

    def __post_init__(self) -> None:
        check_options(self)

    def fit(self, sampler: Sampler, feedback: Feedback, *, rng: np.random.Generator) -> Adapted:
        """Sharpen the weights as long as the judge agrees; see ``core.protocols.Adaptation``."""
        check_offers(sampler, "latents", "reward_weighted")
        strengths = self._strengths(sampler, feedback.reward, rng)  # type: ignore[arg-type]
        return strongest_agreed(sampler, strengths, feedback, draws=self.draws, rng=rng)

    def _strengths(self, generator: LatentSampler, reward: Reward, rng: np.random.Generator) -> Iterator[Strength]:
        pool = generator.latents(self.pool, 1, rng=rng)
        rewards = beyond_class(reward(generator.decoded(pool, rng=rng)), pool.labels)
        scaled = rewards / (rewards.std() or 1.0)
        for nats in self.nats:
            weights = weights_within(scaled, nats)
            resampling = Resampling(pool=pool, weights=weights, fresh=self.fresh)
            yield Strength(MovedLatents(generator=generator, move=resampling.moved), divergence(weights))


def divergence(weights: Array) -> float:
    """Return the Kullback-Leibler divergence of weights (N,) that add up to 1 from equal ones, in nats."""
    return float(np.sum(weights * np.log(np.maximum(weights * len(weights), 1e-300))))


def weights_within(rewards: Array, nats: float) -> Array:
    """Return weights (N,) that follow rewards of deviation 1 as far as a divergence of so many nats allows.

    Example:
        >>> weights = weights_within(np.array([0.0, 1.0, 2.0]), 0.1)
        >>> round(divergence(weights), 4), weights.argmax()
        (0.1, np.int64(2))
    """
    steepest = 50.0
    sharpest: Array = softmax(steepest * rewards)
    if divergence(sharpest) <= nats:
        return sharpest
    slope = brentq(lambda slope: divergence(softmax(slope * rewards)) - nats, 0.0, steepest)
    return np.asarray(softmax(slope * rewards))


@dataclass(frozen=True, kw_only=True)
class Resampling:
    """A pool of latents, one recording of each person, and how often each is drawn."""

    pool: Latents
    weights: Array  # (N,), adding up to 1
    fresh: float  # share of the variance that is not of the pool

    def moved(self, latents: Latents, rng: np.random.Generator) -> Latents:
        """Return latents of the pool mixed with these; a class of which the pool has none keeps its own."""
        pool, person, moment = self.pool, latents.person, latents.moment.copy()
        person = self._mixed(pool.person[pool.whose], self.weights, person, rng)
        for c in np.intersect1d(latents.labels, pool.labels):
            there, here = pool.labels == c, latents.labels == c
            moment[here] = self._mixed(pool.moment[there], self.weights[there], moment[here], rng)
        return replace(latents, person=person, moment=moment)

    def _mixed(self, pool: Array, weights: Array, fresh: Array, rng: np.random.Generator) -> Array:
        drawn = pool[rng.choice(len(pool), size=len(fresh), p=weights / weights.sum())]
        return np.asarray(np.sqrt(1 - self.fresh) * drawn + np.sqrt(self.fresh) * fresh)
