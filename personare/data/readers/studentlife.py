"""StudentLife as daily aggregates: what phones of students measured in a day, and the stress they reported."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

import pandas as pd

from personare.core.errors import DataError
from personare.core.types import Recording, Withheld
from personare.data.index import recording_id
from personare.data.made import Made, address, made_from_rows, numbers, read_table
from personare.data.media import people_table

__all__ = ["Studentlife"]

_NAME = re.compile(r"^student_?(?P<number>\d+)$")
_FIRST = 2  # before it stand the date and the student
_STRESS = ("lowest", "highest")
_DAY = re.compile(r"^\d{4}-\d\d-\d\d$")
_LEVELS = MappingProxyType(
    {
        1: "a little stressed", 2: "definitely stressed", 3: "stressed out", 4: "feeling good", 5: "feeling great",
    }
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Studentlife:
    """Reads ``student_01.csv`` and so on: two rows of column names, a row a day, stress in the last three columns.

    Reported stress is a code whose numbers are not in the order of stress (1 a little stressed, 2 definitely, 3
    stressed out, 4 feeling good, 5 feeling great), so the published mean of a day is no degree of stress. A day is
    ``stressed`` if all its answers are 1 to 3, ``well`` if all are 4 or 5; a day of both has no label ``stress``.

    **Guarantee**: every row is a recording or listed with the reason; a value that is missing stays missing (NaN).

    **Source**: Wang, Chen, Chen, Li, Harari, Tignor, Zhou, Ben-Zeev, Campbell: StudentLife. UbiComp 2014.
    doi:10.1145/2632048.2632054. Daily aggregates in the layout of Shaw, Simsiri, Deznaby, Fiterau, Rahaman:
    Personalized student stress prediction with deep multitask network, 2019. arXiv:1906.11356.
    """

    license: ClassVar[str] = "research"
    citation: ClassVar[str] = "Wang et al., UbiComp 2014: 3-14"
    home: ClassVar[str] = "https://studentlife.cs.dartmouth.edu"

    def __call__(self, source: Path) -> tuple[Sequence[Recording], pd.DataFrame, Sequence[Withheld]]:
        """Read the tables.

        Returns:
            Recordings (track ``phone``, a table of numbers with NaN; labels ``stress``, ``stressed`` or ``well``, and
            ``level``, the answer in words, each where the day's answers agree), the students, and days and files that
            cannot be used.

        Raises:
            DataError: There is no such folder.
        """
        if not source.is_dir():
            raise DataError(f"There is no folder {source}. Give the folder that holds student_01.csv and so on.")
        recordings: list[Recording] = []
        skipped: list[Withheld] = []
        for path in sorted(p for p in source.rglob("*.csv*") if not p.name.startswith(".")):
            file = path.relative_to(source).as_posix()
            match = _NAME.match(path.name.partition(".")[0])
            try:
                table = _days(path)
            except DataError as error:
                skipped.append(Withheld(item=file, problem=str(error), fix="Get the file again, or remove it."))
                continue
            for row, (day, low, high) in enumerate(zip(*(table[name] for name in ("day", *_STRESS)), strict=True)):
                problem = _problem(match, str(day), float(low), float(high))
                if match is None or problem:
                    skipped.append(Withheld(item=f"{file} row {row}", problem=problem, fix="Nothing to do."))
                else:
                    labels = _labels(float(low), float(high))
                    recordings.append(_recording(int(match["number"]), str(day), address(file, row), labels))
        return recordings, people_table((r.subject for r in recordings), {}), skipped

    def make(self, source: Path) -> Callable[[str], Made]:
        """Return what makes a day's track of its row."""

        def load(file: str) -> pd.DataFrame:
            return _days(source / file).drop(columns=["day", *_STRESS])

        return made_from_rows(load)


def _days(path: Path) -> pd.DataFrame:
    """Return a student's days: ``day``, numbers by the phone as ``SENSOR_STATISTIC``, lowest and highest answer."""
    table = read_table(path, header=[0, 1])
    columns = [(str(column[0]), str(column[1])) for column in table.columns.tolist()]
    if columns[-3:] != [("stress_level", name) for name in ("min", "max", "mean")]:
        raise DataError(f"the last columns of {path.name} must be stress_level min, max and mean")
    names = ["day_of_week" if first == "dow" else f"{second}_{first}" for first, second in columns]
    phone = numbers(table.iloc[:, _FIRST:-3].set_axis(names[_FIRST:-3], axis=1))
    stress = numbers(table.iloc[:, -3:-1].set_axis(list(_STRESS), axis=1))
    days = table.iloc[:, :1].astype(str).set_axis(["day"], axis=1)
    whole = pd.concat([days, phone, stress], axis=1)
    return whole[whole["day"] != "time"].reset_index(drop=True)  # pandas wrote the index's name in a row of its own


def _problem(match: re.Match[str] | None, day: str, low: float, high: float) -> str:
    if match is None:
        return "its file is not named like student_01.csv, so nobody knows whose day it is"
    if _DAY.match(day) is None:
        return f"{day!r} is no date"
    return "" if 1 <= low <= high <= len(_LEVELS) else "no stress was reported that day"


def _labels(low: float, high: float) -> dict[str, str]:
    felt = {"stress": "stressed"} if high <= 3 else {"stress": "well"} if low >= 4 else {}
    return felt | ({"level": _LEVELS[int(low)]} if low == high and low.is_integer() else {})


def _recording(student: int, day: str, row: str, labels: dict[str, str]) -> Recording:
    return Recording(
        id=recording_id(f"{student:02d}", "01", f"day{day.replace('-', '')}"),
        subject=f"{student:02d}",
        session="01",
        tracks={"phone": row},
        labels=labels,
    )
