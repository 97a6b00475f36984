"""Looks again at the models of a run: on other people, disturbed, and with heavier attacks than a study's."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from personare.core.errors import DataError, OptionError
from personare.core.randomness import generator
from personare.core.types import Array, Batch, Cohort, Result, Spend
from personare.data.atomic import write_json
from personare.data.cohort import open_cohort
from personare.data.runs import RunFolder, private_folder
from personare.evaluate.audit import audit
from personare.evaluate.classification import judge_model, judge_robustness, modality_shapley, weights_by_class
from personare.evaluate.synthetic_case import together
from personare.learn.accounting import as_one_claim
from personare.study.kinds.models import Model, ModelPlan, load_model
from personare.study.opening import open_batch, open_ledger
from personare.study.plan import StudyPlan, load_plan
from personare.study.study import Study

__all__ = ["audit_run", "evaluate_run"]

_CANARIES = 500


@dataclass(frozen=True, kw_only=True)
class _Made:
    """A model of a run, and what it was made from."""

    run: Path
    plan: StudyPlan
    model: ModelPlan
    ledger: str | None
    cohort: Path
    spends: tuple[Spend, ...]
    test: tuple[str, ...]

    def work(self) -> Model:
        """Open what it was made from."""
        return self._of(open_cohort(self.cohort), "training")

    def strangers(self, cohort: Path | None) -> Model:
        """Open people it never met: those of another cohort, or its own that were kept out of training."""
        if cohort is not None:
            return self._of(open_cohort(cohort), "evaluation")
        work = self.work()
        return replace(work, batch=work.batch.take(np.isin(np.array(work.batch.ids), self.test)))

    def _of(self, cohort: Cohort, purpose: str) -> Model:
        study = Study(
            cohort=cohort, plan=self.plan, run=RunFolder(self.run), ledger=open_ledger(self.ledger, cohort.root)
        )
        opened = open_batch(cohort, self.model.label, self.model.modalities, study.ledger, purpose=purpose)
        return Model(study=study, row=self.model, batch=opened.batch)


def evaluate_run(run: Path, cohort: Path | None, ledger: str | None = None) -> pd.DataFrame:
    """Measure every model of a run: what it can do, whole and disturbed, and which modality it listens to.

    Args:
        run: A folder made by ``personare train`` or ``personare study``.
        cohort: Other people to judge by; None for the people that were kept out of training.
        ledger: Notes what is opened; see ``opening.open_ledger``.

    Returns:
        The rows, also in ``evaluation.json`` of the run and, for single answers, ``explanations/<model>.csv`` of its
        private folder.

    Raises:
        DataError: There is no model in the run, or the cohort has no recording of its classes.
    """
    rows: list[Result] = []
    for made in _models(run, ledger, replace(_plan(run), public="")):
        name, work = made.model.name, made.strangers(cohort)
        predictor, _ = load_model(run / "releases" / name / "model.safetensors")
        batch = _as_known(work.batch, predictor.classes)
        rng, people = generator(made.plan.seed, name, "judge"), work.table.loc[list(batch.ids)]
        own = judge_model(predictor(batch), batch, people, rng=rng) + judge_robustness(predictor, batch, rng=rng)
        rows += [replace(row, release=name, kind="model", detail={}) for row in own]
        _explain(private_folder(run) / "explanations", name, predictor, batch)
    write_json(run / "evaluation.json", [asdict(row) for row in rows])
    return pd.DataFrame([asdict(row) for row in rows])


def _as_known(batch: Batch, classes: tuple[str, ...]) -> Batch:
    """Number the labels as the model does; what it never learned is left out."""
    names = np.array(batch.classes)[batch.labels]
    kept = np.isin(names, classes)
    if not kept.any():
        raise DataError(
            f"The model knows {', '.join(classes)}, the cohort {', '.join(batch.classes)}: nothing in common."
        )
    number = {name: i for i, name in enumerate(classes)}
    labels = np.array([number.get(str(name), 0) for name in names], dtype=np.int64)
    return replace(batch, labels=labels, classes=classes).take(kept)


def _explain(folder: Path, name: str, predictor: Any, batch: Batch) -> None:
    """Write which modality moved each answer, and how much each counted by class."""
    folder.mkdir(exist_ok=True)
    shares = pd.DataFrame(modality_shapley(predictor, batch), index=pd.Index(batch.ids, name="recording"))
    shares.to_csv(folder / f"{name}.csv")
    if hasattr(predictor, "weights"):
        weights_by_class(predictor.weights(batch), batch.labels, batch.classes).to_csv(folder / f"{name}_weights.csv")


def audit_run(run: Path, ledger: str | None = None, *, shadows: int = 32, canaries: int = _CANARIES) -> pd.DataFrame:
    """Attack every model of a run with all membership attacks, and test its claim by canaries in one more training.

    Args:
        run: A folder made by ``personare train`` or ``personare study``.
        ledger: Notes what is opened; see ``opening.open_ledger``.
        shadows: Models trained alike on halves of the training people.
        canaries: Mislabeled recordings of people kept out of training, each trained on with a chance of one half.

    Returns:
        The rows, also in ``audit.json`` of the run.

    Raises:
        DataError: There is no model in the run.
    """
    plan = _plan(run)
    every = ("membership_loss", "membership_population", "membership_shadow", "membership_lira", "membership_rmia")
    rows: list[Result] = []
    for made in _models(run, ledger, replace(plan, releases=(), shadows=shadows, membership=every)):
        own = [*made.work().membership(), _audit(made, canaries)]
        rows += [replace(row, release=made.model.name, kind="model") for row in own]
    write_json(run / "audit.json", [asdict(row) for row in rows])
    return pd.DataFrame([asdict(replace(row, detail={})) for row in rows])


def _audit(made: _Made, count: int) -> Result:
    """Train once more with mislabeled recordings of other people among the rest."""
    seed, name, work = made.plan.seed, made.model.name, made.work()
    rng = generator(seed, name, "canaries")
    strangers = work.parts.test
    rows = rng.integers(len(strangers), size=count)
    labels = rng.integers(len(strangers.classes), size=count)

    def fit(chosen: Array, named: Array, inside: Array) -> Array:
        planted = _as_people(strangers.take(chosen), named)
        predictor = work.fit(work.learner, together([work.parts.train, planted.take(inside)]), rng)
        likely = np.log(np.maximum(predictor(planted), 1e-30))
        return np.asarray(likely[np.arange(count), named] - likely.mean(axis=1))

    claim = as_one_claim(made.spends)
    _check_count(count, claim)
    return audit(fit, rows, labels, claim=claim, rng=generator(seed, name, "audit"))


def _check_count(count: int, claim: Spend | None) -> None:
    """Canaries are units too, and a private training needs fewer units than one over delta."""
    room = 1 / claim.delta - claim.units if claim else math.inf
    if count < 2 or count / 2 + 2 * math.sqrt(count) > room:
        raise OptionError(
            f"canaries must be at least 2, and half of them beside {claim.units if claim else 0} units fewer than one "
            f"over the delta of the claim; {count} are not. Take others, or train with a smaller delta."
        )


def _as_people(batch: Batch, labels: Array) -> Batch:
    """Make each recording a person of its own, with the label given."""
    names = tuple(f"canary-{i}" for i in range(len(batch)))
    return replace(batch, ids=names, subjects=np.array(names), labels=labels.astype(np.int64))


def _plan(run: Path) -> StudyPlan:
    """Return what a run did, with the folders as they are called on this machine."""
    if not (run / "study.toml").is_file():
        raise DataError(
            f"{run} is no finished run: there is no study file in it. Train a model with 'personare train'."
        )
    if not (private := private_folder(run)).is_dir():
        raise DataError(
            f"{private} is not there, where {run} keeps who was learned from. Bring it back, or train the model again."
        )
    return load_plan(config=private / "study.toml")[0]


def _models(run: Path, ledger: str | None, plan: StudyPlan) -> list[_Made]:
    """Return the models of a run, and where the recordings are that they were made from."""
    found = []
    for model in plan.models:
        step = private_folder(run) / "steps" / f"release-{model.name}.json"
        if step.is_file():
            made: Mapping[str, Any] = json.loads(step.read_text(encoding="utf-8"))["result"]
            spends, test = tuple(Spend(**spend) for spend in made["spends"]), tuple(made["test"])
            cohort = Path(made["cohort"])
            own = _Made(run=run, plan=plan, model=model, ledger=ledger, cohort=cohort, spends=spends, test=test)
            found.append(own)
    if not found:
        raise DataError(f"There is no trained model in {run}. Train one with 'personare train'.")
    return found
