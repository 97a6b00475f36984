"""A cohort of representations: behavior described without the person; the transform and its guarantee go with it."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from personare.core.errors import DataError
from personare.core.protocols import Representation, Transform
from personare.core.randomness import generator
from personare.core.types import Batch, Cohort, Recording, Result, Spend
from personare.data.cohort import CohortWriter, open_cohort, recording_id
from personare.evaluate.representations import identity_carriers, judge_representation, transfer
from personare.features.track_writing import TrackForm, write_track
from personare.govern.budget import Budget, charge
from personare.govern.ledger import Ledger
from personare.learn.accounting import compose
from personare.learn.chaining import Chain
from personare.learn.checkpoints import save_weights
from personare.study.datasheet import Sheet, write_datasheet
from personare.study.evidence import table
from personare.study.opening import Opened, Opening, Written, building, open_batch, part_people
from personare.study.outputs import measured
from personare.study.releases import RepresentationPlan

__all__ = ["Representing"]

_TRACK = "representation"
_FORM = TrackForm(kind="table", suffix=".npy")
_WATCHED = 0.2  # share of the people it is fitted to who are only watched meanwhile


@dataclass(frozen=True, kw_only=True)
class Representing:
    """Makes representations of a cohort's recordings.

    Attributes:
        cohort: Whose recordings.
        plan: How.
        ledger: Notes each opening, each privacy spend and the release.
        seed: Everything random follows from it, but what hides people.
        public: People whose data need no protection; None where there are none.
        budget: The most that all runs together may cost one person.
        tasks: Recordings of other tasks to judge it by, by name, and whether they are of the same people; or why not.
        opening: Shared with other releases of the same cohort, so that nothing is opened twice; None: its own.
    """

    cohort: Cohort
    plan: RepresentationPlan
    ledger: Ledger
    seed: int = 0
    public: Cohort | None = None
    budget: Budget | None = None
    tasks: Mapping[str, tuple[Batch, bool] | str] = field(default_factory=dict)
    opening: Opening | None = None

    @cached_property
    def opened(self) -> Opened:
        """The recordings."""
        opening = self.opening or Opening(cohort=self.cohort, ledger=self.ledger)
        return opening(self.plan.label, self.plan.modalities)

    def __call__(self, out: Path) -> Written:
        """Write the cohort: the track ``representation``, labels, pseudonyms, the transform, the card.

        **Guarantee**: until everything is written there is no cohort at ``out``; nothing of a recording but its
        representation, its label and its pseudonym is written, under a number in place of its name, and nothing of the
        participants' table. Noise that hides people does not follow from the seed.

        Args:
            out: An empty or absent folder.

        Raises:
            DataError: Nothing to learn from, too few people, or a folder that is not empty.
            OptionError: An option that the method does not have or cannot use.
            PolicyError: Somebody's privacy budget does not suffice.
        """
        plan, opened = self.plan, self.opened
        links = plan.methods()
        method = Chain(links=links) if plan.then else links[0]
        with building(out) as part:
            known, new = part_people(opened.batch, plan.held_out, rng=generator(self.seed, "held out"))
            transform, spends = self._fitted(method, known)
            # A seed can be guessed, and whoever knows it can take the noise off.
            shown = transform(opened.batch, rng=np.random.default_rng() if spends else self._rng("transform"))
            rows = self._judged(transform, known, new)
            self._write(part, shown, opened, transform)
            sheet = self._sheet(known, shown, transform, (spends, rows))
            write_datasheet(part, sheet)
        detail = {**asdict(plan), "spends": [asdict(spend) for spend in spends]}
        self.ledger.append("released", [{"cohort": self.cohort.name, "purpose": "training", "detail": detail}])
        return Written(cohort=open_cohort(out), sheet=sheet, skipped=opened.skipped)

    def _rng(self, *what: str) -> np.random.Generator:
        return generator(self.seed, self.plan.method, *what)

    def _fitted(self, method: Representation, known: Batch) -> tuple[Transform, tuple[Spend, ...]]:
        """Return the transform, and what fitting it and showing everybody's recordings through it cost."""
        plan = self.plan
        public = open_batch(self.public, plan.label, plan.modalities, self.ledger).batch if self.public else None
        inside, watched = part_people(known, _WATCHED, rng=self._rng("watched"))
        transform = method.fit(inside, validation=watched, rng=self._rng("fit"), public=public)
        links = getattr(transform, "links", (transform,))
        shows = tuple(link.spend() for link in links if hasattr(link, "spend"))
        for spends, batch in ((transform.spends, known), (shows, self.opened.batch)):
            people, name = Counter(map(str, batch.subjects)), self.cohort.name
            charge(self.ledger, spends, cohort=name, people=people, budget=self.budget, compose=compose)
        return transform, (*transform.spends, *shows)

    def _judged(self, transform: Transform, known: Batch, new: Batch) -> list[Result]:
        if not len(new):
            return []
        ids = {*known.ids, *new.ids}
        people = table(self.cohort, [r for r in self.cohort.recordings if r.id in ids])
        rows = measured("identity", "risk", lambda: self._identified(transform, known, new, people))
        return [*rows, *(self._transferred(transform, name, new) for name in self.tasks)]

    def _identified(self, transform: Transform, known: Batch, new: Batch, people: pd.DataFrame) -> list[Result]:
        rows = judge_representation(transform, known, new, people, rng=generator(self.seed, "judge"))
        carriers = identity_carriers(transform, new, people, rng=generator(self.seed, "carriers"))
        leaks = {"carriers": carriers.to_dict("records")}
        return [replace(r, detail={**r.detail, **leaks}) if r.measure == "identity.top1" else r for r in rows]

    def _transferred(self, transform: Transform, name: str, new: Batch) -> Result:
        """Read another task through the representation; a row without a figure where that cannot be."""
        row = measured("", "utility", lambda: self._read(transform, name, self.tasks[name], new))[0]
        return replace(row, release="", measure=f"transfer.{name}")

    def _read(self, transform: Transform, name: str, task: tuple[Batch, bool] | str, new: Batch) -> list[Result]:
        if isinstance(task, str):
            raise DataError(task)
        batch, own = task
        asked = np.isin(batch.subjects, new.subjects)
        halves = part_people(batch, 0.5, rng=generator(self.seed, "task", name))
        parts = (batch.take(~asked), batch.take(asked)) if own else halves
        return transfer({"": transform}, {"": parts}, rng=generator(self.seed, "transfer", name))

    def _write(self, root: Path, shown: Batch, opened: Opened, transform: Transform) -> None:
        plan = self.plan
        about = {"Acknowledgements": f"Representations of {self.cohort.name} by personare.", "Method": plan.method}
        about["Guarantee"] = transform.guarantee
        writer = CohortWriter(root, name=f"{self.cohort.name}: {plan.method}", kind="release", description=about)
        rows = np.flatnonzero(shown.present[_TRACK])
        for i, own in zip(rows, _renamed([shown.ids[i] for i in rows], self.cohort, self._rng("names")), strict=True):
            path = writer.path(own, _TRACK, ".npy")
            values = np.asarray(shown.arrays[_TRACK][i])
            names = tuple(f"r{n + 1}" for n in range(len(values)))
            write_track(path, values, _FORM, columns=names, note={"Representation": plan.method})
            tracks = {_TRACK: path.relative_to(root).as_posix()}
            labels = {plan.label: shown.classes[shown.labels[i]]} if opened.own else {}
            writer.add(replace(own, tracks=tracks, labels=labels))
        writer.finish(_people(shown, None if opened.own else plan.label))
        tensors, state = transform.state()
        weights = {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in tensors.items()}
        note = {"guarantee": transform.guarantee, "personare": json.dumps(asdict(plan))}
        save_weights(root / "transform.safetensors", weights, {**state, **note})

    def _sheet(
        self, known: Batch, shown: Batch, transform: Transform, found: tuple[Sequence[Spend], Sequence[Result]]
    ) -> Sheet:
        return Sheet(
            name=f"{self.cohort.name}: {self.plan.method}",
            kind="representations",
            source=self.cohort.name,
            method=self.plan.method,
            options=dict(self.plan.options),
            made_of=(len(set(known.subjects)), len(known)),
            holds=(len(set(shown.subjects)), len(shown)),
            label=self.plan.label,
            spends=tuple(found[0]),
            rows=tuple(found[1]),
            guarantee=transform.guarantee,
        )


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


def _people(shown: Batch, label: str | None) -> pd.DataFrame:
    """Return the participants' table: pseudonyms, and the label where people have it."""
    rows: dict[str, dict[str, str]] = {}
    for subject, target in zip(map(str, shown.subjects), shown.labels, strict=True):
        rows[subject] = {label: shown.classes[target]} if label else {}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("subject")
