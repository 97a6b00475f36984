"""Puts what a group did in a day, under noise, in the place of what a person did."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from personare.core.errors import DataError
from personare.core.types import Array, Spend, Track
from personare.features.phone import HOUR_HZ, USES, coarse, hourly
from personare.learn.privacy import PrivacyPlan

__all__ = ["PhoneDaily"]

_MOST = np.log1p((100, 500, 500, 2000, 1440, 1440))  # a day's ``USES``, chosen without a look at data; more is cut
_DAY, _DAY_S = 24, 86400


@dataclass(frozen=True, kw_only=True)
class PhoneDaily:
    """Average each use of a day over all people, on a logarithmic scale; what is missing counts as nothing.

    **Guarantee**: all days of all recordings together are (epsilon, delta) differentially private for each person of
    the group, under adding or removing all of that person's days. On which dates there are recordings of whom, and how
    many people there are, is not hidden. No place leaves.

    **Source**: the Gaussian mechanism at the price of ``learn/privacy.py``.
    """

    fit_on: ClassVar = "everyone"

    epsilon: float = 8.0  # of a person, for all days together
    delta: float = 1e-5  # chance that the bound fails

    def fit(self, background: Iterable[tuple[str, Track]], *, rng: np.random.Generator) -> "DailyGroup":
        """Add the days up, a date at a time."""
        dates: defaultdict[float, dict[str, Array]] = defaultdict(dict)
        for subject, track in background:
            with suppress(DataError):  # what is no log is withheld when its turn comes
                for day, uses in enumerate(coarse(hourly(track), _DAY)[:, :-2]):
                    share = np.minimum(np.log1p(np.nan_to_num(uses)) / _MOST, 1)
                    dates[track.start_s + day * _DAY_S][subject] = share
        people = sorted({subject for of in dates.values() for subject in of})
        size, nothing = len(people), np.zeros(len(USES))
        how: Any = {"unit": "person", "units": size, "expected_batch": size, "steps": len(dates)}
        plan = PrivacyPlan(epsilon=self.epsilon, delta=self.delta, **how)
        means = {}
        for (date, of), batch in zip(sorted(dates.items()), plan.batches(rng), strict=True):
            rows = np.stack([of.get(who, nothing) for who in people]) - 0.5  # around 0 a person changes least
            share = batch.release(rows, 0.5 * float(np.sqrt(len(USES)))) + 0.5
            means[date] = np.expm1(np.clip(share, 0, 1) * _MOST)
        return DailyGroup(means=means, spend=plan.spend())


@dataclass(frozen=True, kw_only=True)
class DailyGroup:
    """What the group did on each date, by its first second, and what that cost each person."""

    means: Mapping[float, Array]
    spend: Spend

    def __call__(self, track: Track, *, subject: str, rng: np.random.Generator) -> Track:
        """Return a row a day, the same for everybody."""
        dates = [track.start_s + day * _DAY_S for day in range(-(-len(hourly(track)) // _DAY))]
        if not {*dates} <= {*self.means}:
            raise DataError("Its days are none of the group's. Fit to people of the same dates.")
        values = np.array([self.means[date] for date in dates], np.float32)
        return Track(kind="signal", values=values, columns=USES, rate_hz=HOUR_HZ / _DAY, start_s=track.start_s)
