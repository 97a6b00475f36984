"""Representations: behavior described without the person; the transform and its guarantee go with them."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from personare.core import registry
from personare.core.errors import OptionError
from personare.core.protocols import Representation, Transform
from personare.core.state import save_weights, state_of
from personare.core.types import Batch, Recording, Result
from personare.data.cohort import CohortWriter, open_cohort, recording_id
from personare.data.splits import people_to_judge
from personare.evaluate.representations import identity_carriers, judge_representation, transfer
from personare.evaluate.unmeasured import measured
from personare.features.tracks import TrackForm, write_track
from personare.learn.chaining import Chain
from personare.study.access import building, open_batch, part_people, table, tracks_of
from personare.study.cards import Sheet, write_datasheet
from personare.study.plan import TransferPlan
from personare.study.study import Outcome, Study, unseeded, with_draw

__all__ = ["Representations"]

_TRACK = "representation"
_FORM = TrackForm(kind="table", suffix=".npy")
_VALIDATION = 0.2  # share of the people it is fitted to, who tell when to stop


@dataclass(frozen=True, kw_only=True)
class RepresentationPlan:
    """What is described, and how."""

    method: str  # a file of represent
    name: str = ""  # unique in a study; anything elsewhere
    options: Mapping[str, Any] = field(default_factory=dict)
    then: Sequence[Mapping[str, Any]] = ()  # what follows it, method and options, fitted to what the one before shows
    label: str = ""  # what is to be kept, such as emotion; empty: the study's
    modalities: Sequence[str] = ()  # tracks to read; none: all but films and events
    held_out: float = 0.5  # share of the people it is not fitted to; they are shown too, and it is judged by them

    def __post_init__(self) -> None:
        """Check the numbers, and that the methods exist and take their options."""
        if not 0 <= self.held_out < 1:
            raise OptionError(f"held_out must be a share from 0 to below 1, not {self.held_out}. Give e.g. 0.5.")
        self.methods()

    def methods(self) -> list[Representation]:
        """Return the method, and what follows it."""
        links = [{"method": self.method, "options": self.options}, *self.then]
        create = partial(registry.create, "personare.represent")
        return [create(str(link.get("method", "")), link.get("options", {})) for link in links]


@dataclass(frozen=True)
class Representations:
    """Makes each representation once, and measures who is in it and what can be read from it."""

    row = RepresentationPlan

    def __call__(self, study: Study, rows: Sequence[RepresentationPlan]) -> Outcome:
        """Make and judge these representations."""
        outcome = Outcome()
        options = {"transfer": [asdict(task) for task in study.plan.transfer]}
        for row in rows:
            outcome.add(study.make_cohort(row, "representations", write_representation, options))
        return outcome


def write_representation(study: Study, row: RepresentationPlan, out: Path) -> Sheet:
    """Write a cohort of representations: the track ``representation``, labels, pseudonyms, the transform, the card.

    **Guarantee**: until everything is written there is no cohort at ``out``; nothing of a recording but its
    representation, its label and its pseudonym is written, under a number in place of its name, and nothing of the
    participants' table. Noise that hides people does not follow from the seed.

    The study's plan names the seed, the public cohort, the budget and the tasks to judge by; ``out`` is an empty or
    absent folder.
    """
    opened, links = study.opened(row), row.methods()
    method: Representation = Chain(links=links) if row.then else links[0]
    private = any(getattr(link, "epsilon", None) is not None for link in links)
    with building(out) as part:
        fitted, new = part_people(opened.batch, row.held_out, rng=study.rng("held out"))
        train, validation = part_people(fitted, _VALIDATION, rng=study.rng(row.method, "watched"))
        public = study.public_batch(row.label, row.modalities)
        rng = unseeded(private, study.rng(row.method, "fit"))
        transform = method.fit(train, validation=validation, rng=rng, public=public)
        steps = getattr(transform, "links", (transform,))
        # each pass through noise is paid for: by those whom what follows it learns from, and by everybody shown
        learned, local = (tuple(s.spend() for s in some if hasattr(s, "spend")) for some in (steps[:-1], steps))
        study.charge((*transform.spends, *learned), fitted.subjects)
        study.charge(local, opened.batch.subjects)
        spends = (*transform.spends, *learned, *local)
        shown = transform(opened.batch, rng=unseeded(private or bool(spends), study.rng(row.method, "transform")))
        shown = shown.take(shown.present[_TRACK])
        results = _judged(study, row, transform, fitted, new) if len(new) else []
        _write(study, row, part, shown, transform)
        sheet = Sheet(
            kind="representations",
            source=study.cohort.name,
            method=row.method,
            options=dict(row.options),
            made_of=(len(set(fitted.subjects)), len(fitted)),
            holds=(len(set(shown.subjects)), len(shown)),
            spends=spends,
            rows=tuple(results),
            guarantee=transform.guarantee,
            statement=study.plan.use.statement,
            skipped=opened.skipped,
        )
        write_datasheet(part, sheet)
    study.note(row, spends)
    return sheet


def _judged(study: Study, row: RepresentationPlan, transform: Transform, fitted: Batch, new: Batch) -> list[Result]:
    everybody = len({*fitted.subjects, *new.subjects})
    fitted, new = (
        batch.take(np.isin(batch.subjects, people_to_judge(batch.subjects, rng=study.rng("judged people"))))
        for batch in (fitted, new)
    )
    ids = {*fitted.ids, *new.ids}
    people = table(study.cohort, [r for r in study.cohort.recordings if r.id in ids])

    def identified() -> list[Result]:
        results = judge_representation(transform, fitted, new, people, rng=study.rng("judge"))
        carriers = identity_carriers(transform, new, people, rng=study.rng("carriers"))
        leaks = {"carriers": carriers.to_dict("records")}
        return [
            replace(r, detail={**r.detail, **leaks}) if (r.method, r.figure) == ("strongest", "top1") else r
            for r in results
        ]

    def transferred(task: TransferPlan) -> list[Result]:
        tracks, rng = tracks_of(study.cohort, row.modalities, texts=True), study.rng("transfer", task.name)
        if task.cohort:
            batch = open_batch(open_cohort(Path(task.cohort)), task.label, tracks, study.ledger).batch
            parts = part_people(batch, 0.5, rng=study.rng("task", task.name))
        else:
            batch = study.open(task.label, tracks).batch
            judges = np.isin(batch.subjects, new.subjects)
            parts = (batch.take(~judges), batch.take(judges))
        return transfer(transform, *parts, rng=rng)

    results = measured("strongest", "identify", identified)
    for task in study.plan.transfer:
        read = measured("transfer", "read", partial(transferred, task), figure="uar")[0]
        results.append(replace(read, method="transfer", subset=task.name))
    return with_draw(results, len({*fitted.subjects, *new.subjects}), everybody)


def _write(study: Study, row: RepresentationPlan, root: Path, shown: Batch, transform: Transform) -> None:
    name, recording_label = study.cohort.name, study.opened(row).recording_label
    about = {"Acknowledgements": f"Representations of {name} by personare.", "Method": row.method}
    about["Guarantee"] = transform.guarantee
    writer = CohortWriter(root, name=f"{name}: {row.method}", kind="release", description=about)
    takes: Counter[str] = Counter()
    tasks: dict[int, str] = {}
    # numbers for names, which may say what was said, by whom, or when
    for i in study.rng(row.method, "names").permutation(len(shown)).tolist():
        takes[shown.subjects[i]] += 1
        tasks[i] = f"take{takes[shown.subjects[i]]:03d}"
    for i, subject in enumerate(map(str, shown.subjects)):
        path = writer.path((subject, "01", tasks[i]), _TRACK, ".npy")
        values = np.asarray(shown.arrays[_TRACK][i])
        columns = tuple(f"r{n + 1}" for n in range(len(values)))
        write_track(path, values, _FORM, columns=columns, note={"Representation": row.method})
        tracks = {_TRACK: path.relative_to(root).as_posix()}
        labels = {row.label: shown.classes[shown.labels[i]]} if recording_label else {}
        recording = recording_id(subject, "01", tasks[i])
        writer.add(Recording(id=recording, subject=subject, session="01", tracks=tracks, labels=labels))
    people = {
        str(subject): {} if recording_label else {row.label: shown.classes[target]}
        for subject, target in zip(shown.subjects, shown.labels, strict=True)
    }
    writer.finish(pd.DataFrame.from_dict(people, orient="index").rename_axis("subject"))
    tensors, state = state_of(transform)
    note = {"guarantee": transform.guarantee, "personare": json.dumps(asdict(row))}
    save_weights(root / "transform.safetensors", tensors, {**state, **note})
