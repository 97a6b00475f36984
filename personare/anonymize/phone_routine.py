"""Keeps how regular the weeks of a phone's owner are, and neither when nor where."""

from dataclasses import dataclass

import numpy as np

from personare.core.types import Track
from personare.features.phone import ROUTINE, hourly, routine

__all__ = ["PhoneRoutine"]


@dataclass(frozen=True, kw_only=True)
class PhoneRoutine:
    """Release a few numbers a recording, in coarse steps: spread over the day, likeness of days, night, main place.

    **Guarantee**: no date, hour, place or number of calls leaves, and nothing but the numbers of ``ROUTINE`` in
    ``features/phone.py``, each in steps of a tenth. These are still habits: what they tell of who it is must be
    measured (``phone_linkage``).
    """

    def __call__(self, track: Track, *, subject: str, rng: np.random.Generator) -> Track:
        """Return a table of a row."""
        values = np.round(routine(hourly(track)), 1)
        return Track(kind="table", values=values.astype(np.float32), columns=ROUTINE)
