"""Shows of body signals what windows of them say (heart rate, skin responses, activity), as of a usual person."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import numpy as np

from personare.core.errors import DataError, OptionError
from personare.core.options import Positive, check_options
from personare.core.protocols import TrackAnonymizer
from personare.core.types import Array, Track
from personare.features.physio import FEATURES, SHOWN, levelled, signals_of, sorted_windows, windows_of

__all__ = ["PhysioWindows"]


@dataclass(frozen=True, kw_only=True)
class PhysioWindows:
    """Put features of windows in the place of signals, each as a rank among those of the same person.

    **Guarantee**: no sample leaves. Of the people fitted on every feature takes the same ``levels`` values, each as
    often as every other over all recordings of a person (ties broken by chance): no height, spread or form is left.
    What is the same in all recordings of somebody, such as an illness, goes with it. At what hour a body is active,
    how features move together, and which signals are missing, stays. A recording hidden alone is ranked by itself.

    **Source**: ours, after normalization within the person (J. Healey, R. Picard, 2005, DOI 10.1109/TITS.2005.848368).
    """

    window_s: Positive = 60.0  # of signals slower than one a second: 60 samples
    levels: int = 3  # 2 to 20: fewer hide more
    features: tuple[str, ...] = SHOWN  # of ``features/physio.py``; more of them tell more of the person
    policy: Literal["recording", "person", "common"] = "recording"  # whose randomness breaks ties in a recording

    fit_on: ClassVar[str] = "everyone"
    works_alone: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_options(self, levels=(2, 20))
        if unknown := {*self.features} - {*FEATURES}:
            raise OptionError(f"features must be some of {', '.join(FEATURES)}, not {', '.join(unknown)}.")

    def fit(self, background: Iterable[tuple[str, Track]], *, rng: np.random.Generator) -> TrackAnonymizer:
        """Learn what every feature of a person ranges over, from all of their recordings."""
        return partial(self._hidden, sorted_windows(background, self.window_s))

    def __call__(self, track: Track, *, subject: str, rng: np.random.Generator) -> Track:
        """Return (windows, features) with their names; one row a window."""
        return self._hidden({}, track, subject=subject, rng=rng)

    def _hidden(self, ranges: Mapping[str, Array], track: Track, *, subject: str, rng: np.random.Generator) -> Track:
        rows, span_s = windows_of(signals_of(track), self.window_s)
        if len(rows) < 2 and subject not in ranges:
            raise DataError("One window alone has no rank. Hide it together with others of the person.")
        kept = np.isfinite(rows).any(axis=0) & np.isin(FEATURES, self.features)
        if not kept.any():
            raise DataError(f"No window of it tells {', '.join(self.features)}. Take longer windows or other features.")
        rows = levelled(rows, ranges.get(subject, np.sort(rows, axis=0)), self.levels, rng)
        names, values = tuple(np.array(FEATURES)[kept].tolist()), rows[:, kept].astype(np.float32)
        return Track(kind="signal", values=values, columns=names, rate_hz=1 / span_s, start_s=track.start_s)
