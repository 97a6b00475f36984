"""Runs a study: every release made, judged by utility and risk, and written into one run folder."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from operator import call
from pathlib import Path
from typing import Any

from personare.core.atomic import write_text
from personare.core.errors import DataError, OptionError, PersonareError
from personare.core.randomness import serial_sums
from personare.core.types import Cohort, Withheld
from personare.data.cohort import UNFINISHED, cohort_kind, open_cohort
from personare.data.labels import kind_of_label
from personare.data.runs import RunFolder, private_folder
from personare.features.tracks import observed_tracks
from personare.govern.ledger import Ledger
from personare.report import write_report
from personare.simulate.cohort import simulate_cohort
from personare.simulate.portraits import simulate_portraits
from personare.study import outputs
from personare.study.access import open_ledger
from personare.study.adapting import human_rows
from personare.study.holdings import register
from personare.study.labels import choose_label, values_of
from personare.study.lineage import ORIGINAL, remove_dropped, remove_withdrawn
from personare.study.parallel import Workers
from personare.study.plan import StudyPlan, kinds, read_plan, toml, with_setting
from personare.study.study import Kind, Outcome, Study


def run_study(cohort: Cohort, plan: StudyPlan, text: str, out: Path, *, workers: Workers, ledger: Ledger) -> Path:
    """Make and judge every release of a plan; the originals stay where they are, the run folder tells what came out.

    **Guarantee**: what an earlier run made of recordings that may not be used any more is removed before anything else
    is done; what depends on changed recordings, labels, options or seed is made anew. One release, attack or measure
    that fails never stops the others: it is in ``not_made.json``, or a row without a figure and with the reason.

    All of the run folder ``out`` may be sent; ``<out>.private``, beside it, may not. A finished step is not done again,
    a killed run goes on. ``text``, the plan as its file said it, is kept there. Returns ``out/report.html``.

    Raises:
        PersonareError: Nothing of what was planned can be made, and how to mend that; or another process works in the
            same folder.
    """
    plan = choose_label(cohort, plan)
    # a process that was begun earlier may stand in another folder
    people, run = replace(cohort, root=cohort.root.resolve()), RunFolder(out.resolve())
    with (
        run.lock(),
        serial_sums(),
        workers.on_cluster(people.root, run.private, ledger) as shared,
        shared.stages(stages(plan)) as shared,
    ):
        outcome = Outcome()
        for name, why in remove_withdrawn(run, people, ledger).items():
            outcome.skipped.append(Withheld(item=f"release {name}", problem=why, fix="It was removed."))
        study = Study(cohort=people, plan=plan, ledger=ledger, run=run, workers=shared)
        register(ledger, cohort, "run", out)  # once the policy allows it
        tasks: list[tuple[Kind, Any]] = []
        for table, kind in kinds().items():
            rows = plan.rows(table)
            if not getattr(kind, "parallel", False):
                tasks += [(kind(), row) for row in rows]
            elif rows:
                outcome.add(kind()(study, rows))
        if tasks:
            _learn(study, tasks, outcome)
        if not outcome.releases and outcome.refused:
            why = "; ".join(f"{item.item}: {item.problem}" for item in outcome.not_made)
            raise DataError(f"Nothing could be made of {cohort.name}. {why}")
        try:
            outcome.rows += human_rows(study, outcome.releases)
        except PersonareError as error:  # votes that were changed cost nobody the report
            outcome.skipped.append(Withheld(item="what raters found", problem=str(error), fix="Then run again."))
        # only now: a refused run leaves the last one's as it was
        remove_dropped(run, plan.names)
        text = with_setting(with_setting(text, "seed", plan.seed), "label", plan.label)
        outputs.write(run, cohort, plan, text, outcome, ledger)
        return write_report(out)


def stages(plan: StudyPlan) -> int:
    """Return in how many stages of work a plan is carried out."""
    adapted = any(row.adapt for row in plan.synthetic)
    return (2 * len(plan.releases) + 3 if plan.releases else 0) + (len(plan.names) > len(plan.releases)) + adapted


def _learn(study: Study, tasks: Sequence[tuple[Kind, Any]], outcome: Outcome) -> None:
    """Make all that is learned from people; each release is one process's work, and one that fails stops no other."""
    tracks = observed_tracks(study.folder.private / "views" / ORIGINAL)
    # in another process one process does the work, and shows nothing
    inside = replace(study, workers=Workers(jobs=1, quiet=True), tracks=tracks)
    for _, row in tasks:  # what several learn from is opened before it is handed to several processes
        with suppress(Exception):  # each release meets it again and says it
            inside.opened(row)
    for task in study.plan.transfer if study.plan.representations else ():
        with suppress(Exception):
            if not task.cohort:
                inside.open(task.label, ())
    # what takes longest is begun first and keeps no process waiting; what is made of another release follows it
    order = sorted(tasks, key=lambda item: not getattr(item[0], "slow", False))
    # what one release costs a person must be in the ledger before the next one is priced
    workers = replace(study.workers, jobs=1) if study.plan.budget else study.workers
    made: dict[str, Outcome] = {}
    for what, follows in (("learn from people", False), ("adapt to experts", True)):
        part = [(kind, row) for kind, row in order if bool(getattr(row, "adapt", None)) == follows]
        work = {row.name: partial(_outcome, inside, kind, row) for kind, row in part}
        if work:
            made |= dict(workers.run(what, work, call, lambda name, error: Outcome().missed(name, error)))
    for _, row in tasks:
        outcome.add(made[row.name])


def _outcome(study: Study, kind: Kind, row: Any) -> Outcome:
    """Make a release that is learned from classes, or say why it cannot be made, in some process."""

    def make() -> Outcome:
        label = getattr(row, "label", "")
        label_kinds = {"": "", study.plan.label: study.plan.kind}  # not every kind of release learns a label
        if label not in label_kinds:
            label_kinds[label] = kind_of_label(values_of(study.cohort, label))
        if label_kinds[label] == "continuous":
            raise DataError(
                f"It needs classes to learn from, and {label} is continuous. Name another label for it in the study "
                "file"
            )
        return kind(study, (row,))

    return Outcome().attempt(row.name, make)


def made_up_cohort(root: Path, plan: StudyPlan, workers: Workers) -> Cohort:
    """Return the embedded default: people who do not exist, made once and kept in ``root``."""

    def simulated() -> Cohort:
        bar = workers.bar("make up people")
        return simulate_cohort(root, people=plan.people, seed=plan.seed, workers=workers.jobs, progress=bar)

    return _made_up(root, plan, simulated)


def made_up_faces(root: Path, plan: StudyPlan) -> Cohort:
    """Return still faces of people who do not exist, made once and kept in ``root``."""
    return _made_up(root, plan, lambda: simulate_portraits(root, people=plan.people, seed=plan.seed))


def _made_up(root: Path, plan: StudyPlan, simulated: Callable[[], Cohort]) -> Cohort:
    description = root / "dataset_description.json"
    if description.exists():
        made, about = open_cohort(root), json.loads(description.read_text(encoding="utf-8"))["Personare"]
        if (about.get("Seed"), len({r.subject for r in made.recordings})) == (plan.seed, plan.people):
            return made
        if cohort_kind(root) != "synthetic":
            raise DataError(f"{root} must hold made-up people to be made anew. Choose another folder with --out.")
        for path in root.iterdir():  # other people are asked for; the ledger goes on
            if path.is_dir():
                shutil.rmtree(path)
            elif not path.name.startswith("ledger.sqlite"):
                path.unlink()
        write_text(root / UNFINISHED, "Other people are being made up here.\n")
    return simulated()


def adapt_run(run: Path, row: Mapping[str, Any], name: str, *, ledger: str | None, workers: Workers) -> str:
    """Add an adapted release to a finished run; what was made before stays. Returns what it is called.

    ``row`` is what ``adapt = {...}`` says in a study file; where its ``of`` is empty, the run's only synthetic release
    is meant. Everything that a study does with a release is done with it: the attacks on it stand beside those before.
    """
    private = private_folder(run)
    if not (private / "cohort.json").is_file():
        raise DataError(
            f"{run} is no finished run with its private folder: there is no {private / 'cohort.json'}, and so no "
            "generator to adapt. Run 'personare study' with a [[synthetic]] release first."
        )
    text = kept = (private / "study.toml").read_text(encoding="utf-8")
    before = read_plan(text, str(run))
    rated = [plan.name for plan in before.synthetic if not plan.adapt]
    if not row["of"] and len(rated) != 1:
        raise OptionError(
            f"Say with --of which release was rated: {', '.join(rated) or 'the run has no synthetic one'}."
        )
    row = {**row, "of": row["of"] or rated[0]}
    name = name or f"{row['of']}_{row['method']}"
    if not any(plan.name == name and dict(plan.adapt) == row for plan in before.synthetic):
        text = f"{text.rstrip()}\n\n[[synthetic]]\nname = {toml(name)}\nadapt = {toml(row)}\n"
    cohort = open_cohort(Path(json.loads((private / "cohort.json").read_text(encoding="utf-8"))["root"]))
    book = open_ledger(ledger, cohort.root)
    run_study(cohort, read_plan(text, str(run)), text, run, workers=workers, ledger=book)
    missed = [one for one in outputs.not_made(run) if one.item == name]
    if missed:
        run_study(cohort, before, kept, run, workers=workers, ledger=book)  # which only tells the run as it was
        raise DataError(f"{name} was not made, and {run} is as it was. {missed[0].problem}")
    return name
