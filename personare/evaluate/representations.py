"""What a representation still tells about behavior and about the person: fresh readers and fresh attackers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd

from personare.core.errors import DataError
from personare.core.protocols import Transform
from personare.core.types import Array, Batch, Result
from personare.data.splits import content_halves
from personare.evaluate.identification import FIGURES, few_recordings, named_together
from personare.evaluate.kinds import kinds_of_people
from personare.evaluate.metrics import (
    Estimate,
    mean_over_people,
    recall_and_accuracy,
    top1_credit,
    verification,
)
from personare.evaluate.namers import Centroids, Neighbors, Perceptron
from personare.evaluate.reading import Train
from personare.evaluate.selftest import marked, strongest
from personare.evaluate.trainers import Discriminant, Kernel, Svm
from personare.evaluate.unmeasured import Asked, unmeasured, without_figure
from personare.learn.standardizing import REPRESENTATION, Standardized

__all__ = ["Sides", "judge_representation", "measure_rows", "name_people", "raw_sides", "read_behavior"]

_FIGURES: Final = ("top1", "top1_5", "person_top1", "eer", "tar_far1")


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Two groups of people, as rows of numbers.

    Attributes:
        known: (N, D) people that readers, and the attackers' models of people, learn from.
        new: (M, D) people whom nobody learned from: behavior is read from them, and they are attacked.
    """

    known: Array
    new: Array


def _readers() -> dict[str, Train]:
    return {"linear": Discriminant(), "kernel": Kernel(describe=lambda row: [row]), "mlp": Perceptron()}


def _namers(known: Array, subjects: Array) -> dict[str, Train]:
    return {
        "kernel": Kernel(describe=lambda row: [row]),
        "svm": Svm(),
        "neighbors": Neighbors(),
        "mlp": Perceptron(),
        "centroids": Centroids(rows=known, subjects=subjects),
    }


def judge_representation(
    transform: Transform,
    known: Batch,
    new: Batch,
    table: pd.DataFrame,
    *,
    rng: np.random.Generator,
    baseline: Sequence[Result] | None = None,
) -> list[Result]:
    """Measure a fitted representation on people it was not fitted to.

    **Guarantee**: no reader and no attacker has learned behavior or background from a person it is tested on; attackers
    are trained on the representation itself (semi-informed); one that fails on the unprotected rows is marked.

    Args:
        transform: The fitted representation.
        known: People it may have been fitted to; readers learn from their representation.
        new: Other people.
        table: By recording id, of both; ``subject`` and, where known, ``sentence``, ``emotion``, ``sex``, ``age``.
        rng: Halves, attackers, noise, bootstrap.
        baseline: Rows of ``measure_rows`` on the unprotected rows of the same people; measured here where absent.

    Returns:
        Of behavior the methods ``reader_<name>`` and ``reader`` (the one that reads held-out known people best); risks
        of ``naming_<name>`` and ``strongest`` (that can be believed), by single recordings, five of them (``top1_5``)
        and all of a person's (``person_top1``); of ``attributes`` sex and age.

    Raises:
        DataError: Fewer than two new people with two recordings each, or known people among the new.
    """
    if shared := sorted(set(known.subjects) & set(new.subjects)):
        raise DataError(
            f"{len(shared)} people are known and new at once, e.g. {shared[0]}: split the cohort by person."
        )
    seed = int(rng.integers(2**31))
    shown = Sides(known=_rows(transform, known, rng), new=_rows(transform, new, rng))
    own = measure_rows(shown, known, new, table, rng=np.random.default_rng(seed))
    if baseline is None:
        baseline = measure_rows(raw_sides(known, new), known, new, table, rng=np.random.default_rng(seed))
    risks = marked([row for row in own if row.risk], [row for row in baseline if row.risk])
    rows = [row for row in own if not row.risk] + risks + strongest(risks, "")
    before = {row.key: row.value for row in [*baseline, *strongest(baseline, "")]}
    nan = float("nan")
    return [replace(row, kind="representations", baseline=before.get(row.key, nan)) for row in rows]


def raw_sides(known: Batch, new: Batch) -> Sides:
    """Return what the recordings tell before anything was removed: their descriptions, standardized."""
    front = Standardized.of(known)
    return Sides(known=front(known), new=front(new))


def _rows(transform: Transform, batch: Batch, rng: np.random.Generator) -> Array:
    return np.asarray(transform(batch, rng=rng).arrays[REPRESENTATION])


def measure_rows(
    shown: Sides, known: Batch, new: Batch, table: pd.DataFrame, *, rng: np.random.Generator
) -> list[Result]:
    """Measure rows of numbers, protected or not; arguments and rows as of ``judge_representation``."""
    rows = read_behavior(shown, known, new, rng)
    for name, namer in _namers(shown.known, known.subjects).items():
        rows += name_people(shown.new, table.loc[list(new.ids)], name, namer, rng=rng)
    return rows + [_attribute(shown, known, new, table, what, rng) for what in ("sex", "age")]


def read_behavior(shown: Sides, known: Batch, new: Batch, rng: np.random.Generator) -> list[Result]:
    """Return the recall of each ``reader_<name>``, and of ``reader``, the one best on held-out known people."""
    people = rng.permutation(np.unique(known.subjects))
    held = np.isin(known.subjects, people[: max(1, len(people) // 4)])
    rows, quality = [], []
    for name, reader in _readers().items():
        tried = _read(reader, shown.known[~held], known.labels[~held], shown.known[held], rng)
        quality.append(float(np.mean([(tried == k)[known.labels[held] == k].mean() for k in set(known.labels[held])])))
        told = _read(reader, shown.known, known.labels, shown.new, rng)
        every = np.arange(len(new.classes))
        uar, _, _ = recall_and_accuracy(new.labels, told, new.subjects, every, rng=rng)
        rows.append(_row("read", f"reader_{name}", "uar", uar, control=1 / len(np.unique(new.labels))))
    best = int(np.argmax(quality))
    rows += [replace(rows[best], method="reader", reason=f"chosen on known people: {rows[best].method}")]
    if len(shown_classes := np.unique(new.labels)) > 1:
        return rows
    why = f"the new people show one class only, {new.classes[shown_classes[0]]}"
    return [without_figure(row, why) for row in rows]


def _read(reader: Train, rows: Array, labels: Array, asked: Array, rng: np.random.Generator) -> Array:
    """Return the class of each row of ``asked``."""
    classes, predict = reader(_clips(rows), {str(i): str(k) for i, k in enumerate(labels)}, rng)
    return np.asarray(classes[predict(_clips(asked)).argmax(axis=1)].astype(labels.dtype))


def _clips(rows: Array) -> dict[str, Array]:
    return {str(i): row for i, row in enumerate(rows.astype(float))}


def name_people(rows: Array, table: pd.DataFrame, name: str, namer: Train, *, rng: np.random.Generator) -> list[Result]:
    """Enroll everybody with one half of their recordings and name them in the other; then the other way round.

    Args:
        rows: (N, D) of the recordings.
        table: N rows by recording id; ``subject``, ``sentence`` where known.
        name: Of the attacker.
        namer: The attacker.
        rng: Attacker, bootstrap; the halves are the same for the same table.

    Returns:
        ``top1``, ``eer``, ``tar_far1``, and ``person_top1`` from all recordings of a half together.
    """
    enroll, test, _ = content_halves(table, rng=np.random.default_rng(0))
    clips = dict(zip(table.index, rows.astype(float), strict=True))
    subjects = table["subject"].astype(str).to_dict()
    scores, truth, who = [], [], []
    for first, second in ((enroll, test), (test, enroll)):
        people, predict = namer({i: clips[i] for i in first}, {i: subjects[i] for i in first}, rng)
        scores.append(np.log(predict({i: clips[i] for i in second}) + 1e-9))
        who.append(np.array([subjects[i] for i in second]))
        truth.append(np.searchsorted(people, who[-1]))
    every, right, persons = np.concatenate(scores), np.concatenate(truth), np.concatenate(who)
    half = np.repeat([0, 1], [len(part) for part in scores])
    linked, _ = verification(every, right, persons, rng=rng)
    found = linked | {"top1": mean_over_people(top1_credit(every, right), persons, rng=rng)}
    found |= (together := named_together(every, right, persons, half, rng=rng))
    controls = {"eer": 0.5, "tar_far1": 0.01}
    named = [
        _row("identify", f"naming_{name}", f, found[f], control=controls.get(f, 1 / len(people)), better=FIGURES[f])
        for f in _FIGURES
    ]
    few = few_recordings(together)
    return [replace(row, reason=few) if row.figure == "top1_5" else row for row in named]


def _attribute(
    shown: Sides, known: Batch, new: Batch, table: pd.DataFrame, what: str, rng: np.random.Generator
) -> Result:
    """Read sex or age of new people, by what is known of others; the stronger of a linear and a kernel reader."""
    try:
        kinds = kinds_of_people(table, what, 2)
        ours, theirs = (kinds.loc[list(batch.ids)].to_numpy() for batch in (known, new))
        seen, asked = pd.notna(ours), pd.notna(theirs)
        if len(set(ours[seen])) < 2 or not asked.any():
            raise DataError(f"{what} takes people of two kinds to learn from, and others to ask")
    except DataError as error:
        return unmeasured("attributes", "infer", error, figure="uar", subset=what)
    found = []
    for reader in (Discriminant(), Kernel(describe=lambda row: [row])):
        told = _read(reader, shown.known[seen], ours[seen].astype(str), shown.new[asked], rng)
        truth, classes = theirs[asked].astype(str), np.unique(ours[seen].astype(str))
        found.append(recall_and_accuracy(truth, told, new.subjects[asked], classes, rng=rng)[0])
    best = max(found, key=lambda e: e.value)
    return replace(_row("infer", "attributes", "uar", best, control=0.5), subset=what)


def _row(
    question: Asked, method: str, figure: str, found: Estimate, *, control: float, better: str | None = None
) -> Result:
    read = question == "read"
    return Result(
        question=question,
        method=method,
        figure=figure,
        attacker="retrained_reader" if read else "semi_informed",
        value=found.value,
        low=found.low,
        high=found.high,
        n=found.n,
        control=control,
        better=better or ("higher" if read else "lower"),  # type: ignore[arg-type]
    )
