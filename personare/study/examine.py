"""Looks again at the models of a run: on other people, disturbed, and with heavier attacks than a study's."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from personare.core.errors import DataError
from personare.core.randomness import generator
from personare.core.types import Array, Batch, Cohort, Result, Spend
from personare.data.cohort import open_cohort
from personare.data.runs import write_json
from personare.evaluate.attribution import modality_shapley, weights_by_class
from personare.evaluate.audit import audit
from personare.evaluate.classification import judge_model
from personare.evaluate.robustness import judge_robustness
from personare.govern.ledger import Ledger
from personare.study.models import Models, ModelWork, load_model
from personare.study.plan import StudyPlan, load_plan

__all__ = ["audit_run", "evaluate_run"]

_CANARIES = 500


@dataclass(frozen=True, kw_only=True)
class _Made:
    """A model of a run, and what it was made from."""

    name: str
    models: Models
    work: ModelWork
    spends: tuple[Spend, ...]
    test: tuple[str, ...]


def evaluate_run(run: Path, cohort: Path | None, ledger: Ledger) -> pd.DataFrame:
    """Measure every model of a run: what it can do, whole and disturbed, and which modality it listens to.

    Args:
        run: A folder made by ``personare train`` or ``personare study``.
        cohort: Other people to judge by; None for the people that were kept out of training.
        ledger: Notes what is opened.

    Returns:
        The rows, also in ``evaluation.json`` and, for single answers, ``explanations/<model>.csv`` of the run.

    Raises:
        DataError: There is no model in the run, or the cohort has no recording of its classes.
    """
    rows: list[Result] = []
    for made in _models(run, ledger, StudyPlan(models=load_plan(config=run / "study.toml")[0].models)):
        batch = made.work.batch if cohort is None else made.models.read(open_cohort(cohort), made.work.model)[0]
        predictor, _ = load_model(run / "releases" / made.name / "model.safetensors")
        batch = _as_known(batch, predictor.classes)
        if cohort is None:
            batch = batch.take(np.isin(np.array(batch.ids), made.test))
        rng = generator(0, made.name, "evaluate")
        own = judge_model(predictor(batch), batch, None, rng=rng) + judge_robustness(predictor, batch, rng=rng)
        rows += [replace(row, release=made.name, modality="model", detail={}) for row in own]
        _explain(run / "explanations", made.name, predictor, batch)
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


def audit_run(run: Path, ledger: Ledger, *, shadows: int = 32, canaries: int = _CANARIES) -> pd.DataFrame:
    """Attack every model of a run with all membership attacks, and test its claim by canaries in one more training.

    Args:
        run: A folder made by ``personare train`` or ``personare study``.
        ledger: Notes what is opened.
        shadows: Models trained alike on halves of the training people.
        canaries: Mislabeled recordings of people kept out of training, each trained on with a chance of one half.

    Returns:
        The rows, also in ``audit.json`` of the run.

    Raises:
        DataError: There is no model in the run.
    """
    plan = load_plan(config=run / "study.toml")[0]
    every = ("membership_loss", "membership_population", "membership_shadow", "membership_lira", "membership_rmia")
    rows: list[Result] = []
    for made in _models(run, ledger, replace(plan, releases=(), shadows=shadows, membership=every)):
        own = [*made.work.membership(), _audit(made, canaries)]
        rows += [replace(row, release=made.name, modality="model") for row in own]
    write_json(run / "audit.json", [asdict(row) for row in rows])
    return pd.DataFrame([asdict(replace(row, detail={})) for row in rows])


def _audit(made: _Made, count: int) -> Result:
    """Train once more with mislabeled recordings of other people among the rest."""
    rng = generator(made.models.plan.seed, made.name, "canaries")
    strangers = made.work.batch.take(np.isin(np.array(made.work.batch.ids), made.test))
    rows = rng.integers(len(strangers), size=count)
    labels = rng.integers(len(strangers.classes), size=count)

    def fit(chosen: Array, named: Array, inside: Array) -> Array:
        planted = _as_people(strangers.take(chosen), named)
        predictor = made.work.fit(made.work.learner, _joined(made.work.parts.train, planted.take(inside)), rng)
        likely = np.log(np.maximum(predictor(planted), 1e-30))
        return np.asarray(likely[np.arange(count), named] - likely.mean(axis=1))

    claim = made.spends[0] if made.spends else None
    return audit(fit, rows, labels, claim=claim, rng=generator(made.models.plan.seed, made.name, "audit"))


def _as_people(batch: Batch, labels: Array) -> Batch:
    """Make each recording a person of its own, with the label given."""
    names = tuple(f"canary-{i}" for i in range(len(batch)))
    return replace(batch, ids=names, subjects=np.array(names), labels=labels.astype(np.int64))


def _joined(one: Batch, other: Batch) -> Batch:
    both = {name: np.concatenate([one.arrays[name], other.arrays[name]]) for name in one.arrays}
    present = {name: np.concatenate([one.present[name], other.present[name]]) for name in one.present}
    return replace(
        one,
        ids=one.ids + other.ids,
        arrays=both,
        present=present,
        labels=np.concatenate([one.labels, other.labels]),
        subjects=np.concatenate([one.subjects.astype(str), other.subjects.astype(str)]),
    )


def _models(run: Path, ledger: Ledger, plan: StudyPlan) -> list[_Made]:
    """Return the models of a run with the recordings that they were made from."""
    found = []
    for model in plan.models:
        step = run / "steps" / f"model-{model.name}.json"
        if step.is_file():
            made: Mapping[str, Any] = json.loads(step.read_text(encoding="utf-8"))["result"]
            cohort: Cohort = open_cohort(Path(made["cohort"]))
            public = open_cohort(Path(plan.public)) if plan.public else None
            models = Models(cohort=cohort, plan=plan, out=run, ledger=ledger, public=public)
            work = ModelWork(models=models, model=model, batch=models.read(cohort, model)[0])
            spends = tuple(Spend(**spend) for spend in made["spends"])
            found.append(_Made(name=model.name, models=models, work=work, spends=spends, test=tuple(made["test"])))
    if not found:
        raise DataError(f"There is no trained model in {run}. Train one with 'personare train'.")
    return found
