"""Depresjon: how much patients with depression and others moved, minute by minute, cut in days."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from personare.core.errors import DataError, OptionError
from personare.core.types import Recording, Withheld
from personare.data.index import recording_id
from personare.data.made import Made, address, numbers, parted, read_table

__all__ = ["Depresjon"]

_GROUPS = ("condition", "control")
_MINUTES = 1440
_HZ = 1 / 60
_SEX = {1: "F", 2: "M"}


@dataclass(frozen=True, kw_only=True)
class Depresjon:
    """Reads Depresjon: ``{condition,control}/condition_1.csv`` and so on, packed or not, and ``scores.csv``.

    A recording is a whole day from midnight. The files go on after the watch was taken off; ``days`` says how many
    days count. People are numbered by the time at which their recording starts, so that a pseudonym does not say who
    is ill. Ages are published as bands of five years; the participants' table has the middle of each.

    **Guarantee**: every recording has 1,440 minutes; each day that has not, and each file that cannot be used, is
    listed with the reason. On the days on which clocks are changed, the repeated hour is taken once and the hour that
    never was is missing (NaN).

    **Source**: Garcia-Ceja, Riegler, Jakobsen, Tørresen, Nordgreen, Oedegaard, Fasmer: Depresjon: a motor activity
    database of depression episodes in unipolar and bipolar patients. MMSys 2018. doi:10.1145/3204949.3208125.

    Args:
        days: ``published`` takes the first whole days of each person, as many as ``scores.csv`` says; ``all`` takes
            all, also those on which nobody may have worn the watch.
    """

    days: str = "published"

    license: ClassVar[str] = "research and teaching, with citation"
    citation: ClassVar[str] = "Garcia-Ceja et al., ACM Multimedia Systems 2018: 472-477"
    home: ClassVar[str] = "https://datasets.simula.no/depresjon/"

    def __post_init__(self) -> None:
        """Check the options."""
        if self.days not in ("published", "all"):
            raise OptionError(f"days must be published or all, not {self.days!r}. Choose one of them.")

    def __call__(self, source: Path) -> tuple[Sequence[Recording], pd.DataFrame, Sequence[Withheld]]:
        """Read the times of each file and the scores.

        Returns:
            Recordings (track ``activity``, (1440, 1) counts by minute; labels ``depression``, ``condition`` or
            ``control``, and ``madrs_start`` and ``madrs_end`` of patients), the people with sex and age, and days and
            files that cannot be used.

        Raises:
            DataError: There is no such folder, or the scores cannot be read.
        """
        scores = _scores(source)
        skipped: list[Withheld] = []
        dates: dict[str, pd.DatetimeIndex] = {}
        for path in sorted(p for group in _GROUPS for p in (source / group).glob("*.csv*")):
            file = path.relative_to(source).as_posix()
            try:
                dates[file] = pd.DatetimeIndex(_activity(path).index)
            except DataError as error:
                skipped.append(Withheld(item=file, problem=str(error), fix="Get the file again, or remove it."))
        recordings: list[Recording] = []
        people: dict[str, tuple[str | None, float]] = {}
        for number, file in enumerate(sorted(dates, key=lambda file: (dates[file][0], file)), start=1):
            subject, name = f"{number:02d}", Path(file).name.partition(".")[0]
            score = scores.get(name, {})
            people[subject] = (_SEX.get(int(score.get("gender") or 0)), _middle(score.get("age", "")))
            whole, broken = _days(dates[file], file)
            count = int(score.get("days") or 0) if self.days == "published" else 0
            recordings += [_recording(subject, file, day, score) for day in whole[: count or None]]
            skipped += broken
        table = pd.DataFrame.from_dict(people, orient="index", columns=["sex", "age"])
        return recordings, table.rename_axis("subject"), skipped

    def make(self, source: Path) -> Callable[[str], Made]:
        """Return what cuts a day of a person's activity."""
        load = lru_cache(maxsize=2)(lambda file: _activity(source / file))

        def make(address: str) -> Made:
            file, day = parted(address)
            minutes = pd.date_range(day, periods=_MINUTES, freq="min")
            values = load(file).reindex(minutes).to_numpy(np.float32)
            return Made(values=values, about={"SamplingFrequency": _HZ, "Columns": ["activity"], "Units": "counts"})

        return make


def _scores(source: Path) -> dict[str, dict[str, str]]:
    table = read_table(source / "scores.csv", text=True)
    if "number" not in table:
        raise DataError(f"{source / 'scores.csv'} must have the column number. Get the published one.")
    rows = [{str(key): str(value).strip() for key, value in row.items()} for row in table.to_dict("records")]
    return {row["number"]: row for row in rows}


def _activity(path: Path) -> pd.DataFrame:
    """Return the column ``activity``, indexed by time."""
    table = read_table(path)
    if not {"timestamp", "activity"} <= set(table.columns):
        raise DataError(f"{path.name} must have the columns timestamp and activity")
    times = pd.DatetimeIndex(pd.to_datetime(table["timestamp"], errors="coerce"))
    counts = numbers(table[["activity"]]).set_axis(times, axis=0)
    counts = counts[times.notna() & counts["activity"].notna().to_numpy()]
    if counts.empty:
        raise DataError(f"{path.name} holds no minute with a count")
    return counts[~counts.index.duplicated()].sort_index()


def _days(times: pd.DatetimeIndex, file: str) -> tuple[list[str], list[Withheld]]:
    """Return the days with every minute that there was, and the others."""
    whole: list[str] = []
    broken: list[Withheld] = []
    for day, own in pd.Series(times, index=times).groupby(times.strftime("%Y-%m-%d")):
        gaps = own.diff().dropna() > pd.Timedelta(minutes=1)
        forward = len(own) == _MINUTES - 60 and gaps.sum() == 1 and {own.iloc[0].hour, own.iloc[-1].hour} == {0, 23}
        if len(own) == _MINUTES or forward:
            whole.append(str(day))
        else:
            problem = f"the day has {len(own)} of {_MINUTES} minutes"
            broken.append(Withheld(item=address(file, day), problem=problem, fix="Nothing to do."))
    return whole, broken


def _middle(band: str) -> float:
    """Return the middle of an age band such as 35-39.

    Example:
        >>> _middle("35-39")
        37.0
    """
    ends = [float(end) for end in band.split("-") if end.strip().isdigit()]
    return sum(ends) / len(ends) if ends else float("nan")


def _recording(subject: str, file: str, day: str, score: dict[str, str]) -> Recording:
    madrs = {"madrs_start": score.get("madrs1", ""), "madrs_end": score.get("madrs2", "")}
    return Recording(
        id=recording_id(subject, "01", f"day{day.replace('-', '')}"),
        subject=subject,
        session="01",
        tracks={"activity": address(file, day)},
        labels={"depression": file.partition("/")[0], **{key: value for key, value in madrs.items() if value}},
    )
