"""Draws several recordings in place of one and keeps the one that experts would like best."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from personare.core.options import Count, Range, check_options
from personare.core.protocols import Sampler
from personare.core.types import Array, Batch, Feedback, Reward, Spend
from personare.learn.preferring import Adapted, Strength, strongest_agreed

__all__ = ["BestOfN"]


@dataclass(frozen=True, kw_only=True)
class BestOfN:
    """Look at nobody: draw ``n`` recordings of the same made-up person and class, and keep the best by the reward.

    The baseline that every other adaptation must beat. It takes every generator, changes nothing in it, and makes
    drawing ``n`` times as slow. Who is made up is not chosen, only the moment.

    **Guarantee**: what is made costs the privacy that the generator cost, and diverges from it by no more than
    ``log n - (n - 1) / n`` nats a recording.

    **Source**: N. Stiennon et al., "Learning to summarize from human feedback", NeurIPS 2020, arXiv:2009.01325; the
    bound, A. Beirami et al., "Theoretical guarantees on the best-of-n alignment policy", ICML 2025, arXiv:2401.01879.
    """

    numbers: Annotated[
        Sequence[int],
        Range("rising whole numbers from 2", lambda n: len(n) > 0 and list(n) == sorted({*n}) and n[0] > 1),
    ] = (2, 4, 8, 16)  # of recordings that one is chosen of, weakest first
    draws: Count = 400  # recordings that are compared at each strength

    def __post_init__(self) -> None:
        check_options(self)

    def fit(self, sampler: Sampler, feedback: Feedback, *, rng: np.random.Generator) -> Adapted:
        """Choose among more recordings, as long as the judge agrees; see ``core.protocols.Adaptation``."""
        strengths = (
            Strength(BestOf(generator=sampler, reward=feedback.reward, n=n), math.log(n) - (n - 1) / n)
            for n in self.numbers
        )
        return strongest_agreed(sampler, strengths, feedback, draws=self.draws, rng=rng)


@dataclass(frozen=True, kw_only=True)
class BestOf:
    """A generator of which the best of ``n`` recordings is kept."""

    generator: Sampler
    reward: Reward
    n: int

    @property
    def spends(self) -> tuple[Spend, ...]:
        """The privacy that the generator cost."""
        return self.generator.spends

    def __call__(self, people: int, recordings: int, *, rng: np.random.Generator, labels: Array | None = None) -> Batch:
        """Return made-up people, the ``n`` recordings that one is chosen of being of one person and class."""
        if labels is None:
            labels = self.generator(people, recordings, rng=rng).labels
        batch = self.generator(people, recordings * self.n, rng=rng, labels=np.repeat(labels, self.n))
        best = self.reward(batch).reshape(-1, self.n).argmax(axis=1) + self.n * np.arange(people * recordings)
        # names count on from one recording to the next, as if nothing had been left out
        names = np.array(batch.ids).reshape(people, -1)[:, :recordings].ravel().tolist()
        return replace(batch.take(best), ids=tuple(names))
