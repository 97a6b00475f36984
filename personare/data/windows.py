"""Long signals of sensors cut in windows of one length, each a recording."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, NamedTuple

import numpy as np

from personare.core.errors import DataError, OptionError
from personare.core.types import Array
from personare.data.reading import Contents, Made, Maker, Reader
from personare.data.tables import number, numbers, read_rows, read_table


class Sampled(NamedTuple):
    """An evenly sampled signal of a session: (T, D) float32, with the names of its columns."""

    values: Array
    begin_s: float  # of the first sample; since 1970, or since the file's start where it tells no date
    rate_hz: float
    columns: tuple[str, ...]
    unit: str = ""

    @property
    def end_s(self) -> float:
        """Time at which the last sample ends."""
        return self.begin_s + len(self.values) / self.rate_hz


Signals = Mapping[str, tuple[str, Sampled]]
"""A session: the file and the signal by track."""


@dataclass(frozen=True, kw_only=True)
class Windowed(Reader):
    """A reader of long signals.

    Args:
        window_s, step_s: Length of a window, and from one window's start to the next one's, in whole seconds.
    """

    window_s: int = 60
    step_s: int = 60

    def __post_init__(self) -> None:
        for name, value in (("window_s", self.window_s), ("step_s", self.step_s)):
            if int(value) != value or value < 1:
                raise OptionError(f"{name} must be whole seconds, at least 1, not {value!r}. Give e.g. 60.")

    def states(self, codes: Array, rate_hz: int, names: Mapping[int, str]) -> Iterator[tuple[int, set[str]]]:
        """Yield the start of each window in seconds, and the states in it; "" stands for one that has no name.

        ``codes`` (samples,) are whole numbers, the state at each moment.
        """
        for start_s in range(0, len(codes) // rate_hz - self.window_s + 1, int(self.step_s)):
            inside = np.unique(codes[start_s * rate_hz : (start_s + self.window_s) * rate_hz])
            yield start_s, {names.get(int(code), "") for code in inside}

    def add_sessions(
        self,
        contents: Contents,
        table: Path,
        column: str,
        sessions: Mapping[str, Signals],
        stretches: Mapping[str, Sequence[Mapping[str, str]]] = MappingProxyType({}),
    ) -> None:
        """Take in the windows of sessions, each with the signals that reach over it; none crosses the end of a label.

        The table, whose column ``file`` or ``folder`` names sessions, says whose each is: columns ``subject`` and, if
        you like, ``start`` and ``end`` in seconds from the session's start, and labels. Without it each session, or the
        folder of the first level it lies in, is one person, numbered, since files and folders are named after people. A
        person's sessions are numbered in their order. ``stretches`` are the times of a session that its own file tells
        of, as further rows: ``start``, ``end`` and labels.
        """
        rows = _rows_about(contents, sessions, table, column)
        begun = {name: min(signal.begin_s for _, signal in signals.values()) for name, signals in sessions.items()}
        counts: Counter[str] = Counter()
        for name in sorted(sessions, key=lambda name: (begun[name], name)):
            subjects = sorted({row["subject"] for row in rows[name]})
            with contents.skipped.listing(name):
                if not subjects:
                    raise DataError(f"{table.name} does not name it. Add a row that says whose it is.")
                if len(subjects) > 1:
                    raise DataError(
                        f"{table.name} gives it to two people, {' and '.join(subjects)}. Correct the table."
                    )
                if name in stretches and any(row.get("start") or row.get("end") for row in rows[name]):
                    raise DataError(f"both it and {table.name} say when something was. Take one of them away.")
                parts = [{**row, **part} for row in rows[name] for part in stretches.get(name, [{}])]
                windows = [window for row in parts for window in self._windows(row, column, sessions[name])]
                counts[subjects[0]] += 1
                if not windows:
                    problem = f"no window of {self.window_s} s fits into it"
                    raise DataError(f"{problem}. Give a smaller window_s, or leave it out.")
                for task, tracks, labels in windows:
                    contents.add(subjects[0], task, tracks, labels, f"{counts[subjects[0]]:02d}")

    def _windows(
        self, row: Mapping[str, str], column: str, signals: Signals
    ) -> Iterator[tuple[str, dict[str, str], dict[str, str]]]:
        """Yield task, tracks and labels of each window of the stretch of a session that a row is about."""
        begin_s = min(signal.begin_s for _, signal in signals.values())
        end_s = max(signal.end_s for _, signal in signals.values())
        start, end = number(row.get("start") or "0"), number(row.get("end") or "inf")
        if not 0 <= start < end:
            raise DataError(
                f"start and end must be seconds from the session's start, start before end, not {row.get('start')!r} "
                f"and {row.get('end')!r}. Correct the row."
            )
        not_labels = (column, "subject", "start", "end")
        labels = {name: value for name, value in row.items() if value and name not in not_labels}
        for start_s in np.arange(begin_s + start, min(end_s, begin_s + end) - self.window_s + 1e-6, self.step_s):
            tracks = {
                track: f"{file}#{start_s:.3f}+{self.window_s}"
                for track, (file, signal) in signals.items()
                if signal.begin_s <= start_s + 0.5 / signal.rate_hz
                and start_s + self.window_s <= signal.end_s + 0.5 / signal.rate_hz
            }
            if tracks:
                yield f"window{round(start_s - begin_s):06d}", tracks, labels


def _rows_about(
    contents: Contents, sessions: Collection[str], table: Path, column: str
) -> dict[str, list[dict[str, str]]]:
    """Return the rows about each session; where there is no table, one with a number for the person."""
    if not table.is_file():
        person = {name: name.partition("/")[0] if column == "folder" else name for name in sessions}
        code = {of: f"{i:02d}" for i, of in enumerate(sorted(set(person.values())), start=1)}
        return {name: [{"subject": code[of]}] for name, of in person.items()}
    rows: dict[str, list[dict[str, str]]] = {name: [] for name in sessions}
    for _, row in read_rows(table, required=(column, "subject")):
        name = row[column].strip("/")
        if name in rows:
            rows[name].append(row)
        elif name not in {withheld.item for withheld in contents.skipped}:
            contents.skipped.note(
                name, f"{table.name} names it, but it holds no session. Correct the row or leave it out."
            )
    return rows


def make_windows(load: Callable[[str, str], Sampled]) -> Maker:
    """Return what cuts the window of an address ``FILE#START+LENGTH`` or ``FILE#TRACK@START+LENGTH``, in seconds.

    ``load`` reads a track of a file, an empty name for a file of one track; a few are held.
    """
    loaded = lru_cache(maxsize=16)(load)

    def make(file: str, key: str) -> Made:
        track, _, span = key.rpartition("@")
        start_s, window_s = map(float, span.split("+"))
        signal = loaded(file, track)
        first = round((start_s - signal.begin_s) * signal.rate_hz)
        count = round(window_s * signal.rate_hz)
        if first < 0 or first + count > len(signal.values):
            raise DataError(f"The signal does not reach over {window_s:g} s from {start_s:g} s. Nothing to do.")
        unit = {"Units": signal.unit} if signal.unit else {}
        about = {"SamplingFrequency": signal.rate_hz, "Columns": list(signal.columns), **unit}
        return Made(signal.values[first : first + count], about)

    return make


_EMPATICA = {
    "acc": (("x", "y", "z"), "1/64 g"), "bvp": (("bvp",), "a.u."), "eda": (("eda",), "microsiemens"),
    "hr": (("hr",), "1/min"), "temp": (("temp",), "degree Celsius"),
}  # fmt: skip


class Wristband(Windowed):
    """A reader of signals of an Empatica E4, each at its own rate: 32, 64, 4, 1 and 4 Hz."""

    tracks: ClassVar[dict[str, str]] = dict.fromkeys(_EMPATICA, "physio")

    def make(self, source: Path) -> Maker:
        """Return what cuts a window of a signal."""
        return make_windows(lambda file, _: empatica(source / file))


def empatica(path: Path) -> Sampled:
    """Read a signal of an Empatica E4: first its start in seconds since 1970, then its rate in Hz, then the values."""
    columns, unit = _EMPATICA[path.name.partition(".")[0].lower()]
    table = numbers(read_table(path, header=None)).to_numpy()
    if len(table) < 3 or not np.isfinite(table[:2]).all() or not table[1, 0] > 0 or table.shape[1] != len(columns):
        raise DataError(f"{path.name} must start with its time and its rate. Get it again.")
    return Sampled(table[2:].astype(np.float32), float(table[0, 0]), float(table[1, 0]), columns, unit)
