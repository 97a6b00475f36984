"""Long signals of sensors cut in windows of one length, each a recording."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from personare.core.errors import DataError, OptionError
from personare.core.types import Array, Recording
from personare.data.index import recording_id
from personare.data.made import Made, address, numbers, parted, read_table

__all__ = ["Sampled", "Span", "check_windows", "empatica", "make_windows", "window_recordings"]


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

    def window(self, start_s: float, window_s: float) -> Array:
        """Return the samples of a window.

        Raises:
            DataError: The signal does not reach over it.
        """
        first, count = round((start_s - self.begin_s) * self.rate_hz), round(window_s * self.rate_hz)
        if first < 0 or first + count > len(self.values):
            raise DataError(f"The signal does not reach over the window from {start_s:g} s. Nothing to do.")
        return self.values[first : first + count]


@dataclass(frozen=True, kw_only=True)
class Span:
    """A stretch of a session and what it is labelled with.

    Attributes:
        start_s: From the session's start.
        end_s: The same; infinite for the rest of the session.
        labels: By name.
    """

    start_s: float
    end_s: float
    labels: Mapping[str, str]

    @classmethod
    def of(cls, row: Mapping[str, str], not_labels: Sequence[str]) -> "Span":
        """Read a row of a table of labels; columns ``start`` and ``end`` in seconds may be missing or empty.

        Raises:
            DataError: They are no times.
        """
        try:
            start_s, end_s = float(row.get("start") or 0), float(row.get("end") or "inf")
        except ValueError as error:
            raise DataError(
                f"start and end must be seconds from the file's start: {error}. Correct the row."
            ) from error
        if not 0 <= start_s < end_s:
            raise DataError(f"start must lie before end, not {start_s:g} and {end_s:g} seconds. Correct the row.")
        kept = {name: value for name, value in row.items() if value and name not in {*not_labels, "start", "end"}}
        return cls(start_s=start_s, end_s=end_s, labels=kept)


def check_windows(window_s: float, step_s: float) -> None:
    """Refuse windows that are not whole seconds.

    Raises:
        OptionError: They are not, or are below 1.
    """
    for name, value in (("window_s", window_s), ("step_s", step_s)):
        if int(value) != value or value < 1:
            raise OptionError(f"{name} must be whole seconds, at least 1, not {value!r}. Give e.g. 60.")


def window_recordings(
    who: tuple[str, str],
    signals: Mapping[str, tuple[str, Sampled]],
    spans: Sequence[Span],
    window_s: int,
    step_s: int,
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
    for span in spans or (Span(start_s=0.0, end_s=float("inf"), labels={}),):
        first_s, last_s = begin_s + span.start_s, min(end_s, begin_s + span.end_s) - window_s
        for start_s in np.arange(first_s, last_s + 1e-6, step_s):
            tracks = {
                track: address(file, f"{start_s:.3f}+{window_s}")
                for track, (file, signal) in signals.items()
                if signal.begin_s <= start_s + 0.5 / signal.rate_hz
                and start_s + window_s <= signal.end_s + 0.5 / signal.rate_hz
            }
            if tracks:
                task = f"window{round(start_s - begin_s):06d}"
                name = recording_id(*who, task)
                yield Recording(id=name, subject=who[0], session=who[1], tracks=tracks, labels=span.labels)


def make_windows(load: Callable[[str], Sampled]) -> Callable[[str], Made]:
    """Return what cuts the window of an address ``FILE#START+LENGTH``.

    Args:
        load: Reads a file; a few are held.
    """
    loaded = lru_cache(maxsize=8)(load)

    def make(address: str) -> Made:
        file, span = parted(address)
        start_s, window_s = map(float, span.split("+"))
        signal = loaded(file)
        about = {"SamplingFrequency": signal.rate_hz, "Columns": list(signal.columns)}
        cut = signal.window(start_s, window_s)
        return Made(values=cut, about=about | ({"Units": signal.unit} if signal.unit else {}))

    return make


_EMPATICA = {
    "acc": (("x", "y", "z"), "1/64 g"), "bvp": (("bvp",), "a.u."), "eda": (("eda",), "microsiemens"),
    "hr": (("hr",), "1/min"), "temp": (("temp",), "degree Celsius"),
}  # fmt: skip


def empatica(path: Path) -> Sampled:
    """Read a signal of an Empatica E4: first its start in seconds since 1970, then its rate in Hz, then the values.

    Raises:
        DataError: It is empty, is cut off, or does not start so.
    """
    columns, unit = _EMPATICA[path.name.partition(".")[0].lower()]
    table = numbers(read_table(path, header=None)).to_numpy()
    if len(table) < 3 or not np.isfinite(table[:2]).all() or not table[1, 0] > 0 or table.shape[1] != len(columns):
        raise DataError(f"{path.name} must start with its time and its rate. Get it again.")
    values = table[2:].astype(np.float32)
    return Sampled(values=values, begin_s=float(table[0, 0]), rate_hz=float(table[1, 0]), columns=columns, unit=unit)
