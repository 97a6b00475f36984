"""The verbs that make releases of features: synthetic people, and representations without the person."""

from pathlib import Path
from typing import Any

import click

from personare.cli.learning import method_options, tell_incomplete

__all__ = ["represent", "synthesize"]

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("cohort", type=_PATH)
@click.argument("out", type=_PATH)
@click.option("--method", default="joint", show_default=True, help="A generator; see `personare methods`.")
@click.option("--people", default=50, show_default=True, help="How many people to make up.")
@click.option("--recordings", default=12, show_default=True, help="Of each person.")
@click.option("--label", default="emotion", show_default=True, help="What recordings are made of.")
@click.option("--class", "classes", multiple=True, help="Make only this class, e.g. anger; may be given again.")
@click.option("--modality", "modalities", multiple=True, help="A track to learn; default: all but films.")
@click.option("--epsilon", type=float, help="Differential privacy: what learning may cost; default: none.")
@click.option("--delta", type=float, help="The chance that this fails; below one over the people.")
@click.option("--unit", type=click.Choice(["person"]), default="person", help="What is protected: all of one person.")
@click.option("--public", type=_PATH, help="Cohort of people whose data need no protection, for ranges and scaling.")
@click.option("--option", "-o", "options", multiple=True, metavar="NAME=VALUE", help="An option of the method.")
@click.option("--held-out", default=0.25, show_default=True, help="Share of people kept out, to measure the risk by.")
@click.option("--shadows", default=8, show_default=True, help="Generators that attack it; 0 for none.")
@click.option("--canaries", default=8, show_default=True, help="Extreme people planted in them; 0 for none.")
@click.option("--media/--no-media", default=True, help="Make sound and films where a track allows it.")
@click.option("--seed", default=0, show_default=True, help="Everything random follows from it.")
@click.option("--jobs", default=-1, show_default=True, help="Processes; -1 for one a core.")
@click.option("--ledger", help="Ledger file or database URL; default: beside the cohort, or PERSONARE_LEDGER.")
def synthesize(cohort: Path, out: Path, ledger: str | None, **how: Any) -> None:
    """Make up people who do not exist after those of COHORT; OUT becomes a cohort with a card and a page to look at."""
    from personare.data.cohort import open_cohort
    from personare.study.kinds.synthetic import SyntheticPlan, write_synthetic
    from personare.study.opening import open_ledger
    from personare.study.parallel import Workers
    from personare.study.plan import StudyPlan
    from personare.study.study import Study

    named = ("method", "people", "recordings", "label", "classes", "modalities", "held_out", "media")
    row = SyntheticPlan(name=how["method"], **{name: how[name] for name in named}, options=_options(how))
    judged = {name: how[name] for name in ("seed", "shadows", "canaries")}
    plan = StudyPlan(synthetic=(row,), public=str(how["public"] or ""), **judged)
    real = open_cohort(cohort)
    study = Study(cohort=real, plan=plan, ledger=open_ledger(ledger, real.root), workers=Workers(jobs=how["jobs"]))
    written = write_synthetic(study, row, out)
    people, recordings = written.sheet.holds
    click.echo(f"{out}: {recordings} recordings of {people} people who do not exist.")
    click.echo(f"Look and listen: {out / 'preview.html'}\nWhat can be claimed: {out / 'README.md'}")
    tell_incomplete(written.skipped)


@click.command()
@click.argument("cohort", type=_PATH)
@click.argument("out", type=_PATH)
@click.option("--method", required=True, help="A representation, e.g. leace; see `personare methods`.")
@click.option("--then", multiple=True, help="A representation that follows it, as it comes; may be given again.")
@click.option("--label", default="emotion", show_default=True, help="What is to be kept.")
@click.option("--modality", "modalities", multiple=True, help="A track to read; default: all but films.")
@click.option("--epsilon", type=float, help="Local differential privacy of each recording, where the method has it.")
@click.option("--delta", type=float, help="The chance that this fails.")
@click.option("--public", type=_PATH, help="Cohort of people whose data need no protection, for ranges and scaling.")
@click.option("--option", "-o", "options", multiple=True, metavar="NAME=VALUE", help="An option of the method.")
@click.option("--held-out", default=0.5, show_default=True, help="Share of people it is not fitted to, to judge it by.")
@click.option("--seed", default=0, show_default=True, help="Everything random follows from it.")
@click.option("--ledger", help="Ledger file or database URL; default: beside the cohort, or PERSONARE_LEDGER.")
def represent(cohort: Path, out: Path, ledger: str | None, **how: Any) -> None:
    """Describe the behavior in COHORT without the person; OUT becomes a cohort with the track `representation`."""
    from personare.data.cohort import open_cohort
    from personare.study.kinds.representations import RepresentationPlan, write_representation
    from personare.study.opening import open_ledger
    from personare.study.plan import StudyPlan
    from personare.study.study import Study

    named = ("method", "label", "modalities", "held_out")
    then = [{"method": name} for name in how["then"]]
    row = RepresentationPlan(name=how["method"], **{n: how[n] for n in named}, options=_options(how), then=then)
    plan = StudyPlan(representations=(row,), public=str(how["public"] or ""), seed=how["seed"])
    real = open_cohort(cohort)
    study = Study(cohort=real, plan=plan, ledger=open_ledger(ledger, real.root))
    written = write_representation(study, row, out)
    click.echo(f"{out}: {len(written.cohort.recordings)} representations.\nWhat can be claimed: {out / 'README.md'}")
    tell_incomplete(written.skipped)


def _options(how: dict[str, Any]) -> dict[str, Any]:
    given = {name: how[name] for name in ("epsilon", "delta") if how[name] is not None}
    return method_options(how["options"]) | given
