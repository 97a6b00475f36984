"""Models: learned from a cohort, judged on people they never met, attacked through shadow models."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from personare.core import registry
from personare.core.errors import DataError, OptionError
from personare.core.protocols import Predictor
from personare.core.state import load_weights, restored, save_weights, state_of
from personare.core.types import Array, Batch, Release, Result, Spend
from personare.data.atomic import make_folder
from personare.data.splits import (
    as_published,
    check_apart,
    k_folds_with_validation,
    leaky_random_9_1,
    unseen_sentences,
)
from personare.evaluate.classification import judge_model
from personare.evaluate.membership import Signals, judge_membership, split_halves
from personare.evaluate.selftest import beside
from personare.evaluate.unmeasured import unmeasured, without_figure
from personare.learn.accounting import as_one_claim
from personare.learn.describing import describe_batch
from personare.study.cards import write_card
from personare.study.needs import MEMBERSHIP, private_need
from personare.study.opening import table
from personare.study.study import Outcome, Study, measured, read_result, unseeded

__all__ = ["Models"]

_FOLDS = 5


@dataclass(frozen=True, kw_only=True)
class ModelPlan:
    """A model to train.

    Attributes:
        name: Unique in the study.
        method: A file of ``train``.
        options: Its options, ``epsilon`` among them.
        modalities: Tracks to read; none: all but films.
        label: What is learned; empty: the study's.
        protocol: ``person_folds``: judged on people it never met. ``unseen_sentences``: who also say what it never
            heard. ``published``: the parts that the data set's authors named, in the label ``split``.
            ``leaky_random_9_1``: on other clips of the same people, to compare with tables published that way.
    """

    name: str
    method: str
    options: Mapping[str, Any] = field(default_factory=dict)
    modalities: Sequence[str] = ()
    label: str = ""
    protocol: str = "person_folds"

    def __post_init__(self) -> None:
        """Check the protocol, and that the method exists and takes its options."""
        known = ("person_folds", "unseen_sentences", "published", "leaky_random_9_1")
        if self.protocol not in known:
            raise OptionError(f"The protocol must be one of {', '.join(known)}, not {self.protocol!r}.")
        registry.create("personare.train", self.method, self.options)


@dataclass(frozen=True)
class Models:
    """Trains each model, saves it with its card, and measures what it can do and what it gives away."""

    row = ModelPlan

    def __call__(self, study: Study, rows: Sequence[ModelPlan]) -> Outcome:
        """Make and judge these models."""
        outcome = Outcome()
        for row in rows:
            opened = study.opened(row)
            work = Model(study=study, row=row, batch=opened.batch)
            judging = {"shadows": study.plan.shadows, "membership": study.plan.membership}
            root, made = study.make(row, work.batch, work.train, judging)
            judged = study.folder.step(
                f"judge-{row.name}", inputs=study.key(work.batch), options={**asdict(row), **judging}, work=work.judge
            )
            results = [read_result(result) for result in judged["rows"]]
            spends = tuple(Spend(**spend) for spend in made["spends"])
            write_card(root / "README.md", study.cohort, row, spends, results, made)
            release = Release(
                name=row.name,
                kind="model",
                root=root,
                modalities=("model",),
                methods={"model": row.method},
                options={row.method: dict(row.options)},
                counts={name: made[name] for name in ("recordings", "people", "seconds")},
            )
            outcome.add(Outcome(releases=[release], rows=results, skipped=list(opened.skipped)))
        return outcome


@dataclass(frozen=True, kw_only=True)
class Parts:
    """A batch by a protocol: what is learned from, what may be looked at meanwhile, what judges."""

    train: Batch
    validation: Batch
    test: Batch


def split_people(batch: Batch, protocol: str, table: pd.DataFrame, *, rng: np.random.Generator) -> Parts:
    """Part a batch by a protocol (see ``ModelPlan``), and check that nobody leaks where nobody should.

    ``table`` has the columns ``sentence`` and ``split``, by recording id, where a protocol asks for them.

    Raises:
        DataError: Too few people, or a label that the protocol needs is missing.
    """
    subjects = dict(zip(batch.ids, map(str, batch.subjects), strict=True))

    def labels(name: str) -> dict[str, str]:
        if name not in table or table.loc[list(batch.ids), name].isna().any():
            raise DataError(
                f"The protocol {protocol} needs the label '{name}' of every recording. Add it, or use another."
            )
        return dict(zip(batch.ids, table.loc[list(batch.ids), name].astype(str), strict=True))

    if protocol == "leaky_random_9_1":
        split = leaky_random_9_1(batch.ids, rng=rng, validation=0.1)
    elif protocol == "unseen_sentences":
        split = unseen_sentences(subjects, labels("sentence"), _FOLDS, rng=rng)[0]
        check_apart(split, subjects, labels("sentence"))
    elif protocol == "published":
        split = as_published(subjects, labels("split"), _FOLDS, rng=rng)
        check_apart(split, subjects)
    else:
        classes = dict(zip(batch.ids, np.array(batch.classes)[batch.labels].tolist(), strict=True))
        split = k_folds_with_validation(subjects, _FOLDS, labels=classes, rng=rng)[0]
        check_apart(split, subjects)
    row = {name: i for i, name in enumerate(batch.ids)}

    def part(ids: Sequence[str]) -> Batch:
        return batch.take(np.array([row[name] for name in ids], dtype=int))

    return Parts(train=part(split.train), validation=part(split.validation), test=part(split.test))


@dataclass(frozen=True, kw_only=True)
class Model:
    """One model of a study.

    Attributes:
        study: Whose.
        row: What was asked for.
        batch: What it learns from.
    """

    study: Study
    row: ModelPlan
    batch: Batch

    @cached_property
    def learner(self) -> Any:
        """The method with its options."""
        return registry.create("personare.train", self.row.method, dict(self.row.options))

    @cached_property
    def table(self) -> pd.DataFrame:
        """What is known about the recordings and their people, by recording id."""
        cohort, ids = self.study.cohort, set(self.batch.ids)
        return table(cohort, [r for r in cohort.recordings if r.id in ids])

    @cached_property
    def parts(self) -> Parts:
        """Who is learned from, watched, and judged by: the same people for all models of a protocol."""
        return split_people(self.batch, self.row.protocol, self.table, rng=self.study.rng("split", self.row.protocol))

    @cached_property
    def _public(self) -> Batch | None:
        return self.study.public_batch(self.row.label, self.row.modalities)

    def _rng(self, *what: str) -> np.random.Generator:
        return self.study.rng(self.row.name, *what)

    def train(self, folder: Path) -> Mapping[str, Any]:
        """Train the model that is released, and write it."""
        parts = self.parts
        private = getattr(self.learner, "epsilon", None) is not None
        predictor = self.fit(self.learner, parts.train, unseeded(private, self._rng("fit")))
        self.study.charge(predictor.spends, parts.train)  # refuses before anything is written or seen
        tensors, about = state_of(predictor)
        said = {**about, "personare": json.dumps(asdict(self.row))}
        save_weights(make_folder(folder) / "model.safetensors", tensors, said)
        self.study.note(self.row, predictor.spends)
        return {
            "cohort": str(self.study.cohort.root.resolve()),
            "spends": [asdict(spend) for spend in predictor.spends],
            "classes": list(predictor.classes),
            "modalities": list(parts.train.arrays),
            "test": list(parts.test.ids),
            "recordings": len(parts.train),
            "people": len(set(parts.train.subjects)),
        }

    def fit(self, learner: Any, train: Batch, rng: np.random.Generator) -> Predictor:
        """Train on these recordings, with this model's validation people and public data."""
        found: Predictor = learner.fit(train, validation=self.parts.validation, rng=rng, public=self._public)
        return found

    def judge(self) -> Mapping[str, Any]:
        """Measure the released model."""
        test = self.parts.test
        predictor = load_model(self.study.folder.root / "releases" / self.row.name / "model.safetensors")[0]
        people = self.table.loc[list(test.ids)]
        answers = predictor(test)
        rows = judge_model(answers, test, people, rng=self._rng("judge"))
        if why := private_need(self.learner).lacking(self.parts.train.subjects):
            rows = [without_figure(row, f"{why}") for row in rows]
        rows += measured("model_identity", "identify", lambda: self._disclosed(predictor, answers, people))
        rows += measured("membership", "member", self.membership)
        return {"rows": [asdict(replace(row, release=self.row.name, kind="model")) for row in rows]}

    def _disclosed(self, predictor: Predictor, answers: Array, people: pd.DataFrame) -> list[Result]:
        """Ask what the model's answers, and what it reads them from, still tell about people it never met."""
        test = self.parts.test
        seen = {"answers": answers}
        if hasattr(predictor, "represent"):
            seen["representation"] = predictor.represent(test)
        raw = describe_batch(test, tuple(test.arrays))
        rows: list[Result] = []
        for name in self.study.plan.disclosure:
            attack = partial(registry.create, "personare.evaluate.attacks", name)
            question = registry.load("personare.evaluate.attacks", name).question
            rows += measured(name, question, lambda: attack()(seen, raw, people, rng=self._rng(name)))  # noqa: B023
        return rows

    def membership(self) -> list[Result]:
        """Train shadows on halves of the training people, and let every attack tell who was in which."""
        plan = self.study.plan
        if not plan.shadows or not plan.membership:
            return []
        if why := MEMBERSHIP.lacking(self.parts.train.subjects):
            return [unmeasured(name, "member", DataError(why), figure="auc") for name in plan.membership]
        rows = self._attacked(self.learner)
        if getattr(self.learner, "epsilon", None) is None:
            return rows
        # An attack that finds nobody in the same model without privacy would say nothing about what privacy bought.
        open_rows = {row.key: row for row in self._attacked(replace(self.learner, epsilon=None))}
        return [beside(row, open_rows[row.key], "the same model without privacy") for row in rows]

    def _attacked(self, learner: Any) -> list[Result]:
        plan, pool = self.study.plan, self.parts.train
        unit = getattr(learner, "unit", "person")
        units = np.array(pool.ids) if unit == "recording" else pool.subjects
        inside = split_halves(units, plan.shadows, rng=self._rng("halves"))
        if hasattr(learner, "fit_many"):
            shadows: Sequence[Predictor] = learner.fit_many(pool, inside, rng=self._rng("shadows"), public=self._public)
        else:
            shadows = [self.fit(learner, pool.take(rows), self._rng("shadow", str(i))) for i, rows in enumerate(inside)]
        answers = np.stack([predictor(pool) for predictor in shadows])
        signals = Signals.of_probabilities(answers, inside, pool.labels, pool.subjects)
        attacks = {name: registry.create("personare.evaluate.attacks", name) for name in plan.membership}
        claim = as_one_claim(shadows[0].spends)
        return judge_membership(signals, attacks, claim=claim, rng=self._rng("membership"))


def load_model(path: Path) -> tuple[Predictor, ModelPlan]:
    """Read a released model: numbers and text only, nothing that can run.

    Returns:
        What predicts, and the plan it was made by.

    Raises:
        DataError: It is not a model that personare wrote.
    """
    tensors, about = load_weights(path)
    about = dict(about)
    try:
        model = ModelPlan(**json.loads(about.pop("personare")))
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path} is not a model written by personare: {error}.") from error
    learner = registry.create("personare.train", model.method, dict(model.options))
    return restored(learner, tensors, about), model
