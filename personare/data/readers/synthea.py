"""Synthea: made-up patients of a public simulator, with all their visits to care."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pandas as pd

from personare.core.types import Recording
from personare.data.cohort import left_out
from personare.data.labels import sex
from personare.data.reading import Found, Made, address, people_table, recording
from personare.data.tables import read_published
from personare.data.visits import Visit, Vocabulary, histories, make_histories, word_group

__all__ = ["Synthea"]

_WORDS = Vocabulary.of(
    ("ambulatory", "emergency", "home", "hospice", "inpatient", "outpatient", "snf", "urgentcare", "virtual",
     "wellness"),
    {"condition": "conditions", "procedure": "procedures", "drug": "drugs"},
)  # fmt: skip
_CODES = (("conditions.csv", "condition", "conditions"), ("procedures.csv", "procedure", "procedures"),
          ("medications.csv", "drug", "drugs"))  # fmt: skip
"""Tables with what was found, done and given: the file, the kind of code, the table of groups."""


@dataclass(frozen=True, kw_only=True)
class Synthea:
    """Reads ``patients``, ``encounters``, ``conditions``, ``procedures`` and ``medications`` (``.csv``, packed or not).

    A recording is a patient: one row for each encounter, with groups of what was found, done and given. Patients are
    numbered in the order of their identifiers. Names, addresses, races and costs are not taken in. Labels
    ``mortality`` (``died`` or ``survived``), ``hypertension`` and ``obesity`` (``yes`` or ``no``).

    **Guarantee**: every encounter is a visit of a history or listed with the reason; the vocabulary does not depend on
    who is in the data.

    **Source**: Walonoski et al., Synthea, JAMIA 25(3), 2018, doi:10.1093/jamia/ocx079. Groups of codes are ours.
    """

    license: ClassVar[str] = "Apache-2.0"
    citation: ClassVar[str] = "Walonoski et al., JAMIA 25(3): 230-238, 2018"
    home: ClassVar[str] = "https://synthetichealth.github.io/synthea/"
    tracks: ClassVar[dict[str, str]] = {"visits": "visits"}

    def __call__(self, source: Path) -> Found:
        """Read the encounters; ages are those at the last one."""
        visits, good = _encounters(source)
        skipped = [
            left_out(f"encounter {name}", "it has no time or no kind we know. Nothing to do.")
            for name in visits.loc[~good, "Id"]
        ]
        last = visits[good].groupby("PATIENT")["START"].max()
        patients = sorted(last.index)
        width = max(2, len(str(len(patients))))
        numbers = {patient: f"{i:0{width}d}" for i, patient in enumerate(patients, start=1)}
        found = read_published(source, "conditions.csv", ("PATIENT", "DESCRIPTION"), text=True)
        group = found["DESCRIPTION"].map(lambda text: word_group("conditions", text))
        ill = {name: set(found.loc[group == name, "PATIENT"]) for name in ("hypertension", "obesity")}
        recordings: list[Recording] = []
        people = {}
        columns = ["Id", "BIRTHDATE", "DEATHDATE", "GENDER"]
        table = read_published(source, "patients.csv", columns, text=True)[columns]
        for patient, born, died, gender in table.itertuples(index=False):
            if patient not in numbers:
                skipped.append(left_out(f"patient {patient}", "no visit is known. Nothing to do."))
                continue
            labels = {name: "yes" if patient in them else "no" for name, them in ill.items()}
            labels["mortality"] = "died" if died else "survived"
            tracks = {"visits": address("encounters", patient)}
            recordings.append(recording(numbers[patient], "visits", tracks, labels))
            age = (last[patient].tz_localize(None) - pd.Timestamp(born)).days / 365.25
            people[numbers[patient]] = (sex(gender), float(int(age)))
        recordings.sort(key=lambda r: r.id)
        return recordings, people_table(recordings, people), skipped

    def make(self, source: Path) -> Callable[[str], Made]:
        """Return what makes a patient's history."""

        def read() -> dict[str, list[Visit]]:
            visits, good = _encounters(source)
            columns = ["PATIENT", "Id", "START", "STOP", "ENCOUNTERCLASS"]
            return histories(
                (
                    (str(patient), name, start.to_pydatetime(), stop.to_pydatetime(), kind)
                    for patient, name, start, stop, kind in visits.loc[good, columns].itertuples(index=False)
                ),
                _codes(source),
            )

        return make_histories(_WORDS, read)


def _encounters(source: Path) -> tuple[pd.DataFrame, "pd.Series[bool]"]:
    """Return the encounters, and which of them can be used."""
    columns = ("Id", "START", "STOP", "PATIENT", "ENCOUNTERCLASS")
    table = read_published(source, "encounters.csv", columns, text=True)
    for name in ("START", "STOP"):
        table[name] = pd.to_datetime(table[name], errors="coerce", utc=True)
    return table, table["START"].notna() & table["STOP"].notna() & table["ENCOUNTERCLASS"].isin(_WORDS.types)


def _codes(source: Path) -> Iterator[tuple[str, str]]:
    """Yield encounter and code group of everything written down."""
    for file, kind, groups in _CODES:
        table = read_published(source, file, ("ENCOUNTER", "DESCRIPTION"), text=True)
        for encounter, text in zip(table["ENCOUNTER"], table["DESCRIPTION"], strict=True):
            yield encounter, f"{kind}.{word_group(groups, text)}"
