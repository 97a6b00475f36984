"""Writes what people agreed to: a new record for every change, its hash in the ledger, and the row the vault reads."""

import fcntl
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from personare.core.atomic import make_folder, replacing
from personare.core.errors import DataError, PolicyError, data_errors
from personare.core.types import Cohort
from personare.data.cohort import declared_modalities
from personare.data.roles import RECORDED, recorded_as
from personare.data.tables import TABLES, read_rows
from personare.govern.consent import CONSENT_COLUMNS, read_consent
from personare.govern.consent_records import FOLDER, Event, Notice, Record, Records, Use, sha256
from personare.govern.ledger import Ledger

_EVENT = ("time", "by", "method")
COLUMNS = (
    *("subject", "purposes", "modalities", "scope", "retention_until", "tiers", "recipients", "legal_basis"),
    *("controller", "notice", "language", "evidence", *_EVENT),
)
"""What may be stated of a consent, each as text: the columns of a table to import."""

_PENDING = ".pending"


def read_consents(path: Path, now: datetime) -> list[Record]:
    """Return the records of a file: a table, or JSON-LD with one or a list of them."""
    if path.suffix.lower() in TABLES:
        rows = [row for _, row in read_rows(path, required=("subject", "purposes", "modalities"))]
        return stated(rows, path.parent, now)
    with data_errors(f"{path} must be a table or JSON, but cannot be read", "Give a .tsv, or records of personare."):
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    return [Record.of(one) for one in (content if isinstance(content, list) else [content])]


def stated(rows: Sequence[Mapping[str, str]], folder: Path, now: datetime) -> list[Record]:
    """Return the records of what was stated; rows of one person are its uses. Files are looked for in a folder."""
    people: dict[str, Record] = {}
    for row in rows:
        if unknown := sorted({*row} - {*COLUMNS}):
            raise DataError(f"The columns are {', '.join(COLUMNS)}, not {unknown[0]}. Rename the column.")
        given = {name: text for name, text in row.items() if text}
        hashes = {name: file_hash(folder / given[name]) for name in ("notice", "evidence") if name in given}
        event = {"time": now.isoformat(timespec="seconds"), "evidence_sha256": hashes.get("evidence", "")}
        record = Record(
            subject=row["subject"].removeprefix("sub-"),
            tiers=_listed(given.get("tiers", "study")),
            recipients=_listed(given.get("recipients", ""), ";"),
            legal_basis=given.get("legal_basis", "explicit_consent"),
            controller=given.get("controller", ""),
            notice=Notice(
                file=Path(given.get("notice", "")).name,
                sha256=hashes.get("notice", ""),
                language=given.get("language", ""),
            ),
            event=Event(state="given", **event | {name: given[name] for name in _EVENT if name in given}),
        )
        before = people.setdefault(record.subject, record)
        if replace(before, uses=()) != record:
            raise DataError(f"The rows of subject {record.subject} must differ in their uses alone. Correct the table.")
        use = Use(
            purposes=_listed(row["purposes"]),
            modalities=_listed(row["modalities"]),
            scope=given.get("scope", "DUO:0000042"),
            retention_until=given.get("retention_until", ""),
        )
        people[record.subject] = replace(before, uses=(*before.uses, use))
    return list(people.values())


def file_hash(path: Path) -> str:
    """Return the hash of a notice or of evidence; the file itself stays where it is."""
    with data_errors(f"{path} cannot be read", "Give the file of which the hash is to be kept."):
        return sha256(path.read_bytes())


def withdrawn(cohort: Cohort, subject: str, records: Records, event: Event) -> Record:
    """Return the record by which a person takes back all that they agreed to, also after one that was changed."""
    if subject not in {*records.noted, *read_consent(cohort.root / "consent.tsv")["subject"]}:
        raise PolicyError(f"There is no consent of subject {subject!r} to withdraw. Give a subject of consent.tsv.")
    before = None
    with suppress(PolicyError):
        before = records.newest(subject)
    return replace(before or Record(subject=subject, event=event), event=event)


def settled(cohort: Cohort, ledger: Ledger) -> Records:
    """Return a cohort's records after ending what was stopped."""
    if not _pending(cohort.root):
        return Records(cohort.root, cohort.name, ledger)
    with _alone(cohort.root):
        return _settle(cohort, ledger)


def write_records(
    cohort: Cohort, records: Sequence[Record], ledger: Ledger, now: datetime, *, anew: bool = True
) -> list[Record]:
    """Write a new version of each person's record, all or none; returns them as written.

    **Guarantee**: no record is changed or written over. From its row in the ledger on a record holds, and the vault
    opens nothing of its person before ``consent.tsv`` says the same; what was stopped in between the next call ends.
    Unless people are asked ``anew``, nobody's withdrawal is undone.
    """
    with _alone(cohort.root):
        ledger.check_clock(now.date())
        known = _settle(cohort, ledger)
        table = read_consent(cohort.root / "consent.tsv")
        withdrew = set() if anew else {*table.loc[table["withdrawn_at"] != "", "subject"]}
        if again := [r.subject for r in records if r.event.state == "given" and r.subject in withdrew]:
            raise PolicyError(
                f"Subject {again[0]} withdrew. Leave them out, or ask anew and use 'personare consent grant'."
            )
        written = [replace(record, version=known.next_version(record.subject)) for record in records]
        if len({record.subject for record in written}) < len(written):
            raise DataError("There must be one record a person. Leave out the older ones.")
        for record in written:
            _check(cohort, record)
        for record in written:
            with replacing(cohort.root / FOLDER / f"{record.name}.jsonld{_PENDING}") as part:
                part.write_bytes(record.content())
        about = [{"version": r.version, "state": r.event.state, "sha256": sha256(r.content())} for r in written]
        who = [{"cohort": cohort.name, "subject": record.subject} for record in written]
        ledger.append("consent", [{**one, "detail": detail} for one, detail in zip(who, about, strict=True)])
        _settle(cohort, ledger)
    return written


def _check(cohort: Cohort, record: Record) -> None:
    """Refuse who is not in the cohort, consent to nothing or to what is never recorded, and originals for nobody."""
    if record.subject not in {*(r.subject for r in cohort.recordings), *cohort.participants.index}:
        raise DataError(f"{cohort.name} has no subject {record.subject!r}. Give one of participants.tsv.")
    if record.event.state == "given" and not record.uses:
        raise DataError(f"The consent of subject {record.subject} must name a use. Add a purpose and a modality.")
    declared = declared_modalities(cohort.root)
    tracks = {recorded_as(track, declared) for recording in cohort.recordings for track in recording.tracks}
    known = ("all", *sorted({*RECORDED, *tracks}))
    if unknown := sorted({name for use in record.uses for name in use.modalities} - {*known}):
        raise PolicyError(f"A modality must be one of {', '.join(known)}, not {unknown[0]!r}. Choose from these.")
    shared = any("sharing" in use.purposes for use in record.uses)
    if shared and not ("institution" in record.tiers and record.recipients):
        raise PolicyError("Sharing originals needs the tier institution and a recipient. Add both, or leave it out.")


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Hold the records of a cohort for this process, after whoever holds them now."""
    with (make_folder(root / FOLDER) / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _pending(root: Path) -> list[Path]:
    return sorted((root / FOLDER).glob(f"sub-*/v*{_PENDING}"))


def _settle(cohort: Cohort, ledger: Ledger) -> Records:
    """End what was stopped: a pending record that is in the ledger goes into the table; another holds nothing."""
    known, ready = Records(cohort.root, cohort.name, ledger), dict[Path, Record]()
    for path in _pending(cohort.root):
        with suppress(PolicyError):
            ready[path] = known.read(path)
    if ready:
        table = cohort.root / "consent.tsv"
        old = table.read_bytes().decode() if table.exists() else "\t".join(CONSENT_COLUMNS) + "\n"
        with replacing(table) as part:
            part.write_bytes(_rewritten(old, {record.subject: record for record in ready.values()}).encode())
    for path in ready:
        path.rename(path.with_suffix(""))
    return known


def _rewritten(table: str, records: Mapping[str, Record]) -> str:
    """Return the table with the rows of these people as their records say, and every other line as it was."""
    head, *lines = io.StringIO(table, newline="").readlines()
    end = "\r\n" if head.endswith("\r\n") else "\n"
    columns = head.lstrip("\ufeff").rstrip("\r\n").split("\t")
    kept, own = [head], {subject: list[dict[str, str]]() for subject in records}
    for line in lines:
        fields = dict(zip(columns, line.rstrip("\r\n").split("\t"), strict=False))
        subject = fields.get("subject", "").strip(' "').removeprefix("sub-")
        if subject in own:
            own[subject].append(fields)
        else:
            kept.append(line)
    kept[-1] = kept[-1].rstrip("\r\n") + end
    for subject, record in records.items():
        rows, before = record.rows(), own[subject]
        if record.event.state == "withdrawn" and before:  # all else in them stays as it was written
            day, open_ = record.event.time[:10], ("", "n/a")
            rows = [
                row | {"withdrawn_at": day} if row.get("withdrawn_at", "").strip() in open_ else row for row in before
            ]
        for row in rows:
            kept.append("\t".join({**(before or [{}])[0], **row}.get(name, "") for name in columns) + end)
    return "".join(kept)


def _listed(text: str, mark: str = ",") -> tuple[str, ...]:
    return tuple(dict.fromkeys(item.strip() for item in text.split(mark) if item.strip()))
