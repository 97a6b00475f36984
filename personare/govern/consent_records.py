"""What a person agreed to, as a record that is never changed, only followed by a newer one.

Records are files ``consent/sub-01/v0001.jsonld`` of a cohort. The ledger holds the hash of each, so that one which was
changed, removed or slipped in is seen before anything is opened.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Self

import pandas as pd

from personare.core.errors import PersonareError, PolicyError, data_errors
from personare.govern.consent import CONSENT_COLUMNS, SCOPES, check_purposes, permits
from personare.govern.ledger import Ledger

FOLDER = "consent"

TIERS = {
    "study": "the people of this study work with the recordings",
    "institution": "others of the institution, and recipients named here, may be handed the recordings themselves",
    "protected": "anybody may be given releases in which the person is protected",
    "synthetic": "anybody may be given recordings of people who do not exist, which a computer made up from many",
}
"""Who may get what: a closed list."""

LEGAL_BASES = {
    "explicit_consent": "A9-2-a",
    "consent": "A6-1-a",
    "public_interest": "A6-1-e",
    "legitimate_interest": "A6-1-f",
    "scientific_research": "A9-2-j",
}
"""Legal bases, each with its article of the GDPR."""

STATES = {"given": "dpv:ConsentGiven", "withdrawn": "dpv:ConsentWithdrawn", "expired": "dpv:ConsentExpired"}

_REFERENCES = {
    "uses": "dpv:hasProcess",
    "purposes": "dpv:hasPurpose",
    "modalities": "dpv:hasPersonalData",
    "legal_basis": "dpv:hasLegalBasis",
    "event": "dpv:hasConsentStatus",
    "notice": "dpv:hasNotice",
    "rights": "dpv:hasRight",
    "scope": "hasDataUse",
    "tiers": "hasTier",
}
_CONTEXT = {
    "@vocab": "urn:personare:consent:",
    "dpv": "https://w3id.org/dpv#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "dct": "http://purl.org/dc/terms/",
    "DUO": {"@id": "http://purl.obolibrary.org/obo/DUO_", "@prefix": True},
    "subject": "dpv:hasDataSubject",
    "controller": "dpv:hasDataController",
    "recipients": "dpv:hasRecipient",
    "version": "dct:hasVersion",
    "retention_until": "dct:valid",
    "file": "dct:source",
    "language": "dct:language",
    "time": "dpv:isIndicatedAtTime",
    "by": "dpv:isIndicatedBy",
    "method": "dpv:hasIndicationMethod",
    "state": "@type",
    **STATES,
    **{name: f"eu-gdpr:{article}" for name, article in LEGAL_BASES.items()},
    **{name: {"@id": term, "@type": "@vocab"} for name, term in _REFERENCES.items()},
}
_RIGHTS = [f"eu-gdpr:{article}" for article in ("A7-3", "A13", "A15", "A16", "A17", "A18", "A20", "A77")]


@dataclass(frozen=True, kw_only=True)
class Use:
    """What recordings of some modalities may be used for, and until when: one row of ``consent.tsv``."""

    purposes: tuple[str, ...]
    modalities: tuple[str, ...]
    scope: str = "DUO:0000042"
    retention_until: str = ""

    def __post_init__(self) -> None:
        check_purposes(self.purposes)
        _check("scope", (self.scope,), SCOPES)
        if not (self.purposes and self.modalities):
            raise PolicyError("A use must name a purpose and a modality, such as evaluation and audio. Add them.")
        with data_errors("The last day must be a date like 2030-12-31", "Correct it."):
            if self.retention_until and date.fromisoformat(self.retention_until).isoformat() != self.retention_until:
                raise ValueError(f"{self.retention_until} is written in another way")


@dataclass(frozen=True, kw_only=True)
class Notice:
    """What the person read before they agreed; the text itself is kept elsewhere."""

    file: str = ""
    sha256: str = ""
    language: str = ""


@dataclass(frozen=True, kw_only=True)
class Event:
    """Who said what when, and how; by role, never by name."""

    state: str
    time: str
    by: str = "the person"
    method: str = ""
    evidence_sha256: str = ""

    def __post_init__(self) -> None:
        _check("state", (self.state,), STATES)
        with data_errors("The time of a consent must be like 2026-05-01, or 2026-05-01T10:00:00+00:00", "Correct it."):
            time = datetime.fromisoformat(self.time)
            if self.time != time.date().isoformat() and not (time.tzinfo and self.time[10:11] == "T"):
                raise ValueError(f"{self.time} has no time zone, or is written in another way")


@dataclass(frozen=True, kw_only=True)
class Record:
    """One version of what a person agreed to, or that they took it back; what nobody stated is empty.

    **Source**: ISO/IEC TS 27560:2023 in terms of the Data Privacy Vocabulary 2.3 (Pandit, Lindquist and Krog, 2024,
    arXiv:2405.04528). Purposes, modalities and tiers are terms of our own, which DPV has not.
    """

    subject: str
    version: int = 0
    uses: tuple[Use, ...] = ()
    tiers: tuple[str, ...] = ("study",)
    recipients: tuple[str, ...] = ()
    legal_basis: str = "explicit_consent"
    controller: str = ""
    notice: Notice = Notice()
    event: Event

    def __post_init__(self) -> None:
        _check("tier", self.tiers, TIERS)
        _check("legal basis", (self.legal_basis,), LEGAL_BASES)

    @property
    def name(self) -> str:
        """The record's name, and its file's."""
        return f"sub-{self.subject}/v{self.version:04d}"

    @property
    def ai_training(self) -> bool:
        """Whether models may be trained on the recordings themselves."""
        return any("training" in use.purposes for use in self.uses)

    def state_on(self, today: date) -> str:
        """Return ``given``, ``withdrawn``, or ``expired`` where the last use has ended."""
        ends = [use.retention_until for use in self.uses]
        ended = self.event.state == "given" and all(end and end < today.isoformat() for end in ends)
        return "expired" if ended else self.event.state

    def rows(self) -> list[dict[str, str]]:
        """Return the rows of ``consent.tsv`` that say the same."""
        ended = "" if self.event.state == "given" else self.event.time[:10]
        lists = [
            {key: ",".join(v) if isinstance(v, tuple) else v for key, v in asdict(use).items()} for use in self.uses
        ]
        return [{"subject": self.subject, **use, "withdrawn_at": ended} for use in lists]

    def permits(self, purpose: str, modality: str, today: date) -> str:
        """Return why a recording may not be opened on a day; empty if it may."""
        if self.event.state == "withdrawn":
            return f"subject {self.subject} withdrew consent ({self.event.time[:10]})"
        table = pd.DataFrame(self.rows(), columns=list(CONSENT_COLUMNS), dtype=object)
        if reason := permits(table, self.subject, purpose, modality, today):
            return reason
        kept = purpose == "sharing" and "institution" not in self.tiers
        return f"subject {self.subject} lets nobody outside the study have the recordings themselves" if kept else ""

    def content(self) -> bytes:
        """Return the file of the record: JSON-LD that needs no other file."""
        kind = {"@context": _CONTEXT, "@id": f"urn:personare:consent:{self.name}", "@type": "dpv:ConsentRecord"}
        told = {"schema_version": 1, **asdict(self), "ai_training": self.ai_training, "rights": _RIGHTS}
        return (json.dumps(kind | told, indent=2, ensure_ascii=False) + "\n").encode()

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Self:
        """Return the record of a file; what has more or less in it than such a record, or other terms, is refused."""
        fix = "Write it with 'personare consent grant', or import a table."
        with data_errors("This is no consent record of personare", fix, KeyError, TypeError, AttributeError):
            parts = {name: content[name] for name in cls.__dataclass_fields__}
            lists = {name: tuple(parts[name]) for name in ("tiers", "recipients")}
            uses = [{**use, **{name: tuple(use[name]) for name in ("purposes", "modalities")}} for use in parts["uses"]]
            notice, event = Notice(**parts["notice"]), Event(**parts["event"])
            record = cls(
                **{**parts, **lists, "uses": tuple(Use(**use) for use in uses), "notice": notice, "event": event}
            )
            same = {name: content[name] for name in ("@context", "rights")}  # may be told in other words some day
            if {**json.loads(record.content()), **same} != content:
                raise ValueError("it has other entries or terms than such a record")
        return record


def _check(what: str, names: Iterable[str], allowed: Mapping[str, object]) -> None:
    if unknown := [name for name in names if name not in allowed]:
        raise PolicyError(f"A {what} must be one of {', '.join(allowed)}, not {unknown[0]!r}. Choose from these.")


def sha256(content: bytes) -> str:
    """Return the hash by which the ledger knows a file."""
    return hashlib.sha256(content).hexdigest()


class Records:
    """The consent records of a cohort, each checked against the ledger when it is read.

    **Guarantee**: a newest record that was changed, removed, put in another's place or added past the ledger is a
    ``PolicyError`` and never read as a consent.
    """

    def __init__(self, root: Path, cohort: str, ledger: Ledger) -> None:
        self._folder, self.noted = root / FOLDER, dict[str, dict[int, str]]()  # hashes by subject and version
        for row in ledger.rows(action="consent").to_dict("records") if ledger.exists() else ():
            if row["cohort"] == cohort and row["subject"].isalnum():  # the mark of somebody erased is no pseudonym
                detail = json.loads(row["detail"])
                self.noted.setdefault(row["subject"], {})[detail["version"]] = detail["sha256"]

    def subjects(self) -> list[str]:
        """Return who has a record, or had one."""
        return sorted({*self.noted, *(path.name.removeprefix("sub-") for path in self._folder.glob("sub-*"))})

    def files(self, subject: str) -> list[Path]:
        """Return a person's records, oldest first."""
        return sorted((self._folder / f"sub-{subject}").glob("v[0-9]*.jsonld"))

    def next_version(self, subject: str) -> int:
        """Return the number of the record that comes next; none is given twice."""
        versions: list[int] = [0, *self.noted.get(subject, ()), *map(_version, self.files(subject))]
        return 1 + max(versions)

    def newest(self, subject: str) -> Record | None:
        """Return what holds for a person now; None where there never was a record."""
        files, noted = self.files(subject), self.noted.get(subject, {})
        last = _version(files[-1]) if files else 0
        if last < max(noted, default=0):
            raise PolicyError(
                f"the consent record v{max(noted):04d} of subject {subject}, which the ledger knows, is not there. Its "
                "writing was stopped, which 'personare consent show' ends; or it was removed: restore it from a copy."
            )
        return self.read(files[-1]) if files else None

    def read(self, path: Path) -> Record:
        """Return a record that the ledger confirms."""
        subject, content = path.parent.name.removeprefix("sub-"), path.read_bytes()
        noted = self.noted.get(subject, {}).get(_version(path))
        if noted != sha256(content):
            why = "was changed after it was written" if noted else "is not in this ledger"
            raise PolicyError(
                f"the consent record {path.name[:5]} of subject {subject} {why}. Restore what it was, give the ledger "
                "with which it was written, or record the consent anew."
            )
        return Record.of(json.loads(content))

    def permits(self, subject: str, purpose: str, modality: str, today: date) -> str:
        """Return why a person's record keeps a recording closed; empty where it does not, or where there is none."""
        try:
            record = self.newest(subject)
        except PersonareError as error:
            return str(error)
        reason = record.permits(purpose, modality, today) if record else ""
        return f"{reason}, by record v{record.version:04d}" if record and reason else reason


def _version(path: Path) -> int:
    return int(path.name[1:5])
