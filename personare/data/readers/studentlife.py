"""StudentLife as daily aggregates: what phones of students measured in a day, and the stress they reported."""

import re
from pathlib import Path
from typing import ClassVar

import pandas as pd

from personare.core.errors import DataError
from personare.data.media_files import files_under
from personare.data.reading import Contents, Maker, Reader, made_from_rows
from personare.data.tables import numbers, read_table

__all__ = ["Studentlife"]

_STRESS = ["lowest", "highest"]
_LEVELS = {1: "a little stressed", 2: "definitely stressed", 3: "stressed out", 4: "feeling good", 5: "feeling great"}


class Studentlife(Reader):
    """Reads ``student_01.csv`` and so on: two rows of column names, a row a day, stress in the last three columns.

    Reported stress is a code whose numbers are not in the order of stress, so the published mean of a day is no degree
    of it. A day is ``stressed`` if all its answers are 1 to 3, ``well`` if all are 4 or 5; a day of both has no label
    ``stress``. The label ``level`` is the answer in words, where a day has one.

    **Guarantee**: every row is a recording or listed with the reason; a value that is missing stays missing (NaN).

    **Source**: Wang et al., StudentLife, UbiComp 2014, doi:10.1145/2632048.2632054; daily aggregates in the layout of
    Shaw et al. 2019, arXiv:1906.11356.
    """

    license = "research"
    citation = "Wang et al., UbiComp 2014: 3-14"
    home = "https://studentlife.cs.dartmouth.edu"
    tracks: ClassVar[dict[str, str]] = {"phone": "phone"}

    def gather(self, source: Path, contents: Contents) -> None:
        for file in files_under(source, ".csv", ".csv.gz"):
            student = re.fullmatch(r"(?:.*/)?student_?(\d+)\.csv(\.gz)?", file)
            with contents.skipped.listing(file):
                for row, (day, low, high) in enumerate(_days(source / file)[["day", *_STRESS]].itertuples(index=False)):
                    if student is None:
                        problem = "its file is not named like student_01.csv, so nobody knows whose day it is"
                    elif not re.fullmatch(r"\d{4}-\d\d-\d\d", day):
                        problem = f"{day!r} is no date"
                    elif not 1 <= low <= high <= len(_LEVELS):
                        problem = "no stress was reported that day"
                    else:
                        labels = {"stress": "stressed"} if high <= 3 else {"stress": "well"} if low >= 4 else {}
                        if low == high and low.is_integer():
                            labels["level"] = _LEVELS[int(low)]
                        subject, task = f"{int(student[1]):02d}", f"day{day.replace('-', '')}"
                        contents.add(subject, task, {"phone": f"{file}#{row}"}, labels)
                        continue
                    contents.skipped.note(f"{file} row {row}", f"{problem}. Nothing to do.")

    def make(self, source: Path) -> Maker:
        """Return what makes a day's track of its row."""
        return made_from_rows(lambda file: _days(source / file).drop(columns=["day", *_STRESS]))


def _days(path: Path) -> pd.DataFrame:
    """Return a student's days: ``day``, numbers by the phone as ``SENSOR_STATISTIC``, lowest and highest answer."""
    table = read_table(path, header=[0, 1])
    columns = [(str(column[0]), str(column[1])) for column in table.columns.tolist()]
    if columns[-3:] != [("stress_level", name) for name in ("min", "max", "mean")]:
        raise DataError(f"the last columns of {path.name} must be stress_level min, max and mean")
    names = ["day_of_week" if first == "dow" else f"{second}_{first}" for first, second in columns]
    phone = numbers(table.iloc[:, 2:-3].set_axis(names[2:-3], axis=1))  # the date and the student stand before
    stress = numbers(table.iloc[:, -3:-1].set_axis(_STRESS, axis=1))
    days = table.iloc[:, :1].astype(str).set_axis(["day"], axis=1)
    whole = pd.concat([days, phone, stress], axis=1)
    return whole[whole["day"] != "time"].reset_index(drop=True)  # pandas wrote the index's name in a row of its own
