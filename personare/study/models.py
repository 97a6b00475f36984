"""Models as releases: learned from a cohort, judged on people they never met, attacked through shadow models."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from personare.core import registry
from personare.core.errors import DataError
from personare.core.protocols import Predictor
from personare.core.randomness import generator
from personare.core.types import Array, Batch, Cohort, Release, Result, Spend, Withheld
from personare.data.atomic import make_folder
from personare.data.cohort import open_cohort
from personare.data.runs import RunFolder
from personare.evaluate.classification import judge_model
from personare.evaluate.membership import Signals, judge_membership, split_halves
from personare.evaluate.selftest import beside
from personare.evaluate.unmeasured import unmeasured, without_figure
from personare.govern.budget import charge
from personare.govern.ledger import Ledger
from personare.learn.accounting import as_one_claim, compose
from personare.learn.checkpoints import load_weights, save_weights
from personare.learn.describing import describe_batch
from personare.study.card import write_card
from personare.study.evidence import table
from personare.study.lineage import note_batch
from personare.study.needs import MEMBERSHIP, private_need
from personare.study.opening import Opening, content, open_batch
from personare.study.outputs import measured, read_result
from personare.study.parting import Parts, split_people
from personare.study.plan import StudyPlan
from personare.study.releases import ModelPlan

__all__ = ["ModelWork", "Models", "load_model"]


@dataclass(frozen=True)
class Models:
    """Trains and judges the models of a study; every step is remembered in the run folder.

    Attributes:
        cohort: Whose recordings are learned from, for the purpose ``training``.
        plan: Its models, shadow models, membership attacks and public cohort.
        run: The run.
        ledger: Notes each opening, each privacy spend and each released model.
        opening: Of the cohort, shared with other releases of it; None: its own.
    """

    cohort: Cohort
    plan: StudyPlan
    run: RunFolder
    ledger: Ledger
    opening: Opening | None = None

    @cached_property
    def public(self) -> Cohort | None:
        """Recordings of people whose data need no protection; None where there are none."""
        return open_cohort(Path(self.plan.public)) if self.plan.public else None

    def read(self, cohort: Cohort, model: ModelPlan, purpose: str = "training") -> tuple[Batch, list[Withheld]]:
        """Open what a model reads."""
        opened = open_batch(cohort, model.label, model.modalities, self.ledger, purpose=purpose)
        return opened.batch, list(opened.skipped)

    def make(self, model: ModelPlan) -> tuple[Release, list[Result], list[Withheld]]:
        """Train a model, save it with its card, and measure what it can do and what it gives away."""
        opened = (self.opening or Opening(cohort=self.cohort, ledger=self.ledger))(model.label, model.modalities)
        batch, skipped = opened.batch, list(opened.skipped)
        work = ModelWork(models=self, model=model, batch=batch)
        key = {"recordings": content(batch), "seed": str(self.plan.seed), "public": self.plan.public}
        plan, root = self.plan, self.run.root / "releases" / model.name
        options = {**asdict(model), "shadows": plan.shadows, "membership": plan.membership}
        made = self.run.step(f"model-{model.name}", inputs=key, options=options, work=work.train, product=root)
        note_batch(self.run, model.name, batch)
        judged = self.run.step(f"judge-{model.name}", inputs=key, options=options, work=work.judge)
        rows = [read_result(row) for row in judged["rows"]]
        spends = tuple(Spend(**spend) for spend in made["spends"])
        write_card(root / "README.md", self.cohort, model, spends, rows, made)
        release = Release(
            name=model.name,
            kind="model",
            root=root,
            modalities=("model",),
            methods={"model": model.method},
            options={model.method: dict(model.options)},
            counts={"recordings": made["recordings"], "people": made["people"], "seconds": made["seconds"]},
        )
        return release, rows, skipped


@dataclass(frozen=True)
class ModelWork:
    """One model of a study."""

    models: Models
    model: ModelPlan
    batch: Batch

    @cached_property
    def learner(self) -> Any:
        """The method with its options."""
        return registry.create("personare.train", self.model.method, dict(self.model.options))

    @cached_property
    def table(self) -> pd.DataFrame:
        """What is known about the recordings and their people, by recording id."""
        cohort, ids = self.models.cohort, set(self.batch.ids)
        return table(cohort, [r for r in cohort.recordings if r.id in ids])

    @cached_property
    def parts(self) -> Parts:
        """Who is learned from, watched, and judged by: the same people for all models of a protocol."""
        rng = generator(self.models.plan.seed, "split", self.model.protocol)
        return split_people(self.batch, self.model, self.table, rng=rng)

    @cached_property
    def _public(self) -> Batch | None:
        return self.models.read(self.models.public, self.model)[0] if self.models.public else None

    def _rng(self, *what: str) -> np.random.Generator:
        return generator(self.models.plan.seed, self.model.name, *what)

    def train(self) -> Mapping[str, Any]:
        """Train the model that is released, and write it."""
        parts, seconds = self.parts, pd.Timestamp.now()
        # A seed can be guessed, and whoever knows it can take the noise off: what is released as private has none.
        rng = self._rng("fit") if getattr(self.learner, "epsilon", None) is None else np.random.default_rng()
        predictor = self.fit(self.learner, parts.train, rng)
        self._charge(predictor.spends)  # refuses before anything is written or seen
        tensors, about = predictor.state()
        kept = {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in tensors.items()}
        said = {**about, "personare": json.dumps(asdict(self.model))}
        note_batch(self.models.run, self.model.name, self.batch)
        with self.models.run.making(self.model.name) as part:
            save_weights(make_folder(part) / "model.safetensors", kept, said)
        spends = [asdict(spend) for spend in predictor.spends]
        detail = {**asdict(self.model), "spends": spends}
        note = {"cohort": self.models.cohort.name, "purpose": "training", "detail": detail}
        self.models.ledger.append("released", [note])
        return {
            "cohort": str(self.models.cohort.root.resolve()),
            "spends": spends,
            "classes": list(predictor.classes),
            "modalities": list(parts.train.arrays),
            "test": list(parts.test.ids),
            "recordings": len(parts.train),
            "people": len(set(parts.train.subjects)),
            "seconds": (pd.Timestamp.now() - seconds).total_seconds(),
        }

    def _charge(self, spends: Sequence[Spend]) -> None:
        people = Counter(map(str, self.parts.train.subjects))
        plan, name = self.models.plan, self.models.cohort.name
        charge(self.models.ledger, spends, cohort=name, people=people, budget=plan.budget, compose=compose)

    def fit(self, learner: Any, train: Batch, rng: np.random.Generator) -> Predictor:
        """Train on these recordings, with this model's validation people and public data."""
        found: Predictor = learner.fit(train, validation=self.parts.validation, rng=rng, public=self._public)
        return found

    def judge(self) -> Mapping[str, Any]:
        """Measure the released model."""
        test = self.parts.test
        predictor = load_model(self.models.run.root / "releases" / self.model.name / "model.safetensors")[0]
        people = self.table.loc[list(test.ids)]
        answers = predictor(test)
        rows = judge_model(answers, test, people, rng=self._rng("judge"))
        if why := private_need(self.learner).lacking(self.parts.train.subjects):
            rows = [without_figure(row, f"{why}") for row in rows]
        rows += measured("model", "risk", lambda: self._given_away(predictor, answers, people))
        rows += measured("membership", "risk", self.membership)
        return {"rows": [asdict(replace(row, release=self.model.name, modality="model")) for row in rows]}

    def _given_away(self, predictor: Predictor, answers: Array, people: pd.DataFrame) -> list[Result]:
        """Ask what the model's answers, and what it reads them from, still tell about people it never met."""
        test = self.parts.test
        seen = {"answers": answers}
        if hasattr(predictor, "represent"):
            seen["representation"] = predictor.represent(test)
        raw = describe_batch(test, tuple(test.arrays))
        rows: list[Result] = []
        for name in self.models.plan.disclosure:
            attack = partial(registry.create, "personare.evaluate.attacks", name)
            rows += measured(name, "risk", lambda: attack()(seen, raw, people, rng=self._rng(name)))  # noqa: B023
        return rows

    def membership(self) -> list[Result]:
        """Train shadows on halves of the training people, and let every attack tell who was in which."""
        if not self.models.plan.shadows or not self.models.plan.membership:
            return []
        if why := MEMBERSHIP.lacking(self.parts.train.subjects):
            return [unmeasured(f"{name}.auc", "risk", DataError(why)) for name in self.models.plan.membership]
        rows = self._attacked(self.learner)
        if getattr(self.learner, "epsilon", None) is None:
            return rows
        # An attack that finds nobody in the same model without privacy would say nothing about what privacy bought.
        open_rows = {row.measure: row for row in self._attacked(replace(self.learner, epsilon=None))}
        return [beside(row, open_rows[row.measure], "the same model without privacy") for row in rows]

    def _attacked(self, learner: Any) -> list[Result]:
        plan, pool = self.models.plan, self.parts.train
        unit = getattr(learner, "unit", "person")
        units = np.array(pool.ids) if unit == "recording" else pool.subjects
        inside = split_halves(units, plan.shadows, rng=self._rng("halves"))
        predictors = self._shadows(learner, pool, inside)
        answers = np.stack([predictor(pool) for predictor in predictors])
        signals = Signals.of_probabilities(answers, inside, pool.labels, pool.subjects)
        attacks = {name: registry.create("personare.evaluate.attacks", name) for name in plan.membership}
        claim = as_one_claim(predictors[0].spends)
        return judge_membership(signals, attacks, claim=claim, rng=self._rng("membership"))

    def _shadows(self, learner: Any, pool: Batch, inside: Array) -> Sequence[Predictor]:
        if hasattr(learner, "fit_many"):
            many: Sequence[Predictor] = learner.fit_many(pool, inside, rng=self._rng("shadows"), public=self._public)
            return many
        return [self.fit(learner, pool.take(rows), self._rng("shadow", str(i))) for i, rows in enumerate(inside)]


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
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    return learner.restore(arrays, about), model
