"""The verbs about a person's rights: access, erasure, backups, and the end of retention."""

import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

import personare
from personare.cli.terminal import LEDGER, PATH
from personare.core.errors import DataError, IncompleteError, OptionError

_ERASING = (
    click.option("--dry-run", is_flag=True, help="Only say what would be done."),
    click.option("--yes", is_flag=True, help="Do not ask."),
    click.option(
        "--models",
        type=click.Choice(["retrain", "bounded"]),
        default="retrain",
        show_default=True,
        help="What becomes of models: trained again, or kept where every price is an epsilon for whole people.",
    ),
    click.option("--leave", multiple=True, type=PATH, help="A run or backup that was destroyed: it is not looked for."),
    click.option("--jobs", type=int, default=-1, show_default=True, help="Processes; -1 for one a core."),
    LEDGER,
)


def _erasing(verb: Any) -> Any:
    for option in reversed(_ERASING):
        verb = option(verb)
    return verb


@click.command("my-data")
@click.argument("cohort", type=PATH)
@click.argument("subject")
@click.option("--also", multiple=True, metavar="PSEUDONYM", help="Another pseudonym of the same person.")
@click.option("--out", type=PATH, help="An empty folder into which all of the person's data are copied.")
@LEDGER
def my_data(cohort: Path, subject: str, also: Sequence[str], out: Path | None, ledger: str | None) -> None:
    """Tell what is held of SUBJECT in COHORT, and all that was done with it; copy it for them."""
    from personare.study.holdings import Places, find_person
    from personare.study.my_data import pack, tell

    people = personare.open_cohort(cohort)
    book = personare.open_ledger(ledger, people.root)
    person, places = find_person(people, subject, also, book), Places.of(people, book)
    click.echo("\n".join(tell(places, person)))
    if out:
        pack(places, person, out)
        click.echo(f"\nAll of it is in {out}: hand it to nobody but the person.")


@click.command()
@click.argument("cohort", type=PATH)
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@LEDGER
def backup(cohort: Path, folder: Path, ledger: str | None) -> None:
    """Note that FOLDER is a copy of COHORT, or of runs of it: who is erased is erased there too."""
    from personare.study.holdings import check_backup, register

    people = personare.open_cohort(cohort)
    check_backup(people, folder)
    register(personare.open_ledger(ledger, people.root), people, "backup", folder)
    click.echo(f"{folder} is noted as a backup of {cohort}.")


@click.command()
@click.argument("cohort", type=PATH)
@click.argument("subject")
@click.option("--also", multiple=True, metavar="PSEUDONYM", help="Another pseudonym of the same person.")
@click.option(
    "--backup", "backups", multiple=True, type=PATH, help="Another folder to erase from: a backup, a moved run."
)
@_erasing
def erase(cohort: Path, subject: str, also: Sequence[str], backups: Sequence[Path], **how: Any) -> None:
    """Erase SUBJECT from COHORT and from all that came of it; then prove it by a search through every file."""
    _erase(cohort, [(subject, *also)], backups, **how)


def _erase(
    cohort: Path,
    people: Sequence[Sequence[str]],
    backups: Sequence[Path] = (),
    *,
    dry_run: bool,
    yes: bool,
    models: Any,
    leave: Sequence[Path],
    jobs: int,
    ledger: str | None,
) -> None:
    from personare.study.erasing import erase
    from personare.study.holdings import Places, find_person, register

    source = personare.open_cohort(cohort)
    book = personare.open_ledger(ledger, source.root)
    if not book.exists():
        click.echo("There is no ledger here: if studies wrote into another one, name it with --ledger.", err=True)
    persons = [find_person(source, subject, also, book) for subject, *also in people]
    places = Places.of(source, book, skip=leave, also=backups, models=models)
    for person in persons:
        _tell_holdings(places, person)
    if dry_run or not persons:
        return
    if not yes:
        click.confirm(
            f"Erase {len(persons)} of {len({r.subject for r in source.recordings})} people? This cannot be undone",
            abort=True,
        )
    missed = []
    for folder in backups:
        register(book, source, "backup", folder)
    for person in persons:
        try:
            erase(places, person, workers=personare.Workers(jobs=jobs))
            click.echo("Erased. A search through every file of these places finds nothing of the person.")
        except IncompleteError as error:  # the others are erased all the same
            missed.append(str(error))
    if missed:
        raise IncompleteError("\n".join(missed))


def _tell_holdings(places: Any, person: Any) -> None:
    from personare.study.holdings import WAYS

    click.echo(f"{', '.join(person.subjects)}:")
    alike = defaultdict(list)
    for holding in places.holdings(person):
        where = next((root for root in places.roots if holding.path.is_relative_to(root)), holding.path)
        alike[holding.action, where, holding.what, holding.why].append(holding.path)
    for (action, where, what, why), paths in alike.items():
        which = paths[0] if len(paths) == 1 else f"{len(paths)} in {where}"
        click.echo(f"  {which}, {what}: {WAYS[action]}. {why}".rstrip())


@click.command()
@click.argument("run", type=PATH, required=False)
@click.option("--expired", type=PATH, metavar="COHORT", help="Erase the people of a COHORT whose retention has ended.")
@_erasing
def purge(run: Path | None, expired: Path | None, **how: Any) -> None:
    """Remove what may not be sent of a finished RUN, or the people of a COHORT who may be kept no longer."""
    from personare.data.runs import RunFolder, private_folder
    from personare.study.holdings import expired as ended

    if (run is None) == (expired is None):
        raise OptionError("Give a RUN, or a cohort with --expired COHORT.")
    if expired is not None:
        people = ended(personare.open_cohort(expired))
        click.echo(f"{len(people)} people of {expired} may be kept no longer.")
        _erase(expired, [(subject,) for subject in people], **how)
        return
    assert run is not None
    private = private_folder(run)
    if not private.is_dir():
        raise DataError(f"There is no {private}: nothing of {run} is left to be removed.")
    if how["dry_run"]:
        click.echo(f"{private} would be removed.")
        return
    with RunFolder(run).lock():
        shutil.rmtree(private)
    click.echo(
        f"{private} is removed. {run} and its report stay as they are; a study there begins anew, and 'personare "
        "evaluate' and 'audit' no longer know whom its models were learned from."
    )
