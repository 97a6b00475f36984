"""The command line: parse, call, print. Every verb imports what it needs when it runs, so that help comes at once."""

import io
import os
import sys
from pathlib import Path

import click

from personare import __version__
from personare.cli import (
    benchmark,
    cohort,
    consent,
    explain,
    federate,
    papers,
    release,
    review,
    rights,
    serve,
    storage,
    train,
    upkeep,
)
from personare.cli.terminal import PATH
from personare.core import registry
from personare.core.errors import IncompleteError, PersonareError, reason
from personare.core.interrupt import check_interrupt, remember_interrupts

__all__ = ["main"]

FOLDERS = {
    "anonymize": "Anonymizers",
    "represent": "Representations",
    "synthesize": "Generators of people",
    "adapt": "Adaptations of generators",
    "train": "Learners",
    "federate": "Federated algorithms",
    "assist.backends": "Backends of the assistant",
    "evaluate.attacks": "Attacks",
    "evaluate.utility": "Utility measures",
    "data.readers": "Readers of data sets",
    "study.kinds": "Kinds of releases",
}


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__)
@click.option("--device", help="Where networks learn: auto, cpu, cuda or mps; default: PERSONARE_DEVICE, or cpu.")
def cli(device: str | None) -> None:
    """Hide the people in recordings of behavior, and prove it with real attacks."""
    if device:
        os.environ["PERSONARE_DEVICE"] = device  # processes that are started inherit it


def main() -> None:
    """Run the command line; mistakes end with a sentence and exit status 2, what could not be made with 3."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name need not be text
    remember_interrupts()
    try:
        cli.main(standalone_mode=False)
        check_interrupt()
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except IncompleteError as error:
        click.echo(f"personare: {error}", err=True)
        sys.exit(3)
    except (PersonareError, OSError) as error:
        click.echo(f"personare: {error}", err=True)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("personare: stopped. The same command goes on where it stopped.", err=True)
        sys.exit(130)
    except Exception as error:
        click.echo(f"personare: {reason(error)}. This is a fault of personare: please report this line.", err=True)
        sys.exit(3)


@cli.command()
def methods() -> None:
    """List every method that was found, one line each."""
    for folder, title in FOLDERS.items():
        click.echo(click.style(f"\n{title}", bold=True))
        for method in registry.find(f"personare.{folder}").values():
            click.echo(f"  {method.name:<22} {method.question and f'[{method.question}] '}{method.summary}")


@cli.command()
@click.argument("run", type=PATH)
def report(run: Path) -> None:
    """Write the report of a RUN again from its results."""
    from personare.report import write_report

    click.echo(f"Report: {write_report(run)}")


for _verb in (
    release.study,
    release.anonymize,
    release.represent,
    release.synthesize,
    release.adapt,
    cohort.import_,
    cohort.simulate,
    cohort.validate,
    review.raters,
    consent.consent,
    train.train,
    train.evaluate,
    train.audit,
    federate.federate,
    explain.explain,
    train.privacy,
    train.reproduce,
    benchmark.benchmark,
    storage.lock,
    storage.unlock,
    upkeep.ledger,
    upkeep.models,
    upkeep.doctor,
    papers.papers,
    rights.purge,
    rights.my_data,
    rights.erase,
    rights.backup,
    serve.serve,
    serve.review,
):
    cli.add_command(_verb)
