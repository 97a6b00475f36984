"""Signals as tables: one file of a sensor, or a folder of them, with or without a header, cut in windows."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from personare.core.errors import DataError, OptionError, data_errors
from personare.data.media_files import files_under
from personare.data.reading import Contents, Maker
from personare.data.tables import numbers
from personare.data.windows import Sampled, Windowed, make_windows

__all__ = ["Signals"]

_TABLES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt")
_NO_SIGNALS = ("labels.csv", "consent.tsv", "participants.tsv")
_TIMES = ("time", "times", "timestamp", "datetime", "date", "t", "seconds", "sec", "s", "ms", "unix")
_UNEVEN = 0.1  # of the usual step, by which others may differ
_MOST_UNEVEN = 0.01  # of all steps
_LONGEST = 10  # usual steps, of a single one


@dataclass(frozen=True, kw_only=True)
class Signals(Windowed):
    """Reads a file of numbers, one row a sample, or every such file of a folder, as the track ``physio``.

    Columns are separated by commas, semicolons, tabs or blanks; a first row that is no numbers names them. A column of
    times (``time``, ``timestamp`` ..., as dates, seconds, or milliseconds where the name ends in ``ms``) tells the
    rate. A table ``labels.csv`` in the folder says whose the files are: columns ``file``, ``subject``, if you like
    ``start`` and ``end`` in seconds from the file's start, and labels; without it each file is one person, numbered.

    **Guarantee**: each file that cannot be used is listed with the reason; a file whose samples are not evenly spaced
    is refused, never taken as if they were.

    Args:
        rate_hz: Samples a second of files without a column of times.
    """

    rate_hz: float = 0.0

    tracks: ClassVar[dict[str, str]] = {"physio": "physio"}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.rate_hz < np.inf:
            raise OptionError(f"rate_hz must be samples a second, not {self.rate_hz}. Give e.g. 64.")

    def gather(self, source: Path, contents: Contents) -> None:
        root, names = (source.parent, [source.name]) if source.is_file() else (source, files_under(source, *_TABLES))
        sessions: dict[str, dict[str, tuple[str, Sampled]]] = {}
        for name in [name for name in names if Path(name).name not in _NO_SIGNALS]:
            with contents.skipped.listing(name):
                sessions[name] = {"physio": (name, self._read(root / name))}
        self.add_sessions(contents, source / "labels.csv", "file", sessions)

    def make(self, source: Path) -> Maker:
        """Return what cuts a window of a signal."""
        root = source.parent if source.is_file() else source
        return make_windows(lambda file, _: self._read(root / file))

    def _read(self, path: Path) -> Sampled:
        table = _table(path)
        lower = {name: str(name).strip().lower() for name in table}
        times = [name for name, word in lower.items() if word in _TIMES or re.match(r"(t|time|timestamp)[_ ]", word)]
        begin_s, rate_hz = _clock(table[times[0]], path) if times else (0.0, float(self.rate_hz))
        if not rate_hz:
            raise DataError(f"{path.name} has no column of times. Give its samples a second with -o rate_hz=64.")
        signals = numbers(table.drop(columns=times)).dropna(axis=1, how="all")
        if signals.empty:
            raise DataError(f"{path.name} holds no signal beside the times. Leave it out.")
        columns = tuple(str(name).strip() for name in signals)
        return Sampled(values=signals.to_numpy(np.float32), begin_s=begin_s, rate_hz=rate_hz, columns=columns)


def _table(path: Path) -> pd.DataFrame:
    """Return the rows as they are written, by column; columns without a name are numbered."""
    with data_errors(f"{path.name} must be a table of numbers, but cannot be read", "Save it again."):
        start = pd.read_csv(path, sep="\0", engine="python", header=None, nrows=2, dtype=str)
        sep = next((mark for mark in (";", "\t", ",") if mark in str(start.iloc[-1, 0])), r"\s+")
        table = pd.read_csv(path, sep=sep, header=None, dtype=str, skipinitialspace=True)
    if sep != ",":
        table = table.apply(lambda column: column.str.replace(",", ".", regex=False))
    first = pd.to_numeric(table.iloc[0], errors="coerce")
    if first.notna().any():
        return table.rename(columns=lambda number: f"channel{number + 1}")
    return table.iloc[1:].set_axis([str(name) for name in table.iloc[0]], axis=1)


def _clock(times: pd.Series, path: Path) -> tuple[float, float]:
    """Return the first time in seconds and the rate in Hz; refuse gaps, and times that do not go on."""
    seconds = pd.to_numeric(times, errors="coerce").to_numpy(np.float64)
    if np.isnan(seconds).all():
        stamps = pd.to_datetime(times, errors="coerce", utc=True, format="mixed")
        seconds = (stamps - pd.Timestamp(0, tz="UTC")).dt.total_seconds().to_numpy(np.float64)
    elif str(times.name).strip().lower().endswith("ms"):
        seconds = seconds / 1000
    steps = np.diff(seconds)
    usual = np.median(steps) if len(steps) else np.nan
    uneven = np.abs(steps - usual) > _UNEVEN * usual
    if (
        not usual > 0
        or np.isnan(seconds).any()
        or uneven.mean() > _MOST_UNEVEN
        or steps.min() < 0
        or steps.max() > _LONGEST * usual
    ):
        raise DataError(
            f"{path.name} must have evenly spaced times, but {int(uneven.sum())} of {len(steps)} steps differ from the "
            f"usual {usual:g} s. Resample it, or cut it where it has gaps; on days on which clocks are changed, write "
            "times with their zone."
        )
    return float(seconds[0]), float(len(steps) / (seconds[-1] - seconds[0]))
