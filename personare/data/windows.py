"""Long signals of sensors cut in windows of one length, each a recording."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from personare.core.errors import DataError, OptionError
from personare.core.types import Array, Recording
from personare.data.reading import Made, address, parted, recording
from personare.data.tables import number, numbers, read_table


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """An evenly sampled signal of a session.

    Attributes:
        values: (T, D) float32.
        begin_s: Time of the first sample; since 1970, or since the file's start where it tells no date.
        rate_hz: Samples a second.
        columns: What the D columns are.
        unit: Of the values; empty where unknown.
    """

    values: Array
    begin_s: float
    rate_hz: float
    columns: tuple[str, ...]
    unit: str = ""

    @property
    def end_s(self) -> float:
        """Time at which the last sample ends."""
        return self.begin_s + len(self.values) / self.rate_hz


@dataclass(frozen=True, kw_only=True)
class Span:
    """A stretch of a session, in seconds from its start (infinite: to its end), and what it is labelled with."""

    start_s: float = 0.0
    end_s: float = float("inf")
    labels: Mapping[str, str]

    @classmethod
    def of(cls, row: Mapping[str, str], not_labels: Sequence[str]) -> "Span":
        """Read a row of a table of labels; columns ``start`` and ``end`` in seconds may be missing or empty."""
        start_s, end_s = number(row.get("start") or "0"), number(row.get("end") or "inf")
        if not 0 <= start_s < end_s:
            raise DataError(
                f"start and end must be seconds from the file's start, start before end, not {row.get('start')!r} and "
                f"{row.get('end')!r}. Correct the row."
            )
        kept = {name: value for name, value in row.items() if value and name not in {*not_labels, "start", "end"}}
        return cls(start_s=start_s, end_s=end_s, labels=kept)


def check_windows(window_s: float, step_s: float) -> None:
    """Refuse windows that are not whole seconds."""
    for name, value in (("window_s", window_s), ("step_s", step_s)):
        if int(value) != value or value < 1:
            raise OptionError(f"{name} must be whole seconds, at least 1, not {value!r}. Give e.g. 60.")


def window_recordings(
    who: tuple[str, str], signals: Mapping[str, tuple[str, Sampled]], spans: Sequence[Span], window_s: int, step_s: int
) -> Iterator[Recording]:
    """Yield the windows of a session, each with the signals that reach over it; none crosses the end of a label.

    Args:
        who: The person's pseudonym and the session.
        signals: File and signal by track.
        spans: What is labelled; none: nothing is.
        window_s: Length of a window in seconds.
        step_s: From one window's start to the next one's.
    """
    begin_s = min(signal.begin_s for _, signal in signals.values())
    end_s = max(signal.end_s for _, signal in signals.values())
    for span in spans or (Span(labels={}),):
        first_s, last_s = begin_s + span.start_s, min(end_s, begin_s + span.end_s) - window_s
        for start_s in np.arange(first_s, last_s + 1e-6, step_s):
            tracks = {
                track: address(file, f"{start_s:.3f}+{window_s}")
                for track, (file, signal) in signals.items()
                if signal.begin_s <= start_s + 0.5 / signal.rate_hz
                and start_s + window_s <= signal.end_s + 0.5 / signal.rate_hz
            }
            if tracks:
                subject, session = who
                task = f"window{round(start_s - begin_s):06d}"
                yield recording(subject, task, tracks, span.labels, session=session)


def states_of_windows(
    codes: Array, rate_hz: int, names: Mapping[int, str], window_s: int, step_s: int
) -> Iterator[tuple[int, set[str]]]:
    """Yield the start of each window in seconds, and the states that are in it; "" stands for one that has no name.

    Args:
        codes: (samples,) whole numbers, the state at each moment.
        rate_hz: Samples a second.
        names: The states that count.
        window_s: Length of a window in seconds.
        step_s: From one window's start to the next one's.
    """
    for start_s in range(0, len(codes) // rate_hz - window_s + 1, int(step_s)):
        inside = np.unique(codes[start_s * rate_hz : (start_s + window_s) * rate_hz])
        yield start_s, {names.get(int(code), "") for code in inside}


def make_windows(load: Callable[[str, str], Sampled]) -> Callable[[str], Made]:
    """Return what cuts the window of an address ``FILE#START+LENGTH`` or ``FILE#TRACK@START+LENGTH``, in seconds.

    Args:
        load: Reads a track of a file, an empty name for a file of one track; a few are held.
    """
    loaded = lru_cache(maxsize=16)(load)

    def make(address: str) -> Made:
        file, key = parted(address)
        track, _, span = key.rpartition("@")
        start_s, window_s = map(float, span.split("+"))
        signal = loaded(file, track)
        first = round((start_s - signal.begin_s) * signal.rate_hz)
        count = round(window_s * signal.rate_hz)
        if first < 0 or first + count > len(signal.values):
            raise DataError(f"The signal does not reach over {window_s:g} s from {start_s:g} s. Nothing to do.")
        about = {"SamplingFrequency": signal.rate_hz, "Columns": list(signal.columns)}
        unit = {"Units": signal.unit} if signal.unit else {}
        return Made(values=signal.values[first : first + count], about=about | unit)

    return make


_EMPATICA = {
    "acc": (("x", "y", "z"), "1/64 g"), "bvp": (("bvp",), "a.u."), "eda": (("eda",), "microsiemens"),
    "hr": (("hr",), "1/min"), "temp": (("temp",), "degree Celsius"),
}  # fmt: skip
EMPATICA_TRACKS = dict.fromkeys(_EMPATICA, "physio")
"""Tracks of an Empatica E4, each recorded at its own rate: 32, 64, 4, 1 and 4 Hz."""


def empatica(path: Path) -> Sampled:
    """Read a signal of an Empatica E4: first its start in seconds since 1970, then its rate in Hz, then the values."""
    columns, unit = _EMPATICA[path.name.partition(".")[0].lower()]
    table = numbers(read_table(path, header=None)).to_numpy()
    if len(table) < 3 or not np.isfinite(table[:2]).all() or not table[1, 0] > 0 or table.shape[1] != len(columns):
        raise DataError(f"{path.name} must start with its time and its rate. Get it again.")
    values = table[2:].astype(np.float32)
    return Sampled(values=values, begin_s=float(table[0, 0]), rate_hz=float(table[1, 0]), columns=columns, unit=unit)
