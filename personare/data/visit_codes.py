"""A person's visits to care as rows of 0 and 1, in words that are fixed and public: the track ``visits``.

Row by row one visit, in the order of time. Columns: ``visit`` (1 in every row, so that rows of zeros that fill up a
batch are told from visits), ``type=...`` (one of them is 1), ``code=...`` (any number), ``length=...`` and ``gap=...``
(one each: how long it lasted, how long after the last one it began).
"""

import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd

from personare.core.errors import DataError
from personare.data.reading import Made, Maker

# bins of how long a visit lasts and of the time between the starts of two: the name, and from how many days on
_LENGTHS = {"under_1_hour": 0.0, "under_1_day": 1 / 24, "days_1_to_3": 1.0, "days_3_to_7": 3.0, "days_7_to_14": 7.0,
            "over_14_days": 14.0}  # fmt: skip
GAPS_DAYS = {"under_1_week": 0.0, "under_1_month": 7.0, "under_3_months": 30.0, "under_1_year": 91.0,
         "under_2_years": 365.0, "over_2_years": 730.0}  # fmt: skip
_DAY = pd.Timedelta(days=1)
_OTHER = "other"


def history_columns(types: Iterable[str], tables: Mapping[str, str]) -> tuple[str, ...]:
    """Return the columns of a data set's histories, the same whoever is in it.

    ``types`` are kinds of visits, ``tables`` those of ``visit_codes.toml`` with the groups of each kind of code.
    """
    codes = [f"{kind}.{group}" for kind, table in tables.items() for group in (*_tables()[table], _OTHER)]
    parts = {"type": types, "code": codes, "length": _LENGTHS, "gap": ("first", *GAPS_DAYS)}
    return ("visit", *(f"{part}={name}" for part, names in parts.items() for name in names))


def make_histories(columns: Sequence[str], read: Callable[[], tuple[pd.DataFrame, Iterable[tuple[str, str]]]]) -> Maker:
    """Return what makes the track of ``TABLE#PERSON``, (T, D) float32 of 0 and 1 in the order of time.

    ``read`` returns the stays, with ``person``, ``stay``, ``start``, ``end`` and ``type``, and a stay and the group of
    its code for every code. ``SamplingFrequency`` counts rows by visit, not seconds.
    """
    place = {name: i for i, name in enumerate(columns)}

    @cache
    def visits() -> dict[str, list[tuple[pd.Timestamp, pd.Timestamp, str, tuple[str, ...]]]]:
        stays, codes = read()
        groups, people = defaultdict(set), defaultdict(list)
        for stay, group in codes:
            groups[stay].add(group)
        for person, stay, *visit in stays[["person", "stay", "start", "end", "type"]].itertuples(index=False):
            people[str(person)].append((*visit, tuple(sorted(groups[stay]))))
        return people

    def make(_: str, person: str) -> Made:
        ordered = sorted(visits()[person])
        rows = np.zeros((len(ordered), len(place)), np.float32)
        for i, (start, end, kind, codes) in enumerate(ordered):
            words = [f"type={kind}", *(f"code={code}" for code in codes)]
            unknown = [word for word in words if word not in place]
            if unknown:
                raise DataError(f"The vocabulary has no {', '.join(unknown)}. Visits are told in its words only.")
            gap = _bin(GAPS_DAYS, (start - ordered[i - 1][0]) / _DAY) if i else "first"
            on = ["visit", *words, f"length={_bin(_LENGTHS, (end - start) / _DAY)}", f"gap={gap}"]
            rows[i, [place[name] for name in on]] = 1
        return Made(rows, {"Columns": list(columns), "SamplingFrequency": 1})

    return make


def _bin(bins: Mapping[str, float], value: float) -> str:
    """Return the last bin that does not start behind a value; what is negative, by mistake, is in the first."""
    return [name for name, start in bins.items() if start <= max(value, 0)][-1]


def diagnosis_group(code: str, version: int = 9) -> str:
    """Return the group of an ICD-9-CM or ICD-10-CM diagnosis, as written with or without its point."""
    if version == 10:
        injury = _tables()["icd10_injuries"].get(code[2:3]) if code[:1] == "S" else None
        return str(injury or _start("icd10_diagnoses", code[:3]))
    return _block("icd9_diagnoses", code[:3])


def procedure_group(code: str, version: int = 9) -> str:
    """Return the group of an ICD-9-CM or ICD-10-PCS procedure."""
    return _start("icd10_procedures", code[:2]) if version == 10 else _block("icd9_procedures", code[:2])


def _start(table: str, code: str) -> str:
    """Return what the last entry that is not behind a code says: letters and digits in the order of the alphabet."""
    return str([_OTHER, *(group for start, group in _tables()[table].items() if start <= code)][-1])


def _block(table: str, digits: str) -> str:
    bins = {_OTHER: 0} | {name: int(start) for name, start in _tables()[table].items()}
    return _bin(bins, int(digits)) if digits.isdigit() else _OTHER


@cache
def word_group(table: str, text: str) -> str:
    """Return the first group of a table that has a word which occurs in a text."""
    lower = f" {text.lower()} "
    return next((name for name, words in _tables()[table].items() if any(word in lower for word in words)), _OTHER)


@cache
def _tables() -> dict[str, dict[str, Any]]:
    file = resources.files("personare.data") / "visit_codes.toml"
    tables: dict[str, dict[str, Any]] = tomllib.loads(file.read_text(encoding="utf-8"))
    return tables
