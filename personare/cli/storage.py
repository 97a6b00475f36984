"""The verbs that encrypt a cohort where it lies, and decrypt it."""

from pathlib import Path

import click

import personare
from personare.cli.terminal import ask_passphrase, tell_incomplete

_COHORT = click.argument("cohort", type=click.Path(path_type=Path))


@_COHORT
@click.command()
def lock(cohort: Path) -> None:
    """Encrypt the files of a COHORT, each person's under a key of their own; a passphrase opens the keys."""
    from personare.data.cohort import read_description
    from personare.govern.storage import keys_folder, lock_cohort

    read_description(cohort)
    keys = keys_folder(cohort)
    passphrase = ask_passphrase(cohort, new=not keys.exists())
    failed = lock_cohort(cohort, passphrase, personare.Workers().bar("lock"))
    click.echo(
        f"{cohort} is locked. Its keys lie in {keys}: whoever loses them, or the passphrase, loses the recordings; "
        "keep a copy of both, never with a copy of the cohort. Names of files, labels and tables stay readable."
    )
    if (names := cohort.resolve().with_name(f"{cohort.resolve().name}.key.tsv")).exists():
        click.echo(f"{names} tells who is who and is not encrypted: import again with --encrypt-key, or hide it well.")
    tell_incomplete(failed)


@_COHORT
@click.command()
def unlock(cohort: Path) -> None:
    """Decrypt the files of a COHORT for good. To work with a locked one this is not needed."""
    from personare.govern.storage import keys_folder, unlock_cohort

    failed = unlock_cohort(cohort, ask_passphrase(cohort), personare.Workers().bar("unlock"))
    click.echo(f"{cohort} is unlocked. {keys_folder(cohort)} stays: locked copies need it.")
    tell_incomplete(failed)
