"""MIMIC as tables of people's hospital stays: one layout for version III and its open demo, another for version IV."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pandas as pd

from personare.data.labels import sex
from personare.data.reading import Contents, Maker, Reader
from personare.data.tables import number, published, read_published
from personare.data.visit_codes import diagnosis_group, history_columns, make_histories, procedure_group, word_group

_CODES = {"diagnosis": "icd9_diagnoses", "procedure": "icd9_procedures", "drug": "drugs"}
_ICD = {"diagnosis": "DIAGNOSES_ICD", "procedure": "PROCEDURES_ICD"}
_TYPES = ("elective", "emergency", "newborn", "urgent")
_TYPES_IV = ("elective", "emergency", "observation", "urgent")
_NAMES_IV = {
    "surgical same day admission": "elective", "ew emer.": "emergency", "direct emer.": "emergency",
    "eu observation": "observation", "observation admit": "observation", "direct observation": "observation",
    "ambulatory observation": "observation",
}  # fmt: skip
_OLDEST = 90.0  # everybody over 89 is published as born 300 years before, or as 91


class Mimic(Reader):
    """Reads the stays of each patient, who is one recording.

    Labels ``mortality``, ``died`` in hospital or ``survived``, and ``readmission``, ``again`` or ``once``.
    """

    license = "PhysioNet Credentialed Health Data License 1.5.0"
    citation = "Johnson et al., Scientific Data 3: 160035, 2016"
    tracks: ClassVar[dict[str, str]] = {"visits": "visits"}

    def gather(self, source: Path, contents: Contents) -> None:
        stays, good = _stays(source)
        for stay in stays.loc[~good, "stay"]:
            problem = "it ends before it begins, or has no type we know. Nothing to do."
            contents.skipped.note(f"admission {stay}", problem)
        for person, rows in stays[good].groupby("person"):
            labels = {
                "mortality": "died" if (rows["died"] == "1").any() else "survived",
                "readmission": "again" if len(rows) > 1 else "once",
            }
            contents.add(str(person), "stays", {"visits": f"ADMISSIONS#{person}"}, labels)
        first = stays[good].groupby("person")["start"].min()
        columns = ("anchor_age", "anchor_year") if _is_four(source) else ("dob", "dob")
        patients = _table(source, "PATIENTS", ("subject_id", "gender", *columns))
        for person, gender, birth, reference_year in patients.itertuples(index=False):
            if person in first:
                # a date of birth, whose 300 years do not fit into the nanoseconds of pandas; or the age in another year
                born = number(birth[:4]) if len(birth) > 3 else number(reference_year) - number(birth)
                contents.people[str(person)] = (sex(gender), min(first[person].year - born, _OLDEST))

    def make(self, source: Path) -> Maker:
        """Return what makes the track ``visits`` of a patient."""
        four = _is_four(source)

        def read() -> tuple[pd.DataFrame, list[tuple[str, str]]]:
            stays, good = _stays(source)
            drugs = _table(source, "PRESCRIPTIONS", ("hadm_id", "drug"))
            codes = [(stay, f"drug.{word_group('drugs', drug)}") for stay, drug in drugs.itertuples(index=False)]
            columns = ("hadm_id", "icd_code", "icd_version") if four else ("hadm_id", "icd9_code")
            for kind, group in (("diagnosis", diagnosis_group), ("procedure", procedure_group)):
                for stay, code, *version in _table(source, _ICD[kind], columns).itertuples(index=False):
                    codes.append((stay, f"{kind}.{group(code.strip(), *map(int, version))}"))
            return stays[good], codes

        return make_histories(history_columns(_TYPES_IV if four else _TYPES, _CODES), read)


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
    table = _table(source, "ADMISSIONS", columns).set_axis(["person", "stay", "start", "end", "type", "died"], axis=1)
    for name in ("start", "end"):
        table[name] = pd.to_datetime(table[name], errors="coerce")
    kind = table["type"].str.lower()
    table["type"] = kind.map(_NAMES_IV).fillna(kind)
    # a few who were dead on arrival leave hours before they come, by an error of the clerk's: up to a day is no harm
    in_order = table["start"] <= table["end"] + pd.Timedelta(days=1)
    return table, in_order & table["type"].isin({*_TYPES, *_TYPES_IV})
