"""Readers of behavior and of attributes: trained on some people, asked about others.

Every label is read twice: by a reader trained on originals (what a release does to programs people already have) and by
one trained on the release (what is left in it).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from personare.core.errors import DataError
from personare.core.types import Array, Evidence, Result
from personare.data.splits import person_folds
from personare.evaluate.clips import usable_clips
from personare.evaluate.metrics import Estimate, recall_and_accuracy

__all__ = [
    "READERS",
    "Clips",
    "Question",
    "Reading",
    "Train",
    "labelled",
    "measure_reading",
    "read",
    "read_view",
    "unread",
]

READERS = ("fixed_reader", "retrained_reader")
_FEW_PEOPLE = 8  # up to here every person is a fold

Clips = Mapping[str, Array]
Predict = Callable[[Clips], Array]
Train = Callable[[Clips, Mapping[str, str], np.random.Generator], tuple[Array, Predict]]
"""Clips, their labels and a generator in; the classes (K,) and what gives (N, K) probabilities of new clips out."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What one reader made of every recording, each read by a model that never met the person.

    Attributes:
        reader: One of ``READERS``.
        ids: (N,) recordings.
        subjects: (N,) who is in them.
        truth: (N,) what was meant.
        classes: (K,) sorted.
        likely: (N, K) probabilities; the same for all classes where there was nothing to look at.
        missing: How many recordings had nothing to look at.
    """

    reader: str
    ids: tuple[str, ...]
    subjects: Array
    truth: Array
    classes: Array
    likely: Array
    missing: int

    def predicted(self, rng: np.random.Generator) -> Array:
        """Return the likeliest class of each recording; ties are broken by chance."""
        return np.asarray(self.classes[(self.likely + 1e-9 * rng.random(self.likely.shape)).argmax(axis=1)])


def labelled(original: Evidence, released: Evidence, label: str) -> "pd.Series[str]":
    """Return a label of the released recordings that have it.

    Raises:
        DataError: Fewer than two classes or two people.
    """
    table = original.table.loc[[i for i in original.table.index if i in set(released.table.index)]]
    if label not in table or table[label].dropna().nunique() < 2:
        raise DataError(f"not measured: the recordings carry no {label}, or only one kind")
    known = table[label].dropna().astype(str)
    if table.loc[known.index, "subject"].nunique() < 2:
        raise DataError(f"not measured: reading {label} from people never met needs at least two people")
    return known[known != ""]


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is read, and from what.

    Attributes:
        view: Name of the view.
        label: Column of the table.
        folds: In how many groups people are left out; up to eight people, each alone.
        describe: Turns a clip into what the reader learns from; None for the clip itself.
        adapt: Whether each person's vectors are standardized over that person's own clips, without their labels.
    """

    view: str
    label: str = "emotion"
    folds: int = 6
    describe: Callable[[Array], Array] | None = None
    adapt: bool = False


def read_view(
    original: Evidence, released: Evidence, question: Question, train: Train, *, rng: np.random.Generator
) -> list[Reading]:
    """Read a label from one view. See ``read``.

    Raises:
        DataError: Fewer than half of the recordings have the view, or there are too few classes or people.
    """
    labels = labelled(original, released, question.label)
    before = usable_clips(original, question.view)
    after = before if released is original else usable_clips(released, question.view)
    for clips, what in ((before, "originals"), (after, "released recordings")):
        seen = sum(i in clips for i in labels.index)
        if 2 * seen < len(labels):
            raise DataError(f"not measured: {question.view} is there in only {seen} of {len(labels)} {what}")
    subjects = original.table["subject"].astype(str).loc[labels.index]
    first = _prepared(before, subjects, question)
    second = first if after is before else _prepared(after, subjects, question)
    return read(first, second, (labels, subjects), train, folds=question.folds, rng=rng)


def _prepared(clips: Clips, subjects: "pd.Series[str]", question: Question) -> Clips:
    found = {i: clips[i] for i in subjects.index if i in clips}
    if question.describe is not None:
        found = {i: np.asarray(question.describe(clip)) for i, clip in found.items()}
    if not question.adapt:
        return found
    ready: dict[str, Array] = {}
    for person in sorted(set(subjects)):
        own = [i for i in found if subjects[i] == person]
        if own:
            rows = np.stack([np.asarray(found[i], dtype=float).ravel() for i in own])
            seen = np.isfinite(rows)
            mean = np.where(seen, rows, 0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
            spread = np.sqrt((np.where(seen, rows - mean, 0) ** 2).sum(axis=0) / np.maximum(seen.sum(axis=0), 1))
            ready |= dict(zip(own, (rows - mean) / np.where(spread > 1e-9, spread, np.inf), strict=True))
    return ready


def read(
    before: Clips,
    after: Clips,
    known: "tuple[pd.Series[str], pd.Series[str]]",
    train: Train,
    *,
    folds: int,
    rng: np.random.Generator,
) -> list[Reading]:
    """Train on the originals or the release of some people, and read the release of the others.

    **Guarantee**: no reader was trained on the person that it reads.

    Args:
        before: Original clips by recording id.
        after: Released clips; the very same mapping for unprotected data, where both readers are one.
        known: Label and subject of each recording.
        train: Trains a reader.
        folds: In how many groups people are left out; up to eight people, each alone.
        rng: Randomness.

    Returns:
        One reading for each of ``READERS``.
    """
    labels, subjects = known
    people = {str(i): str(s) for i, s in subjects.items()}
    count = len(set(people.values()))
    parts = person_folds(people, count if count <= _FEW_PEOPLE else folds, rng=rng)
    fixed = _reading("fixed_reader", before, after, (labels, subjects), parts, train, rng)
    if after is before:
        return [fixed, Reading(**{**vars(fixed), "reader": "retrained_reader"})]
    return [fixed, _reading("retrained_reader", after, after, (labels, subjects), parts, train, rng)]


def _reading(  # noqa: PLR0913 - one pass over the folds
    reader: str,
    learn_from: Clips,
    ask: Clips,
    known: "tuple[pd.Series[str], pd.Series[str]]",
    parts: Sequence[tuple[list[str], list[str]]],
    train: Train,
    rng: np.random.Generator,
) -> Reading:
    labels, subjects = known
    classes = np.unique(labels.to_numpy(dtype=str))
    ids = [str(i) for i in labels.index]
    likely = np.full((len(ids), len(classes)), 1 / len(classes))
    place = {i: n for n, i in enumerate(ids)}
    for learned, asked in parts:
        clips = {i: learn_from[i] for i in learned if i in learn_from}
        seen = {i: ask[i] for i in asked if i in ask}
        if not seen or len({labels[i] for i in clips}) < 2:
            continue
        found, predict = train(clips, {i: str(labels[i]) for i in clips}, rng)
        rows = np.zeros((len(seen), len(classes)))
        rows[:, np.searchsorted(classes, found)] = predict(seen)
        likely[[place[i] for i in seen]] = rows
    return Reading(
        reader=reader,
        ids=tuple(ids),
        subjects=subjects.to_numpy(dtype=str),
        truth=labels.to_numpy(dtype=str),
        classes=classes,
        likely=likely,
        missing=sum(i not in ask for i in ids),
    )


def measure_reading(reading: Reading, name: str, *, modality: str, rng: np.random.Generator) -> list[Result]:
    """Return unweighted average recall (with the confusion matrix) and accuracy, people resampled."""
    predicted = reading.predicted(rng)
    uar, accuracy, confusion = recall_and_accuracy(reading.truth, predicted, reading.subjects, reading.classes, rng=rng)
    majority = float(max(np.unique(reading.truth, return_counts=True)[1]) / len(reading.truth))
    note = f"{reading.missing} recordings without anything to look at count as guesses" if reading.missing else ""
    detail = {"classes": reading.classes.tolist(), "confusion": confusion.tolist()}
    told: tuple[tuple[str, Estimate, float, dict[str, Any]], ...] = (
        ("uar", uar, 1 / len(reading.classes), detail),
        ("accuracy", accuracy, majority, {}),
    )
    return [
        _row(name, figure, found, (modality, reading.reader, control, note, extra))
        for figure, found, control, extra in told
    ]


def _row(name: str, figure: str, found: Estimate, rest: tuple[str, str, float, str, Mapping[str, Any]]) -> Result:
    modality, reader, control, note, detail = rest
    return Result(
        release="",
        modality=modality,
        measure=f"{name}.{figure}",
        kind="utility",
        attacker=reader,
        value=found.value,
        low=found.low,
        high=found.high,
        n=found.n,
        control=control,
        note=note,
        detail=detail,
    )


def unread(name: str, *, modality: str, reason: str, figures: Sequence[str] = ("uar", "accuracy")) -> list[Result]:
    """Return rows without a value for a reader that could not be used: missing is never 0."""
    kind: Literal["utility"] = "utility"
    return [
        Result(
            release="",
            modality=modality,
            measure=f"{name}.{figure}",
            kind=kind,
            attacker=reader,
            value=float("nan"),
            note=reason,
        )
        for reader in READERS
        for figure in figures
    ]
