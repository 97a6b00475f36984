"""What noise costs: the epsilon of clipped, noised sums of randomly drawn people, by two accountants that must agree.

Adjacency is add/remove: two data sets differ by everything of one unit. Only numerical accountants are offered: RDP
overstates the cost by some 10 %, and the Gaussian limit (GDP) understates it and is no guarantee.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Literal, get_args

import numpy as np
from dp_accounting import gaussian_mechanism
from dp_accounting.pld import privacy_loss_distribution as pld
from opacus.accountants import PRVAccountant
from scipy.stats import binom

from personare.core.errors import OptionError
from personare.core.types import Spend

Accountant = Literal["pld", "prv"]

_GRID = 5e-4  # step of the privacy loss; rounding is upwards, and costs below 0.1 % of epsilon
_COARSE_GRID = 1e-2  # for a person with many recordings, whose loss is spread wide
_LARGEST = 100
_LEAST = 0.05  # a delta above everybody's chance to be drawn at all would ask for no noise; there is always some
_RARE = 1e-16  # recordings drawn together with less than this chance are all counted as the worst case


@cache
def epsilon_of(
    noise_multiplier: float,
    sampling_rate: float,
    steps: int,
    delta: float,
    accountant: Accountant = "pld",
    *,
    recordings: int = 1,
) -> float:
    """Return the epsilon of ``steps`` noised sums over units that are each drawn with chance ``sampling_rate``.

    ``noise_multiplier`` is the standard deviation of the noise over what one unit can change (L2). Units are drawn
    independently of each other (Poisson). With ``recordings`` it is what the protection of single recordings leaves to
    a person who has so many; each is drawn on its own, so a step may hold any number of them.

    **Guarantee**: an upper bound. ``pld`` (Google's dp-accounting) rounds up; ``prv`` (Opacus) is the upper end of its
    error interval. That of a person is exact up to rounding if in the worst case all recordings pull the model the same
    way.

    **Source**: Y. Doroshenko et al., "Connect the Dots", PETS 2022, arXiv:2207.04380; S. Gopi, Y. T. Lee,
    L. Wutschitz, "Numerical Composition of Differential Privacy", NeurIPS 2021, arXiv:2106.02848; of a person
    Z. Charles et al., "Fine-Tuning Large Language Models with User-Level Differential Privacy", 2024, arXiv:2407.07737
    (mixtures of Gaussians).
    """
    check_claim(delta=delta, accountant=accountant)
    _check_mechanism(noise_multiplier, sampling_rate, steps, recordings)
    if accountant == "pld":
        if sampling_rate == 1:  # Gaussians add up exactly
            return float(
                gaussian_mechanism.get_epsilon_gaussian(noise_multiplier / recordings / math.sqrt(steps), delta)
            )
        mechanism = (noise_multiplier, sampling_rate, steps, recordings)
        return float(_loss(*mechanism, _grid(*mechanism)).get_epsilon_for_delta(delta))
    if recordings > 1:
        raise OptionError("What a person with several recordings has left is known by pld alone.")
    prv = PRVAccountant()
    prv.history = [(noise_multiplier, sampling_rate, steps)]
    if sampling_rate == 1:  # one release of everybody with less noise is the same, and Opacus needs a rate below 1
        prv.history = [(noise_multiplier / math.sqrt(steps), math.nextafter(1, 0), 1)]
    with warnings.catch_warnings():  # Opacus asks RDP for the width of its grid only; a wide one does no harm
        warnings.simplefilter("ignore", UserWarning)
        with np.errstate(all="ignore"):
            first = float(prv.get_epsilon(delta))
            return min(first, float(prv.get_epsilon(delta, eps_error=0.01 * first))) if first < 1 else first


@cache
def noise_for(epsilon: float, sampling_rate: float, steps: int, delta: float, accountant: Accountant = "pld") -> float:
    """Return the smallest noise multiplier, to about 1 in 1000, whose cost is at most ``epsilon``.

    **Guarantee**: ``epsilon_of`` of the result, with the same arguments, does not exceed ``epsilon``.
    """
    check_claim(epsilon=epsilon, delta=delta, accountant=accountant)
    _check_mechanism(1.0, sampling_rate, steps)
    if steps * sampling_rate <= delta:
        return _LEAST
    # bracket the answer around a guess from the Gaussian limit, then halve
    one_release = 1 / gaussian_mechanism.get_sigma_gaussian(epsilon, delta)
    guess = math.sqrt(steps) / one_release
    if sampling_rate < 1:
        guess = 1 / math.sqrt(math.log1p((one_release / sampling_rate) ** 2 / steps))

    def enough(sigma: float) -> bool:
        return epsilon_of(sigma, sampling_rate, steps, delta, accountant) <= epsilon

    low = high = float(max(guess, _LEAST))
    while not enough(high):
        low, high = high, high * 1.05
    while low == high or (low > _LEAST and enough(low)):
        low, high = low / 1.05, min(high, low)
    while high / low > 1.0005:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def compose(spends: Sequence[Spend], delta: float, *, recordings: int = 1) -> float:
    """Return the epsilon of everything together that touched one person's data.

    The epsilons stated in the spends are not looked at. The person has so many ``recordings`` in each run that protects
    single recordings.

    **Guarantee**: an upper bound at ``delta``, also if what a later run learns was chosen after seeing an earlier
    one's result; its noise and steps must not have been.
    """
    check_claim(delta=delta)
    if (left := delta - sum(spend.failure for spend in spends)) <= 0:
        return math.inf
    mechanisms = []
    for spend in spends:
        count = recordings if spend.unit == "recording" else 1
        mechanisms.append((spend.noise_multiplier, spend.sampling_rate, spend.steps, count))
        _check_mechanism(*mechanisms[-1])
    grid = max((_grid(*mechanism) for mechanism in mechanisms), default=_GRID)
    total = pld.identity(value_discretization_interval=grid)
    for mechanism in mechanisms:
        total = total.compose(_loss(*mechanism, grid))
    return float(total.get_epsilon_for_delta(left))


def as_one_claim(spends: Sequence[Spend]) -> Spend | None:
    """Return everything that a training spent as one claim; one about recordings, if any of it is. None for nothing."""
    if len(spends) < 2:
        return next(iter(spends), None)
    delta = max(spend.delta for spend in spends)
    unit: Literal["person", "recording"] = "recording" if any(s.unit == "recording" for s in spends) else "person"
    return replace(spends[0], unit=unit, epsilon=compose(spends, delta), delta=delta)


def check_claim(*, delta: float, epsilon: float | None = 1.0, accountant: str = "pld") -> None:
    """Refuse an epsilon, a delta or an accountant that can be no claim; an epsilon of None claims nothing."""
    if epsilon is None:
        return
    if not 0 < epsilon <= _LARGEST:
        raise OptionError(
            f"epsilon must be above 0 and at most {_LARGEST}, it is {epsilon}: from 10 on it promises next to nothing. "
            "Leave it out to train without protection."
        )
    if not 0 < delta < 1:
        raise OptionError(f"delta must lie between 0 and 1, it is {delta}; take less than one over the people.")
    if accountant not in get_args(Accountant):
        raise OptionError(
            f"The accountant must be pld or prv, not {accountant!r}: RDP is looser, and GDP is no guarantee."
        )


def _check_mechanism(noise_multiplier: float, sampling_rate: float, steps: int, recordings: int = 1) -> None:
    if not 0 < noise_multiplier < math.inf:
        raise OptionError(f"The noise multiplier must be above 0 and finite, it is {noise_multiplier}.")
    if not 0 < sampling_rate <= 1 or steps < 1:
        raise OptionError(
            f"The sampling rate must be in (0, 1] and steps at least 1, they are {sampling_rate} and {steps}."
        )
    if recordings < 1:
        raise OptionError(f"A person must have at least one recording, given {recordings}.")


def _grid(noise_multiplier: float, rate: float, steps: int, recordings: int) -> float:
    """Return a step of the privacy loss; coarser where noise is so small that all is lost."""
    sigma = noise_multiplier / recordings / (math.sqrt(steps) if rate == 1 else 1)
    finest = _COARSE_GRID if recordings > 1 and rate < 1 else _GRID
    return max(finest, 2e-5 * (0.5 / sigma**2 + 10 / sigma))


def _loss(
    noise_multiplier: float, rate: float, steps: int, recordings: int, grid: float
) -> pld.PrivacyLossDistribution:
    """Return the privacy loss of all steps for somebody with so many recordings."""
    if rate == 1:  # Gaussians add up exactly
        sigma = noise_multiplier / recordings / math.sqrt(steps)
        return pld.from_gaussian_mechanism(sigma, value_discretization_interval=grid)
    if recordings == 1:
        one = pld.from_gaussian_mechanism(noise_multiplier, sampling_prob=rate, value_discretization_interval=grid)
        return one.self_compose(steps)
    likely = int(binom.isf(_RARE, recordings, rate)) + 1
    drawn = [*range(min(likely, recordings)), recordings]
    likely_chances = np.asarray(binom.pmf(drawn[:-1], recordings, rate))
    chances = [*likely_chances.tolist(), max(1 - float(likely_chances.sum()), 0.0)]
    one = pld.from_mixture_gaussian_mechanism(noise_multiplier, drawn, chances, value_discretization_interval=grid)
    return one.self_compose(steps)
