"""How far a generator may follow its raters: ever stronger adaptations, each judged by raters who were kept out."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, NamedTuple

import numpy as np

from personare.core.errors import DataError
from personare.core.options import Range
from personare.core.protocols import LatentSampler, Sampler
from personare.core.types import Array, Batch, Feedback, Latents, Spend
from personare.learn.mixed_effects import group_means

_INTERVAL = 1.96  # standard errors on either side
_DISAGREED = (
    "The raters who were kept out",
    "Collect more comparisons, of more raters, or look into what they disagree on.",
)
_UNMOVED = (
    "The raters who were heard",
    "Little of what they like is in what this method moves: try another, such as best_of_n.",
)


def _rises(values: Sequence[float]) -> bool:
    return bool(values) and all(a < b for a, b in pairwise([0.0, *values])) and math.isfinite(values[-1])


Nats = Annotated[Sequence[float], Range("rising finite numbers above 0", _rises)]
"""Strengths: how far, in nats, an adaptation may go from its generator, the weakest first."""
NATS = (0.1, 0.3, 0.7, 1.5, 3.0)


class Strength(NamedTuple):
    """A generator adapted with one strength, and its divergence from the one before, in nats of a recording."""

    sampler: Sampler
    drift: float


class WinRate(NamedTuple):
    """How often recordings are preferred to others, and the standard error of that."""

    value: float
    error: float

    @classmethod
    def of(cls, values: Array, others: Array) -> "WinRate":
        """Compare (N,) rewards with those of other recordings of the same classes; a tie is half a win."""
        wins = (values > others) + (values == others) / 2
        return cls(float(wins.mean()), max(float(wins.std()), 0.5 / len(wins)) / math.sqrt(len(wins)))

    @property
    def low(self) -> float:
        """The lower end of the 95 % interval."""
        return self.value - _INTERVAL * self.error

    @property
    def high(self) -> float:
        """The upper end of the 95 % interval."""
        return self.value + _INTERVAL * self.error


@dataclass(frozen=True, kw_only=True)
class Adapted:
    """A generator after experts were heard; see ``core.protocols.AdaptedSampler``."""

    sampler: Sampler
    drift: float
    course: Sequence[Mapping[str, float]]

    @property
    def spends(self) -> tuple[Spend, ...]:
        """The privacy that the generator cost."""
        return self.sampler.spends

    def __call__(self, people: int, recordings: int, *, rng: np.random.Generator, labels: Array | None = None) -> Batch:
        """Return made-up people; see ``core.protocols.Sampler``."""
        return self.sampler(people, recordings, rng=rng, labels=labels)


@dataclass(frozen=True, kw_only=True)
class MovedLatents:
    """A generator whose latents are moved before they are decoded, those of a person once for all recordings."""

    generator: LatentSampler
    move: Callable[[Latents, np.random.Generator], Latents]

    @property
    def spends(self) -> tuple[Spend, ...]:
        """The privacy that the generator cost."""
        return self.generator.spends

    def __call__(self, people: int, recordings: int, *, rng: np.random.Generator, labels: Array | None = None) -> Batch:
        """Return made-up people; see ``core.protocols.Sampler``."""
        latents = self.generator.latents(people, recordings, rng=rng, labels=labels)
        return self.generator.decoded(self.move(latents, rng), rng=rng)


def beyond_class(rewards: Array, labels: Array) -> Array:
    """Return by how much (N,) rewards lie above the mean of their class: classes are asked for, not chosen."""
    return np.asarray(rewards - group_means(rewards[:, None], labels, int(labels.max()) + 1)[labels, 0])


def check_offers(sampler: Sampler, offer: str, method: str) -> None:
    """Refuse a generator that lacks what a method moves: its ``latents`` or its ``density``."""
    if not hasattr(sampler, offer):
        others = ["best_of_n"] + ["dpo"] * hasattr(sampler, "density")
        raise DataError(
            f"{method} moves the {offer} of a generator, and {type(sampler).__name__} has none. "
            f"Adapt it with {' or '.join(others)}."
        )


def strongest_agreed(
    sampler: Sampler, strengths: Iterable[Strength], feedback: Feedback, *, draws: int, rng: np.random.Generator
) -> Adapted:
    """Adapt as far as the raters agree who were kept out.

    Strengths come weakest first and are made when they are asked for. Of each, ``draws`` fresh recordings, of as many
    people, are compared with as many of the generator, of the same classes but otherwise unrelated. Of those whose win
    rate by the judge has its 95 % interval above one half, the weakest is kept that is within one standard error of the
    highest. Nothing stronger is tried once a whole interval lies below the highest: what the reward still gains then is
    its own error.

    **Source**: the rule of one standard error, L. Breiman et al., "Classification and regression trees", 1984; that a
    reward is over-optimized, L. Gao, J. Schulman, J. Hilton, "Scaling laws for reward model overoptimization", ICML
    2023, arXiv:2210.10760.
    """
    before = sampler(draws, 1, rng=rng)
    reward, judge = feedback.reward(before), feedback.judge(before)
    tried: list[tuple[Strength, WinRate, WinRate]] = []
    best = WinRate(0.5, 0.0)
    for strength in strengths:
        after = strength.sampler(draws, 1, rng=rng, labels=before.labels)
        won = WinRate.of(feedback.judge(after), judge)
        tried.append((strength, WinRate.of(feedback.reward(after), reward), won))
        if won.high < best.value:
            break
        best = max(best, won)
    agreed = [n for n, (_, _, won) in enumerate(tried) if won.low > 0.5 and won.value >= best.value - best.error]
    if not agreed:
        moved = any(wins.low > 0.5 for _, wins, _ in tried)
        who, fix = _DISAGREED if moved else _UNMOVED
        rates = ", ".join(
            f"{(won if moved else wins).value:.2f} at {strength.drift:.2g} nats" for strength, wins, won in tried
        )
        raise DataError(
            f"{who} must prefer what was adapted to what the generator made before, which at no strength is clear (win "
            f"rate {rates}; one half is no preference): the generator stays as it is. {fix}"
        )
    course = [
        {"drift": strength.drift, "reward": wins.value, "judge": won.value, "kept": float(n == agreed[0])}
        for n, (strength, wins, won) in enumerate(tried)
    ]
    kept = tried[agreed[0]][0]
    return Adapted(sampler=kept.sampler, drift=kept.drift, course=tuple(course))
