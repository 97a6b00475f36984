"""Hides every recording in noise before it leaves: local differential privacy with a stated price."""

import math
from dataclasses import dataclass

import numpy as np

from personare.core.options import Positive, check_options
from personare.core.types import Batch, Spend
from personare.learn.accounting import check_claim, epsilon_of, noise_for
from personare.learn.standardizing import Standardized, represented

__all__ = ["Noise"]


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Cut each recording's numbers to a norm and add Gaussian noise, before anybody else sees them.

    **Guarantee**: each recording passed through is (epsilon, delta) locally differentially private: whoever sees the
    result can hardly tell it from that of any other recording. A person with k recordings has the larger epsilon of
    ``Noised.spend(k)``. The means and deviations used are treated as known to all: without ``public`` recordings to
    take them from, the people of ``train`` are not protected by this.

    **Source**: B. Balle, Y.-X. Wang, "Improving the Gaussian mechanism for differential privacy", ICML 2018,
    arXiv:1805.06530; the sensitivity is twice the norm, as any recording may stand in for any other.
    """

    epsilon: float = 8.0  # of one recording
    delta: float = 1e-5  # chance that the bound fails
    norm: Positive = 1.0  # rows are cut to this many root mean squares of a standardized row (times the root of D)

    def __post_init__(self) -> None:
        check_claim(epsilon=self.epsilon, delta=self.delta)
        check_options(self)

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> "Noised":
        """Learn the scaling, from ``public`` recordings where there are any; see ``core.protocols.Representation``."""
        front = Standardized.of(train if public is None else public)
        norm = self.norm * math.sqrt(max(1, int(np.count_nonzero(front.scale))))
        multiplier = noise_for(self.epsilon, 1.0, 1, self.delta)
        return Noised(front=front, norm=norm, noise_multiplier=multiplier, delta=self.delta)


@dataclass(frozen=True, kw_only=True)
class Noised:
    """The fitted mechanism; ``noise_multiplier`` is over twice the ``norm``, what another recording can change."""

    front: Standardized
    norm: float
    noise_multiplier: float
    delta: float
    spends: tuple[Spend, ...] = ()

    @property
    def sigma(self) -> float:
        """Standard deviation of the noise on every number."""
        return 2 * self.norm * self.noise_multiplier

    def spend(self, recordings: int = 1) -> Spend:
        """Return what showing so many recordings of one person costs that person."""
        return Spend(
            unit="person" if recordings > 1 else "recording",
            sampling_rate=1.0,
            noise_multiplier=self.noise_multiplier,
            steps=recordings,
            epsilon=epsilon_of(self.noise_multiplier, 1.0, recordings, self.delta),
            delta=self.delta,
            accountant="pld",
            units=1,
        )

    @property
    def guarantee(self) -> str:
        """What holds, against whom; and what does not."""
        return (
            f"({self.spend().epsilon:.3g}, {self.delta:.1g}) local differential privacy of each recording passed "
            f"through, against anybody; a person with 10 recordings has epsilon {self.spend(10).epsilon:.3g}; the "
            "people whose means and deviations scale the rows are not covered"
        )

    def __call__(self, batch: Batch, *, rng: np.random.Generator) -> Batch:
        """Return the recordings with one modality ``representation``, (N, D); noise is drawn anew in every call."""
        rows = self.front(batch)
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        cut = rows * np.minimum(1, self.norm / np.maximum(length, 1e-12))
        return represented(batch, cut + self.sigma * rng.standard_normal(cut.shape))
