"""Attacks on synthetic people against two yardsticks: a naive guess, and people whom the generator never met."""

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.stats import norm

from personare.core.errors import DataError
from personare.core.types import Array, Result
from personare.evaluate.metrics import over_people
from personare.evaluate.synthetic_case import SyntheticCase
from personare.evaluate.unmeasured import Asked

__all__ = ["Share", "closest_rows", "no_narrower", "risk_rows", "wilson", "wilson_ends"]

_Z: Final = float(norm.ppf(0.975))


@dataclass(frozen=True, kw_only=True)
class Share:
    """A share of people with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int


def wilson(successes: Array) -> Share:
    """Return the mean of successes in [0, 1], one for each person, with Wilson's interval.

    Where a person's success is a share of several attempts, people differ less than by tossing a coin each: they count
    as many tosses as their mean varies like, never fewer than there are people.

    **Source**: E. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927,
    doi:10.1080/01621459.1927.10502953; the effective number as for clustered samples: E. Korn, B. Graubard,
    "Confidence intervals for proportions with small expected number of positive counts estimated from survey data",
    Survey Methodology 24, 1998.

    Example:
        >>> found = wilson(np.array([1.0, 1.0, 0.0, 0.0]))
        >>> found.value, round(found.low, 4), round(found.high, 4)
        (0.5, 0.15, 0.85)
    """
    people = len(successes)
    if not people:
        raise DataError("A share needs at least one person, none was given.")
    value = float(np.mean(successes))
    varies = float(np.var(successes, ddof=1)) / people if people > 1 else 0.0
    n = max(people, value * (1 - value) / varies) if varies > 0 else people
    low, high = wilson_ends(value, n)
    return Share(value=value, low=low, high=high, n=people)


def wilson_ends(value: float, n: float) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share found in n independent trials.

    Example:
        >>> [round(end, 3) for end in wilson_ends(1.0, 10)]
        [0.722, 1.0]
    """
    middle = (value + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * float(np.sqrt(value * (1 - value) / n + _Z**2 / (4 * n**2)))
    return max(0.0, middle - half), min(1.0, middle + half)


def no_narrower(row: Result, people: int) -> Result:
    """Return a row whose interval is Wilson's where resampling found none because all people were alike.

    Args:
        row: A share or an area.
        people: How many there are on the smaller side.
    """
    if math.isnan(row.value) or row.low < row.high:
        return row
    low, high = wilson_ends(row.value, people)
    return replace(row, low=low, high=high)


def risk_rows(question: Asked, method: str, successes: Array, naive: Array, case: SyntheticCase) -> list[Result]:
    """Return the ``risk`` over all people and over the most exposed.

    The risk is (r - c) / (1 - c): how much more often the attack succeeds on people who were learned from (r) than on
    others (c), as a share of what could be more. It is not cut at 0: below is luck.

    Args:
        question: What the attack asks.
        method: The attack.
        successes: (P,) how often the attack succeeded on each real person, in [0, 1]; NaN where it was not tried.
        naive: (P,) the same of guessing without the synthetic people.
        case: Who was learned from, and who is exposed.

    Returns:
        Two rows; control is 0 (no more than on others). The detail has the shares and their intervals.

    **Source**: criteria of the Article 29 Working Party, "Opinion 05/2014 on anonymisation techniques" (WP216); the
    interval of the difference is R. Newcombe's, "Interval estimation for the difference between independent
    proportions", Statistics in Medicine 17, 1998 (method 10), over 1 - c.
    """
    tried = np.isfinite(successes)
    rows = []
    for subset, chosen in (("", tried), ("exposed", tried & case.exposed)):
        row = Result(question=question, method=method, figure="risk", subset=subset, value=np.nan, better="lower")
        rows.append(_risk(row, successes, naive, case.inside, chosen))
    return rows


def _risk(row: Result, successes: Array, naive: Array, inside: Array, chosen: Array) -> Result:
    try:
        main, control = wilson(successes[chosen & inside]), wilson(successes[chosen & ~inside])
    except DataError as error:
        return replace(row, reason=f"not measured: {error}")
    guess = float(np.mean(naive[chosen & inside]))
    detail = {"attack": vars(main), "control": vars(control), "naive": guess}
    said = f"{main.value:.3f} of people learned from, {control.value:.3f} of others, naive guess {guess:.3f}"
    room = 1 - control.value
    if room < 1e-9:
        return replace(row, reason=f"not measured: it succeeds on everybody else too; {said}")
    gap = main.value - control.value
    low = gap - np.hypot(main.value - main.low, control.high - control.value)
    high = gap + np.hypot(main.high - main.value, control.value - control.low)
    if main.value <= guess:
        said = f"no better than a naive guess; {said}"
    return replace(
        row,
        value=gap / room,
        low=float(low / room),
        high=float(min(1.0, high / room)),
        n=main.n + control.n,
        control=0.0,
        reason=said,
        detail=detail,
    )


def closest_rows(
    question: Asked,
    method: str,
    figure: str,
    closeness: Array,
    case: SyntheticCase,
    *,
    reason: str,
    rng: np.random.Generator,
) -> list[Result]:
    """Return how often the real person closest to a synthetic recording is one who was learned from.

    Args:
        question: What the attack asks.
        method: The attack.
        figure: Of all real people, and of the recordings that are closest to one of the most exposed. People as close
            share the recording.
        closeness: (S, P) of each synthetic recording to each real person; higher = closer.
        case: Who was learned from, and who is exposed.
        reason: For the reader.
        rng: Resamples real people.

    Returns:
        Two rows; control is the share of those real people who were learned from.
    """
    best = closeness >= closeness.max(axis=1, keepdims=True)
    won = (best / best.sum(axis=1, keepdims=True)).sum(axis=0)  # (P,) synthetic recordings each is closest to
    rows = []
    for subset, chosen in (("", np.ones(len(won), dtype=bool)), ("exposed", case.exposed)):
        sums = np.stack([won * case.inside, won], axis=1)[chosen]
        found = over_people(sums, np.flatnonzero(chosen), _ratio, rng=rng)
        row = Result(
            question=question,
            method=method,
            figure=figure,
            subset=subset,
            value=found.value,
            low=found.low,
            high=found.high,
            n=round(float(sums[:, 1].sum())),
            control=float(case.inside[chosen].mean()),
            better="lower",
            reason=reason,
        )
        fewest = min(int(case.inside[chosen].sum()), int((~case.inside[chosen]).sum()))
        rows.append(no_narrower(row, fewest))
    return rows


def _ratio(sums: Array) -> Array:
    return np.asarray(sums[:, 0] / np.where(sums[:, 1] > 0, sums[:, 1], np.nan))
