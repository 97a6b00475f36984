"""The verbs about models: train, evaluate, audit, price privacy, and reproduce a paper."""

from pathlib import Path
from typing import Any

import click

import personare
from personare.cli.terminal import LEDGER, PATH, method_options, stated_use, tell_run, use_options
from personare.core.errors import OptionError, PolicyError


@click.command()
@click.argument("cohort", type=PATH)
@click.option("--method", required=True, help="A learner, e.g. private_head; see `personare methods`.")
@click.option("--label", default="emotion", show_default=True, help="What is learned.")
@click.option("--modality", "modalities", multiple=True, help="A track to read; default: all but films.")
@click.option("--protocol", default="person_folds", show_default=True, help="How people are kept apart.")
@click.option("--epsilon", type=float, help="Differential privacy: what training may cost; default: none.")
@click.option("--delta", type=float, help="The chance that this fails; below one over the units.")
@click.option("--unit", type=click.Choice(["person", "recording"]), help="What is protected.")
@click.option("--public", type=PATH, help="Cohort of people whose data need no protection, for scaling.")
@click.option("--option", "-o", "options", multiple=True, metavar="NAME=VALUE", help="An option of the method.")
@click.option("--sites", default=1, show_default=True, help="Train over so many sites; recordings stay at theirs.")
@click.option("--site-column", default="", help="Where everybody is, in place of --sites; a column, e.g. site.")
@click.option("--federation", default="fedavg", show_default=True, help="How sites learn together: personare methods.")
@click.option("--rounds", default=8, show_default=True, help="Of learning over the sites.")
@click.option("--secure", is_flag=True, help="Secure aggregation: nobody sees what one site sent.")
@click.option("--noise", default="site", show_default=True, help="Of each site, or shared by all (with --secure).")
@click.option("--site-protocol", "differing", multiple=True, metavar="NAME=VALUE", help="How sites are made to differ.")
@click.option("--shadows", default=8, show_default=True, help="Models that attack it; 0 for none.")
@click.option("--out", type=PATH, default=Path("runs/model"), show_default=True, help="The run folder.")
@click.option("--seed", default=0, show_default=True, help="Everything random follows from it.")
@use_options
@LEDGER
def train(cohort: Path, method: str, out: Path, ledger: str | None, **how: Any) -> None:
    """Train a model on a COHORT, judge it on people it never met, attack it, and write model, card and report."""
    from personare.study.kinds.models import ModelPlan
    from personare.study.plan import as_toml

    options = method_options(how["options"])
    options |= {name: how[name] for name in ("epsilon", "delta", "unit") if how[name] is not None}
    settings = {name: how[name] for name in ("modalities", "label", "protocol")}
    settings |= {name: how[name] for name in ("sites", "site_column", "federation", "rounds", "secure", "noise")}
    settings["site_protocol"] = method_options(how["differing"], "NAME=VALUE, e.g. label_skew=0.3")
    model = ModelPlan(name=method, method=method, options=options, **settings)
    public = str(how["public"].resolve()) if how["public"] else ""
    judged = {"shadows": how["shadows"], "seed": how["seed"], **stated_use(how)}
    plan = personare.StudyPlan(models=(model,), public=public, **judged)
    people = personare.open_cohort(cohort)
    book = personare.open_ledger(ledger, people.root)
    personare.run_study(people, plan, as_toml(plan), out, workers=personare.Workers(), ledger=book)
    tell_run(out, f"Model: {out / 'releases' / method}\n")


@click.command()
@click.argument("run", type=PATH)
@click.option("--cohort", type=PATH, help="Other people to judge by; default: those kept out of training.")
@LEDGER
def evaluate(run: Path, cohort: Path | None, ledger: str | None) -> None:
    """Measure the models of a RUN: accuracy, calibration, by sex and age, with missing and noisy modalities."""
    from personare.data.runs import private_folder
    from personare.study.examine import evaluate_run

    rows = evaluate_run(run, cohort, ledger)
    table = rows[["release", "method", "figure", "subset", "value", "low", "high", "n"]]
    click.echo(table.round(3).to_string(index=False))
    why = private_folder(run) / "explanations"
    click.echo(f"\nNumbers: {run / 'evaluation.json'}\nWhy single answers came out: {why}")


@click.command()
@click.argument("run", type=PATH)
@click.option("--shadows", default=32, show_default=True, help="Models trained alike on halves of the people.")
@click.option("--canaries", default=500, show_default=True, help="Planted recordings of the one-run audit.")
@LEDGER
def audit(run: Path, shadows: int, canaries: int, ledger: str | None) -> None:
    """Attack the models of a RUN: every membership attack, and a lower bound of the privacy they spent."""
    from personare.study.examine import audit_run

    rows = audit_run(run, ledger, shadows=shadows, canaries=canaries)
    table = rows[["release", "method", "figure", "value", "low", "high", "control", "reason"]]
    click.echo(table.round(3).to_string(index=False, max_colwidth=90))
    click.echo(f"\nNumbers: {run / 'audit.json'}")
    if (rows.status == "claim_broken").any():
        raise PolicyError("An attack found more than a claim allows: do not release these models.")


@click.group()
def privacy() -> None:
    """What differential privacy costs, before anything is trained."""


@privacy.command()
@click.option("--epsilon", type=float, required=True, help="What training may cost.")
@click.option("--people", type=click.IntRange(1), required=True)
@click.option("--recordings", type=click.IntRange(1), required=True, help="Of all people together.")
@click.option("--unit", type=click.Choice(["person", "recording"]), default="person", show_default=True)
@click.option("--delta", type=float, help="Default: a tenth of one over the units.")
@click.option("--batch", type=float, help="Units in a step on average; default: all.")
@click.option("--steps", default=1, show_default=True)
@click.option("--releases", default=1, show_default=True, help="Sums released of each batch, e.g. one a modality.")
def plan(epsilon: float, people: int, recordings: int, unit: str, **how: Any) -> None:
    """Print noise, steps and price by accountant and unit."""
    from personare.learn.privacy import PrivacyPlan, privacy_table

    if recordings < people:
        raise OptionError(f"{people} people have at least as many recordings, not {recordings}: count all together.")
    units = people if unit == "person" else recordings
    made = PrivacyPlan(
        epsilon=epsilon,
        delta=0.1 / units if how["delta"] is None else how["delta"],
        unit="person" if unit == "person" else "recording",
        units=units,
        expected_batch=units if how["batch"] is None else how["batch"],
        steps=how["steps"],
        releases=how["releases"],
    )
    click.echo(
        f"{made.steps} steps of {made.expected_batch:g} {unit}s each on average (of {units}, chance "
        f"{made.sampling_rate:.4g}), {made.releases} released sums a step.\n"
        f"Noise: {made.noise_multiplier:.4g} times the clip norm in each sum, "
        f"{made.noise_multiplier / made.expected_batch:.4g} of it in the mean.\n"
    )
    each = max(round(recordings / people), 1)
    for price in privacy_table(made, recordings=tuple(sorted({1, 5, each} - {1}))):
        whose = f"a person with {price.recordings} recordings" if price.recordings > 1 else f"one {price.unit}"
        click.echo(f"epsilon {price.epsilon:8.3f} at delta {price.delta:.1e} for {whose} ({price.accountant})")


@click.command()
@click.argument("paper", type=click.Choice(["pamrl"]))
@click.option("--cohort", type=PATH, required=True)
@click.option("--label", default="emotion", show_default=True)
@click.option("--modality", "modalities", multiple=True, help="A track to read; default: all but films.")
@click.option("--public", type=PATH, help="Cohort of people whose data need no protection, for scaling.")
@click.option("--protocol", default="leaky_random_9_1", show_default=True, help="The paper's; or person_folds.")
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True)
@click.option("--shadows", default=8, show_default=True)
@click.option("--epochs", type=int, help="Of the networks; default: as many as each has by itself.")
@click.option("--out", type=PATH, default=Path("runs/pamrl"), show_default=True)
@LEDGER
def reproduce(paper: str, cohort: Path, out: Path, ledger: str | None, **how: Any) -> None:
    """Run a PAPER's comparison on a cohort and print its table with ours beside it, as CSV, LaTeX and a picture too."""
    from personare.study.reproduce import reproduce_pamrl

    people = personare.open_cohort(cohort)
    click.echo(reproduce_pamrl(people, out, ledger=personare.open_ledger(ledger, people.root), **how))
    click.echo(f"\nTables and picture: {out}")
