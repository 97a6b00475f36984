"""The verbs that make releases of people: study, anonymize, represent, synthesize."""

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

import personare
from personare.cli.terminal import (
    LEDGER,
    PATH,
    line,
    method_options,
    stated_use,
    tell_incomplete,
    tell_run,
    use_options,
)
from personare.core.channels import CHANNELS
from personare.core.errors import OptionError
from personare.core.types import Release


@click.command()
@click.argument("cohort", type=PATH, required=False)
@click.option("--config", type=PATH, help="Your own study file (TOML).")
@click.option("--preset", default="quick", show_default=True, help="A study that comes with personare.")
@click.option("--label", default="", help="What is read, e.g. depressed; default: the emotion, or the only label.")
@click.option("--purpose", default="", help="For which recordings are opened to be hidden; default: evaluation.")
@click.option("--out", type=PATH, default=Path("runs/study"), show_default=True, help="The run folder.")
@click.option("--seed", type=int, help="Everything random follows from it.")
@click.option("--jobs", type=int, default=-1, show_default=True, help="Processes; -1 for one a core.")
@click.option("--engine", default="loky", show_default=True, help="loky, dask, ray or slurm.")
@click.option(
    "--scheduler",
    "--address",
    "address",
    default="",
    help="A dask or ray cluster's; default: processes started here. With slurm: partition=...,walltime=...",
)
@use_options
@LEDGER
def study(cohort: Path | None, config: Path | None, preset: str, out: Path, seed: int | None, **how: Any) -> None:
    """Make every release of a COHORT, judge each by utility and real attacks, and write the report.

    Without a COHORT, people are made up first.
    """
    from personare.govern.consent import ending_soon, read_consent
    from personare.study.needs import lacking_of
    from personare.study.plan import for_tracks
    from personare.study.run import made_up_cohort, stages

    plan, text = personare.load_plan(preset, config, label=how["label"], purpose=how["purpose"], **stated_use(how))
    plan = plan if seed is None else replace(plan, seed=seed)
    real = personare.open_cohort(cohort) if cohort else None
    if real is not None and config is None:
        plan, left = for_tracks(plan, {track for r in real.recordings for track in r.tracks})
        if left:
            click.echo(f"left out of the preset, since no recording has such a track: {', '.join(left)}", err=True)
    workers = personare.Workers(jobs=how["jobs"], engine=how["engine"], address=how["address"])
    with workers.stages(stages(plan) + (real is None)) as workers:
        people = real or made_up_cohort(out / "cohort", plan, workers)
        note = ending_soon(read_consent(people.root / "consent.tsv"), datetime.now(UTC).date())
        for sentence in filter(None, [*lacking_of(people, plan), note]):
            click.echo(sentence, err=True)
        ledger = personare.open_ledger(how["ledger"], people.root)
        personare.run_study(people, plan, text, out, workers=workers, ledger=ledger)
    tell_run(out)


def _corrections(context: click.Context, option: click.Parameter, path: Path | None) -> Any:
    from personare.features.corrections import read_corrections

    return read_corrections(path) if path else ()


def _channel_options(command: Any) -> Any:
    for channel in reversed(CHANNELS):
        text = f"A method for {channel.name}, e.g. {channel.example}."
        command = click.option(f"--{channel.name}", default="", help=text)(command)
    return command


@click.command()
@click.argument("source", type=PATH)
@click.argument("target", type=click.Path())
@_channel_options
@click.option("--option", "-o", "options", multiple=True, metavar="METHOD.NAME=VALUE", help="An option of a method.")
@click.option("--keep", multiple=True, metavar="REGION", help="Leave this region (left,top,right,bottom in 0..1).")
@click.option("--only", multiple=True, metavar="REGION", help="Treat only this region.")
@click.option("--keep-sound", is_flag=True, help="Carry the ORIGINAL sound over: the voice stays identifiable.")
@click.option("--bleep-names", is_flag=True, help="Put a tone where names, places and the like are said (English).")
@click.option("--watermark", is_flag=True, help="Put a mark into the new voice that outlives re-encoding.")
@click.option("--background", type=PATH, help="Cohort to fit methods on that must learn from other people.")
@click.option(
    "--label", "labels", multiple=True, metavar="NAME", help="Let this label of a cohort leave; else none does."
)
@click.option(
    "--corrections",
    type=PATH,
    callback=_corrections,
    help="What was mended by hand, as the Hide room writes it (JSON).",
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--jobs", type=int, default=-1, show_default=True)
def anonymize(source: Path, target: str, **how: Any) -> None:
    """Hide the people of SOURCE (a file, a folder or a cohort) and write TARGET, a new file or folder.

    Sound is dropped from videos unless --voice or --keep-sound says otherwise. In a folder files are named by number;
    TARGET.key.tsv, which stays with you, says which is which.
    """
    from personare.study.anonymizing import passed_over

    form, options = "METHOD.NAME=VALUE, e.g. face_blur.strength=0.5", dict[str, dict[str, Any]]()
    for name, value in method_options(how["options"], form).items():
        method, dot, option = name.partition(".")
        if not dot:
            raise OptionError(f"-o takes {form}, not '{name}'.")
        options.setdefault(method, {})[option] = value
    regions = {name: how[name] for name in ("keep", "only") if how[name]}
    methods = {channel.name: how[channel.name] for channel in CHANNELS}
    chosen = {f"{name}_options": options.pop(method, {}) for name, method in methods.items() if method}
    if methods["face"]:
        chosen["face_options"] |= regions
    disguise = personare.Disguise(
        name="_".join(filter(None, methods.values())) or "nothing",
        **methods,
        **chosen,
        watermark=how["watermark"],
        bleep_names=how["bleep_names"],
        keep_sound=how["keep_sound"],
    )
    if options:
        raise OptionError(f"-o names {', '.join(options)}, which is none of the methods chosen.")
    for item in passed_over(source, Path(target), disguise.modalities):
        click.echo(f"not taken {line(item)}", err=True)
    remarks: list[str] = []
    settings = {name: how[name] for name in ("background", "labels", "corrections", "seed")}
    workers = personare.Workers(jobs=how["jobs"])
    release = personare.anonymize_path(source, target, disguise, **settings, workers=workers, remark=remarks.append)
    for sentence in remarks:
        click.echo(f"note {sentence}", err=True)
    for item in release.withheld:
        click.echo(f"withheld {line(item)}", err=True)
    _tell_release(release, disguise.face)
    if release.withheld:
        sys.exit(3)


def _tell_release(release: Release, face: str) -> None:
    from personare.anonymize._recordings import ADDED
    from personare.study.anonymizing import key_of

    made, frames, covered, smallest = (
        int(release.counts.get(name, 0))
        for name in ("recordings", "frames", "frames_covered_whole", "smallest_face_px")
    )
    summary = f"{release.root if made else 'nothing was written'}: {made} recordings, {len(release.withheld)} withheld"
    click.echo(f"{summary}, {covered} of {frames} frames covered whole." if face else f"{summary}.")
    mended = [f"{n:.0f} {name[12:]}" for name, n in release.counts.items() if name.startswith("corrections_")]
    if mended:
        click.echo(f"corrected by hand: {', '.join(mended)}")
    known = (*ADDED, "smallest_face_px")
    own = [f"{name} {n:.3g}" for name, n in release.counts.items() if not name.startswith((*known, "corrections_"))]
    if own:  # what a method itself counts
        click.echo(f"reached: {', '.join(own)}")
    if smallest:
        click.echo(f"smallest face promised: {smallest} px")
    if release.root.is_dir() and made:
        click.echo(f"{key_of(release.root)} says whose each file is: keep it apart from what you send.")


@click.command()
@click.argument("cohort", type=PATH)
@click.argument("out", type=PATH)
@click.option("--method", required=True, help="A representation, e.g. leace; see `personare methods`.")
@click.option("--then", multiple=True, help="A representation that follows it, as it comes; may be given again.")
@click.option("--label", default="emotion", show_default=True, help="What is to be kept.")
@click.option("--modality", "modalities", multiple=True, help="A track to read; default: all but films.")
@click.option("--epsilon", type=float, help="Local differential privacy of each recording, where the method has it.")
@click.option("--delta", type=float, help="The chance that this fails.")
@click.option("--public", type=PATH, help="Cohort of people whose data need no protection, for ranges and scaling.")
@click.option("--option", "-o", "options", multiple=True, metavar="NAME=VALUE", help="An option of the method.")
@click.option("--held-out", default=0.5, show_default=True, help="Share of people it is not fitted to, to judge it by.")
@click.option("--seed", default=0, show_default=True, help="Everything random follows from it.")
@use_options
@LEDGER
def represent(cohort: Path, out: Path, ledger: str | None, **how: Any) -> None:
    """Describe the behavior in COHORT without the person; OUT becomes a cohort with the track `representation`."""
    from personare.study.holdings import register
    from personare.study.kinds.representations import RepresentationPlan, write_representation

    settings = {name: how[name] for name in ("method", "label", "modalities", "held_out")}
    then = [{"method": name} for name in how["then"]]
    row = RepresentationPlan(name=how["method"], **settings, options=_options(how), then=then)
    judged = {"seed": how["seed"], **stated_use(how)}
    plan = personare.StudyPlan(representations=(row,), public=str(how["public"] or ""), **judged)
    work = _study(cohort, ledger, plan)
    register(work.ledger, work.cohort, "run", out)
    sheet = write_representation(work, row, out)
    click.echo(f"{out}: {sheet.holds[1]} representations.\nWhat can be claimed: {out / 'README.md'}")
    tell_incomplete(sheet.skipped)


@click.command()
@click.argument("cohort", type=PATH)
@click.argument("out", type=PATH)
@click.option("--method", default="joint", show_default=True, help="A generator; see `personare methods`.")
@click.option("--people", default=50, show_default=True, help="How many people to make up.")
@click.option("--recordings", default=12, show_default=True, help="Of each person.")
@click.option("--label", default="emotion", show_default=True, help="What recordings are made of.")
@click.option("--class", "classes", multiple=True, help="Make only this class, e.g. anger; may be given again.")
@click.option("--modality", "modalities", multiple=True, help="A track to learn; default: all but films.")
@click.option("--epsilon", type=float, help="Differential privacy: what learning may cost; default: none.")
@click.option("--delta", type=float, help="The chance that this fails; below one over the people.")
@click.option("--unit", type=click.Choice(["person"]), default="person", help="What is protected: all of one person.")
@click.option("--public", type=PATH, help="Cohort of people whose data need no protection, for ranges and scaling.")
@click.option("--option", "-o", "options", multiple=True, metavar="NAME=VALUE", help="An option of the method.")
@click.option("--held-out", default=0.25, show_default=True, help="Share of people kept out, to measure the risk by.")
@click.option("--shadows", default=8, show_default=True, help="Generators that attack it; 0 for none.")
@click.option("--canaries", default=8, show_default=True, help="Extreme people planted in them; 0 for none.")
@click.option("--media/--no-media", default=True, help="Make sound and films where a track allows it.")
@click.option("--watermark", is_flag=True, help="Put a mark into sound that outlives re-encoding.")
@click.option("--seed", default=0, show_default=True, help="Everything random follows from it.")
@click.option("--jobs", default=-1, show_default=True, help="Processes; -1 for one a core.")
@use_options
@LEDGER
def synthesize(cohort: Path, out: Path, ledger: str | None, **how: Any) -> None:
    """Make up people who do not exist after those of COHORT; OUT becomes a cohort with a card and a page to look at."""
    from personare.study.holdings import register
    from personare.study.kinds.synthetic import SyntheticPlan, write_synthetic

    settings = ("method", "people", "recordings", "label", "classes", "modalities", "held_out", "media", "watermark")
    row = SyntheticPlan(name=how["method"], **{name: how[name] for name in settings}, options=_options(how))
    judged = {name: how[name] for name in ("seed", "shadows", "canaries")} | stated_use(how)
    plan = personare.StudyPlan(synthetic=(row,), public=str(how["public"] or ""), **judged)
    work = _study(cohort, ledger, plan, workers=personare.Workers(jobs=how["jobs"]))
    register(work.ledger, work.cohort, "run", out)
    sheet = write_synthetic(work, row, out)
    people, recordings = sheet.holds
    click.echo(f"{out}: {recordings} recordings of {people} people who do not exist.")
    click.echo(f"Look and listen: {out / 'preview.html'}\nWhat can be claimed: {out / 'README.md'}")
    tell_incomplete(sheet.skipped)


@click.command()
@click.argument("run", type=PATH)
@click.option(
    "--feedback", help="Votes: the file or database that `personare review` wrote; default: RUN.votes.sqlite."
)
@click.option("--method", default="latent_policy", show_default=True, help="An adaptation; see `personare methods`.")
@click.option("--of", default="", help="The release whose people were rated; default: the only synthetic one.")
@click.option("--name", default="", help="Of the new release; default: OF_METHOD.")
@click.option("--option", "-o", "options", multiple=True, metavar="NAME=VALUE", help="An option of the method.")
@click.option("--jobs", type=int, default=-1, show_default=True, help="Processes; -1 for one a core.")
@LEDGER
def adapt(run: Path, feedback: str | None, method: str, ledger: str | None, **how: Any) -> None:
    """Adapt the generator of a RUN's synthetic people to experts' votes: one more release of the run, judged alike."""
    from personare.data.votes import votes_beside
    from personare.study.run import adapt_run

    row = {"method": method, "options": method_options(how["options"]), "of": how["of"]}
    row["feedback"] = feedback or str(votes_beside(run))
    name = adapt_run(run, row, how["name"], ledger=ledger, workers=personare.Workers(jobs=how["jobs"]))
    tell_run(run, f"Adapted: {run / 'releases' / name}\n")


def _study(cohort: Path, ledger: str | None, plan: Any, **how: Any) -> Any:
    from personare.study.study import Study

    people = personare.open_cohort(cohort)
    return Study(cohort=people, plan=plan, ledger=personare.open_ledger(ledger, people.root), **how)


def _options(how: dict[str, Any]) -> dict[str, Any]:
    privacy = {name: how[name] for name in ("epsilon", "delta") if how[name] is not None}
    return method_options(how["options"]) | privacy
