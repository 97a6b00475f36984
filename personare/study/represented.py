"""A cohort of representations: behavior described without the person; the transform and its guarantee go with it."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from personare.core import registry
from personare.core.errors import DataError, OptionError
from personare.core.protocols import Transform
from personare.core.randomness import generator
from personare.core.types import Batch, Cohort, Recording, Result, Withheld
from personare.data.cohort import CohortWriter, open_cohort
from personare.evaluate.representations import judge_representation
from personare.features.track_writing import TrackForm, write_track
from personare.govern.budget import Budget, charge
from personare.govern.ledger import Ledger
from personare.learn.accounting import compose
from personare.learn.checkpoints import save_weights
from personare.study.datasheet import Sheet, write_datasheet
from personare.study.evidence import table
from personare.study.synthetic import Opened, building, open_batch, part_people

__all__ = ["Representing", "RepresentingPlan"]

_TRACK = "representation"
_FORM = TrackForm(kind="table", suffix=".npy")


@dataclass(frozen=True, kw_only=True)
class RepresentingPlan:
    """What is described, and how.

    Attributes:
        method: A file of ``represent``.
        options: Its options.
        label: What is to be kept, such as ``emotion``.
        modalities: Tracks to read; none: all but films and events.
        held_out: Share of the people it is not fitted to; they are represented too, and it is judged by them.
        seed: Everything random follows from it.

    Raises:
        OptionError: A number out of its range.
    """

    method: str
    options: Mapping[str, Any] = field(default_factory=dict)
    label: str = "emotion"
    modalities: tuple[str, ...] = ()
    held_out: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not 0 <= self.held_out < 1:
            raise OptionError(f"held_out must be a share from 0 to below 1, not {self.held_out}. Give e.g. 0.5.")


@dataclass(frozen=True, kw_only=True)
class Representing:
    """Makes representations of a cohort's recordings.

    Attributes:
        cohort: Whose recordings.
        plan: How.
        ledger: Notes each opening, each privacy spend and the release.
        public: People whose data need no protection; None where there are none.
        budget: The most that all runs together may cost one person.
    """

    cohort: Cohort
    plan: RepresentingPlan
    ledger: Ledger
    public: Cohort | None = None
    budget: Budget | None = None

    def __call__(self, out: Path) -> tuple[Cohort, list[Withheld]]:
        """Write the cohort: the track ``representation``, labels, pseudonyms, the transform, the card.

        **Guarantee**: until everything is written there is no cohort at ``out``; nothing of a recording but its
        representation, its label and its pseudonym is written, and nothing of the participants' table.

        Args:
            out: An empty or absent folder.

        Returns:
            The cohort, and what could not be read.

        Raises:
            DataError: Nothing to learn from, too few people, or a folder that is not empty.
            OptionError: An option that the method does not have or cannot use.
            PolicyError: Somebody's privacy budget does not suffice.
        """
        plan = self.plan
        method = registry.create("personare.represent", plan.method, dict(plan.options))
        with building(out) as part:
            opened = open_batch(self.cohort, plan.label, plan.modalities, self.ledger)
            known, new = part_people(opened.batch, plan.held_out, rng=self._rng("held out"))
            transform = self._fitted(method, known)
            shown = transform(opened.batch, rng=self._rng("transform"))
            rows = self._judged(transform, known, new)
            self._write(part, shown, opened, transform)
            write_datasheet(part, self._sheet(known, shown, transform, rows))
        detail = {**asdict(plan), "spends": [asdict(spend) for spend in transform.spends]}
        self.ledger.append("released", [{"cohort": self.cohort.name, "purpose": "training", "detail": detail}])
        return open_cohort(out), list(opened.skipped)

    def _rng(self, *what: str) -> np.random.Generator:
        return generator(self.plan.seed, self.plan.method, *what)

    def _fitted(self, method: Any, known: Batch) -> Transform:
        plan = self.plan
        public = open_batch(self.public, plan.label, plan.modalities, self.ledger).batch if self.public else None
        transform: Transform = method.fit(known, validation=known, rng=self._rng("fit"), public=public)
        people, name = Counter(map(str, known.subjects)), self.cohort.name
        charge(self.ledger, transform.spends, cohort=name, people=people, budget=self.budget, compose=compose)
        return transform

    def _judged(self, transform: Transform, known: Batch, new: Batch) -> list[Result]:
        if not len(new):
            return []
        ids = {*known.ids, *new.ids}
        people = table(self.cohort, [r for r in self.cohort.recordings if r.id in ids])
        try:
            return judge_representation(transform, known, new, people, rng=self._rng("judge"))
        except DataError as error:
            note = f"not measured: {error}"
            return [Result(release="", modality="", measure="identity", kind="risk", value=float("nan"), note=note)]

    def _write(self, root: Path, shown: Batch, opened: Opened, transform: Transform) -> None:
        plan = self.plan
        about = {"Acknowledgements": f"Representations of {self.cohort.name} by personare.", "Method": plan.method}
        about["Guarantee"] = transform.guarantee
        writer = CohortWriter(root, name=f"{self.cohort.name}: {plan.method}", kind="release", description=about)
        known = {r.id: r for r in self.cohort.recordings}
        for i in np.flatnonzero(shown.present[_TRACK]):
            original, target = known[shown.ids[i]], shown.classes[shown.labels[i]]
            path = writer.path(original, _TRACK, ".npy")
            values = np.asarray(shown.arrays[_TRACK][i])
            names = tuple(f"r{n + 1}" for n in range(len(values)))
            write_track(path, values, _FORM, columns=names, note={"Representation": plan.method})
            tracks = {_TRACK: path.relative_to(root).as_posix()}
            labels = {plan.label: target} if opened.own else {}
            writer.add(
                Recording(
                    id=original.id, subject=original.subject, session=original.session, tracks=tracks, labels=labels
                )
            )
        writer.finish(_people(shown, None if opened.own else plan.label))
        tensors, state = transform.state()
        weights = {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in tensors.items()}
        note = {"guarantee": transform.guarantee, "personare": json.dumps(asdict(plan))}
        save_weights(root / "transform.safetensors", weights, {**state, **note})

    def _sheet(self, known: Batch, shown: Batch, transform: Transform, rows: list[Result]) -> Sheet:
        return Sheet(
            name=f"{self.cohort.name}: {self.plan.method}",
            kind="representations",
            source=self.cohort.name,
            method=self.plan.method,
            options=dict(self.plan.options),
            made_of=(len(set(known.subjects)), len(known)),
            holds=(len(set(shown.subjects)), len(shown)),
            label=self.plan.label,
            spends=tuple(transform.spends),
            rows=tuple(rows),
            guarantee=transform.guarantee,
        )


def _people(shown: Batch, label: str | None) -> pd.DataFrame:
    """Return the participants' table: pseudonyms, and the label where people have it."""
    rows: dict[str, dict[str, str]] = {}
    for subject, target in zip(map(str, shown.subjects), shown.labels, strict=True):
        rows[subject] = {label: shown.classes[target]} if label else {}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("subject")
