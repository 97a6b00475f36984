"""What a representation still tells about behavior and about the person: fresh readers and fresh attackers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from personare.core.errors import DataError
from personare.core.protocols import Scorer, Transform
from personare.core.types import Array, Batch, Result
from personare.data.splits import content_halves
from personare.evaluate.classification import of_two_classes
from personare.evaluate.classifiers import Clips, Kernel, Train, centroids, discriminant, learn_classes, neighbors, svm
from personare.evaluate.identification import name_rows
from personare.evaluate.metrics import mean_over_people, recall_and_accuracy, top1_credit
from personare.evaluate.networks import perceptron
from personare.evaluate.reading import ATTRIBUTES, kinds_of_people
from personare.evaluate.selftest import marked, strongest
from personare.evaluate.unmeasured import measured
from personare.learn.standardizing import REPRESENTATION, Standardized, represented

_FIGURES = ("top1", "top1_5", "person_top1", "eer", "tar_far1")
_PARTS = 32  # most parts of a modality that are shuffled one by one; neighbors are taken together where there are more


def judge_representation(
    transform: Transform,
    train: Batch,
    test: Batch,
    table: pd.DataFrame,
    *,
    rng: np.random.Generator,
    baseline: Sequence[Result] | None = None,
) -> list[Result]:
    """Measure a fitted representation on people it was not fitted to.

    **Guarantee**: no reader and no attacker has learned behavior or background from a person it is tested on; attackers
    are trained on the representation itself (semi-informed); one that fails on the unprotected rows is marked.

    Of behavior there are the methods ``reader_<name>`` and ``reader`` (the one that reads held-out training people
    best); of risks ``naming_<name>`` and ``strongest`` (that can be believed); of ``attributes`` sex and age.

    Args:
        transform: The fitted representation.
        train: People it may have been fitted to; readers learn from their representation.
        test: Other people.
        table: By recording id, of both; ``subject`` and, where known, ``sentence``, ``emotion``, ``sex``, ``age``.
        rng: Halves, attackers, noise, bootstrap.
        baseline: Rows of ``measure_rows`` on the unprotected rows of the same people; measured here where absent.
    """
    if shared := sorted(set(train.subjects) & set(test.subjects)):
        raise DataError(
            f"{len(shared)} people are in training and in test, e.g. {shared[0]}: split the cohort by person."
        )
    seed = int(rng.integers(2**31))
    shown = transform(train, rng=rng), transform(test, rng=rng)
    rows = measure_rows(*shown, table, rng=np.random.default_rng(seed))
    if baseline is None:
        baseline = measure_rows(*raw_sides(train, test), table, rng=np.random.default_rng(seed))
    risks = marked([row for row in rows if row.risk], baseline)
    rows = [row for row in rows if not row.risk] + risks + strongest(risks)
    before = {row.key: row.value for row in [*baseline, *strongest(baseline)]}
    nan = float("nan")
    return [replace(row, kind="representations", baseline=before.get(row.key, nan)) for row in rows]


def raw_sides(train: Batch, test: Batch) -> tuple[Batch, Batch]:
    """Return what the recordings tell before anything was removed: their descriptions, standardized."""
    front = Standardized.of(train)
    return represented(train, front(train)), represented(test, front(test))


def measure_rows(train: Batch, test: Batch, table: pd.DataFrame, *, rng: np.random.Generator) -> list[Result]:
    """Measure representations, protected or not; arguments and rows as of ``judge_representation``."""
    rows = measured("reader", "read", partial(_read_behavior, train, test, rng), figure="uar")
    namers: Mapping[str, Train] = {
        "kernel": Kernel(),
        "svm": svm(),
        "neighbors": neighbors,
        "mlp": perceptron,
        "centroids": centroids(train.arrays[REPRESENTATION], train.subjects),
    }
    for name, namer in namers.items():
        rows += name_people(test.arrays[REPRESENTATION], table.loc[list(test.ids)], name, namer, rng=rng)
    for what in ATTRIBUTES:
        columns = {"figure": "uar", "subset": what, "attacker": "semi_informed"}
        rows += measured("attributes", "infer", partial(_attribute, train, test, table, rng, **columns), **columns)
    return rows


def _read(reader: Train, train: Batch, labels: Array, test: Batch, rng: np.random.Generator) -> Array:
    """Return the class of each of the others, (M,), by a reader of training people and their labels, (N,)."""
    if len(labels) <= len(set(labels)):
        raise DataError(
            f"a reader learns from more recordings than classes, but has {len(labels)}. Keep out fewer people"
        )
    clips, asked = (
        {str(i): row for i, row in enumerate(batch.arrays[REPRESENTATION].astype(float))} for batch in (train, test)
    )
    classes, predict = reader(clips, {str(i): str(label) for i, label in enumerate(labels)}, rng)
    return np.asarray(classes[predict(asked).argmax(axis=1)].astype(labels.dtype))


def _read_behavior(train: Batch, test: Batch, rng: np.random.Generator) -> list[Result]:
    """Return the recall of each ``reader_<name>``, and of ``reader``, the one best on held-out training people."""
    people = rng.permutation(np.unique(train.subjects))
    held = np.isin(train.subjects, people[: max(1, len(people) // 4)])
    readers: Mapping[str, Train] = {"linear": discriminant(), "kernel": Kernel(), "mlp": perceptron}
    learned, tried = train.take(~held), train.take(held)
    rows, quality = [], []
    for name, reader in readers.items():
        answers = _read(reader, learned, learned.labels, tried, rng)
        quality.append(float(np.mean([(answers == k)[tried.labels == k].mean() for k in set(tried.labels)])))
        answers = _read(reader, train, train.labels, test, rng)
        uar, *_ = recall_and_accuracy(test.labels, answers, test.subjects, np.arange(len(test.classes)), rng=rng)
        row = Result(question="read", method=f"reader_{name}", figure="uar", attacker="retrained_reader", **uar.columns)
        rows.append(replace(row, control=1 / len(np.unique(test.labels))))
    best = rows[int(np.argmax(quality))]
    rows.append(replace(best, method="reader", reason=f"chosen on training people: {best.method}"))
    return of_two_classes(rows, test)


def name_people(rows: Array, table: pd.DataFrame, name: str, namer: Train, *, rng: np.random.Generator) -> list[Result]:
    """Enroll everybody with one half of their recordings and name them in the other; then the other way round.

    ``table`` has N rows by recording id with ``subject`` and, where known, ``sentence``; for the same table the halves
    are the same.
    """
    enroll, asked, _ = content_halves(table, rng=np.random.default_rng(0))

    def learn(clips: Clips, subjects: Mapping[str, str]) -> Scorer:
        _, predict = namer(clips, subjects, rng)
        return lambda clips: np.log(predict(clips) + 1e-9)

    halves = [(enroll, asked), (asked, enroll)]
    return name_rows(f"naming_{name}", rows, table, halves, learn, figures=_FIGURES, rng=rng)


def _attribute(
    train: Batch, test: Batch, table: pd.DataFrame, rng: np.random.Generator, *, subset: str, **columns: Any
) -> list[Result]:
    """Read sex or age of people by what is learned from others; the stronger of a linear and a kernel reader."""
    kinds = kinds_of_people(table, subset, 2)
    ours, theirs = (kinds.loc[list(batch.ids)].to_numpy() for batch in (train, test))
    seen, asked = pd.notna(ours), pd.notna(theirs)
    classes = np.unique(ours[seen].astype(str))
    if len(classes) < 2 or not asked.any():
        raise DataError(f"{subset} takes people of two kinds to learn from, and others to ask")
    learned, tested, truth = train.take(seen), test.take(asked), theirs[asked].astype(str)
    tried = []
    for reader in (discriminant(), Kernel()):
        answers = _read(reader, learned, ours[seen].astype(str), tested, rng)
        tried.append(recall_and_accuracy(truth, answers, tested.subjects, classes, rng=rng)[0])
    best = max(tried, key=lambda estimate: estimate.value)
    row = Result(question="infer", method="attributes", subset=subset, better="lower", **columns, **best.columns)
    return [replace(row, control=0.5)]


def transfer(transform: Transform, train: Batch, test: Batch, *, rng: np.random.Generator) -> list[Result]:
    """Read another task through a representation: whether one made for one task and cohort still serves another.

    The representation stays as it was fitted, to the same modalities in the same shapes and to nobody of ``test``; only
    the reader is trained anew, on ``train``. The row's baseline is the same reader on raw features.
    """
    raw = _read_behavior(*raw_sides(train, test), rng)[-1]
    row = _read_behavior(transform(train, rng=rng), transform(test, rng=rng), rng)[-1]
    return [replace(row, kind="representations", method="transfer", baseline=raw.value)]


def identity_carriers(
    transform: Transform, test: Batch, table: pd.DataFrame, *, rng: np.random.Generator
) -> pd.DataFrame:
    """Measure how much worse people are named once a part of the recordings is exchanged between them.

    A kernel attacker enrolls everybody from the representation of one half of their recordings. In the other half one
    part of the input after another is shuffled over all recordings, before the representation is made: columns of a
    table, channels of a signal, bands of a spectrogram, at most 32; pictures and text are one part.

    ``test`` are people it was not fitted to, ``table`` has by recording id ``subject`` and, where known, ``sentence``.
    Returned are ``modality``, ``columns``, ``drop`` (of the share named right) with ``low`` and ``high``, and ``named``
    (that share before), strongest first.

    **Source**: permutation importance, L. Breiman, "Random forests", Machine Learning 2001,
    doi:10.1023/A:1010933404324, of an attacker in place of a model.
    """
    enroll, named, _ = content_halves(table.loc[list(test.ids)], rng=np.random.default_rng(0))
    place = {name: i for i, name in enumerate(test.ids)}
    enrolled, asked = (test.take(np.array([place[i] for i in ids])) for ids in (enroll, named))
    seed = int(rng.integers(2**31))  # noise of the representation is the same with and without the shuffle

    def shown(batch: Batch) -> Array:
        return np.asarray(transform(batch, rng=np.random.default_rng(seed)).arrays[REPRESENTATION], dtype=float)

    attacker = learn_classes(shown(enrolled), enrolled.subjects.astype(str).tolist())
    truth = np.searchsorted(attacker.classes, asked.subjects.astype(str))
    before = top1_credit(attacker(shown(asked)), truth)
    rows = []
    for modality, values in asked.arrays.items():
        axis = {2: 1, 3: 2}.get(values.ndim, 2 if values.ndim == 4 and values.shape[1] == 1 else 0)
        count = values.shape[axis] if axis else 1
        names = test.columns.get(modality, ()) or tuple(f"{modality}{i + 1}" for i in range(count))
        for block in np.array_split(np.arange(count), min(_PARTS, count)):
            first, last = block[0], block[-1]
            name = "all" if not axis else names[first] if first == last else f"{names[first]} .. {names[last]}"
            part = (*(slice(None),) * axis, slice(first, last + 1)) if axis else slice(None)
            mixed = values.copy()
            mixed[part] = mixed[rng.permutation(len(mixed))][part]
            after = top1_credit(attacker(shown(replace(asked, arrays={**asked.arrays, modality: mixed}))), truth)
            drop = mean_over_people(before - after, asked.subjects, rng=rng)
            rows.append((modality, name, drop.value, drop.low, drop.high, float(before.mean())))
    drops = pd.DataFrame(rows, columns=["modality", "columns", "drop", "low", "high", "named"])
    return drops.sort_values("drop", ascending=False, ignore_index=True)
