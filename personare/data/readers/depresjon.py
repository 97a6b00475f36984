"""Depresjon: how much patients with depression and others moved, minute by minute, cut in days."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from personare.core.errors import DataError
from personare.data.media_files import files_under
from personare.data.reading import Contents, Made, Maker, Reader, check_choice
from personare.data.tables import numbers, read_published, read_table

__all__ = ["Depresjon"]

_MINUTES = 1440
_SEX = {"1": "F", "2": "M"}


@dataclass(frozen=True, kw_only=True)
class Depresjon(Reader):
    """Reads Depresjon: ``{condition,control}/condition_1.csv`` and so on, packed or not, and ``scores.csv``.

    A recording is a whole day, (1440, 1) counts by minute, with the labels ``depression`` (``condition`` or
    ``control``) and, of patients, ``madrs_start`` and ``madrs_end``. People are numbered by the time at which their
    recording starts, so that a pseudonym does not say who is ill; their age is the middle of the published band.

    **Guarantee**: every recording has 1,440 minutes; each day that has not, and each file that cannot be used, is
    listed with the reason. On the days on which clocks are changed, the repeated hour is taken once and the hour that
    never was is missing (NaN).

    **Source**: Garcia-Ceja et al., Depresjon, MMSys 2018, doi:10.1145/3204949.3208125.

    Args:
        days: ``published`` takes the first whole days of each person, as many as ``scores.csv`` says; ``all`` takes
            all, also those on which nobody may have worn the watch.
    """

    days: str = "published"

    license = "research and teaching, with citation"
    citation = "Garcia-Ceja et al., ACM Multimedia Systems 2018: 472-477"
    home = "https://datasets.simula.no/depresjon/"
    tracks: ClassVar[dict[str, str]] = {"activity": "physio"}

    def __post_init__(self) -> None:
        check_choice("days", self.days, ("published", "all"))

    def gather(self, source: Path, contents: Contents) -> None:
        table = read_published(source, "scores.csv", ("number",), text=True)
        scores = {row["number"].strip(): row for row in table.to_dict("records")}
        dates: dict[str, pd.DatetimeIndex] = {}
        for file in files_under(source, ".csv", ".csv.gz"):
            if file.startswith(("condition/", "control/")):
                with contents.skipped.listing(file):
                    dates[file] = pd.DatetimeIndex(_activity(source / file).index)
        for number, file in enumerate(sorted(dates, key=lambda file: (dates[file][0], file)), start=1):
            subject, name = f"{number:02d}", Path(file).name.partition(".")[0]
            score = {str(key): str(value).strip() for key, value in scores.get(name, {}).items()}
            ages = [float(end) for end in score.get("age", "").split("-") if end.strip().isdigit()]
            age = sum(ages) / len(ages) if ages else float("nan")
            contents.people[subject] = (_SEX.get(score.get("gender", "")), age)
            madrs = {"madrs_start": score.get("madrs1"), "madrs_end": score.get("madrs2")}
            labels = {"depression": file.partition("/")[0], **{key: value for key, value in madrs.items() if value}}
            days = []
            for day, minutes in pd.Series(dates[file], index=dates[file]).groupby(dates[file].strftime("%Y-%m-%d")):
                gaps = minutes.diff().dropna() > pd.Timedelta(minutes=1)
                # the day on which clocks are put forward: an hour is missing, and nothing else
                forward = len(minutes) == _MINUTES - 60 and gaps.sum() == 1
                forward &= {minutes.iloc[0].hour, minutes.iloc[-1].hour} == {0, 23}
                if len(minutes) == _MINUTES or forward:
                    days.append(str(day))
                else:
                    problem = f"the day has {len(minutes)} of {_MINUTES} minutes. Nothing to do."
                    contents.skipped.note(f"{file}#{day}", problem)
            count = int(score.get("days") or 0) if self.days == "published" else 0
            for day in days[: count or None]:
                contents.add(subject, f"day{day.replace('-', '')}", {"activity": f"{file}#{day}"}, labels)

    def make(self, source: Path) -> Maker:
        """Return what cuts a day of a person's activity."""
        load = lru_cache(maxsize=2)(lambda file: _activity(source / file))

        def make(file: str, day: str) -> Made:
            minutes = pd.date_range(day, periods=_MINUTES, freq="min")
            values = load(file).reindex(minutes).to_numpy(np.float32)  # (1440, 1)
            return Made(values, {"SamplingFrequency": 1 / 60, "Columns": ["activity"], "Units": "counts"})

        return make


def _activity(path: Path) -> pd.DataFrame:
    """Return the column ``activity``, indexed by time."""
    table = read_table(path, ("timestamp", "activity"))
    times = pd.DatetimeIndex(pd.to_datetime(table["timestamp"], errors="coerce"))
    counts = numbers(table[["activity"]]).set_axis(times, axis=0)
    counts = counts[times.notna() & counts["activity"].notna().to_numpy()]
    if counts.empty:
        raise DataError(f"{path.name} holds no minute with a count")
    return counts[~counts.index.duplicated()].sort_index()
