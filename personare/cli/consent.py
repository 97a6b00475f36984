"""The verbs about what people agreed to: grant, withdraw, import, show, receipt, export."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

import personare
from personare.cli.terminal import LEDGER, PATH
from personare.core.errors import DataError, OptionError, PersonareError

_COHORT = click.argument("cohort", type=PATH)
_SUBJECT = click.argument("subject", callback=lambda context, option, value: value and value.removeprefix("sub-"))
_METHOD = click.option("--method", default="", help="How they said so, e.g. signed form.")
_BY = click.option("--by", default="the person", show_default=True, help="Who said so, by role and not by name.")
_EVIDENCE = click.option("--evidence", default="", help="A file, such as the signed form; only its hash is kept.")


@click.group()
def consent() -> None:
    """What each person agreed to: records that are never written over."""


@consent.command()
@_COHORT
@_SUBJECT
@click.option("--allow", multiple=True, required=True, metavar="PURPOSE,...:MODALITY,...", help="What with which.")
@click.option("--tier", multiple=True, help="Who may get what: study (default), institution, protected, synthetic.")
@click.option("--recipient", multiple=True, help="Who may be handed originals.")
@click.option("--until", "retention_until", default="", metavar="DATE", help="The last day; default: no end.")
@click.option("--basis", "legal_basis", default="", help="The legal basis; default: explicit_consent.")
@click.option("--scope", default="", help="A DUO code; default: DUO:0000042, general research use.")
@click.option("--controller", required=True, help="Who is responsible, and how to reach them.")
@click.option("--notice", required=True, help="The file that the person read; its name and hash are kept.")
@click.option("--language", required=True, help="Of the notice, e.g. de.")
@_METHOD
@_BY
@_EVIDENCE
@LEDGER
def grant(cohort: Path, ledger: str | None, allow: Sequence[str], **given: Any) -> None:
    """Record what SUBJECT of a COHORT agrees to, in place of all before."""
    from personare.data.consenting import stated

    given |= {"tiers": ",".join(given.pop("tier")), "recipients": ";".join(given.pop("recipient"))}
    rows = []
    for text in allow:
        purposes, colon, modalities = text.partition(":")
        if not colon:
            raise OptionError(f"--allow takes PURPOSE:MODALITY, e.g. evaluation,training:audio, not '{text}'.")
        rows.append({**given, "purposes": purposes, "modalities": modalities})
    _write(cohort, ledger, stated(rows, Path(), _now()))


@consent.command()
@_COHORT
@_SUBJECT
@_METHOD
@_BY
@_EVIDENCE
@LEDGER
def withdraw(cohort: Path, subject: str, ledger: str | None, method: str, by: str, evidence: str) -> None:
    """Record that SUBJECT of a COHORT takes back everything; it holds from the next opening on."""
    from personare.data.consenting import file_hash, withdrawn
    from personare.govern.consent_records import Event

    people, records = _open(cohort, ledger)
    digest, time = file_hash(Path(evidence)) if evidence else "", _now().isoformat(timespec="seconds")
    event = Event(state="withdrawn", time=time, by=by, method=method, evidence_sha256=digest)
    _write(cohort, ledger, [withdrawn(people, subject, records, event)])
    click.echo(
        f"What was made of their recordings: personare my-data {cohort} {subject}. To erase it: personare erase."
    )


@consent.command("import")
@_COHORT
@click.argument("file", type=PATH)
@LEDGER
def import_(cohort: Path, file: Path, ledger: str | None) -> None:
    """Record all consents of FILE, a table or records of personare (JSON-LD), or none; no withdrawal is undone."""
    from personare.data.consenting import read_consents

    _write(cohort, ledger, read_consents(file, _now()), anew=False)


@consent.command()
@_COHORT
@LEDGER
def show(cohort: Path, ledger: str | None) -> None:
    """Print every record of everybody, and which of them are not what the ledger says."""
    _, records = _open(cohort, ledger)
    today = _now().date()
    for subject in records.subjects():
        for path in records.files(subject):
            try:
                record = records.read(path)
            except PersonareError as error:
                click.echo(f"sub-{subject}/{path.stem}: {error}")
                continue
            uses = [
                f"{','.join(use.purposes)} with {','.join(use.modalities)} until {use.retention_until or 'revoked'}"
                for use in record.uses
            ]
            terms = [*uses, f"tiers {','.join(record.tiers)}", f"AI training {'yes' if record.ai_training else 'no'}"]
            terms = terms if record.uses else ["all of consent.tsv"]
            click.echo(f"{record.name} {record.state_on(today)}, {record.event.time[:10]}: {'; '.join(terms)}")
        if missing := set(records.noted.get(subject, ())) - {int(path.stem[1:]) for path in records.files(subject)}:
            click.echo(f"sub-{subject}: of the records that the ledger knows, these are not there: {sorted(missing)}")


@consent.command()
@_COHORT
@_SUBJECT
@click.option("--out", type=PATH, help="Default: receipt-sub-SUBJECT.html.")
@LEDGER
def receipt(cohort: Path, subject: str, out: Path | None, ledger: str | None) -> None:
    """Write one page for SUBJECT in plain words: who may do what with which recordings, and how to take it back."""
    from personare.core.atomic import write_text
    from personare.govern.consent_exports import receipt as page
    from personare.govern.consent_records import sha256

    people, records = _open(cohort, ledger)
    record = records.newest(subject)
    if record is None:
        raise DataError(f"There is no record of subject {subject}. Write one with 'personare consent grant'.")
    out = out or Path(f"receipt-sub-{subject}.html")
    write_text(
        out,
        page(record, digest=sha256(records.files(subject)[-1].read_bytes()), cohort=people.name, today=_now().date()),
    )
    click.echo(f"{out}: one page. A browser prints it, also to PDF.")


@consent.command()
@_COHORT
@click.option("--form", type=click.Choice(["fhir", "odrl", "duo"]), required=True)
@LEDGER
def export(cohort: Path, form: str, ledger: str | None) -> None:
    """Print everybody's newest record as FHIR R4, ODRL or codes of the Data Use Ontology (JSON)."""
    from personare.govern.consent_exports import FORMS

    _, records = _open(cohort, ledger)
    newest = [record for record in map(records.newest, records.subjects()) if record]
    click.echo(json.dumps(FORMS[form](newest, _now().date()), indent=2, ensure_ascii=False))


def _open(cohort: Path, ledger: str | None) -> Any:
    """Return a cohort and its records, after ending what was stopped."""
    from personare.data.consenting import settled

    people = personare.open_cohort(cohort)
    return people, settled(people, personare.open_ledger(ledger, cohort))


def _write(cohort: Path, ledger: str | None, records: Sequence[Any], *, anew: bool = True) -> None:
    from personare.data.cohort import cohort_kind
    from personare.data.consenting import write_records

    book = personare.open_ledger(ledger, cohort)
    for record in write_records(personare.open_cohort(cohort), records, book, _now(), anew=anew):
        click.echo(f"{record.name}: {record.event.state}")
    if (kind := cohort_kind(cohort)) != "identifiable":
        click.echo(f"note: {cohort} is of the kind {kind}, which opens without consent", err=True)


def _now() -> datetime:
    return datetime.now(UTC)
