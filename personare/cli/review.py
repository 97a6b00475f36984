"""The verb about those who rate releases: who they are, what they may see, and that they are forgotten."""

from pathlib import Path

import click

from personare.cli.terminal import LEDGER, PATH


@click.command()
@click.argument("path", type=PATH)
@click.option("--votes", default="", help="Votes file or database URL; default: beside PATH.")
@click.option("--consent", multiple=True, metavar="NAME", help="Record that this rater agreed that answers are kept.")
@click.option("--authorize", multiple=True, metavar="NAME", help="Let this rater see releases of real people.")
@click.option("--erase", multiple=True, metavar="NAME", help="Erase this rater, with all answers and notes.")
@LEDGER
def raters(
    path: Path,
    votes: str,
    consent: tuple[str, ...],
    authorize: tuple[str, ...],
    erase: tuple[str, ...],
    ledger: str | None,
) -> None:
    """List who rated the release or run at PATH; record what they may do; or erase them."""
    from personare.core.errors import DataError
    from personare.data.votes import votes_beside
    from personare.govern.ledger import Ledger
    from personare.study.reviewing import open_votes

    if not path.exists() and not votes and not votes_beside(path).exists():
        raise DataError(f"There is nothing at {path}, and no votes beside it. Give the run or cohort that was rated.")
    book = open_votes(path, votes, ledger=Ledger(ledger) if ledger else None)
    for name in consent:
        book.admit(name)
    for name in authorize:
        book.authorize(name)
    for name in erase:
        book.erase(name)
        click.echo(f"{name} is erased, with every answer, note and question.")
    for name, rater in sorted(book.raters.items()):
        agreed = f"agreed on {rater.consent[:10]}" if rater.consent else "has not agreed yet"
        real = ", may see releases of real people" if rater.purposes else ""
        click.echo(f"{name:<20} {agreed}, {len(rater.answers)} answers{real}")
    if not book.raters:
        click.echo("Nobody is recorded yet.")
