"""MIMIC as tables of people's hospital stays: one layout for version III and its open demo, another for version IV."""

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

_TABLES = {"diagnosis": "icd9_diagnoses", "procedure": "icd9_procedures", "drug": "drugs"}
_WORDS = Vocabulary.of(("elective", "emergency", "newborn", "urgent"), _TABLES)
_WORDS_IV = Vocabulary.of(("elective", "emergency", "observation", "urgent"), _TABLES)
_TYPES_IV = {
    "surgical same day admission": "elective", "ew emer.": "emergency", "direct emer.": "emergency",
    "eu observation": "observation", "observation admit": "observation", "direct observation": "observation",
    "ambulatory observation": "observation",
}  # fmt: skip
_OLDEST = 90.0  # everybody over 89 is published as born 300 years before, or as 91


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
    words = _WORDS_IV if _is_four(source) else _WORDS
    visits: dict[str, list[Visit]] = {}

    def make(address: str) -> Made:
        if not visits:
            visits.update(_visits(source))
        return words.track(visits[parted(address)[1]])

    return make


def _table(source: Path, name: str, columns: Sequence[str]) -> pd.DataFrame:
    """Return columns of a published table; names of files and columns may be in small or capital letters."""
    path = _file(source, name)
    if path is None:
        raise DataError(f"There is no {name}.csv in {source}, packed or not. Give the folder that holds the tables.")
    table = read_table(path, text=True)
    table.columns = [str(column).lower() for column in table.columns]
    missing = [column for column in columns if column not in table]
    if missing:
        raise DataError(f"{path.name} must have the columns {', '.join(missing)}. Get the published one.")
    return table[[*columns]]


def _file(source: Path, name: str) -> Path | None:
    """Return the file of a table, which version IV keeps in the folder ``hosp``."""
    names = {f"{name}.csv".lower(), f"{name}.csv.gz".lower()}
    files = [p for folder in (source, source / "hosp") if folder.is_dir() for p in sorted(folder.iterdir())]
    return next((path for path in files if path.name.lower() in names), None)


def _is_four(source: Path) -> bool:
    """Tell version IV, which gives ages for years of birth, from version III."""
    path = _file(source, "PATIENTS")
    return path is not None and "anchor_age" in read_table(path, text=True).columns.str.lower()


def _stays(source: Path) -> pd.DataFrame:
    columns = ("subject_id", "hadm_id", "admittime", "dischtime", "admission_type", "hospital_expire_flag")
    table = _table(source, "ADMISSIONS", columns)
    for name in ("admittime", "dischtime"):
        table[name] = pd.to_datetime(table[name], errors="coerce")
    kind = table["admission_type"].str.lower()
    return table.assign(admission_type=kind.map(_TYPES_IV).fillna(kind))


def _usable(stays: pd.DataFrame) -> "pd.Series[bool]":
    # a few who were dead on arrival leave hours before they come, by an error of the clerk's: up to a day is no harm
    late = stays["admittime"] <= stays["dischtime"] + pd.Timedelta(days=1)
    return late & stays["admission_type"].isin({*_WORDS.types, *_WORDS_IV.types})


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
    columns = ("anchor_age", "anchor_year") if _is_four(source) else ("dob", "dob")
    known = {}
    for person, gender, *born in _table(source, "PATIENTS", ("subject_id", "gender", *columns)).itertuples(index=False):
        if person in first:
            known[str(person)] = (sex(gender), min(_years(first[person].year, *map(str, born)), _OLDEST))
    return people_table(subjects, known)


def _years(year: int, birth: str, reference_year: str) -> float:
    """Return the age in a year, from the age in another one or from a date of birth; missing is NaN."""
    try:
        if len(birth) < len("2000"):
            return float(birth) + year - int(reference_year)
        # as days of the calendar: 300 years do not fit into the nanoseconds of pandas
        return float(year - int(birth[:4]))
    except ValueError:
        return float("nan")


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
    columns = ("icd_code", "icd_version") if _is_four(source) else ("icd9_code",)
    for kind, name, group in (
        ("diagnosis", "DIAGNOSES_ICD", diagnosis_group),
        ("procedure", "PROCEDURES_ICD", procedure_group),
    ):
        for hadm_id, code, *version in _table(source, name, ("hadm_id", *columns)).itertuples(index=False):
            yield hadm_id, f"{kind}.{group(code.strip(), *(int(v) for v in version))}"
    for hadm_id, drug in _table(source, "PRESCRIPTIONS", ("hadm_id", "drug")).itertuples(index=False):
        yield hadm_id, f"drug.{word_group('drugs', drug)}"
