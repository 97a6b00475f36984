"""The command line: parse, call, print. Every verb imports what it needs when it runs, so that help comes at once."""

import io
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from personare import __version__
from personare.cli import learning, making, upkeep
from personare.core import registry
from personare.core.errors import IncompleteError, OptionError, PersonareError, reason
from personare.core.types import Withheld

__all__ = ["main"]

FOLDERS = {
    "anonymize": "Anonymizers",
    "represent": "Representations",
    "synthesize": "Generators of people",
    "train": "Learners",
    "evaluate.attacks": "Attacks",
    "evaluate.utility": "Utility measures",
    "data.readers": "Readers of data sets",
    "study.kinds": "Kinds of releases",
}
PATH = click.Path(path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__)
def cli() -> None:
    """Hide the people in recordings of behavior, and prove it with real attacks."""


def main() -> None:
    """Run the command line; mistakes end with a sentence and exit status 2, what could not be made with 3."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name need not be text
    try:
        cli.main(standalone_mode=False)
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
@click.argument("cohort", type=PATH, required=False)
@click.option("--config", type=PATH, help="Your own study file (TOML).")
@click.option("--preset", default="quick", show_default=True, help="A study that comes with personare.")
@click.option("--label", default="", help="What is read, e.g. depressed; default: the emotion, or the only label.")
@click.option("--out", type=PATH, default=Path("runs/study"), show_default=True, help="The run folder.")
@click.option("--seed", type=int, help="Everything random follows from it.")
@click.option("--jobs", type=int, default=-1, show_default=True, help="Processes; -1 for one a core.")
@click.option("--engine", default="loky", show_default=True, help="loky, dask or ray.")
@click.option("--ledger", help="Ledger file or database URL; default: beside the cohort, or PERSONARE_LEDGER.")
def study(cohort: Path | None, config: Path | None, preset: str, out: Path, seed: int | None, **how: Any) -> None:
    """Make every release of a COHORT, judge each by utility and real attacks, and write the report.

    Without a COHORT, people are made up first.
    """
    from dataclasses import replace

    from personare.data.cohort import open_cohort
    from personare.study.needs import lacking_of
    from personare.study.opening import open_ledger
    from personare.study.parallel import Workers
    from personare.study.plan import for_tracks, load_plan
    from personare.study.run import made_up_cohort, run_study, stages

    plan, text = load_plan(preset, config, label=how["label"])
    plan = plan if seed is None else replace(plan, seed=seed)
    real = open_cohort(cohort) if cohort else None
    if real is not None and config is None:
        plan, left = for_tracks(plan, {track for r in real.recordings for track in r.tracks})
        if left:
            click.echo(f"left out of the preset, since no recording has such a track: {', '.join(left)}", err=True)
    with Workers(jobs=how["jobs"], engine=how["engine"]).stages(stages(plan) + (real is None)) as workers:
        people = real or made_up_cohort(out / "cohort", plan, workers)
        for line in lacking_of(people, plan):
            click.echo(line, err=True)
        run_study(people, plan, text, out, workers=workers, ledger=open_ledger(how["ledger"], people.root))
    learning.tell_run(out)


@cli.command()
@click.argument("source", type=PATH)
@click.argument("target", type=click.Path())
@click.option("--face", default="", help="A face method, e.g. face_blur.")
@click.option("--voice", default="", help="A voice method, e.g. voice_mcadams.")
@click.option("--option", "-o", "options", multiple=True, metavar="METHOD.NAME=VALUE", help="An option of a method.")
@click.option("--keep", multiple=True, metavar="REGION", help="Leave this region (left,top,right,bottom in 0..1).")
@click.option("--only", multiple=True, metavar="REGION", help="Treat only this region.")
@click.option("--keep-sound", is_flag=True, help="Carry the ORIGINAL sound over: the voice stays identifiable.")
@click.option("--background", type=PATH, help="Cohort to fit methods on that must learn from other people.")
@click.option(
    "--label", "labels", multiple=True, metavar="NAME", help="Let this label of a cohort leave; else none does."
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--jobs", type=int, default=-1, show_default=True)
def anonymize(source: Path, target: str, face: str, voice: str, **how: Any) -> None:
    """Hide the people of SOURCE (a file, a folder or a cohort) and write TARGET, a new file or folder.

    Sound is dropped from videos unless --voice or --keep-sound says otherwise. In a folder files are named by number;
    TARGET.key.tsv, which stays with you, says which is which.
    """
    from personare.anonymize._recordings import Disguise
    from personare.study.anonymizing import anonymize_path, key_of, passed_over
    from personare.study.parallel import Workers

    chosen = _options(how["options"])
    regions = {name: how[name] for name in ("keep", "only") if how[name]}
    disguise = Disguise(
        name="_".join(filter(None, (face, voice))) or "nothing",
        face=face,
        voice=voice,
        face_options={**chosen.pop(face, {}), **regions} if face else {},
        voice_options=chosen.pop(voice, {}) if voice else {},
        keep_sound=how["keep_sound"],
    )
    if chosen:
        raise OptionError(f"-o names {', '.join(chosen)}, which is neither the face nor the voice method chosen.")
    for item in passed_over(source, Path(target)):
        click.echo(f"not taken {_line(item)}", err=True)
    remarks: list[str] = []
    given = {name: how[name] for name in ("background", "labels", "seed")}
    release = anonymize_path(
        source, target, disguise, **given, workers=Workers(jobs=how["jobs"]), remark=remarks.append
    )
    for sentence in remarks:
        click.echo(f"note {sentence}", err=True)
    for item in release.withheld:
        click.echo(f"withheld {_line(item)}", err=True)
    made, frames, covered, smallest = (
        int(release.counts.get(name, 0))
        for name in ("recordings", "frames", "frames_covered_whole", "smallest_face_px")
    )
    said = f"{release.root if made else 'nothing was written'}: {made} recordings, {len(release.withheld)} withheld"
    click.echo(f"{said}, {covered} of {frames} frames covered whole." if face else f"{said}.")
    if smallest:
        click.echo(f"smallest face promised: {smallest} px")
    if release.root.is_dir() and made:
        click.echo(f"{key_of(release.root)} says whose each file is: keep it apart from what you send.")
    if release.withheld:
        sys.exit(3)


def _line(item: Withheld) -> str:
    text = f"{item.item}: {item.problem.rstrip('.')}. {item.fix}"
    return text.encode("utf-8", "backslashreplace").decode()  # a file's name need not be text


def _options(given: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Read METHOD.NAME=VALUE."""
    found: dict[str, dict[str, Any]] = {}
    for name, value in learning.method_options(given, "METHOD.NAME=VALUE, e.g. face_blur.strength=0.5").items():
        method, dot, option = name.partition(".")
        if not dot:
            raise OptionError(f"-o takes METHOD.NAME=VALUE, e.g. face_blur.strength=0.5, not '{name}'.")
        found.setdefault(method, {})[option] = value
    return found


@cli.command("import")
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
def import_(
    source: Path, cohort: Path, reader: str, options: tuple[str, ...], consent_all: tuple[str, ...], pseudonyms: str
) -> None:
    """Bring SOURCE into a new COHORT folder, or up to date one made of it; what cannot be read is listed."""
    from personare.data.importing import import_cohort
    from personare.features.audio import extract_sound
    from personare.features.files import Cutter, check, remarks
    from personare.study.parallel import Workers

    def examine(path: Path, track: str) -> list[str]:
        check(path, track)
        return remarks(path) if track in ("audio", "video") else []

    notes: list[str] = []
    purposes = [purpose.strip() for text in consent_all for purpose in text.split(",") if purpose.strip()]
    made, skipped = import_cohort(
        source,
        cohort,
        reader=reader,
        options=learning.method_options(options),
        consent_purposes=purposes,
        pseudonyms=pseudonyms,
        check=examine,
        extract_sound=extract_sound,
        cut=Cutter(),
        progress=Workers().bar("import"),
        remark=notes.append,
    )
    for sentence in notes:
        click.echo(f"note: {sentence}", err=True)
    for item in skipped:
        click.echo(f"skipped {_line(item)}", err=True)
    people = len({r.subject for r in made.recordings})
    click.echo(f"{cohort}: {len(made.recordings)} recordings of {people} people, {len(skipped)} skipped.")
    _tell_consent(cohort)


def _tell_consent(cohort: Path) -> None:
    """Say which of the usual verbs consent does not allow yet, and how to note it."""
    from personare.govern.consent import read_consent

    noted = {
        purpose.strip() for text in read_consent(cohort / "consent.tsv")["purposes"] for purpose in text.split(",")
    }
    needed = {"evaluation": "study", "training": "study and train", "anonymization": "anonymize"}
    missing = [purpose for purpose in needed if purpose not in noted]
    if missing:
        verbs = ", ".join(f"{purpose} (for {needed[purpose]})" for purpose in missing)
        click.echo(
            f"Nobody's consent is noted yet to {verbs}: fill consent.tsv, or, where everybody agreed, give the same "
            f"command again with --consent-all {','.join(missing)}."
        )


@cli.command()
@click.argument("cohort", type=PATH)
@click.option("--people", type=int, default=12, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--jobs", type=int, default=-1, show_default=True)
def simulate(cohort: Path, people: int, seed: int, jobs: int) -> None:
    """Make up people who do not exist, with faces, voices and what was set."""
    from personare.simulate.cohort import simulate_cohort
    from personare.study.parallel import Workers

    made = simulate_cohort(cohort, people=people, seed=seed, workers=jobs, progress=Workers().bar("make up people"))
    click.echo(f"{cohort}: {len(made.recordings)} recordings of {people} made-up people.")


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


@cli.command()
@click.argument("cohort", type=PATH)
def validate(cohort: Path) -> None:
    """List every problem of a COHORT folder, with the file and the fix."""
    from personare.data.validate import validate as problems_of
    from personare.features.files import check

    problems = problems_of(cohort, check=check)
    click.echo("\n".join([*map(_line, problems), f"{len(problems)} problems."]))
    if problems:
        sys.exit(2)


for _verb in (
    learning.train,
    learning.evaluate,
    learning.audit,
    learning.privacy,
    learning.reproduce,
    making.synthesize,
    making.represent,
    upkeep.ledger,
    upkeep.models,
    upkeep.doctor,
    upkeep.purge,
):
    cli.add_command(_verb)
