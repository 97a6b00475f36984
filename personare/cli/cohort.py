"""The verbs about cohorts: import, simulate, validate."""

import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import click

import personare
from personare.cli.terminal import PATH, ask_passphrase, line, method_options
from personare.core.errors import PersonareError


@click.command("import")
@click.argument("source", type=PATH)
@click.argument("cohort", type=PATH)
@click.option("--reader", required=True, help="How SOURCE is laid out; see `personare methods`.")
@click.option("--option", "-o", "options", multiple=True, metavar="NAME=VALUE", help="An option of the reader.")
@click.option(
    "--consent-all",
    multiple=True,
    metavar="PURPOSE[,PURPOSE]",
    help="Note that everybody agreed to these purposes: study needs evaluation and training, anonymize anonymization.",
)
@click.option(
    "--pseudonyms",
    type=click.Choice(["names", "all", "none"]),
    default="names",
    show_default=True,
    help="Who gets a number: people called by a name and not a code, everybody, or nobody. The key lies beside COHORT.",
)
@click.option("--encrypt-key", is_flag=True, help="Encrypt that key, under a passphrase that is asked for.")
def import_(
    source: Path,
    cohort: Path,
    reader: str,
    options: tuple[str, ...],
    consent_all: tuple[str, ...],
    pseudonyms: str,
    encrypt_key: bool,
) -> None:
    """Bring SOURCE into a new COHORT folder, or up to date one made of it; what cannot be read is listed."""
    from personare.data.importing import import_cohort
    from personare.features.audio import extract_sound
    from personare.features.files import Cutter, check, remarks
    from personare.govern.consent import read_consent
    from personare.govern.storage import keys_folder

    def examine(path: Path, track: str) -> list[str]:
        check(path, track)
        return remarks(path) if track in ("audio", "video") else []

    if encrypt_key:
        ask_passphrase(cohort, new=not keys_folder(cohort).exists())
    notes: list[str] = []
    purposes = [purpose.strip() for text in consent_all for purpose in text.split(",") if purpose.strip()]
    made, skipped = import_cohort(
        source,
        cohort,
        reader=reader,
        options=method_options(options),
        consent_purposes=purposes,
        pseudonyms=pseudonyms,
        check=examine,
        extract_sound=extract_sound,
        cut=Cutter(),
        progress=personare.Workers().bar("import"),
        remark=notes.append,
    )
    for sentence in notes:
        click.echo(f"note: {sentence}", err=True)
    for item in skipped:
        click.echo(f"skipped {line(item)}", err=True)
    people = len({r.subject for r in made.recordings})
    click.echo(f"{cohort}: {len(made.recordings)} recordings of {people} people, {len(skipped)} skipped.")
    allowed = {p.strip() for text in read_consent(cohort / "consent.tsv")["purposes"] for p in text.split(",")}
    needed = {"evaluation": "study", "training": "study and train", "anonymization": "anonymize"}
    missing = [purpose for purpose in needed if purpose not in allowed]
    if missing:
        verbs = ", ".join(f"{purpose} (for {needed[purpose]})" for purpose in missing)
        click.echo(
            f"Nobody's consent is noted yet to {verbs}: fill consent.tsv, or, where everybody agreed, give the same "
            f"command again with --consent-all {','.join(missing)}."
        )


@click.command()
@click.argument("cohort", type=PATH)
@click.option("--people", type=int, default=12, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--jobs", type=int, default=-1, show_default=True)
def simulate(cohort: Path, people: int, seed: int, jobs: int) -> None:
    """Make up people who do not exist, with faces, voices and what was set."""
    from personare.simulate.cohort import simulate_cohort

    progress = personare.Workers().bar("make up people")
    made = simulate_cohort(cohort, people=people, seed=seed, workers=jobs, progress=progress)
    click.echo(f"{cohort}: {len(made.recordings)} recordings of {people} made-up people.")


@click.command()
@click.argument("cohort", type=PATH)
def validate(cohort: Path) -> None:
    """List every problem of a COHORT folder, with the file and the fix."""
    from personare.data.validate import validate as problems_of
    from personare.features.files import check
    from personare.govern.consent import ending_soon, read_consent

    problems = problems_of(cohort, check=check)
    click.echo("\n".join([*map(line, problems), f"{len(problems)} problems."]))
    with suppress(PersonareError):  # a table that cannot be read is among the problems
        if note := ending_soon(read_consent(cohort / "consent.tsv"), datetime.now(UTC).date()):
            click.echo(f"note: {note}", err=True)
    if problems:
        sys.exit(2)
