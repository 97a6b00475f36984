"""Looks again at the models of a run: on other people, disturbed, and with heavier attacks than a study's."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from personare.core.atomic import write_json
from personare.core.errors import DataError, OptionError
from personare.core.randomness import generator
from personare.core.types import Array, Result, Spend
from personare.data.cohort import open_cohort
from personare.data.runs import RunFolder, private_folder
from personare.evaluate.audit import audit
from personare.evaluate.classification import judge_model, judge_robustness, modality_shapley, weights_by_class
from personare.evaluate.synthetic_case import together
from personare.learn.accounting import as_one_claim
from personare.study.access import open_batch, open_ledger
from personare.study.kinds.models import Model, ModelPlan, load_model
from personare.study.lineage import training_records
from personare.study.plan import StudyPlan, load_plan
from personare.study.study import Study


def evaluate_run(run: Path, cohort: Path | None, ledger: str | None = None) -> pd.DataFrame:
    """Measure every model of a run: what it can do, whole and disturbed, and which modality it listens to.

    Judged by another cohort's people, or else by those that were kept out of training. The rows are in
    ``evaluation.json`` of the run too and, for single answers, in ``explanations/<model>.csv`` of its private folder.
    """
    rows: list[Result] = []
    plan = replace(_plan(run), public="")
    explanations = private_folder(run) / "explanations"
    for row, record in _records(run, plan):
        if cohort is None:
            model = _model(run, plan, row, Path(record["cohort"]), ledger)
            batch = model.batch.take(np.isin(np.array(model.batch.ids), record["test"]))
        else:
            model = _model(run, plan, row, cohort, ledger, "evaluation")
            batch = model.batch
        predictor, _ = load_model(run / "releases" / row.name / "model.safetensors")
        # labels are numbered as the model does; what it never learned is left out
        names, number = np.array(batch.classes)[batch.labels], {name: i for i, name in enumerate(predictor.classes)}
        learned = np.isin(names, predictor.classes)
        if not learned.any():
            raise DataError(
                f"The model knows {', '.join(number)}, the cohort {', '.join(batch.classes)}: nothing in common."
            )
        labels = np.array([number.get(str(name), 0) for name in names], dtype=np.int64)
        batch = replace(batch, labels=labels, classes=tuple(predictor.classes)).take(learned)
        rng, people = generator(plan.seed, row.name, "judge"), model.table.loc[list(batch.ids)]
        results = judge_model(predictor(batch), batch, people, rng=rng) + judge_robustness(predictor, batch, rng=rng)
        rows += [replace(result, release=row.name, kind="model", detail={}) for result in results]
        explanations.mkdir(exist_ok=True)
        shares = pd.DataFrame(modality_shapley(predictor, batch), index=pd.Index(batch.ids, name="recording"))
        shares.to_csv(explanations / f"{row.name}.csv")
        if hasattr(predictor, "weights"):
            weights = weights_by_class(predictor.weights(batch), batch.labels, batch.classes)
            weights.to_csv(explanations / f"{row.name}_weights.csv")
    return _written(run / "evaluation.json", rows)


def audit_run(run: Path, ledger: str | None, *, shadows: int, canaries: int) -> pd.DataFrame:
    """Attack every model of a run with all membership attacks, and test its claim by canaries in one more training.

    ``shadows`` are models trained alike on halves of the training people, ``canaries`` mislabeled recordings of people
    kept out of training, each trained on with a chance of one half. The rows are in ``audit.json`` of the run too.
    """
    every = ("membership_loss", "membership_population", "membership_shadow", "membership_lira", "membership_rmia")
    rows: list[Result] = []
    plan = replace(_plan(run), releases=(), shadows=shadows, membership=every)
    for row, record in _records(run, plan):
        model = _model(run, plan, row, Path(record["cohort"]), ledger)
        claim = as_one_claim(tuple(Spend(**spend) for spend in record["spends"]))
        results = [*model.membership(), _audit(model, claim, canaries)]
        rows += [replace(result, release=row.name, kind="model") for result in results]
    return _written(run / "audit.json", rows)


def _written(file: Path, rows: Sequence[Result]) -> pd.DataFrame:
    write_json(file, [asdict(row) for row in rows])
    return pd.DataFrame([asdict(replace(row, detail={})) for row in rows])


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


def _records(run: Path, plan: StudyPlan) -> list[tuple[ModelPlan, Mapping[str, Any]]]:
    """Return the models of a run, each with what its training came to: ``cohort``, ``test``, ``spends`` ..."""
    records = training_records(private_folder(run), plan.models)
    if not records:
        raise DataError(f"There is no trained model in {run}. Train one with 'personare train'.")
    return [(row, record["result"]) for row, record in records]


def _model(
    run: Path, plan: StudyPlan, row: ModelPlan, root: Path, ledger: str | None, purpose: str = "training"
) -> Model:
    """Open people for a model of a run: those it was made from, or others."""
    cohort = open_cohort(root)
    study = Study(cohort=cohort, plan=plan, run=RunFolder(run), ledger=open_ledger(ledger, root))
    opened = open_batch(cohort, row.label, row.modalities, study.ledger, purpose=purpose)
    return Model(study=study, row=row, batch=opened.batch)


def _audit(model: Model, claim: Spend | None, count: int) -> Result:
    """Train once more with mislabeled recordings of other people among the rest."""
    # canaries are units too, and a private training needs fewer units than one over delta
    room = 1 / claim.delta - claim.units if claim else math.inf
    if count < 2 or count / 2 + 2 * math.sqrt(count) > room:
        raise OptionError(
            f"canaries must be at least 2, and half of them beside {claim.units if claim else 0} units fewer than one "
            f"over the delta of the claim; {count} are not. Take others, or train with a smaller delta."
        )
    seed, name, strangers = model.study.plan.seed, model.row.name, model.parts.test
    rng = generator(seed, name, "canaries")
    rows = rng.integers(len(strangers), size=count)
    labels = rng.integers(len(strangers.classes), size=count)

    def fit(rows: Array, labels: Array, inside: Array) -> Array:
        ids = tuple(f"canary-{i}" for i in range(len(rows)))  # each a person of its own
        people = np.array(ids)
        planted = replace(strangers.take(rows), ids=ids, subjects=people, labels=labels.astype(np.int64))
        predictor = model.fit(model.learner, together([model.parts.train, planted.take(inside)]), rng)
        likely = np.log(np.maximum(predictor(planted), 1e-30))
        return np.asarray(likely[np.arange(len(rows)), labels] - likely.mean(axis=1))

    return audit(fit, rows, labels, claim=claim, rng=generator(seed, name, "audit"))
