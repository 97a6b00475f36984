"""Readers of behavior and of attributes: trained on some people, asked about others.

Every label is read twice: by a reader trained on originals (what a release does to programs people already have) and by
one trained on the release (what is left in it).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from personare.core.errors import DataError, OptionError
from personare.core.types import Array, Evidence, Result
from personare.data.labels import KINDS, as_number, check_classes, kind_of_label
from personare.data.splits import person_folds
from personare.evaluate.clips import usable_clips
from personare.evaluate.metrics import Estimate, agreement, recall_and_accuracy
from personare.evaluate.unmeasured import unmeasured

__all__ = [
    "ANSWERS",
    "FEWEST_PEOPLE",
    "FEWEST_RECORDINGS",
    "READERS",
    "Clips",
    "Question",
    "Reading",
    "Target",
    "Train",
    "labelled",
    "measure_reading",
    "read",
    "read_view",
    "unread",
]

READERS = ("fixed_reader", "retrained_reader")
ANSWERS = "answers"
"""In the detail of a reading's first row: the reading, by which the judge chooses among readers."""
FEWEST_PEOPLE = 2  # of a class: one to learn it from, one to read it from
FEWEST_RECORDINGS = 4  # of a class: with fewer, its recall is the toss of a coin
_FEW_PEOPLE = 8  # up to here every person is a fold

Clips = Mapping[str, Array]
Predict = Callable[[Clips], Array]
Train = Callable[[Clips, Mapping[str, str], np.random.Generator], tuple[Array, Predict]]
"""Clips, their labels and a generator in; the classes (K,) and what gives (N, K) probabilities of new clips out.

One that has ``regress`` (clips, numbers and a generator in; what gives (N,) numbers out) reads numbers too."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What one reader made of every recording, each read by a model that never met the person.

    Attributes:
        reader: One of ``READERS``.
        ids: (N,) recordings.
        subjects: (N,) who is in them.
        truth: (N,) what was meant; numbers, where numbers are read.
        classes: (K,) sorted; the steps of an ordinal label; empty for a continuous one.
        likely: (N, K) probabilities; the same for all classes where there was nothing to look at. (N, 1) the number
            that was read; the mean of those learned from where there was nothing.
        missing: How many recordings had nothing to look at.
        kind: Of the label; see ``personare.data.labels``.
        note: What was left out.
    """

    reader: str
    ids: tuple[str, ...]
    subjects: Array
    truth: Array
    classes: Array
    likely: Array
    missing: int
    kind: str = "nominal"
    note: str = ""

    def told(self) -> Array:
        """Return (N, K) how much of each class was told: a tie is a share of each, so that no guess is a lucky one.

        Of numbers (N,) what was told; of an ordinal label the nearest step.
        """
        if self.kind == "nominal":
            best = self.likely >= self.likely.max(axis=1, keepdims=True) - 1e-9
            return np.asarray(best / best.sum(axis=1, keepdims=True))
        told = self.likely[:, 0]
        return np.clip(np.round(told), self.classes[0], self.classes[-1]) if self.kind == "ordinal" else told


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is to be read from each recording.

    Attributes:
        labels: By recording; numbers, unless the label is nominal.
        subjects: Who is in it.
        kind: Of the label.
        note: Which classes were left out.
    """

    labels: "pd.Series[Any]"
    subjects: "pd.Series[str]"
    kind: str
    note: str = ""


def labelled(original: Evidence, released: Evidence, label: str, kind: str = "") -> Target:
    """Return a label of the released recordings that have it.

    **Guarantee**: every class has at least two people and four recordings; with fewer it is left out, and said.

    Args:
        original: Its table has the labels.
        released: Its table says which recordings count.
        label: A column.
        kind: One of ``KINDS``; empty to tell from the values.

    Raises:
        DataError: No two classes have enough people and recordings, or numbers are asked for and there are none.
    """
    table = original.table.loc[[i for i in original.table.index if i in set(released.table.index)]]
    if label not in table:
        raise DataError(f"the recordings carry no {label}")
    known = table[label].dropna().astype(str)
    known = known[known != ""]
    subjects = table["subject"].astype(str).loc[known.index]
    kind = kind or kind_of_label(known)
    if kind == "nominal":
        check_classes(known, label)
        return _with_classes(known, subjects, label)
    numbers = known.map(as_number)
    if numbers.isna().any():
        word = known[numbers.isna()].iloc[0]
        raise DataError(f"a label that is {kind} must be numbers, but a {label} is {word!r}")
    if numbers.nunique() < 2 or subjects.nunique() < 3:
        raise DataError(
            f"too few people: to read {label} as a number takes 3 people and different values, there are "
            f"{subjects.nunique()} people and {numbers.nunique()} values"
        )
    return Target(labels=numbers, subjects=subjects, kind=kind)


def _with_classes(known: "pd.Series[str]", subjects: "pd.Series[str]", label: str) -> Target:
    counts, people = known.value_counts(), subjects.groupby(known).nunique()
    said = {c: f"{c} (recordings: {counts[c]}, people: {people[c]})" for c in sorted(counts.index)}
    few = [c for c in said if counts[c] < FEWEST_RECORDINGS or people[c] < FEWEST_PEOPLE]
    needs = f"at least {FEWEST_PEOPLE} people and {FEWEST_RECORDINGS} recordings"
    if len(said) - len(few) < 2:
        there = ", ".join(said.values()) or f"none with a {label}"
        raise DataError(f"too few people or recordings: two classes need {needs} each, there are {there}")
    kept = known[~known.isin(few)]
    note = f"left out, since a class needs {needs}: {', '.join(said[c] for c in few)}" if few else ""
    return Target(labels=kept, subjects=subjects.loc[kept.index], kind="nominal", note=note)


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is read, and from what.

    Attributes:
        view: Name of the view.
        label: Column of the table.
        kind: Of the label; empty to tell from its values.
        folds: In how many groups people are left out; up to eight people, each alone.
        describe: Turns a clip into what the reader learns from; None for the clip itself.
        adapt: Whether each person's vectors are standardized over that person's own clips, without their labels.
    """

    view: str
    label: str = "emotion"
    kind: str = ""
    folds: int = 6
    describe: Callable[[Array], Array] | None = None
    adapt: bool = False

    def __post_init__(self) -> None:
        """Check the kind."""
        if self.kind and self.kind not in KINDS:
            raise OptionError(f"The kind of a label must be one of {', '.join(KINDS)}, not {self.kind!r}.")


def read_view(
    original: Evidence, released: Evidence, question: Question, train: Train, *, rng: np.random.Generator
) -> list[Reading]:
    """Read a label from one view. See ``read``.

    Raises:
        DataError: Fewer than half of the recordings have the view, or there are too few classes or people.
    """
    target = labelled(original, released, question.label, question.kind)
    before = usable_clips(original, question.view)
    after = before if released is original else usable_clips(released, question.view)
    for clips, what in ((before, "originals"), (after, "released recordings")):
        seen = sum(i in clips for i in target.labels.index)
        if 2 * seen < len(target.labels):
            raise DataError(f"{question.view} is there in only {seen} of {len(target.labels)} {what}")
    first = _prepared(before, target.subjects, question)
    second = first if after is before else _prepared(after, target.subjects, question)
    return read(first, second, target, train, folds=question.folds, rng=rng)


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
    before: Clips, after: Clips, target: Target, train: Train, *, folds: int, rng: np.random.Generator
) -> list[Reading]:
    """Train on the originals or the release of some people, and read the release of the others.

    **Guarantee**: no reader was trained on the person that it reads; every class was learned from other people.

    Args:
        before: Original clips by recording id.
        after: Released clips; the very same mapping for unprotected data, where both readers are one.
        target: What is to be read.
        train: Trains a reader.
        folds: In how many groups people are left out; up to eight people, each alone.
        rng: Randomness.

    Returns:
        One reading for each of ``READERS``.

    Raises:
        DataError: Numbers are asked for, and the reader knows classes only.
    """
    if target.kind != "nominal" and not hasattr(train, "regress"):
        raise DataError(f"this reader knows classes only, and the label is {target.kind}")
    parts = _folds(target, folds, rng)
    fixed = _reading("fixed_reader", (before, after), target, parts, train, rng)
    if after is before:
        return [fixed, replace(fixed, reader="retrained_reader")]
    return [fixed, _reading("retrained_reader", (after, after), target, parts, train, rng)]


def _folds(target: Target, folds: int, rng: np.random.Generator) -> list[tuple[list[str], list[str]]]:
    people = {str(i): str(s) for i, s in target.subjects.items()}
    labels = {str(i): str(c) for i, c in target.labels.items()} if target.kind == "nominal" else None
    count = len(set(people.values()))
    parts = person_folds(people, count if count <= _FEW_PEOPLE else folds, labels=labels, rng=rng)
    if labels and any({labels[i] for i in asked} - {labels[i] for i in learned} for learned, asked in parts):
        # all people of a class came into one fold: each person alone, some of the class are always learned from
        return person_folds(people, count, rng=rng)
    return parts


def _reading(
    reader: str,
    clips: tuple[Clips, Clips],
    target: Target,
    parts: Sequence[tuple[list[str], list[str]]],
    train: Train,
    rng: np.random.Generator,
) -> Reading:
    learn_from, ask = clips
    labels, ids = target.labels, [str(i) for i in target.labels.index]
    nominal = target.kind == "nominal"
    classes = (
        np.unique(labels.to_numpy(dtype=str if nominal else float)) if target.kind != "continuous" else np.array([])
    )
    likely = np.full((len(ids), len(classes)), 1 / len(classes)) if nominal else np.zeros((len(ids), 1))
    place = {i: n for n, i in enumerate(ids)}
    for learned, asked in parts:
        known = {i: learn_from[i] for i in learned if i in learn_from}
        seen = {i: ask[i] for i in asked if i in ask}
        if not nominal:
            likely[[place[i] for i in asked]] = labels.loc[learned].mean()
        if not seen or len({labels[i] for i in known}) < 2:
            continue
        rows = [place[i] for i in seen]
        if nominal:
            found, predict = train(known, {i: str(labels[i]) for i in known}, rng)
            likely[rows] = 0.0
            likely[np.ix_(np.array(rows), np.searchsorted(classes, found))] = predict(seen)
        else:
            regress: Any = train.regress  # type: ignore[attr-defined]
            likely[rows, 0] = regress(known, np.array([labels[i] for i in known], dtype=float), rng)(seen)
    return Reading(
        reader=reader,
        ids=tuple(ids),
        subjects=target.subjects.to_numpy(dtype=str),
        truth=labels.to_numpy(dtype=str if nominal else float),
        classes=classes,
        likely=likely,
        missing=sum(i not in ask for i in ids),
        kind=target.kind,
        note=target.note,
    )


def measure_reading(reading: Reading, name: str, *, modality: str, rng: np.random.Generator) -> list[Result]:
    """Return how well a label was read, people resampled.

    Of classes: unweighted average recall (with the confusion matrix) and accuracy. Of numbers: the concordance
    correlation, and the share of variance explained (continuous) or the mean absolute error (ordinal; there the
    concordance is the kappa with quadratic weights).
    """
    missing = f"{reading.missing} recordings without anything to look at count as guesses" if reading.missing else ""
    note = "; ".join(filter(None, (missing, reading.note)))
    told: list[tuple[str, Estimate, float, dict[str, Any]]]
    if reading.kind == "nominal":
        uar, accuracy, confusion = recall_and_accuracy(
            reading.truth, reading.told(), reading.subjects, reading.classes, rng=rng
        )
        majority = float(max(np.unique(reading.truth, return_counts=True)[1]) / len(reading.truth))
        detail = {"classes": reading.classes.tolist(), "confusion": confusion.tolist(), ANSWERS: reading}
        told = [("uar", uar, 1 / len(reading.classes), detail), ("accuracy", accuracy, majority, {})]
    else:
        found = agreement(reading.truth, reading.told(), reading.subjects, rng=rng)
        told = [("ccc", found["ccc"], 0.0, {ANSWERS: reading})]
        middle = float(np.abs(reading.truth - np.median(reading.truth)).mean())
        told += [("r2", found["r2"], 0.0, {})] if reading.kind == "continuous" else [("mae", found["mae"], middle, {})]
    return [
        Result(
            modality=modality,
            question="read",
            method=name,
            figure=figure,
            attacker=reading.reader,
            value=estimate.value,
            low=estimate.low,
            high=estimate.high,
            n=estimate.n,
            control=control,
            unit={"ccc": "correlation", "r2": "share of variance", "mae": "steps"}.get(figure, "share"),
            better="lower" if figure == "mae" else "higher",
            reason=note,
            detail=extra,
        )
        for figure, estimate, control, extra in told
    ]


def unread(name: str, error: Exception, *, modality: str, figures: Sequence[str] = ("uar", "accuracy")) -> list[Result]:
    """Return rows without a value for a reader that could not be used."""
    return [
        unmeasured(name, "read", error, figure=figure, modality=modality, attacker=reader)
        for reader in READERS
        for figure in figures
    ]
