"""Readers of patients' visits: on tiny copies of the published layouts, and on the real ones."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from personare.core.errors import DataError
from personare.core.registry import create
from personare.core.types import Cohort
from personare.data.importing import import_cohort

READERS = "personare.data.readers"


def write(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(lines) + "\n"
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)


def visits(cohort: Cohort, recording: int) -> list[list[str]]:
    """Return what is said about each visit of a recording."""
    path = cohort.root / cohort.recordings[recording].tracks["visits"]
    columns = json.loads(path.with_suffix(".json").read_text())["Columns"]
    return [[name for name, on in zip(columns, row, strict=True) if on] for row in np.load(path)]


@pytest.fixture
def mimic(tmp_path: Path) -> Path:
    source = tmp_path / "s"
    head = "subject_id,hadm_id,admittime,dischtime,admission_type,hospital_expire_flag"
    write(
        source / "ADMISSIONS.csv.gz",
        head,
        "7,71,2150-03-01 10:00:00,2150-03-03 11:00:00,EMERGENCY,1",
        "7,70,2150-01-01 10:00:00,2150-01-01 15:00:00,ELECTIVE,0",
        "8,80,2150-01-01 10:00:00,2150-01-09 15:00:00,URGENT,0",
        "9,90,2150-01-09 10:00:00,2150-01-01 15:00:00,URGENT,0",
    )
    write(source / "PATIENTS.csv.gz", "subject_id,gender,dob", "7,F,2100-01-01 00:00:00", "8,M,1850-01-01 00:00:00")
    write(source / "DIAGNOSES_ICD.csv.gz", "HADM_ID,ICD9_CODE", "70,4019", "71,41401", "71,V5861")
    write(source / "PROCEDURES_ICD.csv", "hadm_id,icd9_code", "71,3605")
    write(source / "PRESCRIPTIONS.csv.gz", "hadm_id,drug", "70,Metoprolol Tartrate", "70,NS", "71,Something New")
    return source


@pytest.mark.parametrize("reader", ["mimic_demo", "mimic3"])
def test_mimic_stays_are_visits(mimic: Path, tmp_path: Path, reader: str) -> None:
    cohort, skipped = import_cohort(mimic, tmp_path / "c", reader=reader)
    assert visits(cohort, 0) == [
        ["visit", "type=elective", "code=diagnosis.hypertension", "code=drug.beta_blockers", "code=drug.fluids",
         "length=under_1_day", "gap=first"],
        ["visit", "type=emergency", "code=diagnosis.ischemic_heart", "code=diagnosis.other", "code=procedure.heart",
         "code=drug.other", "length=days_1_to_3", "gap=under_3_months"],
    ]  # fmt: skip
    assert [dict(r.labels) for r in cohort.recordings] == [
        {"mortality": "died", "readmission": "again"},
        {"mortality": "survived", "readmission": "once"},
    ]
    assert cohort.participants["age"].tolist() == [50, 90]
    assert [w.item for w in skipped] == ["admission 90"]
    write(mimic / "PATIENTS.csv.gz", "subject_id", "7")
    with pytest.raises(DataError, match="gender, dob"):
        create(READERS, reader, {})(mimic)


@pytest.mark.parametrize("folder", ["hosp", "."])
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_mimic_four_is_read_in_its_layout(tmp_path: Path, folder: str, suffix: str) -> None:
    tables = tmp_path / "s" / folder
    write(
        tables / f"admissions{suffix}",
        "subject_id,hadm_id,admittime,dischtime,admission_type,hospital_expire_flag,race",
        "7,71,2182-03-01 10:00:00,2182-03-03 11:00:00,EW EMER.,1,OTHER",
        "7,70,2180-01-01 10:00:00,2180-01-01 15:00:00,SURGICAL SAME DAY ADMISSION,0,OTHER",
        "8,80,2150-01-01 10:00:00,2150-01-09 15:00:00,EU OBSERVATION,0,OTHER",
        "9,90,2150-01-01 10:00:00,2150-01-09 15:00:00,BY BALLOON,0,OTHER",
    )
    write(tables / f"patients{suffix}", "subject_id,gender,anchor_age,anchor_year,dod", "7,F,52,2182,", "8,M,91,2150,")
    codes = ("70,4019,9", "71,I2510,10", "71,S72001A,10", "71,Z87891,10")
    write(tables / f"diagnoses_icd{suffix}", "hadm_id,icd_code,icd_version", *codes)
    write(tables / f"procedures_icd{suffix}", "hadm_id,icd_code,icd_version", "71,02703DZ,10", "70,3605,9")
    write(tables / f"prescriptions{suffix}", "hadm_id,drug", "80,Heparin")
    cohort, skipped = import_cohort(tmp_path / "s", tmp_path / "c", reader="mimic4")
    assert visits(cohort, 0) == [
        ["visit", "type=elective", "code=diagnosis.hypertension", "code=procedure.heart", "length=under_1_day",
         "gap=first"],
        ["visit", "type=emergency", "code=diagnosis.ischemic_heart", "code=diagnosis.fracture", "code=diagnosis.other",
         "code=procedure.heart", "length=days_1_to_3", "gap=over_2_years"],
    ]  # fmt: skip
    assert visits(cohort, 1)[0][1:3] == ["type=observation", "code=drug.anticoagulants"]
    assert cohort.participants["age"].tolist() == [50, 90]
    assert [w.item for w in skipped] == ["admission 90"]


@pytest.mark.parametrize("rename", [str.lower, str.upper, str.title])
def test_files_of_mimic_three_may_be_in_any_letters(mimic: Path, rename: Callable[[str], str]) -> None:
    for path in list(mimic.iterdir()):
        name, _, end = path.name.partition(".")
        path.rename(path.with_name(f"{rename(name)}.{end}"))
    assert len(create(READERS, "mimic3", {})(mimic)[0]) == 2


def test_synthea_encounters_are_visits(tmp_path: Path) -> None:
    source = tmp_path / "s"
    write(
        source / "patients.csv",
        "Id,BIRTHDATE,DEATHDATE,GENDER,LAST",
        "bb,2000-01-01,,M,Doe",
        "aa,1950-06-01,2021-01-01,F,X",
    )
    write(
        source / "encounters.csv",
        "Id,START,STOP,PATIENT,ENCOUNTERCLASS",
        "2,2020-01-20T00:00:00Z,2020-01-20T00:15:00Z,aa,emergency",
        "1,2020-01-01T00:00:00Z,2020-01-01T00:15:00Z,aa,wellness",
        "3,2020-01-01T00:00:00Z,2020-01-01T02:00:00Z,bb,ambulatory",
        "4,2020-01-01T00:00:00Z,2020-01-01T02:00:00Z,bb,teleport",
    )
    write(
        source / "conditions.csv",
        "PATIENT,ENCOUNTER,DESCRIPTION",
        "aa,1,Hypertension",
        "aa,2,Viral sinusitis (disorder)",
    )
    write(source / "procedures.csv", "ENCOUNTER,DESCRIPTION", "2,Colonoscopy", "3,Unheard of")
    write(source / "medications.csv", "ENCOUNTER,DESCRIPTION", "1,lisinopril 10 MG Oral Tablet")
    cohort, skipped = import_cohort(source, tmp_path / "c", reader="synthea")
    assert visits(cohort, 0) == [
        ["visit", "type=wellness", "code=condition.hypertension", "code=drug.ace_inhibitors_and_sartans",
         "length=under_1_hour", "gap=first"],
        ["visit", "type=emergency", "code=condition.sinusitis", "code=procedure.surgery", "length=under_1_hour",
         "gap=under_1_month"],
    ]  # fmt: skip
    assert dict(cohort.recordings[0].labels) == {"hypertension": "yes", "mortality": "died", "obesity": "no"}
    assert cohort.participants.loc["01", "sex"] == "F"
    assert cohort.participants.loc["01", "age"] == 69
    assert [w.item for w in skipped] == ["encounter 4"]
    assert not any("Doe" in path.read_text(errors="replace") for path in cohort.root.rglob("*.tsv"))


@pytest.mark.real
@pytest.mark.parametrize(
    ("folder", "reader", "people", "most"), [("mimic3-demo", "mimic_demo", 100, 15), ("synthea", "synthea", 59, 143)]
)
def test_real_histories(real_data: Path, tmp_path: Path, folder: str, reader: str, people: int, most: int) -> None:
    cohort, skipped = import_cohort(real_data / folder, tmp_path / "c", reader=reader)
    lengths = [len(np.load(cohort.root / r.tracks["visits"])) for r in cohort.recordings]
    assert (len(lengths), max(lengths), len(skipped)) == (people, most, 0)
    assert set(cohort.participants["sex"]) == {"F", "M"}
    assert cohort.participants["age"].between(0, 110).all()
