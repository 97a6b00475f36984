"""MIMIC-III as tables of people's hospital stays: the one layout of the whole data set and of its open demo."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from personare.core.errors import DataError
from personare.core.types import Recording, Withheld
from personare.data.index import recording_id
from personare.data.labels import sex
from personare.data.made import Made, address, parted, read_table
from personare.data.media import people_table
from personare.data.visits import Visit, Vocabulary, diagnosis_group, procedure_group, word_group

__all__ = ["CITATION", "make_histories", "read_people"]

CITATION = "Johnson et al., Scientific Data 3: 160035, 2016"

_WORDS = Vocabulary.of(
    ("elective", "emergency", "newborn", "urgent"),
    {"diagnosis": "icd9_diagnoses", "procedure": "icd9_procedures", "drug": "drugs"},
)
_HIDDEN_AGE = 150.0  # everybody over 89 is published as born 300 years before
_OLDEST = 90.0


def read_people(source: Path) -> tuple[Sequence[Recording], pd.DataFrame, Sequence[Withheld]]:
    """Read the stays.

    Returns:
        Recordings (track ``visits``; labels ``mortality``, ``died`` in hospital or ``survived``, and ``readmission``,
        ``again`` or ``once``), the people with sex and age (90 for all who are older), and stays left out.

    Raises:
        DataError: ``ADMISSIONS`` or ``PATIENTS`` is not there, or lacks a column.
    """
    stays = _stays(source)
    good = _usable(stays)
    skipped = [
        Withheld(
            item=f"admission {hadm_id}",
            problem="it ends before it begins, or has no type we know",
            fix="Nothing to do.",
        )
        for hadm_id in stays.loc[~good, "hadm_id"]
    ]
    table = stays[good]
    recordings = [_recording(str(person), rows) for person, rows in table.groupby("subject_id")]
    return recordings, _people(source, table, [r.subject for r in recordings]), skipped


def make_histories(source: Path) -> Callable[[str], Made]:
    """Return what makes the track ``visits`` of a patient's address."""
    visits: dict[str, list[Visit]] = {}

    def make(address: str) -> Made:
        if not visits:
            visits.update(_visits(source))
        return _WORDS.track(visits[parted(address)[1]])

    return make


def _table(source: Path, name: str, columns: Sequence[str]) -> pd.DataFrame:
    """Return columns of a published table, packed or not, whose names are in small or capital letters."""
    files = [source / f"{name}.csv", source / f"{name}.csv.gz"]
    path = next((p for p in files if p.is_file()), files[0])
    table = read_table(path, text=True)
    table.columns = [str(column).lower() for column in table.columns]
    missing = [column for column in columns if column not in table]
    if missing:
        raise DataError(f"{path.name} must have the columns {', '.join(missing)}. Get the published one.")
    return table[[*columns]]


def _stays(source: Path) -> pd.DataFrame:
    columns = ("subject_id", "hadm_id", "admittime", "dischtime", "admission_type", "hospital_expire_flag")
    table = _table(source, "ADMISSIONS", columns)
    for name in ("admittime", "dischtime"):
        table[name] = pd.to_datetime(table[name], errors="coerce")
    return table.assign(admission_type=table["admission_type"].str.lower())


def _usable(stays: pd.DataFrame) -> "pd.Series[bool]":
    # a few who were dead on arrival leave hours before they come, by an error of the clerk's: up to a day is no harm
    late = stays["admittime"] <= stays["dischtime"] + pd.Timedelta(days=1)
    return late & stays["admission_type"].isin(_WORDS.types)


def _recording(person: str, rows: pd.DataFrame) -> Recording:
    return Recording(
        id=recording_id(person, "01", "stays"),
        subject=person,
        session="01",
        tracks={"visits": address("ADMISSIONS", person)},
        labels={
            "mortality": "died" if (rows["hospital_expire_flag"] == "1").any() else "survived",
            "readmission": "again" if len(rows) > 1 else "once",
        },
    )


def _people(source: Path, stays: pd.DataFrame, subjects: list[str]) -> pd.DataFrame:
    first = stays.groupby("subject_id")["admittime"].min()
    known = {}
    for person, gender, born in _table(source, "PATIENTS", ("subject_id", "gender", "dob")).itertuples(index=False):
        if person in first:
            # as days of the calendar: 300 years do not fit into the nanoseconds of pandas
            years = first[person].year - int(str(born)[:4]) if str(born)[:4].isdigit() else float("nan")
            known[str(person)] = (sex(gender), _OLDEST if years > _HIDDEN_AGE else float(years))
    return people_table(subjects, known)


def _visits(source: Path) -> dict[str, list[Visit]]:
    stays = _stays(source)
    codes: dict[str, set[str]] = {}
    for hadm_id, code in _codes(source):
        codes.setdefault(hadm_id, set()).add(code)
    visits: dict[str, list[Visit]] = {}
    for row in stays[_usable(stays)].to_dict("records"):
        start, end = row["admittime"].to_pydatetime(), row["dischtime"].to_pydatetime()
        found = frozenset(codes.get(row["hadm_id"], ()))
        visit = Visit(start=start, end=end, type=row["admission_type"], codes=found)
        visits.setdefault(str(row["subject_id"]), []).append(visit)
    return visits


def _codes(source: Path) -> Iterator[tuple[str, str]]:
    """Yield stay and code group of everything written down."""
    for hadm_id, code in _table(source, "DIAGNOSES_ICD", ("hadm_id", "icd9_code")).itertuples(index=False):
        yield hadm_id, f"diagnosis.{diagnosis_group(code)}"
    for hadm_id, code in _table(source, "PROCEDURES_ICD", ("hadm_id", "icd9_code")).itertuples(index=False):
        yield hadm_id, f"procedure.{procedure_group(code)}"
    for hadm_id, drug in _table(source, "PRESCRIPTIONS", ("hadm_id", "drug")).itertuples(index=False):
        yield hadm_id, f"drug.{word_group('drugs', drug)}"
