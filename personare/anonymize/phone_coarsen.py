"""Rounds times, places and uses of a phone's log until few facts no longer single anybody out."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from personare.core.errors import DataError
from personare.core.options import Count, PartShare, check_options
from personare.core.types import Track
from personare.features.phone import COLUMNS, HOUR_HZ, coarse, hourly, unicity

__all__ = ["PhoneCoarsen"]

LADDER = ((1, 0.01, 0.5), (1, 0.1, 1), (1, 0.3, 2), (1, 1, 3), (6, 1, 3), (24, 1, 4), (168, 1, 4), (168, 3, 6))
"""Hours a row, degrees (0.01 are about 1 km) and steps of ln(1 + use) (2: none, few or many), from fine to coarse."""


@dataclass(frozen=True, kw_only=True)
class PhoneCoarsen:
    """Find the finest level at which so many facts single out few of the people to be hidden.

    **Guarantee**: ``points`` random facts of these people (where they were, what they did, or both) single out less
    than ``share`` of them, among each other; where no level of ``LADDER`` reaches that, nothing is released. It is none
    against who knows more facts, or habits: see what ``phone_linkage`` still finds.
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
            both = ((who, start, coarse(rows, level[0]), coarse(rows, *level)) for who, start, rows in logs)
            kinds = unicity(both, points=self.points, rng=rng)
            reached = max((float(np.mean([*people.values()])) for people in kinds.values() if people), default=0.0)
            if reached < self.share:
                names = ("hours_a_row", "degrees", "use_step")
                return Coarsened(level=level, counts={**dict(zip(names, level, strict=True)), "unicity": reached})
        raise DataError(
            f"{self.points} facts must single out less than {self.share:.0%} of people, but even at the coarsest level "
            f"they single out {reached:.0%}. Add people, or choose phone_routine."
        )


@dataclass(frozen=True, kw_only=True)
class Coarsened:
    """The level that was reached, and in ``counts``, which are told, also what share of draws singles somebody out."""

    level: tuple[int, float, float]
    counts: Mapping[str, float]

    def __call__(self, track: Track, *, subject: str, rng: np.random.Generator) -> Track:
        """Return a row for so many hours, rounded."""
        values = coarse(hourly(track), *self.level).astype(np.float32)
        rate_hz = HOUR_HZ / self.level[0]
        return Track(kind="signal", values=values, columns=COLUMNS, rate_hz=rate_hz, start_s=track.start_s)
