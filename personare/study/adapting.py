"""What experts said of made-up people, and the generator adapted to it: which privacy stays, and what the rows say."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from personare.core import registry
from personare.core.atomic import make_folder, write_json
from personare.core.errors import DataError
from personare.core.protocols import AdaptedSampler, Generator, Sampler
from personare.core.randomness import generator
from personare.core.state import load_weights, restored, save_weights, state_of
from personare.core.types import Batch, Feedback, Release, Result, Spend
from personare.data.cohort import open_cohort
from personare.data.runs import RunFolder, fingerprint
from personare.data.votes import Votes, votes_beside
from personare.evaluate.experts import agreement_rows, alarm_rows, failure_rows, human_attack_rows, win_rows
from personare.evaluate.synthetic_case import together
from personare.learn.reward import feedback_of
from personare.simulate.raters import Raters, simulated_votes, taste_of, votes_of
from personare.study.plan import SIMULATED, AdaptPlan
from personare.study.study import Study


@dataclass(frozen=True, kw_only=True)
class Experts:
    """The raters of one release, and what they said of it."""

    plan: AdaptPlan
    seed: int
    items: Batch  # the release's recordings, by item id
    votes: pd.DataFrame  # on these items alone
    # which condition failed, of those under which an adapted release keeps its generator's epsilon; empty: none
    lacking: str

    @classmethod
    def of(cls, study: Study, plan: AdaptPlan, name: str) -> "Experts":
        """Gather the votes on a release of the run, and on others adapted from it but the one to be made, ``name``."""
        siblings = [row.name for row in study.plan.synthetic if row.adapt and row.adapt["of"] == plan.of]
        heard = [one for one in siblings if one != name and plan.feedback != SIMULATED and _items(study, one).is_file()]
        items = together([rated_batch(study, one) for one in (plan.of, *heard)])
        votes = _votes(study, plan, items)
        mine = np.logical_and.reduce([votes[side].isin(["", *items.ids]) for side in ("a", "b")])
        if not mine.any():
            raise DataError(
                f"Nobody has rated {plan.of} as it is: none of {len(votes)} answers is on its people, or all are from "
                "before it was made anew. Collect some with 'personare review', then adapt again."
            )
        # reward features are of the rated items alone, no adaptation is given anything real: one condition is left
        shown = {item.partition("/")[0] for side in ("a", "b", "x") for item in votes[side]}
        real = sorted(shown - {"", *(row.name for row in study.plan.synthetic)})
        lacking = f"the same raters saw recordings of real people ({', '.join(real)})" if real else ""
        votes = votes[mine].reset_index(drop=True)
        return cls(plan=plan, seed=study.plan.seed, items=items, votes=votes, lacking=lacking)

    @property
    def key(self) -> str:
        """What everything that follows from the votes depends on."""
        return fingerprint([self.votes.astype(str).to_dict("split"), self.items.ids])

    @cached_property
    def feedback(self) -> Feedback:
        """The votes as an adaptation takes them."""
        return feedback_of(self.items, self.votes, rng=generator(self.seed, self.plan.of, "feedback"))

    def adapt(self, sampler: Sampler, *, rng: np.random.Generator) -> AdaptedSampler:
        """Return a generator as the raters want it."""
        method = registry.create("personare.adapt", self.plan.method, self.plan.options)
        adapted: AdaptedSampler = method.fit(sampler, self.feedback, rng=rng)
        return adapted

    def guarantee(self, spends: tuple[Spend, ...]) -> str:
        """Return what the card says of the privacy of the loop, after a generator that cost so much."""
        who = f"{len(self.votes)} answers of {self.votes['rater'].nunique()} raters"
        if not spends:
            return (
                f"No guarantee: adapted by {self.plan.method} to {who}, after a generator that was learned without "
                "differential privacy. It may hold traces of people it was learned from; what the attacks on its card "
                "did not find, others may."
            )
        if self.lacking:
            return f"No epsilon is claimed: the generator cost epsilon = {spends[0].epsilon:.3g}, but {self.lacking}."
        return (
            f"It is the generator's claim, by post-processing: {self.plan.method} adapted it to {who}, who saw made-up "
            "recordings only; the reward is of features of these, and nothing real was looked at again. What raters "
            "know of real people from elsewhere is outside it."
        )

    def drift_row(self, adapted: AdaptedSampler) -> Result:
        """Return how far the generator went, with what was tried on the way."""
        return Result(
            question="cost",
            method="experts",
            figure="drift",
            unit="nats",
            value=float(adapted.drift),
            n=len(self.votes),
            better="lower",
            reason=f"{self.plan.method}, from {self.plan.of}: divergence of a recording from the unadapted generator's",
            detail={"course": [dict(step) for step in adapted.course]},
        )

    def rows(self, study: Study, name: str) -> list[Result]:
        """Return what the raters say of the adapted release ``name`` beside the one that they saw before."""
        plan, rng = self.plan, generator(self.seed, name, "experts")
        votes = _votes(study, plan, self.items)
        if plan.feedback == SIMULATED:
            after = rated_batch(study, name)
            votes = votes_of(self.votes.drop(columns="id"), _fresh_votes(self, after, rng=rng))
        return [
            *agreement_rows(votes, rng=rng),
            *win_rows(votes, adapted=name, unadapted=plan.of, rng=rng),
            *failure_rows(votes, release=name, before=plan.of, rng=rng),
        ]


def human_rows(study: Study, releases: Sequence[Release]) -> list[Result]:
    """Return what raters of the run found out about people: whom they linked, and whom they believed to know."""
    path = votes_beside(study.folder.root)
    if not path.is_file():
        return []
    votes, rows = Votes(path), list[Result]()
    table, alarms = votes.table(), votes.alarms()
    for release in (r for r in releases if r.kind in ("recordings", "synthetic")):
        people = {f"{release.name}/{r.id}": r.subject for r in open_cohort(release.root).recordings}
        rng = generator(study.plan.seed, release.name, "human")
        for row in (
            *human_attack_rows(table, people, release=release.name, rng=rng),
            *alarm_rows(table, alarms, release=release.name),
        ):
            modality = "+".join(release.modalities) if release.kind == "recordings" else ""
            rows.append(replace(row, kind=release.kind, modality=modality))
    return rows


def rated_batch(study: Study, release: str) -> Batch:
    """Return the recordings of a synthetic release of the run as its generator made them, under raters' item ids.

    What raters took out of the release is not among them.
    """
    root, path = study.folder.root / "releases" / release, _items(study, release)
    if not (root / "dataset_description.json").is_file() or not path.is_file():
        raise DataError(f"There is no release {release} in {study.folder.root}, whose people could have been rated.")
    arrays, about = load_weights(path)
    columns, classes, ids = (json.loads(about[name]) for name in ("columns", "classes", "ids"))
    batch = Batch(
        ids=tuple(f"{release}/{i}" for i in ids),
        arrays={name: values for name, values in arrays.items() if name not in ("labels", "people")},
        present={name: np.ones(len(ids), dtype=bool) for name in columns},
        labels=arrays["labels"],
        classes=tuple(classes),
        subjects=arrays["people"].astype(str),
        columns={name: tuple(names) for name, names in columns.items()},
    )
    there = {r.id for r in open_cohort(root).recordings}
    return batch.take(np.array([i in there for i in ids], dtype=bool))


def _items(study: Study, release: str) -> Path:
    return study.folder.private / "generators" / f"{release}.items"


def _votes(study: Study, plan: AdaptPlan, items: Batch) -> pd.DataFrame:
    if plan.feedback != SIMULATED:
        path = Path(plan.feedback)
        if "://" not in plan.feedback and not path.is_file():
            raise DataError(f"There are no votes at {path}. Give the file that 'personare review' wrote.")
        votes = Votes(plan.feedback).table()
        made = {p.stem: load_weights(p)[1]["made"] for p in (study.folder.private / "generators").glob("*.items")}
        # names come again, of other people, when a release is made anew
        of = (votes[side].str.partition("/")[0].map(made).fillna("") for side in ("a", "b", "x"))
        current: pd.DataFrame = votes[~np.logical_or.reduce([votes["time"] < since for since in of])]
        return current
    return simulated_votes(
        items,
        raters=plan.raters,
        comparisons=plan.comparisons,
        checks=plan.checks,
        taste=plan.taste,
        rng=generator(study.plan.seed, plan.of, "raters"),
    )


def _fresh_votes(experts: Experts, after: Batch, *, rng: np.random.Generator) -> pd.DataFrame:
    """Let simulated raters whom nobody heard compare adapted with unadapted recordings of a class, and check both."""
    plan, items = experts.plan, experts.items
    both = together([items, after])
    new = rng.integers(len(after), size=plan.comparisons)
    old = [int(rng.choice(np.flatnonzero(items.labels == label))) for label in after.labels[new]]
    pairs = rng.permuted(np.stack([old, len(items) + new], axis=1), axis=1)
    raters = Raters(taste=taste_of(plan.taste, items), names=[f"fresh-{n + 1}" for n in range(plan.raters)])
    rows = rng.integers(len(both), size=2 * plan.checks)
    return pd.concat([raters.compare(both, pairs, rng=rng), raters.check(both, rows, rng=rng)])


def keep_made(run: RunFolder, release: str, made: Batch, near: Sequence[str], sampler: Sampler | None) -> None:
    """Keep beside a run what an adaptation begins with, and may not be sent: a generator was learned from people.

    ``made`` is what it made for the release, under the release's recording ids, of which those ``near`` to one learned
    from are not shown to raters. An adapted generator is not kept: it is made again of the first one.
    """
    folder = make_folder(run.private / "generators")
    numbers = {name: values for name, values in made.arrays.items() if values.dtype.kind == "f"}
    columns = {name: made.columns.get(name, ()) for name in numbers}
    people = np.unique(made.subjects, return_inverse=True)[1]
    about = {"columns": json.dumps(columns), "classes": json.dumps(made.classes), "ids": json.dumps(made.ids)}
    about["made"] = datetime.now(UTC).isoformat(timespec="microseconds")
    save_weights(folder / f"{release}.items", {**numbers, "labels": made.labels, "people": people}, about)
    write_json(make_folder(run.private / "near") / f"{release}.json", near)
    if sampler:
        save_weights(folder / f"{release}.safetensors", *state_of(sampler))


def load_sampler(run: RunFolder, name: str, method: Generator) -> Sampler:
    """Read the fitted generator of a release of the run."""
    path = run.private / "generators" / f"{name}.safetensors"
    if not path.is_file():
        raise DataError(
            f"The generator of {name} is not kept ({path} is not there): make the release in a new run, then adapt it."
        )
    sampler: Sampler = restored(method, *load_weights(path))
    return sampler
