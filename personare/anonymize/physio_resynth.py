"""Replays a body's beats, skin responses, breaths and steps in a form common to all: what happened stays, not whose."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Literal

import numpy as np

from personare.core.options import Positive, check_options
from personare.core.protocols import TrackAnonymizer
from personare.core.types import Array, Track
from personare.features.physio import USUAL, events_of, levelled, signals_of, sorted_windows, windows_of

__all__ = ["PhysioResynth"]

_LEVELS = {"eda": "tonic_us", "temp": "skin_c", "hr": "rate_bpm", "activity": "counts_log"}
_BUMPS = {"pulse": (1.0, 0.12), "eda": (0.15, 2.0), "resp": (1.0, 1.0), "acc": (0.3, 0.12)}  # height, lasting seconds
_NAMES = {"pulse": "bvp", "acc": "acc_z"}


@dataclass(frozen=True, kw_only=True)
class PhysioResynth:
    """Keep when events happen and, as ranks within the person, how levels move, and draw the signals anew.

    **Guarantee**: what leaves depends on the original through the seconds of events and one of ``levels`` heights a
    window alone: the form and height of beats, responses, breaths and steps are everybody's, and so is the direction of
    gravity. *When* a heart beats is kept, and how fast it does still names the person.

    **Source**: ours; the events as in ``features/physio.py``.
    """

    level_s: Positive = 20.0  # of signals slower than one a second: 60 samples
    levels: int = 5  # 2 to 20: fewer hide more
    policy: Literal["recording", "person", "common"] = "recording"  # whose randomness a recording gets

    fit_on: ClassVar[str] = "everyone"
    works_alone: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_options(self, levels=(2, 20))

    def fit(self, background: Iterable[tuple[str, Track]], *, rng: np.random.Generator) -> TrackAnonymizer:
        """Learn what every level of a person ranges over, from all of their recordings."""
        return partial(self._hidden, sorted_windows(background, self.level_s))

    def __call__(self, track: Track, *, subject: str, rng: np.random.Generator) -> Track:
        """Return the signals drawn anew, all at the rate of the given ones."""
        return self._hidden({}, track, subject=subject, rng=rng)

    def _hidden(self, ranges: Mapping[str, Array], track: Track, *, subject: str, rng: np.random.Generator) -> Track:
        signals, times, drawn = signals_of(track), np.arange(len(track.values)) / track.rate_hz, dict[str, Array]()
        rows, span_s = windows_of(signals, self.level_s)
        rows = levelled(rows, ranges.get(subject, np.sort(rows, axis=0)), self.levels, rng)

        def level(name: str) -> Array:
            heights = np.nan_to_num(rows[:, [*USUAL].index(name)], nan=USUAL[name][0])
            return np.asarray(np.interp(times, (np.arange(len(rows)) + 0.5) * span_s, heights))

        for kind, signal in signals.items():
            course = level(_LEVELS[kind]) if kind in _LEVELS else np.full(len(times), float(kind == "acc"))
            height, lasting_s = _BUMPS.get(kind, (0.0, 0.0))
            for event in events_of(kind, signal):
                near = slice(*np.searchsorted(times, [event - 4 * lasting_s, event + 4 * lasting_s]))
                course[near] += height * np.exp(-(((times[near] - event) / lasting_s) ** 2))
            drawn[_NAMES.get(kind, kind)] = np.round(np.expm1(course.clip(0))) if kind == "activity" else course
        if "acc" in signals:  # the shake is quicker than steps
            shake = np.diff(rng.standard_normal(len(times) + 1)) / np.sqrt(2)
            drawn |= {"acc_x": 10 ** level("movement_log_g") * shake, "acc_y": 0 * times}
        values = np.stack([*drawn.values()], axis=1).astype(np.float32)
        return replace(track, values=values, columns=tuple(drawn))
