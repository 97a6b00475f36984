"""Synthea: made-up patients of a public simulator, with all their visits to care."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

import pandas as pd

from personare.core.errors import DataError
from personare.core.types import Recording, Withheld
from personare.data.index import recording_id
from personare.data.labels import sex
from personare.data.made import Made, address, parted, read_table
from personare.data.media import people_table
from personare.data.visits import Visit, Vocabulary, word_group

__all__ = ["Synthea"]

_WORDS = Vocabulary.of(
    ("ambulatory", "emergency", "home", "hospice", "inpatient", "outpatient", "snf", "urgentcare", "virtual",
     "wellness"),
    {"condition": "conditions", "procedure": "procedures", "drug": "drugs"},
)  # fmt: skip
_TABLES = MappingProxyType(
    {
        "conditions": ("condition", "conditions"),
        "procedures": ("procedure", "procedures"),
        "medications": ("drug", "drugs"),
    }
)
_CHRONIC = MappingProxyType({"hypertension": "hypertension", "obesity": "obesity"})


@dataclass(frozen=True, kw_only=True)
class Synthea:
    """Reads ``patients``, ``encounters``, ``conditions``, ``procedures`` and ``medications`` (``.csv``, packed or not).

    A recording is a patient: one row for each encounter, with groups of what was found, done and given. Patients are
    numbered in the order of their identifiers. Names, addresses, races and costs are not taken in.

    **Guarantee**: every encounter is a visit of a history or listed with the reason; the vocabulary does not depend on
    who is in the data.

    **Source**: Walonoski, Kramer, Nichols, Quina, Moesel, Hall, Duffett, Dube, Gallagher, McLachlan: Synthea: An
    approach, method, and software mechanism for generating synthetic patients and the synthetic electronic health care
    record. JAMIA 25(3), 2018. doi:10.1093/jamia/ocx079. Groups of codes by words are ours.
    """

    license: ClassVar[str] = "Apache-2.0"
    citation: ClassVar[str] = "Walonoski et al., JAMIA 25(3): 230-238, 2018"
    home: ClassVar[str] = "https://synthetichealth.github.io/synthea/"

    def __call__(self, source: Path) -> tuple[Sequence[Recording], pd.DataFrame, Sequence[Withheld]]:
        """Read the encounters.

        Returns:
            Recordings (track ``visits``; labels ``mortality``, ``died`` or ``survived``, and ``hypertension`` and
            ``obesity``, ``yes`` or ``no``), the people with sex and age at their last visit, and encounters left out.

        Raises:
            DataError: A table is not there, or lacks a column.
        """
        visits = _encounters(source)
        good = visits["START"].notna() & visits["STOP"].notna() & visits["ENCOUNTERCLASS"].isin(_WORDS.types)
        skipped = [
            Withheld(item=f"encounter {row.Id}", problem="it has no time or no kind we know", fix="Nothing to do.")
            for row in visits[~good].itertuples()
        ]
        last = visits[good].groupby("PATIENT")["START"].max()
        numbers = _numbers(visits[good])
        found = _table(source, "conditions", ("PATIENT", "DESCRIPTION"))
        group = found["DESCRIPTION"].map(lambda text: word_group("conditions", text))
        ill = {name: set(found.loc[group == of, "PATIENT"]) for name, of in _CHRONIC.items()}
        recordings, people = [], {}
        columns = ("Id", "BIRTHDATE", "DEATHDATE", "GENDER")
        for patient, born, died, gender in _table(source, "patients", columns).itertuples(index=False):
            if patient not in numbers:
                skipped.append(Withheld(item=f"patient {patient}", problem="no visit is known", fix="Nothing to do."))
                continue
            labels = {name: "yes" if patient in them else "no" for name, them in ill.items()}
            labels["mortality"] = "died" if died else "survived"
            recordings.append(_recording(numbers[patient], str(patient), labels))
            age = (last[patient].tz_localize(None) - pd.Timestamp(born)).days / 365.25
            people[numbers[patient]] = (sex(gender), float(int(age)))
        recordings.sort(key=lambda r: r.id)
        return recordings, people_table((r.subject for r in recordings), people), skipped

    def make(self, source: Path) -> Callable[[str], Made]:
        """Return what makes a patient's history."""
        histories: dict[str, list[Visit]] = {}

        def make(address: str) -> Made:
            if not histories:
                histories.update(_histories(source))
            return _WORDS.track(histories[parted(address)[1]])

        return make


def _table(source: Path, name: str, columns: Sequence[str]) -> pd.DataFrame:
    files = [source / f"{name}.csv", source / f"{name}.csv.gz"]
    table = read_table(next((p for p in files if p.is_file()), files[0]), text=True)
    missing = [column for column in columns if column not in table]
    if missing:
        raise DataError(f"{name}.csv must have the columns {', '.join(missing)}. Get the published one.")
    return table[[*columns]]


def _encounters(source: Path) -> pd.DataFrame:
    table = _table(source, "encounters", ("Id", "START", "STOP", "PATIENT", "ENCOUNTERCLASS"))
    for name in ("START", "STOP"):
        table[name] = pd.to_datetime(table[name], errors="coerce", utc=True)
    return table


def _numbers(visits: pd.DataFrame) -> dict[str, str]:
    patients = sorted(set(visits["PATIENT"]))
    width = max(2, len(str(len(patients))))
    return {patient: f"{i:0{width}d}" for i, patient in enumerate(patients, start=1)}


def _recording(number: str, patient: str, labels: Mapping[str, str]) -> Recording:
    return Recording(
        id=recording_id(number, "01", "visits"),
        subject=number,
        session="01",
        tracks={"visits": address("encounters", patient)},
        labels=labels,
    )


def _histories(source: Path) -> dict[str, list[Visit]]:
    codes: dict[str, set[str]] = {}
    for encounter, code in _codes(source):
        codes.setdefault(encounter, set()).add(code)
    histories: dict[str, list[Visit]] = {}
    for row in _encounters(source).dropna().to_dict("records"):
        if row["ENCOUNTERCLASS"] in _WORDS.types:
            start, end = row["START"].to_pydatetime(), row["STOP"].to_pydatetime()
            found = frozenset(codes.get(row["Id"], ()))
            visit = Visit(start=start, end=end, type=row["ENCOUNTERCLASS"], codes=found)
            histories.setdefault(str(row["PATIENT"]), []).append(visit)
    return histories


def _codes(source: Path) -> Iterator[tuple[str, str]]:
    """Yield encounter and code group of everything written down."""
    for name, (kind, table) in _TABLES.items():
        for encounter, text in _table(source, name, ("ENCOUNTER", "DESCRIPTION")).itertuples(index=False):
            yield encounter, f"{kind}.{word_group(table, text)}"
