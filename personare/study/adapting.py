"""What experts said of made-up people, and the generator adapted to it: which privacy stays, and what the rows say."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from personare.core import registry
from personare.core.errors import DataError, OptionError
from personare.core.protocols import AdaptedSampler, Generator, Sampler
from personare.core.randomness import generator
from personare.core.state import load_weights, restored, save_weights, state_of
from personare.core.types import Batch, Feedback, Result, Spend
from personare.data.atomic import make_folder, write_json
from personare.data.cohort import open_cohort
from personare.data.runs import RunFolder, fingerprint, private_folder
from personare.data.votes import Votes
from personare.evaluate.experts import agreement_rows, failure_rows, win_rows
from personare.learn.reward import feedback_of
from personare.simulate.raters import simulated_votes
from personare.study.access import open_batch, open_ledger
from personare.study.parallel import Workers
from personare.study.plan import SIMULATED, AdaptPlan, read_plan, toml
from personare.study.run import run_study
from personare.study.study import Study

_FRESH = "fresh"  # raters whom the adaptation never met


@dataclass(frozen=True, kw_only=True)
class Experts:
    """The raters of one release, and what they said of it."""

    plan: AdaptPlan
    seed: int
    items: Batch  # the release's recordings, by item id
    votes: pd.DataFrame  # on these items alone

    @classmethod
    def of(cls, study: Study, plan: AdaptPlan, label: str) -> "Experts":
        """Gather the votes on a release of the run."""
        items = rated_batch(study, plan.of, label)
        votes = _votes(study, plan, items)
        mine = np.logical_and.reduce([votes[side].isin(["", *items.ids]) for side in ("a", "b")])
        if not mine.any():
            raise DataError(
                f"Nobody has rated {plan.of}: {plan.feedback} holds {len(votes)} answers, none of them on its people. "
                "Collect some with 'personare review', then adapt again."
            )
        return cls(plan=plan, seed=study.plan.seed, items=items, votes=votes[mine].reset_index(drop=True))

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

    def lacking(self, study: Study) -> str:
        """Return which condition failed, of those under which an adapted release keeps its generator's epsilon.

        Reward features are made of the rated items alone, and no adaptation is given anything real: these two hold of
        every adaptation. That raters saw nobody real is looked up, in all votes of the same file.
        """
        synthetic = {row.name for row in study.plan.synthetic}
        votes = _votes(study, self.plan, self.items)
        items = pd.concat([votes[side] for side in ("a", "b", "x")])
        others = sorted({name.partition("/")[0] for name in items if name} - synthetic)
        return f"the same raters saw recordings of real people ({', '.join(others)})" if others else ""

    def guarantee(self, study: Study, spends: tuple[Spend, ...]) -> str:
        """Return what the card says of the privacy of the loop, after a generator that cost so much."""
        who = f"{len(self.votes)} answers of {self.votes['rater'].nunique()} raters"
        if not spends:
            return (
                f"No guarantee: adapted by {self.plan.method} to {who}, after a generator that was learned without "
                "differential privacy. It may hold traces of people it was learned from; what the attacks on its card "
                "did not find, others may."
            )
        if lacking := self.lacking(study):
            return f"No epsilon is claimed: the generator cost epsilon = {spends[0].epsilon:.3g}, but {lacking}."
        return (
            f"It is the generator's claim, by post-processing: {self.plan.method} adapted it to {who}, who saw made-up "
            "recordings only; the reward is of features of these, and nothing real was looked at again. What raters "
            "know of real people from elsewhere is outside it."
        )

    def cost_rows(self, adapted: Sampler) -> list[Result]:
        """Return how far the generator went, with what was tried on the way."""
        row = Result(
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
        return [row]

    def rows(self, study: Study, name: str, label: str) -> list[Result]:
        """Return what the raters say of the adapted release ``name`` beside the one that they saw before."""
        plan, rng = self.plan, generator(self.seed, name, "experts")
        votes = _votes(study, plan, self.items)
        if plan.feedback == SIMULATED:
            after = rated_batch(study, name, label)
            votes = pd.concat([self.votes, _fresh_votes(self, after, rng=rng)], ignore_index=True)
        return [
            *agreement_rows(votes, rng=rng),
            *win_rows(votes, adapted=name, unadapted=plan.of, rng=rng),
            *failure_rows(votes, release=name, before=plan.of, rng=rng),
        ]


def rated_batch(study: Study, release: str, label: str) -> Batch:
    """Open a synthetic release of the run as raters' items: its numbers, under item ids."""
    root = study.folder.root / "releases" / release
    if not (root / "dataset_description.json").is_file():
        raise DataError(f"There is no release {release} in {study.folder.root}, whose people could have been rated.")
    batch = open_batch(open_cohort(root), label, (), study.ledger, purpose="evaluation", texts=False).batch
    numbers = [name for name, values in batch.arrays.items() if values.dtype.kind == "f"]
    return replace(batch.only(*numbers), ids=tuple(f"{release}/{i}" for i in batch.ids))


def _votes(study: Study, plan: AdaptPlan, items: Batch) -> pd.DataFrame:
    if plan.feedback != SIMULATED:
        path = Path(plan.feedback)
        if "://" not in plan.feedback and not path.is_file():
            raise DataError(f"There are no votes at {path}. Give the file that 'personare review' wrote.")
        return Votes(plan.feedback).table()
    return simulated_votes(
        items,
        raters=plan.raters,
        comparisons=plan.comparisons,
        checks=plan.checks,
        taste=plan.taste,
        rng=generator(study.plan.seed, plan.of, "raters"),
    )


def _fresh_votes(experts: Experts, after: Batch, *, rng: np.random.Generator) -> pd.DataFrame:
    return experts.votes[:0]


def keep_generator(run: RunFolder, release: str, sampler: Sampler, near: Sequence[str]) -> None:
    """Keep a fitted generator where it may not be sent: it was learned from people, and an adaptation begins there.

    ``near`` are recordings of the release that are too near to one learned from to be shown to raters.
    """
    save_weights(make_folder(run.private / "generators") / f"{release}.safetensors", *state_of(sampler))
    write_json(make_folder(run.private / "near") / f"{release}.json", near)


def load_sampler(run: RunFolder, name: str, method: Generator) -> Sampler:
    """Read the fitted generator of a release of the run."""
    path = run.private / "generators" / f"{name}.safetensors"
    if not path.is_file():
        raise DataError(
            f"The generator of {name} is not kept ({path} is not there): make the release in a new run, then adapt it."
        )
    sampler: Sampler = restored(method, *load_weights(path))
    return sampler


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
    text = (private / "study.toml").read_text(encoding="utf-8")
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
    root = Path(json.loads((private / "cohort.json").read_text(encoding="utf-8"))["root"])
    cohort = open_cohort(root)
    book = open_ledger(ledger, root)
    run_study(cohort, read_plan(text, str(run)), text, run, workers=workers, ledger=book)
    return name
