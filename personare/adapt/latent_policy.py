"""Learns, by trial and reward, where in a generator's latent space the recordings lie that experts like."""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from personare.core.options import Count, PartShare, Positive, check_options
from personare.core.protocols import LatentSampler, Sampler
from personare.core.types import Array, Feedback, Latents, Reward
from personare.learn.loop import descend
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

__all__ = ["LatentPolicy"]

_MOMENTUM = 0.9
_STEPS = torch.tensor([[1.0], [0.5**0.5]], dtype=torch.float64)  # with these a deviation costs what a mean costs


@dataclass(frozen=True, kw_only=True)
class LatentPolicy:
    """Look at nobody: draw latents from a normal policy in place of the generator's own, and let rewards move it.

    The policy has a mean and a deviation for each number of a person, and for each number of a recording of a class. It
    starts as the generator's prior, to which a penalty ties it; each strength goes on from the one before with a weaker
    penalty. The decoder stays as it is.

    **Guarantee**: what is made costs the privacy that the generator cost: policy gradients see made-up recordings only.

    **Source**: R. Williams, "Simple statistical gradient-following algorithms", Machine Learning 8, 1992,
    doi:10.1007/BF00992696; the clipped objective, J. Schulman et al., "Proximal policy optimization algorithms",
    arXiv:1707.06347; the penalty, N. Jaques et al., "Sequence tutor", ICML 2017, arXiv:1611.02796. Persons apart from
    recordings, and the penalty that a strength in nats stands for, are ours.
    """

    nats: Nats = NATS  # strengths, weakest first
    draws: Count = 400  # recordings that are compared at each strength
    steps: Count = 5  # of each strength
    batch_size: Count = 1024  # recordings of a step: many, for latents have many directions, and few steps suffice
    passes: Count = 2  # over these
    clip: PartShare = 0.5  # how much more or less likely a step may make a latent before it gains no more by that
    learning_rate: Positive = 0.1

    def __post_init__(self) -> None:
        check_options(self)

    def fit(self, sampler: Sampler, feedback: Feedback, *, rng: np.random.Generator) -> Adapted:
        """Move the policy as long as the judge agrees; see ``core.protocols.Adaptation``."""
        check_offers(sampler, "latents", "latent_policy")
        strengths = self._strengths(sampler, feedback.reward, rng)  # type: ignore[arg-type]
        return strongest_agreed(sampler, strengths, feedback, draws=self.draws, rng=rng)

    def _strengths(self, generator: LatentSampler, reward: Reward, rng: np.random.Generator) -> Iterator[Strength]:
        prior = generator.latents(self.batch_size, 1, rng=rng)
        batch = generator.decoded(prior, rng=rng)
        scale = float(beyond_class(reward(batch), prior.labels).std()) or 1.0  # of rewards, so that none matters
        policy = Policy(classes=len(batch.classes), person=prior.person.shape[1], moment=prior.moment.shape[1])
        optimizer = torch.optim.SGD(policy.parameters(), lr=self.learning_rate, momentum=_MOMENTUM)

        def trials() -> Iterator[tuple[Latents, Tensor, Tensor]]:
            for _ in range(self.steps):
                latents = policy.moved(generator.latents(self.batch_size, 1, rng=rng), rng)
                rewards = reward(generator.decoded(latents, rng=rng))
                advantage = torch.from_numpy(beyond_class(rewards, latents.labels) / scale)
                yield latents, advantage, policy(latents).detach()

        for nats in self.nats:
            penalty = 1 / math.sqrt(2 * nats)  # at so many nats it balances a reward that all lies in one direction

            def loss(trial: tuple[Latents, Tensor, Tensor], penalty: float = penalty) -> Tensor:
                latents, advantage, before = trial
                ratio = torch.exp(policy(latents) - before)
                bounded = ratio.clamp(1 - self.clip, 1 + self.clip)
                gain = torch.minimum(ratio * advantage, bounded * advantage).mean()
                return penalty * policy.drift(latents.labels) - gain

            descend(policy, [trials()], [loss] * self.passes, optimizer=optimizer)
            moved = MovedLatents(generator=generator, move=copy.deepcopy(policy).moved)
            yield Strength(moved, float(policy.drift(prior.labels).detach()))


class Policy(nn.Module):
    """Normal distributions of latents; calling it says how likely latents are, (N,), up to a constant."""

    def __init__(self, *, classes: int, person: int, moment: int) -> None:
        super().__init__()
        # means, and logarithms of deviations, over _STEPS
        self.person = nn.Parameter(torch.zeros(2, person, dtype=torch.float64))
        self.moment = nn.Parameter(torch.zeros(2, moment, dtype=torch.float64))  # of all classes together
        self.beyond = nn.Parameter(torch.zeros(2, classes, moment, dtype=torch.float64))  # and of each beyond that

    def forward(self, latents: Latents) -> Tensor:
        persons, moments = self._parts(latents.labels)
        parts = (latents.person[latents.whose], *persons), (latents.moment, *moments)
        logs = [-0.5 * ((torch.from_numpy(z) - mean) * torch.exp(-log)) ** 2 - log for z, mean, log in parts]
        total: Tensor = logs[0].sum(dim=1) + logs[1].sum(dim=1)
        return total

    @torch.no_grad()
    def moved(self, latents: Latents, rng: np.random.Generator) -> Latents:
        """Return latents of the policy for standard normal ones; nothing more is drawn."""
        parts = zip(self._parts(latents.labels), (latents.person, latents.moment), strict=True)
        person, moment = ((mean + torch.exp(log) * torch.from_numpy(z)).numpy() for (mean, log), z in parts)
        return replace(latents, person=person, moment=moment)

    def drift(self, labels: Array) -> Tensor:
        """Return the divergence from the standard normal in nats, over recordings of classes ``labels`` (N,)."""
        each = [0.5 * (mean**2 + torch.exp(2 * log) - 1 - 2 * log) for mean, log in self._parts(labels)]
        total: Tensor = each[0].sum() + each[1].sum(dim=1).mean()
        return total

    def _parts(self, labels: Array) -> tuple[Tensor, Tensor]:
        """Return means and logarithms of deviations, of persons (2, A) and of recordings of classes (2, N, B)."""
        return self.person * _STEPS, (self.moment[:, None] + self.beyond[:, labels]) * _STEPS[:, None]
