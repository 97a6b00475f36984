"""A person's visits to care as rows of 0 and 1, in words that are fixed and public: the track ``visits``.

Row by row one visit, in the order of time. Columns: ``visit`` (1 in every row, so that rows of zeros that fill up a
batch are told from visits), ``type=...`` (one of them is 1), ``code=...`` (any number), ``length=...`` and ``gap=...``
(one each: how long it lasted, how long after the last one it began).
"""

import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

import numpy as np

from personare.core.errors import DataError
from personare.core.types import Array
from personare.data.reading import Made, parted

LENGTHS = {"under_1_hour": 0.0, "under_1_day": 1 / 24, "days_1_to_3": 1.0, "days_3_to_7": 3.0, "days_7_to_14": 7.0,
           "over_14_days": 14.0}  # fmt: skip
"""Bins of how long a visit lasts: the name, and from how many days on."""

GAPS = {"under_1_week": 0.0, "under_1_month": 7.0, "under_3_months": 30.0, "under_1_year": 91.0, "under_2_years": 365.0,
        "over_2_years": 730.0}  # fmt: skip
"""Bins of the time between the starts of two visits: the name, and from how many days on."""

_OTHER = "other"


class Visit(NamedTuple):
    """One contact with care: its type, and groups of diagnoses, procedures and drugs, such as ``drug.opioids``."""

    start: datetime
    end: datetime
    type: str
    codes: frozenset[str]


class Vocabulary(NamedTuple):
    """The words of one data set's visits, the same whoever is in it: kinds of visits, and groups of codes."""

    types: tuple[str, ...]
    codes: tuple[str, ...]

    @classmethod
    def of(cls, types: Sequence[str], tables: Mapping[str, str]) -> "Vocabulary":
        """Return the vocabulary of some tables of ``visit_codes.toml``, given by kind of code.

        Example:
            >>> Vocabulary.of(["emergency"], {"drug": "drugs"}).codes[:2]
            ('drug.insulin_and_diabetes', 'drug.anticoagulants')
        """
        codes = [f"{kind}.{group}" for kind, table in tables.items() for group in (*_tables()[table], _OTHER)]
        return cls(types=tuple(types), codes=tuple(codes))

    @property
    def columns(self) -> tuple[str, ...]:
        """What the columns of ``rows`` are."""
        parts = {"type": self.types, "code": self.codes, "length": tuple(LENGTHS), "gap": ("first", *GAPS)}
        return ("visit", *(f"{part}={name}" for part, names in parts.items() for name in names))

    def rows(self, visits: Iterable[Visit]) -> Array:
        """Return a history, (T, D) float32 of 0 and 1, in the order of time.

        Example:
            >>> words = Vocabulary(types=("planned", "emergency"), codes=("drug.opioids",))
            >>> day = lambda d: datetime(2026, 1, d)
            >>> rows = words.rows([Visit(start=day(1), end=day(3), type="planned", codes=frozenset()),
            ...     Visit(start=day(20), end=day(20), type="emergency", codes=frozenset(["drug.opioids"]))])
            >>> [[c for c, on in zip(words.columns, row) if on][1:] for row in rows][1]
            ['type=emergency', 'code=drug.opioids', 'length=under_1_hour', 'gap=under_1_month']
        """
        ordered = sorted(visits, key=lambda v: (v.start, v.end, v.type, sorted(v.codes)))
        if not ordered:
            raise DataError("A history needs at least one visit, there is none. Leave the person out.")
        place = {name: i for i, name in enumerate(self.columns)}
        rows = np.zeros((len(ordered), len(place)), np.float32)
        for i, visit in enumerate(ordered):
            days = (visit.end - visit.start).total_seconds() / 86400
            gap = "first" if i == 0 else _bin(GAPS, (visit.start - ordered[i - 1].start).total_seconds() / 86400)
            words = [f"type={visit.type}", *(f"code={code}" for code in sorted(visit.codes))]
            unknown = [word for word in words if word not in place]
            if unknown:
                raise DataError(f"The vocabulary has no {', '.join(unknown)}. Visits are told in its words only.")
            on = ["visit", *words, f"length={_bin(LENGTHS, days)}", f"gap={gap}"]
            rows[i, [place[name] for name in on]] = 1
        return rows


def _bin(bins: Mapping[str, float], value: float) -> str:
    """Return the last bin that does not start behind a value; what is negative, by mistake, is in the first."""
    return [name for name, start in bins.items() if start <= max(value, 0)][-1]


def histories(
    stays: Iterable[tuple[str, str, datetime, datetime, str]], codes: Iterable[tuple[str, str]]
) -> dict[str, list[Visit]]:
    """Return the visits of each person, of stays (person, key, start, end, type) and codes (key of a stay, group)."""
    found: dict[str, set[str]] = {}
    for stay, code in codes:
        found.setdefault(stay, set()).add(code)
    visits: dict[str, list[Visit]] = {}
    for person, stay, start, end, kind in stays:
        visits.setdefault(person, []).append(Visit(start, end, kind, frozenset(found.get(stay, ()))))
    return visits


def make_histories(words: Vocabulary, read: Callable[[], Mapping[str, Sequence[Visit]]]) -> Callable[[str], Made]:
    """Return what makes the track of ``TABLE#PERSON``; its ``SamplingFrequency`` counts rows by visit, not seconds."""
    visits = cache(read)

    def make(address: str) -> Made:
        about = {"Columns": list(words.columns), "SamplingFrequency": 1}
        return Made(values=words.rows(visits()[parted(address)[1]]), about=about)

    return make


def diagnosis_group(code: str, version: int = 9) -> str:
    """Return the group of an ICD-9-CM or ICD-10-CM diagnosis, as written with or without its point.

    Example:
        >>> diagnosis_group("4019"), diagnosis_group("V5861"), diagnosis_group("E8788"), diagnosis_group("?")
        ('hypertension', 'other', 'other', 'other')
        >>> diagnosis_group("I10", 10), diagnosis_group("S72001A", 10), diagnosis_group("Z87891", 10)
        ('hypertension', 'fracture', 'other')
    """
    if version == 10:
        injury = _tables()["icd10_injuries"].get(code[2:3]) if code[:1] == "S" else None
        return str(injury or _start("icd10_diagnoses", code[:3]))
    return _block("icd9_diagnoses", code[:3])


def procedure_group(code: str, version: int = 9) -> str:
    """Return the group of an ICD-9-CM or ICD-10-PCS procedure.

    Example:
        >>> procedure_group("3605"), procedure_group("9671"), procedure_group("02703DZ", 10)
        ('heart', 'irrigation_and_intubation', 'heart')
    """
    return _start("icd10_procedures", code[:2]) if version == 10 else _block("icd9_procedures", code[:2])


def _start(table: str, code: str) -> str:
    """Return what the last entry that is not behind a code says: letters and digits in the order of the alphabet."""
    return str([_OTHER, *(group for start, group in _tables()[table].items() if start <= code)][-1])


def _block(table: str, digits: str) -> str:
    bins = {_OTHER: 0} | {name: int(start) for name, start in _tables()[table].items()}
    return _bin(bins, int(digits)) if digits.isdigit() else _OTHER


@cache
def word_group(table: str, text: str) -> str:
    """Return the first group of a table that has a word which occurs in a text.

    Example:
        >>> word_group("drugs", "Metoprolol Tartrate"), word_group("conditions", "Prediabetes")
        ('beta_blockers', 'prediabetes')
    """
    lower = f" {text.lower()} "
    return next((name for name, words in _tables()[table].items() if any(word in lower for word in words)), _OTHER)


@cache
def _tables() -> dict[str, dict[str, Any]]:
    file = resources.files("personare.data") / "visit_codes.toml"
    tables: dict[str, dict[str, Any]] = tomllib.loads(file.read_text(encoding="utf-8"))
    return tables
