"""The verb that measures a whole: the assistant by ways of protecting it."""

from pathlib import Path

import click

import personare
from personare.cli.terminal import LEDGER, PATH, stated_use, tell_run, use_options


@click.group()
def benchmark() -> None:
    """Measure a part of personare on people who do not exist, or on yours."""


@benchmark.command()
@click.argument("cohort", type=PATH, required=False)
@click.option("--preset", type=click.Choice(["quick", "full"]), default="quick", show_default=True)
@click.option("--config", type=PATH, help="Your own study file with [[assistants]].")
@click.option("--out", type=PATH, default=Path("runs/assistant"), show_default=True, help="The run folder.")
@use_options
@LEDGER
def assistant(cohort: Path | None, preset: str, config: Path | None, out: Path, ledger: str | None, **how: str) -> None:
    """Teach assistants in the open and in private, and measure what each is worth and gives away.

    Without a COHORT of pictures, people are made up first. Needs 'personare models fetch smollm2'.
    """
    from personare.features.models import find_model
    from personare.study.plan import load_benchmark
    from personare.study.run import made_up_faces

    find_model("smollm2")  # before anything is made up
    plan, text = load_benchmark(f"assistant_{preset}", config, **stated_use(how))
    people = personare.open_cohort(cohort) if cohort else made_up_faces(out / "cohort", plan)
    book = personare.open_ledger(ledger, people.root)
    personare.run_study(people, plan, text, out, workers=personare.Workers(), ledger=book)
    tell_run(out)
