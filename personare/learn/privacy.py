"""The one plan behind every private training: who is drawn, how sums are clipped and noised, and what all of it costs.

The plan alone hands out batches, and a sum can be released only from a batch: nothing can be trained under another
sampling than the one that is priced. The noise comes from the generator given, so that a study can be repeated. That is
randomness for research: whoever knows the seed can subtract the noise, and floating-point rounding is not hardened. To
release a model, draw the seed from the operating system (``np.random.default_rng()``) and do not write it down.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from personare.core.errors import OptionError
from personare.core.options import Count, check_options
from personare.core.types import Array, Spend
from personare.learn.accounting import Accountant, check_claim, epsilon_of, noise_for
from personare.learn.discrete_gaussian import discrete_gaussian
from personare.learn.secure_aggregation import GRID

_LEAST_DEVIATION = 2.0**24  # steps of the grid
_EXACT = 2.0**53  # steps that doubles count


@dataclass(frozen=True, kw_only=True)
class PrivacyPlan:
    """What everybody's data may be used for, and the noise that makes it cost no more than epsilon.

    **Guarantee**: everything made from the released sums of one ``batches`` loop is (epsilon, delta) differentially
    private for one unit, under adding or removing it, if a sum depends on other units only through their own rows.
    A second loop costs as much again.

    **Source**: M. Abadi et al., "Deep Learning with Differential Privacy", CCS 2016, doi:10.1145/2976749.2978318.
    The divisor and the rate are public constants (cf. Opacus issues 571 and 819).

    Example:
        >>> plan = PrivacyPlan(epsilon=1, delta=1e-3, unit="person", units=90, expected_batch=90, steps=10)
        >>> spend = plan.spend()
        >>> spend.epsilon <= 1, spend.sampling_rate
        (True, 1.0)
        >>> rng = np.random.default_rng(0)
        >>> means = [batch.release(np.ones((len(batch.units), 3)), 1.0) for batch in plan.batches(rng)]
        >>> len(means), means[0].shape
        (10, (3,))
    """

    epsilon: float  # what one loop over the batches may cost
    delta: float  # chance that the bound fails; below one over the units
    unit: Literal["person", "recording"]  # what is protected: all recordings of one person, or one recording
    units: Count  # how many there are. Public: it fixes the sampling rate, and is never read off the data
    # units in a step on average, ``units`` for everybody in every step; also what every sum is divided by
    expected_batch: float
    steps: Count  # how many batches
    # sums released of each batch (say, one by modality): counted as the joint release they are, each gets
    # sqrt(releases) times the noise
    releases: Count = 1
    # parts of the noise, one from each of several sites that are added up under a mask (``PaidBatch.share``): as many
    # sites as must stay; if more do, there is more noise. Units are those of all sites
    shares: Count = 1

    def __post_init__(self) -> None:
        check_options(self)
        check_claim(epsilon=self.epsilon, delta=self.delta)
        if self.delta >= 1 / self.units:
            raise OptionError(
                f"delta must be below 1 / {self.units} {self.unit}s, it is {self.delta}: a larger one would allow to "
                "publish somebody whole. Take a tenth of that or less."
            )
        if not 0 < self.expected_batch <= self.units:
            raise OptionError(
                f"expected_batch must be in (0, {self.units}], the {self.unit}s there are, it is {self.expected_batch}."
            )

    @property
    def sampling_rate(self) -> float:
        """Chance of each unit to be in a step."""
        return float(self.expected_batch / self.units)

    @property
    def noise_multiplier(self) -> float:
        """Standard deviation of each released sum's noise over its clip norm."""
        return self.spend().noise_multiplier * math.sqrt(self.releases)

    def spend(self, accountant: Accountant = "pld") -> Spend:
        """Return what one loop costs; its noise is over what one unit can change in all sums of a batch together."""
        joint = noise_for(self.epsilon, self.sampling_rate, self.steps, self.delta)
        return Spend(
            unit=self.unit,
            sampling_rate=self.sampling_rate,
            noise_multiplier=joint,
            steps=self.steps,
            epsilon=epsilon_of(joint, self.sampling_rate, self.steps, self.delta, accountant),
            delta=self.delta,
            accountant=accountant,
            units=self.units,
        )

    def batches(self, rng: np.random.Generator, *, present: int | None = None) -> "Iterator[PaidBatch]":
        """Yield ``steps`` batches, each unit in each with chance ``sampling_rate``, independently; some may be empty.

        ``rng`` draws the units, and the noise of their releases. ``present`` is how many units the data really hold, if
        that is not ``units`` (somebody dropped out).
        """
        count = self.units if present is None else present
        noise = self.noise_multiplier
        for _ in range(self.steps):
            drawn = np.flatnonzero(rng.random(count) < self.sampling_rate)
            yield PaidBatch(units=drawn, plan=self, noise_multiplier=noise, rng=rng)


@dataclass(kw_only=True, eq=False)
class PaidBatch:
    """The (B,) units of one step, and the right to release as many sums over them as the plan has paid for.

    Made by ``PrivacyPlan.batches`` alone.
    """

    units: Array
    plan: PrivacyPlan
    noise_multiplier: float
    rng: np.random.Generator
    _released: int = field(default=0, init=False)

    def release(self, rows: Array, clip_norm: float) -> Array:
        """Return (D,), the noised sum of (B, D) rows over the expected batch.

        There is one row for each unit drawn, zeros where it has nothing to give; each is cut to ``clip_norm``, the most
        that one unit can change the sum (L2).
        """
        if len(rows) != len(self.units):
            raise OptionError(
                f"A release needs a row for each of the {len(self.units)} {self.plan.unit}s drawn, given {len(rows)}: "
                "add up the recordings of a person first (person_means), and give zeros where one has nothing."
            )
        return self.add_noise(clip_rows(torch.from_numpy(rows), clip_norm).sum(dim=0), clip_norm).numpy()

    def share(self, rows: Array, clip_norm: float) -> Array:
        """Return (D,), the sum of a site's (B, D) rows and its share of the noise, to be added up by ``secure_sum``.

        **Guarantee**: the sum over as many sites as the plan has shares is noised as the plan says, and a site's own
        part is hidden by the mask alone: never send it in the open. All are whole numbers of the mask's grid, so that
        no rounding follows the noise.

        **Source**: P. Kairouz, Z. Liu, T. Steinke, "The Distributed Discrete Gaussian Mechanism", ICML 2021,
        arXiv:2102.06387. Ours: the grid has 32 bits after the point. So fine a one needs no rotation, and sums of
        discrete Gaussians are priced as Gaussian, from whose privacy loss theirs differs by less than 1e-4.
        """
        self._pay(clip_norm)
        whole = np.rint(clip_rows(torch.from_numpy(rows).double(), clip_norm).numpy() * GRID)
        # rounding makes a row longer by half a step in each number at most
        longest = clip_norm * GRID + math.sqrt(rows.shape[1]) / 2
        deviation = self.noise_multiplier * longest / math.sqrt(self.plan.shares)
        noised = whole.sum(axis=0) + discrete_gaussian(deviation, rows.shape[1], self.rng)
        if deviation < _LEAST_DEVIATION or np.abs(noised).max(initial=0) >= _EXACT:
            raise OptionError(f"clip_norm {clip_norm} is too small or too large for sums of 32 bits after the point.")
        return np.asarray(noised / GRID)

    def add_noise(self, total: Tensor, clip_norm: float) -> Tensor:
        """Return a sum of any shape, each unit's part already cut to the norm, noised and over the expected batch."""
        self._pay(clip_norm)
        noise = self.rng.standard_normal(tuple(total.shape), dtype=np.float32)
        scale = self.noise_multiplier * clip_norm
        noised: Tensor = total + scale * torch.from_numpy(np.asarray(noise)).to(total)
        return noised.div_(self.plan.expected_batch)

    def _pay(self, clip_norm: float) -> None:
        if not 0 < clip_norm < math.inf:
            raise OptionError(f"clip_norm must be above 0 and finite, it is {clip_norm}.")
        if self._released >= self.plan.releases:
            raise OptionError(
                f"The plan pays for {self.plan.releases} released sum(s) of each batch, and this would be one more. "
                "Give the plan as many releases as are made of a batch."
            )
        self._released += 1


def clip_rows(rows: Tensor, clip_norm: float) -> Tensor:
    """Cut each (B, D) row to an L2 norm, and make rows zero that hold anything that is no number."""
    finite = torch.where(torch.isfinite(rows).all(dim=1, keepdim=True), rows, 0.0)
    norm = torch.linalg.vector_norm(finite, dim=1, keepdim=True)  # (B, 1)
    cut: Tensor = finite * (clip_norm / norm.clamp_min(torch.finfo(norm.dtype).tiny)).clamp_max(1.0)
    return cut


def gather(units: Array, owner: Array, *, cap: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return the recordings of the (B,) people drawn, at most ``cap`` (public) of each, chosen at random.

    Of (N,) owners, each a position among all people; rows (R,), and to which of the B people each belongs, (R,).
    """
    each = []
    for unit in units:
        rows = np.flatnonzero(owner == unit)
        each.append(np.sort(rng.choice(rows, cap, replace=False)) if len(rows) > cap else rows)
    whose = np.repeat(np.arange(len(units)), [len(rows) for rows in each])
    return np.concatenate([np.empty(0, dtype=np.int64), *each]), whose


def person_means(rows: Tensor, whose: Tensor, people: int) -> Tensor:
    """Return (B, ...), the mean of each person's (R, ...) rows, zero where there is none."""
    total = rows.new_zeros((people, *rows.shape[1:])).index_add(0, whose, rows)
    count = torch.bincount(whose, minlength=people).clamp_min(1).to(rows)
    return total / count.reshape(-1, *(1 for _ in rows.shape[1:]))


class Price(NamedTuple):
    """What a plan costs a unit: one ``recording``, or a ``person`` with so many ``recordings`` (0: any number)."""

    unit: str
    recordings: int
    epsilon: float
    delta: float
    accountant: str


def privacy_table(plan: PrivacyPlan, *, recordings: Sequence[int] = (2, 5, 10, 20)) -> tuple[Price, ...]:
    """Price a plan before anything is trained: by every accountant, and for people with several recordings.

    **Guarantee**: every row is an upper bound. A plan for people needs no further rows: it holds for any number of
    recordings, and for each of them.
    """
    spends = [plan.spend(accountant) for accountant in get_args(Accountant)]
    once, each = spends[0], 1 if plan.unit == "recording" else 0
    rows = [Price(plan.unit, each, spend.epsilon, plan.delta, spend.accountant) for spend in spends]
    for count in recordings if plan.unit == "recording" else ():
        epsilon = epsilon_of(once.noise_multiplier, once.sampling_rate, once.steps, plan.delta, recordings=count)
        rows.append(Price("person", count, epsilon, plan.delta, "pld"))
    return tuple(rows)
