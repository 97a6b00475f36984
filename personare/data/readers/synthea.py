"""Synthea: made-up patients of a public simulator, with all their visits to care."""

from pathlib import Path
from typing import ClassVar

import pandas as pd

from personare.data.labels import sex
from personare.data.reading import Contents, Maker, Reader
from personare.data.tables import read_published
from personare.data.visit_codes import history_columns, make_histories, word_group

__all__ = ["Synthea"]

_TYPES = (
    "ambulatory", "emergency", "home", "hospice", "inpatient", "outpatient", "snf", "urgentcare", "virtual", "wellness",
)  # fmt: skip
_CODES = {"condition": "conditions", "procedure": "procedures", "drug": "drugs"}
_FILES = {"condition": "conditions.csv", "procedure": "procedures.csv", "drug": "medications.csv"}


class Synthea(Reader):
    """Reads ``patients``, ``encounters``, ``conditions``, ``procedures`` and ``medications`` (``.csv``, packed or not).

    A recording is a patient: one row for each encounter, with groups of what was found, done and given. Names,
    addresses, races and costs are not taken in. Labels ``mortality`` (``died`` or ``survived``), ``hypertension`` and
    ``obesity`` (``yes`` or ``no``).

    **Guarantee**: every encounter is a visit of a history or listed with the reason; the vocabulary does not depend on
    who is in the data.

    **Source**: Walonoski et al., Synthea, JAMIA 25(3), 2018, doi:10.1093/jamia/ocx079. Groups of codes are ours.
    """

    license = "Apache-2.0"
    citation = "Walonoski et al., JAMIA 25(3): 230-238, 2018"
    home = "https://synthetichealth.github.io/synthea/"
    tracks: ClassVar[dict[str, str]] = {"visits": "visits"}

    def gather(self, source: Path, contents: Contents) -> None:
        stays, good = _encounters(source)
        for stay in stays.loc[~good, "stay"]:
            contents.skipped.note(f"encounter {stay}", "it has no time or no kind we know. Nothing to do.")
        last = stays[good].groupby("person")["start"].max()
        width = max(2, len(str(len(last))))
        numbers = {patient: f"{i:0{width}d}" for i, patient in enumerate(sorted(last.index), start=1)}
        conditions = read_published(source, "conditions.csv", ("PATIENT", "DESCRIPTION"), text=True)
        group = conditions["DESCRIPTION"].map(lambda text: word_group("conditions", text))
        ill = {name: set(conditions.loc[group == name, "PATIENT"]) for name in ("hypertension", "obesity")}
        columns = ["Id", "BIRTHDATE", "DEATHDATE", "GENDER"]
        table = read_published(source, "patients.csv", columns, text=True)[columns]
        for patient, born, died, gender in table.itertuples(index=False):
            if patient not in numbers:
                contents.skipped.note(f"patient {patient}", "no visit is known. Nothing to do.")
                continue
            labels = {name: "yes" if patient in them else "no" for name, them in ill.items()}
            labels["mortality"] = "died" if died else "survived"
            contents.add(numbers[patient], "visits", {"visits": f"encounters#{patient}"}, labels)
            age = (last[patient].tz_localize(None) - pd.Timestamp(born)).days / 365.25
            contents.people[numbers[patient]] = (sex(gender), float(int(age)))

    def make(self, source: Path) -> Maker:
        """Return what makes a patient's history."""

        def read() -> tuple[pd.DataFrame, list[tuple[str, str]]]:
            stays, good = _encounters(source)
            codes: list[tuple[str, str]] = []
            for kind, file in _FILES.items():
                table = read_published(source, file, ("ENCOUNTER", "DESCRIPTION"), text=True)
                groups = table["DESCRIPTION"].map(lambda text, kind=kind: f"{kind}.{word_group(_CODES[kind], text)}")
                codes += zip(table["ENCOUNTER"], groups, strict=True)
            return stays[good], codes

        return make_histories(history_columns(_TYPES, _CODES), read)


def _encounters(source: Path) -> tuple[pd.DataFrame, "pd.Series[bool]"]:
    """Return the encounters, and which of them can be used."""
    columns = ["Id", "START", "STOP", "PATIENT", "ENCOUNTERCLASS"]
    table = read_published(source, "encounters.csv", columns, text=True)[columns]
    table = table.set_axis(["stay", "start", "end", "person", "type"], axis=1)
    for name in ("start", "end"):
        table[name] = pd.to_datetime(table[name], errors="coerce", utc=True)
    return table, table["start"].notna() & table["end"].notna() & table["type"].isin(_TYPES)
