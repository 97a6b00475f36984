"""What a representation still tells about behavior and about the person: fresh readers and fresh attackers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from personare.core.errors import DataError, OptionError
from personare.core.protocols import Scorer, Transform
from personare.core.types import Array, Batch, Result
from personare.data.splits import content_halves
from personare.evaluate.classifiers import Clips, Kernel, Train, centroids, discriminant, learn_classes, neighbors, svm
from personare.evaluate.identification import name_rows
from personare.evaluate.metrics import Estimate, mean_over_people, recall_and_accuracy, top1_credit
from personare.evaluate.networks import perceptron
from personare.evaluate.reading import kinds_of_people, read_rows
from personare.evaluate.selftest import marked, strongest
from personare.evaluate.unmeasured import Asked, unmeasured, without_figure
from personare.learn.standardizing import REPRESENTATION, Standardized

_FIGURES = ("top1", "top1_5", "person_top1", "eer", "tar_far1")


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Two groups of people as rows of numbers: (N, D) of whom readers and attackers learn, (M, D) who are new."""

    known: Array
    new: Array


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
    """
    if shared := sorted(set(known.subjects) & set(new.subjects)):
        raise DataError(
            f"{len(shared)} people are known and new at once, e.g. {shared[0]}: split the cohort by person."
        )
    seed = int(rng.integers(2**31))
    own = measure_rows(_shown(transform, known, new, rng), known, new, table, rng=np.random.default_rng(seed))
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


def _shown(transform: Transform, known: Batch, new: Batch, rng: np.random.Generator) -> Sides:
    first, second = (np.asarray(transform(batch, rng=rng).arrays[REPRESENTATION]) for batch in (known, new))
    return Sides(known=first, new=second)


def measure_rows(
    shown: Sides, known: Batch, new: Batch, table: pd.DataFrame, *, rng: np.random.Generator
) -> list[Result]:
    """Measure rows of numbers, protected or not; arguments and rows as of ``judge_representation``."""
    rows = _read_behavior(shown, known, new, rng)
    namers: Mapping[str, Train] = {
        "kernel": Kernel(),
        "svm": svm(),
        "neighbors": neighbors,
        "mlp": perceptron,
        "centroids": centroids(shown.known, known.subjects),
    }
    for name, namer in namers.items():
        rows += name_people(shown.new, table.loc[list(new.ids)], name, namer, rng=rng)
    return rows + [_attribute(shown, known, new, table, what, rng) for what in ("sex", "age")]


def _read_behavior(shown: Sides, known: Batch, new: Batch, rng: np.random.Generator) -> list[Result]:
    """Return the recall of each ``reader_<name>``, and of ``reader``, the one best on held-out known people."""
    people = rng.permutation(np.unique(known.subjects))
    held = np.isin(known.subjects, people[: max(1, len(people) // 4)])
    readers: Mapping[str, Train] = {"linear": discriminant(), "kernel": Kernel(), "mlp": perceptron}
    every, asked = np.arange(len(new.classes)), known.labels[held]
    rows, quality = [], []
    for name, reader in readers.items():
        tried = read_rows(reader, shown.known[~held], known.labels[~held], shown.known[held], rng)
        quality.append(float(np.mean([(tried == k)[asked == k].mean() for k in set(asked)])))
        told = read_rows(reader, shown.known, known.labels, shown.new, rng)
        uar, _, _ = recall_and_accuracy(new.labels, told, new.subjects, every, rng=rng)
        rows.append(_row("read", f"reader_{name}", "uar", uar, control=1 / len(np.unique(new.labels))))
    best = int(np.argmax(quality))
    rows += [replace(rows[best], method="reader", reason=f"chosen on known people: {rows[best].method}")]
    if len(shown_classes := np.unique(new.labels)) > 1:
        return rows
    why = f"the new people show one class only, {new.classes[shown_classes[0]]}"
    return [without_figure(row, why) for row in rows]


def name_people(rows: Array, table: pd.DataFrame, name: str, namer: Train, *, rng: np.random.Generator) -> list[Result]:
    """Enroll everybody with one half of their recordings and name them in the other; then the other way round.

    ``table`` has N rows by recording id with ``subject`` and, where known, ``sentence``; for the same table the halves
    are the same.
    """
    enroll, test, _ = content_halves(table, rng=np.random.default_rng(0))
    row = Result(question="identify", method=f"naming_{name}", figure="", attacker="semi_informed", value=np.nan)

    def learn(clips: Clips, subjects: Mapping[str, str]) -> Scorer:
        _, predict = namer(clips, subjects, rng)
        return lambda asked: np.log(predict(asked) + 1e-9)

    return name_rows(row, rows, table, [(enroll, test), (test, enroll)], learn, figures=_FIGURES, rng=rng)


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
    for reader in (discriminant(), Kernel()):
        told = read_rows(reader, shown.known[seen], ours[seen].astype(str), shown.new[asked], rng)
        truth, classes = theirs[asked].astype(str), np.unique(ours[seen].astype(str))
        found.append(recall_and_accuracy(truth, told, new.subjects[asked], classes, rng=rng)[0])
    best = max(found, key=lambda e: e.value)
    return replace(_row("infer", "attributes", "uar", best, control=0.5), subset=what)


def _row(question: Asked, method: str, figure: str, found: Estimate, *, control: float) -> Result:
    read = question == "read"
    return Result(
        question=question,
        method=method,
        figure=figure,
        attacker="retrained_reader" if read else "semi_informed",
        **found.columns,
        control=control,
        better="higher" if read else "lower",
    )


def transfer(
    fitted: Mapping[str, Transform], tasks: Mapping[str, tuple[Batch, Batch]], *, rng: np.random.Generator
) -> list[Result]:
    """Read every task through every representation: whether one made for one task and cohort still serves another.

    The representation stays as it was fitted; only the reader is trained anew, on known people of the task's cohort.

    Rows have the task as ``subset`` and ``FITTED -> TASK`` as ``release``; the baseline is the same reader on raw
    features of the task, the control guessing.

    Args:
        fitted: By the name of what they were fitted to.
        tasks: By name, known people and new ones, with the modalities that were fitted to, in the same shapes. No
            representation may have been fitted to the new ones.
        rng: Readers, noise, bootstrap.
    """
    rows = []
    for task, (known, new) in tasks.items():
        raw = _read_behavior(raw_sides(known, new), known, new, rng)[-1]
        for name, transform in fitted.items():
            row = _read_behavior(_shown(transform, known, new, rng), known, new, rng)[-1]
            row = replace(row, kind="representations", method="transfer", subset=task)
            rows.append(replace(row, release=f"{name} -> {task}", baseline=raw.value))
    return rows


def identity_carriers(
    transform: Transform, new: Batch, table: pd.DataFrame, *, rng: np.random.Generator, most: int = 32
) -> pd.DataFrame:
    """Measure how much worse people are named once a part of the recordings is exchanged between them.

    A kernel attacker enrolls everybody from the representation of one half of their recordings. In the other half one
    part of the input after another is shuffled over all recordings, before the representation is made.

    Args:
        transform: The fitted representation.
        new: People it was not fitted to.
        table: By recording id; ``subject`` and, where known, ``sentence``.
        rng: Shuffles; draws of people.
        most: Parts of a modality: columns of a table, channels of a signal, bands of a spectrogram; neighbors are
            taken together where there are more. Pictures and text are one part.

    Returns:
        ``modality``, ``columns``, ``drop`` (of the share named right) with ``low`` and ``high``, and ``named`` (that
        share before), strongest first.

    **Source**: permutation importance, L. Breiman, "Random forests", Machine Learning 2001,
    doi:10.1023/A:1010933404324, of an attacker in place of a model.
    """
    if most < 1:
        raise OptionError(f"most must be at least 1 part, it is {most}.")
    enroll, test, _ = content_halves(table.loc[list(new.ids)], rng=np.random.default_rng(0))
    row = {name: i for i, name in enumerate(new.ids)}
    known, asked = (new.take(np.array([row[i] for i in ids])) for ids in (enroll, test))
    seed = int(rng.integers(2**31))  # noise of the representation is the same with and without the shuffle

    def shown(batch: Batch) -> Array:
        return np.asarray(transform(batch, rng=np.random.default_rng(seed)).arrays[REPRESENTATION], dtype=float)

    attacker = learn_classes(shown(known), [str(s) for s in known.subjects])
    truth = np.searchsorted(attacker.classes, asked.subjects.astype(str))
    before = top1_credit(attacker(shown(asked)), truth)
    rows = []
    for modality, name, part in _parts(new, most):
        values = asked.arrays[modality].copy()
        values[part] = values[rng.permutation(len(values))][part]
        after = top1_credit(attacker(shown(replace(asked, arrays={**asked.arrays, modality: values}))), truth)
        found = mean_over_people(before - after, asked.subjects, rng=rng)
        rows.append((modality, name, found.value, found.low, found.high, float(before.mean())))
    drops = pd.DataFrame(rows, columns=["modality", "columns", "drop", "low", "high", "named"])
    return drops.sort_values("drop", ascending=False, ignore_index=True)


def _parts(batch: Batch, most: int) -> Iterator[tuple[str, str, tuple[slice, ...]]]:
    """Yield modality, name and index of every part of the input."""
    for modality, values in batch.arrays.items():
        axis = {2: 1, 3: 2}.get(values.ndim, 2 if values.ndim == 4 and values.shape[1] == 1 else 0)
        if axis == 0:
            yield modality, "all", (slice(None),)
            continue
        count = values.shape[axis]
        names = batch.columns.get(modality) or tuple(f"{modality}{i + 1}" for i in range(count))
        for block in np.array_split(np.arange(count), min(most, count)):
            name = names[block[0]] if len(block) == 1 else f"{names[block[0]]} .. {names[block[-1]]}"
            yield modality, name, (*(slice(None),) * axis, slice(block[0], block[-1] + 1))
