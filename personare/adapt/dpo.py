"""Trains a generator on pairs themselves, without a reward: what was preferred becomes more likely, the other less."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from personare.core.options import Count, Positive, check_options
from personare.core.protocols import Sampler
from personare.core.types import Feedback
from personare.learn.loop import descend, shuffled
from personare.learn.preferring import NATS, Adapted, Nats, Strength, check_offers, strongest_agreed
from personare.learn.sampling import Density, DensitySampler

__all__ = ["Dpo"]

_MOMENTUM = 0.9
_NEAR = 0.2  # as a share of a strength, where it counts as reached
_SLOW = 0.1  # as a share of a strength, for one round: the next one may go faster


@dataclass(frozen=True, kw_only=True)
class Dpo:
    """Look at nobody: raise the density of preferred recordings over that of the others, measured from the generator.

    Generators of which the log density is known are trained on it, others on its evidence lower bound, with the same
    noise for both recordings of a pair, before and after. Training goes on until each strength is reached.

    **Guarantee**: what is made costs the privacy that the generator cost: only made-up recordings are compared.

    **Source**: R. Rafailov et al., "Direct preference optimization", NeurIPS 2023, arXiv:2305.18290; by the lower bound
    B. Wallace et al., "Diffusion model alignment using direct preference optimization", CVPR 2024, arXiv:2311.12908,
    with their shared noise. That strengths are reached by stopping is ours.
    """

    nats: Nats = NATS  # strengths, weakest first
    draws: Count = 400  # recordings that are compared at each strength
    beta: Positive = 0.1  # how soon a pair counts as learned
    batch_size: Count = 64  # pairs of a step
    learning_rate: Positive = 0.1  # at first: it follows how fast the generator moves
    rounds: Count = 40  # passes over the pairs, at most, of each strength

    def __post_init__(self) -> None:
        check_options(self)

    def fit(self, sampler: Sampler, feedback: Feedback, *, rng: np.random.Generator) -> Adapted:
        """Train on the pairs as long as the judge agrees; see ``core.protocols.Adaptation``."""
        check_offers(sampler, "density", "dpo")
        strengths = self._strengths(sampler, feedback, rng)  # type: ignore[arg-type]
        return strongest_agreed(sampler, strengths, feedback, draws=self.draws, rng=rng)

    def _strengths(self, generator: DensitySampler, feedback: Feedback, rng: np.random.Generator) -> Iterator[Strength]:
        density, reference = generator.density(feedback.items), generator.density(feedback.items)
        assert isinstance(density, nn.Module)
        pairs = torch.from_numpy(feedback.pairs)

        def loss(which: Tensor) -> Tensor:
            return pair_loss(density, reference, pairs[which], beta=self.beta, noise=int(rng.integers(2**31)))

        pace, drift = self.learning_rate, 0.0
        for nats in self.nats:
            for _ in range(self.rounds):
                before, gone = copy.deepcopy(density.state_dict()), drift
                optimizer = torch.optim.SGD(density.parameters(), lr=pace, momentum=_MOMENTUM)
                descend(density, [shuffled(len(pairs), self.batch_size, rng)], [loss], optimizer=optimizer)
                drift = density.drift()
                if not drift < (1 + _NEAR) * nats:  # too far, or not a number
                    density.load_state_dict(before)
                    pace, drift = pace / 2, gone
                elif drift > (1 - _NEAR) * nats:
                    break
                elif drift < gone + _SLOW * nats:
                    pace *= 2
            yield Strength(generator.adapted(density), drift)


def pair_loss(density: Density, reference: Density, pairs: Tensor, *, beta: float, noise: int) -> Tensor:
    """Return the surprise at pairs (M, 2), preferred first, if utility is by how much more likely an item became.

    It is divided by ``beta``, so that gradients are of one size. ``noise`` seeds what lower bounds draw.
    """

    def logs(net: Density, rows: Tensor) -> Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(noise)  # the same for both of a pair, before and after
            return net(rows)

    preferred, other = (logs(density, rows) - logs(reference, rows).detach() for rows in pairs.T)
    return -functional.logsigmoid(beta * (preferred - other)).mean() / beta
