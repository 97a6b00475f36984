"""Rounds times, places and uses of a phone's log until few facts no longer single anybody out."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from personare.core.errors import DataError
from personare.core.options import Count, PartShare, check_options
from personare.core.types import Track
from personare.features.phone import COLUMNS, HOUR_HZ, Level, coarse, hourly, unicity

__all__ = ["PhoneCoarsen"]

LADDER = (Level(1, 0.01, 0.5), Level(1, 0.1, 1), Level(1, 0.3, 2), Level(1, 1, 3), Level(6, 1, 3), Level(24, 1, 4),
          Level(168, 1, 4), Level(168, 3, 6))  # fmt: skip
"""From fine to coarse; 0.01 degrees are about 1 km, and a step of 2 tells none, few and many apart."""


@dataclass(frozen=True, kw_only=True)
class PhoneCoarsen:
    """Find the finest level at which so many facts single out few of the people to be hidden.

    **Guarantee**: ``points`` random facts of these people (where they were, what they did, or both) single out less
    than ``share`` of them, among each other; where no level of ``LADDER`` reaches that, nothing is released. It is none
    against who knows more facts, or manners: see what ``phone_linkage`` still finds.
    """

    fit_on: ClassVar = "everyone"

    points: Count = 4  # facts that an attacker knows
    share: PartShare = 0.05  # of draws that may single out somebody

    def __post_init__(self) -> None:
        check_options(self)

    def fit(self, background: Iterable[tuple[str, Track]], *, rng: np.random.Generator) -> "Coarsened":
        """Go up the ladder."""
        logs, reached = [], 1.0
        for subject, track in background:
            with suppress(DataError):  # what is no log is withheld when its turn comes
                logs.append((subject, track.start_s, hourly(track)))
        for level in LADDER if logs else ():
            exact = Level(level.hours_a_row)
            both = ((who, start, coarse(rows, exact), coarse(rows, level)) for who, start, rows in logs)
            kinds = unicity(both, points=self.points, rng=rng)
            reached = max(float(np.mean([*people.values()])) for people in kinds.values() if people)
            if reached < self.share:
                return Coarsened(level=level, counts={**level._asdict(), "unicity": reached})
        raise DataError(
            f"{self.points} facts must single out less than {self.share:.0%} of people, but even at the coarsest level "
            f"they single out {reached:.0%}. Add people, or choose phone_routine."
        )


@dataclass(frozen=True, kw_only=True)
class Coarsened:
    """The level that was reached, and in ``counts``, which are told, also what share of draws singles somebody out."""

    level: Level
    counts: Mapping[str, float]

    def __call__(self, track: Track, *, subject: str, rng: np.random.Generator) -> Track:
        """Return a row for so many hours, rounded."""
        values = coarse(hourly(track), self.level).astype(np.float32)
        rate_hz = HOUR_HZ / self.level.hours_a_row
        return Track(kind="signal", values=values, columns=COLUMNS, rate_hz=rate_hz, start_s=track.start_s)
