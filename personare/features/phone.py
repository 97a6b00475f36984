"""The log of a phone, a row an hour of local time: what it may hold, coarser clocks and places, routine, unicity."""

from collections.abc import Iterable
from typing import Final

import numpy as np
import pandas as pd
from scipy.stats import entropy

from personare.core.errors import DataError
from personare.core.types import Array, Track

USES: Final = ("calls", "messages", "apps", "moving", "talk_min", "locked_min")
COLUMNS: Final = (*USES, "lat", "lon")
"""Of each hour: how often or how many minutes; and the middle of where the phone was, in degrees."""
ROUTINE: Final = ("hours_entropy", "day_regularity", "night_share", "main_place_share", "places_entropy")
HOUR_HZ: Final = 1 / 3600

_DAY, _WEEK = 24, 168
_DAY_S = 86400
_MOST_MIN = 120  # in the hour that comes twice in autumn
_CELL = 0.01  # degrees, about 1 km: what counts as one place
_FAR = 1e3  # where nothing is shown at the time of a known fact


def hourly(track: Track) -> Array:
    """Return a log as (T, 8) rows in the order of ``COLUMNS``, NaN where something is missing; refuse any other."""
    if track.kind != "signal" or not np.isclose(track.rate_hz, HOUR_HZ) or len(track.values) < _DAY:
        raise DataError("A phone's log must have a row an hour (SamplingFrequency 1/3600), for a day or more.")
    if track.start_s % _DAY_S:
        raise DataError(
            f"A phone's log must begin at a midnight of the clock on the wall, not with second {track.start_s:g} since "
            "1970. Correct its StartTime (without the time zone), or put empty rows before."
        )
    names = [*track.columns]
    if not {*names} <= {*COLUMNS} or not names or len({*names}) < len(names):
        given = ", ".join(names) or "no names"
        raise DataError(f"A phone's log must have columns of {', '.join(COLUMNS)}, not {given}. Rename or remove some.")
    rows = pd.DataFrame(track.values, columns=names).reindex(columns=COLUMNS).to_numpy(np.float64)
    lat, lon = rows[:, -2:].T
    if (rows[:, :-2] < 0).any() or np.isinf(rows).any() or (np.abs(lat) > 90).any() or (np.abs(lon) > 180).any():
        raise DataError("A phone's log has uses from 0 and places on the globe, this one has others. Correct it.")
    if (rows[:, 4:6] > _MOST_MIN).any():  # talk_min, locked_min
        raise DataError(
            f"No hour has more than {_MOST_MIN} minutes, as this log's talk_min or locked_min. Mend its unit."
        )
    if np.isnan(rows).all():
        raise DataError("A phone's log must hold something, this one is empty. Leave it out.")
    return rows


def seen(view: Array) -> tuple[Array, int]:
    """Return (T, 8) of the records that an attacker sees, NaN where a column is not shown; and the hours of a row."""
    names = view.dtype.names or ()
    rows = np.column_stack([view[c].astype(float) if c in names else np.full(len(view), np.nan) for c in COLUMNS])
    return rows, round((view["time_s"][1] - view["time_s"][0]) * HOUR_HZ) if len(view) > 1 else _WEEK


def coarse(rows: Array, hours: int, degrees: float = 0.0, use_step: float = 0.0) -> Array:
    """Return a row for so many hours: uses added up, in steps of ln(1 + use), the middle of the places, in degrees."""
    table = pd.DataFrame(rows).groupby(np.arange(len(rows)) // hours)
    uses, places = table.sum(min_count=1).to_numpy()[:, :-2], table.median().to_numpy()[:, -2:]
    return np.concatenate([np.expm1(_rounded(np.log1p(uses), use_step)), _rounded(places, degrees)], axis=1)


def _rounded(values: Array, step: float) -> Array:
    return np.asarray(np.round(values / step) * step) if step else values


def routine(rows: Array, hours: int = 1) -> Array:
    """Return the ``ROUTINE`` of (T, 8) rows of so many hours, each from 0 to 1; NaN where nothing tells.

    Rows of a day or more tell nothing of hours, so the first three are NaN.

    How evenly use is spread over the hours of the day; how alike the days are; how much of it is at night; how much of
    the time is spent at the place where most is; how evenly time is spread over the places.

    **Source**: regularity is the interdaily stability of E. van Someren et al., Biological Psychiatry 40(4), 1996,
    doi:10.1016/0006-3223(95)00370-3; entropy of places as in S. Saeb et al., JMIR 17(7), 2015, doi:10.2196/jmir.4273.
    """
    uses = np.log1p(np.nan_to_num(rows[:, :-3])).sum(axis=1).repeat(hours)  # a locked phone is not in use
    uses *= 1 if hours < _DAY else np.nan
    days = uses[: len(uses) // _DAY * _DAY].reshape(-1, _DAY)
    day, cells = days.sum(axis=0), np.round(rows[:, -2:] / _CELL)
    places = np.append(np.unique(cells[np.isfinite(cells).all(axis=1)], axis=0, return_counts=True)[1], 0)
    with np.errstate(invalid="ignore"):  # nothing over nothing is NaN
        alike, night = days.mean(axis=0).var() / uses.var(), day[:6].sum() / day.sum()
        evenly = entropy(places, base=max(len(places) - 1, 2))
        return np.array([entropy(day, base=_DAY), alike, night, places.max() / places.sum(), evenly])


def behavioral_features(view: Array) -> list[Array]:
    """Return the mean day of the records seen, hour by hour; middle and spread; the routine, shown or as follows."""
    (rows, hours), names = seen(view), view.dtype.names or ()
    table = pd.DataFrame(np.concatenate([np.log1p(rows[:, :-2]), rows[:, -2:]], axis=1).repeat(hours, axis=0))
    day = table.groupby(table.index % _DAY).mean().reindex(range(_DAY)).to_numpy().ravel()
    all_over = table.agg(["mean", "median", "std"]).to_numpy().ravel()
    shown = [view[name][0] for name in ROUTINE if name in names]
    return [day, all_over, np.array(shown or routine(rows, hours))]


def unicity(
    recordings: Iterable[tuple[str, float, Array, Array]], *, points: int, rng: np.random.Generator, draws: int = 50
) -> dict[str, dict[str, float]]:
    """Return how often so many random facts of a person single that person out, by kind of fact, then by person.

    ``recordings`` are subject, start, what happened and what is shown of it, both (T, 8) over the same hours. Facts are
    where somebody was (``place``), how much was done (``use``), or ``any`` of both; what did not happen is none. A
    person is singled out whose log alone is nearest to the facts; without noise, who alone fits them.

    **Source**: Y.-A. de Montjoye et al., "Unique in the Crowd", Scientific Reports 3, 2013, doi:10.1038/srep01376;
    facts of use beside places are ours.
    """
    items = list(recordings)
    people, starts = sorted({item[0] for item in items}), sorted({item[1] for item in items})
    both = np.full((2, len(people), len(starts), max(len(item[2]) for item in items), len(USES) + 1), np.nan, complex)
    for subject, start, before, after in items:
        for side, rows in zip(both, (before, after), strict=True):  # a place is one complex number
            facts = np.concatenate([np.log1p(rows[:, :-2]), rows[:, -2:-1] + 1j * rows[:, -1:]], axis=1)
            side[people.index(subject), starts.index(start), : len(rows)] = facts
    known, shown = both.reshape(2, len(people), -1, both.shape[-1])  # (P, S, F) each
    hidden = np.isnan(shown).all(axis=(0, 1))  # of everybody
    unique: dict[str, dict[str, float]] = {}
    for kind, columns in {"place": [len(USES)], "use": [*range(len(USES))], "any": [*range(len(USES) + 1)]}.items():
        unique[kind] = {}
        for p, person in enumerate(people):
            facts = np.argwhere(np.isfinite(known[p][:, columns]) & (known[p][:, columns] != 0))
            if not len(facts):
                continue
            few = min(points, len(facts))
            chosen = facts[rng.random((draws, len(facts))).argpartition(few - 1, axis=1)[:, :few]]  # (draws, k, 2)
            slot, column = chosen[..., 0], np.asarray(columns)[chosen[..., 1]]
            gap = np.nan_to_num(np.abs(shown[:, slot, column] - known[p, slot, column]), nan=_FAR)  # (P, draws, k)
            cost = np.where(hidden[column], 0, gap).sum(axis=2)  # (P, draws)
            nearest = cost <= cost.min(axis=0) + 1e-4  # a file keeps six digits
            unique[kind][person] = float((nearest[p] & (nearest.sum(axis=0) == 1)).mean())
    return unique
