"""StudentLife as its phones logged it: calls, messages, apps, movement, talk, locks and places, a week a recording."""

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from personare.core.errors import DataError, data_errors
from personare.core.types import Array
from personare.data.cohort import Problems
from personare.data.media_files import files_under
from personare.data.reading import Contents, Made, Maker, Reader
from personare.data.tables import numbers

__all__ = ["StudentlifeRaw"]

_ZONE = "America/New_York"
_COLUMNS = {"call_log": "calls", "sms": "messages", "running_app": "apps", "activity": "moving",
            "conversation": "talk_min", "phonelock": "locked_min"}  # fmt: skip
_FILE = re.compile(rf"(?:.*/)?(?:({'|'.join([*_COLUMNS, 'gps'])})_u(\d+)\.csv|[^/]+_u(\d+)\.json)")
_APP = "RUNNING_TASKS_topActivity_mPackage"
_PLACE = re.compile(r"\s*(-?\d+\.\d+),(-?\d+\.\d+)\s*")  # as an answer holds it
_LONGEST_S = 3 * 86400  # an interval that lasts longer is a clock that jumped
_WEEK = 168
_STRESSED = 3  # codes up to this are degrees of stress, those after it are good and great
_FAULTS = (LookupError, AttributeError, TypeError)


class StudentlifeRaw(Reader):
    """Reads the folder ``dataset`` of StudentLife; a recording is a week from Monday, 168 local hours.

    Each hour holds ``calls``, ``messages``, ``apps`` (different ones seen on top), ``moving`` (how often walking or
    running was inferred), ``talk_min`` and ``locked_min`` (of long locks), and the middle of the places by GPS and in
    answers, ``lat`` and ``lon``; Wi-Fi places have no coordinates and are left out. The label ``stress`` is the share
    of the week's answers to the question of stress that are 1 to 3 (from a little stressed to stressed out).

    **Guarantee**: hours are those of the clock on the wall: the one that comes twice in autumn counts both times, the
    one left out in spring is missing (NaN), as is a column before the first and behind the last entry of its log.
    Entries with an impossible time, length or place are left out and counted.

    **Source**: Wang et al., StudentLife, UbiComp 2014, doi:10.1145/2632048.2632054.
    """

    license = "research"
    citation = "Wang et al., UbiComp 2014: 3-14"
    home = "https://studentlife.cs.dartmouth.edu"
    tracks: ClassVar[dict[str, str]] = {"phone": "phone"}

    def gather(self, source: Path, contents: Contents) -> None:
        found = {m[2] or m[3] for file in files_under(source) if (m := _FILE.fullmatch(file))}
        for user in sorted(found):
            stress = _stress(source, user, contents.skipped)
            for monday in sorted(set(_mondays(_log(source, user, contents.skipped).dropna(how="all").index))):
                labels = {"stress": f"{stress[monday]:.3f}"} if monday in stress else {}
                contents.add(user, f"week{monday:%Y%m%d}", {"phone": f"u{user}#{monday:%Y-%m-%d}"}, labels)

    def make(self, source: Path) -> Maker:
        """Return what cuts a week out of a person's log."""
        log = lru_cache(maxsize=4)(lambda user: _log(source, user, Problems()))

        def make(user: str, monday: str) -> Made:
            hours = pd.date_range(monday, periods=_WEEK, freq="h")
            table = log(user.removeprefix("u")).reindex(hours)
            table[hours.tz_localize(_ZONE, ambiguous=np.ones(_WEEK, bool), nonexistent="NaT").isna()] = np.nan
            start_s = (hours[0] - pd.Timestamp(0)).total_seconds()
            about = {"SamplingFrequency": 1 / 3600, "StartTime": start_s, "Columns": list(table.columns)}
            return Made(table.to_numpy(np.float32), about)

        return make


def _log(source: Path, user: str, skipped: Problems) -> pd.DataFrame:
    """Return a row for each local hour in which anything was logged; what cannot be used goes to ``skipped``."""
    columns: dict[str, pd.Series] = {}
    fixes = [np.empty((0, 3))]  # time, latitude, longitude
    matches = [m for file in files_under(source) if (m := _FILE.fullmatch(file)) and user in (m[2], m[3])]
    for file, kind in ((match[0], match[1]) for match in matches):
        with skipped.listing(file), data_errors("it is not as published", "Get it again.", *_FAULTS):
            if kind in _COLUMNS:
                times, logged, sane = _events(source / file, kind)
                if not len(logged):
                    raise DataError("it holds no entry with a time. Nothing to do.")
                first, last = _hours(np.array([logged.min(), logged.max()]))
                counts = _hours(times).value_counts()
                columns[_COLUMNS[kind]] = counts.reindex(pd.date_range(first, last, freq="h"), fill_value=0)
            else:
                read = _fixes(source / file)
                sane = _sane(read[:, 0]) & (np.abs(read[:, 1:]) <= (90, 180)).all(axis=1) & read[:, 1:].any(axis=1)
                fixes.append(read[sane])
            if not sane.all():
                problem = f"{(~sane).sum()} of {len(sane)} entries have an impossible time, length or place"
                skipped.note(file, f"{problem}, and are left out. Nothing to do.")
    place = np.concatenate(fixes)
    where = pd.DataFrame(place[:, 1:], columns=["lat", "lon"]).groupby(_hours(place[:, 0])).median()
    table = pd.concat([*(counts.rename(name) for name, counts in columns.items()), where], axis=1, sort=True)
    return table.reindex(columns=[*_COLUMNS.values(), "lat", "lon"]).astype(float)


def _stress(source: Path, user: str, skipped: Problems) -> "pd.Series[float]":
    """Return which share of a week's answers tells of stress, by its Monday: the codes are in no order of it."""
    shares = pd.Series(dtype=float)
    for file in (file for file in files_under(source) if Path(file).name == f"Stress_u{user}.json"):
        with skipped.listing(file), data_errors("it tells no stress", "Get it again, or study without.", *_FAULTS):
            answers = pd.DataFrame(json.loads((source / file).read_text("utf-8-sig"))).dropna(subset="level")
            answers = answers[_sane(answers["resp_time"].to_numpy())]
            weeks = _mondays(_hours(answers["resp_time"].to_numpy()))
            shares = answers["level"].astype(int).le(_STRESSED).groupby(weeks).mean()
    return shares


def _mondays(hours: pd.Index) -> pd.DatetimeIndex:
    days = pd.DatetimeIndex(hours).normalize()
    return days - pd.to_timedelta(days.day_of_week, unit="D")


def _hours(times_s: Array) -> pd.DatetimeIndex:
    """Return the hour on the wall of each time."""
    return pd.to_datetime(times_s, unit="s", utc=True).tz_convert(_ZONE).tz_localize(None).floor("h")


def _sane(times_s: Array) -> Array:
    return np.asarray((times_s > 1.1e9) & (times_s < 4.1e9))  # 2004 to 2099; else a clock was wrong, or the unit


def _events(path: Path, kind: str) -> tuple[Array, Array, Array]:
    """Return when what is counted happened, times between which all was logged, and which entries can be believed."""
    table = _table(path)
    if kind in ("conversation", "phonelock"):
        begun, ended = numbers(table.iloc[:, :2]).dropna().to_numpy().T
        sane = _sane(begun) & _sane(ended) & (ended >= begun) & (ended - begun <= _LONGEST_S)
        spans = np.stack([begun, ended], axis=1)[sane]
        minutes = [np.arange(start // 60, end // 60) * 60 for start, end in spans]
        return np.concatenate([np.empty(0), *minutes]), spans.ravel(), sane
    table["time"] = numbers(table[["timestamp"]])
    happened = logged = table.dropna(subset="time")
    if kind == "activity":
        happened = logged[logged.iloc[:, 1].isin([1, 2])]
    elif kind == "running_app":  # a look lists several tasks, and the next one mostly the same
        happened = logged.dropna(subset=_APP).assign(hour=logged["time"] // 3600).drop_duplicates(["hour", _APP])
    else:
        told = table.reindex(columns=["CALLS_date" if kind == "call_log" else "MESSAGES_date"])
        happened = numbers(told).dropna().drop_duplicates().set_axis(["time"], axis=1) / 1000
    times = np.concatenate([happened["time"], logged["time"]])
    sane = _sane(times)
    return times[: len(happened)][sane[: len(happened)]], times[sane], sane


def _fixes(path: Path) -> Array:
    """Return time, latitude and longitude, (N, 3), of GPS to half a kilometer or of answers that hold a place."""
    if path.suffix == ".csv":
        table = numbers(_table(path)[["time", "latitude", "longitude", "accuracy"]])
        return table[~(table["accuracy"] > 500)].iloc[:, :3].dropna().to_numpy()
    told = [(a.get("resp_time", 0), str(v)) for a in json.loads(path.read_text("utf-8-sig")) for v in a.values()]
    places = [(time, *match.groups()) for time, value in told if (match := _PLACE.fullmatch(value))]
    return np.array(places, float).reshape(-1, 3)


def _table(path: Path) -> pd.DataFrame:
    """Return a table with commas or tabs, whichever its first line has; a line may end in one too many."""
    with path.open(encoding="utf-8-sig") as file:
        sep = "\t" if "\t" in file.readline() else ","
    return pd.read_csv(path, sep=sep, encoding="utf-8-sig", skipinitialspace=True, index_col=False, low_memory=False)
