"""MIMIC as tables of people's hospital stays: one layout for version III and its open demo, another for version IV."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from personare.data.cohort import left_out
from personare.data.labels import sex
from personare.data.reading import Found, Made, address, people_table, recording
from personare.data.tables import published, read_published
from personare.data.visits import (
    Visit,
    Vocabulary,
    diagnosis_group,
    histories,
    make_histories,
    procedure_group,
    word_group,
)

CITATION = "Johnson et al., Scientific Data 3: 160035, 2016"

_TABLES = {"diagnosis": "icd9_diagnoses", "procedure": "icd9_procedures", "drug": "drugs"}
_WORDS = Vocabulary.of(("elective", "emergency", "newborn", "urgent"), _TABLES)
_WORDS_IV = Vocabulary.of(("elective", "emergency", "observation", "urgent"), _TABLES)
_TYPES_IV = {
    "surgical same day admission": "elective", "ew emer.": "emergency", "direct emer.": "emergency",
    "eu observation": "observation", "observation admit": "observation", "direct observation": "observation",
    "ambulatory observation": "observation",
}  # fmt: skip
_OLDEST = 90.0  # everybody over 89 is published as born 300 years before, or as 91


def read_people(source: Path) -> Found:
    """Read the stays of each patient, who is one recording.

    Labels ``mortality``, ``died`` in hospital or ``survived``, and ``readmission``, ``again`` or ``once``.
    """
    stays, good = _stays(source)
    skipped = [
        left_out(f"admission {stay}", "it ends before it begins, or has no type we know. Nothing to do.")
        for stay in stays.loc[~good, "hadm_id"]
    ]
    recordings = []
    for person, rows in stays[good].groupby("subject_id"):
        labels = {
            "mortality": "died" if (rows["hospital_expire_flag"] == "1").any() else "survived",
            "readmission": "again" if len(rows) > 1 else "once",
        }
        recordings.append(recording(str(person), "stays", {"visits": address("ADMISSIONS", person)}, labels))
    first = stays[good].groupby("subject_id")["admittime"].min()
    columns = ("anchor_age", "anchor_year") if _is_four(source) else ("dob", "dob")
    known = {}
    for person, gender, *born in _table(source, "PATIENTS", ("subject_id", "gender", *columns)).itertuples(index=False):
        if person in first:
            known[str(person)] = (sex(gender), min(_years(first[person].year, *map(str, born)), _OLDEST))
    return recordings, people_table(recordings, known), skipped


def make_visits(source: Path) -> Callable[[str], Made]:
    """Return what makes the track ``visits`` of a patient's address."""

    def read() -> dict[str, list[Visit]]:
        stays, good = _stays(source)
        columns = ["subject_id", "hadm_id", "admittime", "dischtime", "admission_type"]
        return histories(
            (
                (str(person), stay, start.to_pydatetime(), end.to_pydatetime(), kind)
                for person, stay, start, end, kind in stays.loc[good, columns].itertuples(index=False)
            ),
            _codes(source),
        )

    return make_histories(_WORDS_IV if _is_four(source) else _WORDS, read)


def _table(source: Path, name: str, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Return a published table, which version IV keeps in the folder ``hosp``; no columns: those it has."""
    folder = source if published(source, f"{name}.csv") or not (source / "hosp").is_dir() else source / "hosp"
    table = read_published(folder, f"{name}.csv", columns, text=True)
    return table[[*columns]] if columns else table


def _is_four(source: Path) -> bool:
    """Tell version IV, which gives ages for years of birth, from version III."""
    return "anchor_age" in _table(source, "PATIENTS").columns.str.lower()


def _stays(source: Path) -> tuple[pd.DataFrame, "pd.Series[bool]"]:
    """Return the stays, and which of them can be used."""
    columns = ("subject_id", "hadm_id", "admittime", "dischtime", "admission_type", "hospital_expire_flag")
    table = _table(source, "ADMISSIONS", columns)
    for name in ("admittime", "dischtime"):
        table[name] = pd.to_datetime(table[name], errors="coerce")
    kind = table["admission_type"].str.lower()
    table["admission_type"] = kind.map(_TYPES_IV).fillna(kind)
    # a few who were dead on arrival leave hours before they come, by an error of the clerk's: up to a day is no harm
    in_order = table["admittime"] <= table["dischtime"] + pd.Timedelta(days=1)
    return table, in_order & table["admission_type"].isin({*_WORDS.types, *_WORDS_IV.types})


def _years(year: int, birth: str, reference_year: str) -> float:
    """Return the age in a year, from the age in another one or from a date of birth; missing is NaN."""
    try:
        if len(birth) < len("2000"):
            return float(birth) + year - int(reference_year)
        # as days of the calendar: 300 years do not fit into the nanoseconds of pandas
        return float(year - int(birth[:4]))
    except ValueError:
        return float("nan")


def _codes(source: Path) -> Iterator[tuple[str, str]]:
    """Yield stay and code group of everything written down."""
    columns = ("icd_code", "icd_version") if _is_four(source) else ("icd9_code",)
    for kind, name, group in (
        ("diagnosis", "DIAGNOSES_ICD", diagnosis_group),
        ("procedure", "PROCEDURES_ICD", procedure_group),
    ):
        for stay, code, *version in _table(source, name, ("hadm_id", *columns)).itertuples(index=False):
            yield stay, f"{kind}.{group(code.strip(), *(int(v) for v in version))}"
    for stay, drug in _table(source, "PRESCRIPTIONS", ("hadm_id", "drug")).itertuples(index=False):
        yield stay, f"drug.{word_group('drugs', drug)}"
