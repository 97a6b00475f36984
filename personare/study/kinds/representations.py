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
from personare.core.types import Batch, Cohort, Recording, Result, Spend
from personare.data.cohort import CohortWriter, declared_modalities, open_cohort, recording_id
from personare.data.roles import usual_tracks
from personare.evaluate.representations import identity_carriers, judge_representation, transfer
from personare.features.tracks import TrackForm, write_track
from personare.learn.chaining import Chain
from personare.study.cards import Sheet, write_datasheet
from personare.study.opening import Opening, Written, building, part_people, table
from personare.study.plan import TransferPlan
from personare.study.study import Outcome, Study, measured, unseeded

__all__ = ["Representations"]

_TRACK = "representation"
_FORM = TrackForm(kind="table", suffix=".npy")
_WATCHED = 0.2  # share of the people it is fitted to who are only watched meanwhile


@dataclass(frozen=True, kw_only=True)
class RepresentationPlan:
    """What is described, and how.

    Attributes:
        name: Unique in a study; anything elsewhere.
        method: A file of ``represent``.
        options: Its options.
        then: What follows it, each with ``method`` and ``options``, fitted to what the one before shows.
        label: What is to be kept, such as ``emotion``; empty: the study's.
        modalities: Tracks to read; none: all but films and events.
        held_out: Share of the people it is not fitted to; they are represented too, and it is judged by them.
    """

    method: str
    name: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    then: Sequence[Mapping[str, Any]] = ()
    label: str = ""
    modalities: Sequence[str] = ()
    held_out: float = 0.5

    def __post_init__(self) -> None:
        """Check the numbers, and that the methods exist and take their options."""
        if not 0 <= self.held_out < 1:
            raise OptionError(f"held_out must be a share from 0 to below 1, not {self.held_out}. Give e.g. 0.5.")
        self.methods()

    def methods(self) -> list[Representation]:
        """Return the method, and what follows it."""
        links = [{"method": self.method, "options": self.options}, *self.then]
        return [
            registry.create("personare.represent", str(link.get("method", "")), link.get("options", {}))
            for link in links
        ]


@dataclass(frozen=True)
class Representations:
    """Makes each representation once, and measures who is in it and what can be read from it."""

    row = RepresentationPlan

    def __call__(self, study: Study, rows: Sequence[RepresentationPlan]) -> Outcome:
        """Make and judge these representations."""
        outcome = Outcome()
        options = {"transfer": [asdict(task) for task in study.plan.transfer]}
        for row in rows:
            write = partial(write_representation, study, row)
            outcome.add(study.make_cohort(row, "representations", study.opened(row).batch, write, options))
        return outcome


def write_representation(study: Study, row: RepresentationPlan, out: Path) -> Written:
    """Write a cohort of representations: the track ``representation``, labels, pseudonyms, the transform, the card.

    **Guarantee**: until everything is written there is no cohort at ``out``; nothing of a recording but its
    representation, its label and its pseudonym is written, under a number in place of its name, and nothing of the
    participants' table. Noise that hides people does not follow from the seed.

    Args:
        study: Whose recordings; its plan names the seed, the public cohort, the budget and the tasks to judge by.
        row: How.
        out: An empty or absent folder.

    Raises:
        DataError: Nothing to learn from, too few people, or a folder that is not empty.
        OptionError: An option that the method does not have or cannot use.
        PolicyError: Somebody's privacy budget does not suffice.
    """
    opened, links = study.opened(row), row.methods()
    method = Chain(links=links) if row.then else links[0]
    with building(out) as part:
        known, new = part_people(opened.batch, row.held_out, rng=study.rng("held out"))
        transform, spends = _fitted(study, row, method, known)
        shown = transform(opened.batch, rng=unseeded(bool(spends), study.rng(row.method, "transform")))
        results = _judged(study, row, transform, known, new) if len(new) else []
        _write(study, row, part, shown, transform)
        sheet = Sheet(
            kind="representations",
            source=study.cohort.name,
            method=row.method,
            options=dict(row.options),
            made_of=(len(set(known.subjects)), len(known)),
            holds=(len(set(shown.subjects)), len(shown)),
            spends=spends,
            rows=tuple(results),
            guarantee=transform.guarantee,
        )
        write_datasheet(part, sheet)
    study.note(row, spends)
    return Written(cohort=open_cohort(out), sheet=sheet, skipped=opened.skipped)


def _fitted(
    study: Study, row: RepresentationPlan, method: Representation, known: Batch
) -> tuple[Transform, tuple[Spend, ...]]:
    """Return the transform, and what fitting it and showing everybody's recordings through it cost."""
    inside, watched = part_people(known, _WATCHED, rng=study.rng(row.method, "watched"))
    public = study.public_batch(row.label, row.modalities)
    transform = method.fit(inside, validation=watched, rng=study.rng(row.method, "fit"), public=public)
    links = getattr(transform, "links", (transform,))
    shows = tuple(link.spend() for link in links if hasattr(link, "spend"))
    study.charge(transform.spends, known)
    study.charge(shows, study.opened(row).batch)
    return transform, (*transform.spends, *shows)


def _judged(study: Study, row: RepresentationPlan, transform: Transform, known: Batch, new: Batch) -> list[Result]:
    ids = {*known.ids, *new.ids}
    people = table(study.cohort, [r for r in study.cohort.recordings if r.id in ids])

    def identified() -> list[Result]:
        results = judge_representation(transform, known, new, people, rng=study.rng("judge"))
        carriers = identity_carriers(transform, new, people, rng=study.rng("carriers"))
        leaks = {"carriers": carriers.to_dict("records")}
        return [
            replace(r, detail={**r.detail, **leaks}) if (r.method, r.figure) == ("strongest", "top1") else r
            for r in results
        ]

    def transferred(task: TransferPlan) -> list[Result]:
        there = (track for recording in study.cohort.recordings for track in recording.tracks)
        tracks = row.modalities or usual_tracks(there, declared=declared_modalities(study.cohort.root))
        other = Opening(cohort=open_cohort(Path(task.cohort)), ledger=study.ledger) if task.cohort else study.opening
        batch = other(task.label, tracks).batch
        asked = np.isin(batch.subjects, new.subjects)
        halves = part_people(batch, 0.5, rng=study.rng("task", task.name))
        parts = halves if task.cohort else (batch.take(~asked), batch.take(asked))
        return transfer({"": transform}, {"": parts}, rng=study.rng("transfer", task.name))

    results = measured("strongest", "identify", identified)
    for task in study.plan.transfer:
        read = measured("transfer", "read", partial(transferred, task), figure="uar")[0]
        results.append(replace(read, method="transfer", subset=task.name))
    return results


def _write(study: Study, row: RepresentationPlan, root: Path, shown: Batch, transform: Transform) -> None:
    cohort, own_label = study.cohort, study.opened(row).own
    about = {"Acknowledgements": f"Representations of {cohort.name} by personare.", "Method": row.method}
    about["Guarantee"] = transform.guarantee
    writer = CohortWriter(root, name=f"{cohort.name}: {row.method}", kind="release", description=about)
    there = np.flatnonzero(shown.present[_TRACK])
    named = _renamed([shown.ids[i] for i in there], cohort, study.rng(row.method, "names"))
    for i, recording in zip(there, named, strict=True):
        path = writer.path(recording, _TRACK, ".npy")
        values = np.asarray(shown.arrays[_TRACK][i])
        names = tuple(f"r{n + 1}" for n in range(len(values)))
        write_track(path, values, _FORM, columns=names, note={"Representation": row.method})
        labels = {row.label: shown.classes[shown.labels[i]]} if own_label else {}
        writer.add(replace(recording, tracks={_TRACK: path.relative_to(root).as_posix()}, labels=labels))
    people = {
        str(subject): {} if own_label else {row.label: shown.classes[target]}
        for subject, target in zip(shown.subjects, shown.labels, strict=True)
    }
    writer.finish(pd.DataFrame.from_dict(people, orient="index").rename_axis("subject"))
    tensors, state = state_of(transform)
    note = {"guarantee": transform.guarantee, "personare": json.dumps(asdict(row))}
    save_weights(root / "transform.safetensors", tensors, {**state, **note})


def _renamed(ids: Sequence[str], cohort: Cohort, rng: np.random.Generator) -> list[Recording]:
    """Return the recordings under numbers: their names may say what was said, by whom, or when."""
    known = {r.id: r for r in cohort.recordings}
    seen: Counter[str] = Counter()
    named: dict[str, Recording] = {}
    for i in rng.permutation(len(ids)):
        subject = known[ids[i]].subject
        seen[subject] += 1
        name = recording_id(subject, "01", f"take{seen[subject]:03d}")
        named[ids[i]] = Recording(id=name, subject=subject, session="01", tracks={})
    return [named[name] for name in ids]
