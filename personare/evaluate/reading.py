"""What behavior is still read, and which attributes: trained on some people, asked about others.

Every label is read twice: by a reader trained on originals (what a release does to programs people already have) and by
one trained on the release (what is left in it).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from personare.core.errors import DataError, OptionError
from personare.core.types import Array, Batch, Result
from personare.data.labels import KINDS, as_number, check_classes, kind_of_label
from personare.data.splits import person_folds
from personare.evaluate.classifiers import Clips, Train, column_moments, discriminant, forest
from personare.evaluate.clips import usable_clips
from personare.evaluate.metrics import Estimate, agreement, recall_and_accuracy
from personare.evaluate.unmeasured import unmeasured

READERS = ("fixed_reader", "retrained_reader")
ANSWERS = "answers"
"""In the detail of a reading's first row: the reading, by which the judge chooses among readers."""
ATTRIBUTES = ("sex", "age")
_FEWEST_PEOPLE = 2  # of a class: one to learn it from, one to read it from
_FEWEST_RECORDINGS = 4  # of a class: with fewer, its recall is the toss of a coin
_FEW_PEOPLE = 8  # up to here every person is a fold
_CHOSEN_IN = 8  # groups of people, for each of whom a reader is chosen on all others


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What one reader made of every recording, each read by a model that never met the person."""

    reader: str  # one of READERS
    ids: tuple[str, ...]  # N recordings
    subjects: Array  # (N,) who is in them
    truth: Array  # (N,) what was meant; numbers, where numbers are read
    classes: Array  # (K,) sorted; the steps of an ordinal label; empty for a continuous one
    likely: Array  # (N, K) probabilities, or (N, 1) the number that was read; of nothing to look at, a plain guess
    missing: int  # recordings that had nothing to look at
    kind: str = "nominal"  # of the label; see ``personare.data.labels``
    reason: str = ""  # what was left out, and why

    @property
    def predictions(self) -> Array:
        """(N, K) how much of each class was read: a tie is a share of each, so that no guess is a lucky one.

        Of numbers (N,) what was read; of an ordinal label the nearest step.
        """
        if self.kind == "nominal":
            best = self.likely >= self.likely.max(axis=1, keepdims=True) - 1e-9
            return np.asarray(best / best.sum(axis=1, keepdims=True))
        number = self.likely[:, 0]
        return np.clip(np.round(number), self.classes[0], self.classes[-1]) if self.kind == "ordinal" else number


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is read, and from what."""

    view: str
    label: str = "emotion"  # column of the table
    kind: str = ""  # of the label; empty to tell from its values
    folds: int = 6  # groups in which people are left out; up to eight people, each alone
    describe: Callable[[Array], Array] = np.asarray  # turns a clip into what is learned from
    adapt: bool = False  # whether each person's vectors are standardized over that person's clips, without their labels

    def __post_init__(self) -> None:
        if self.kind and self.kind not in KINDS:
            raise OptionError(f"The kind of a label must be one of {', '.join(KINDS)}, not {self.kind!r}.")


def _labelled(original: Batch, released: Batch, task: Task) -> Reading:
    """Return the released recordings that have the label, which nothing has read yet.

    **Guarantee**: every class has at least two people and four recordings; with fewer it is left out, and said.
    """
    label, facts, reason = task.label, original.table, ""
    if facts is None or label not in facts:
        raise DataError(f"the recordings carry no {label}")
    shown = set(released.ids)
    table = facts.loc[[i for i in original.ids if i in shown]]
    words = table[label].dropna().astype(str)
    words = words[words != ""]
    subjects = table["subject"].astype(str).loc[words.index]
    kind = task.kind or kind_of_label(words)
    if kind == "nominal":
        check_classes(words, label)
        counts, people = words.value_counts(), subjects.groupby(words).nunique()
        sizes = {c: f"{c} (recordings: {counts[c]}, people: {people[c]})" for c in sorted(counts.index)}
        few = [c for c in sizes if counts[c] < _FEWEST_RECORDINGS or people[c] < _FEWEST_PEOPLE]
        needs = f"at least {_FEWEST_PEOPLE} people and {_FEWEST_RECORDINGS} recordings"
        if len(sizes) - len(few) < 2:
            there = ", ".join(sizes.values()) or f"none with a {label}"
            raise DataError(f"too few people or recordings: two classes need {needs} each, there are {there}")
        reason = f"left out, since a class needs {needs}: {', '.join(sizes[c] for c in few)}" if few else ""
        words = words[~words.isin(few)]
        truth = words.to_numpy(dtype=str)
    else:
        truth = words.map(as_number).to_numpy(dtype=float)
        if np.isnan(truth).any():
            word = words[np.isnan(truth)].iloc[0]
            raise DataError(f"a label that is {kind} must be numbers, but a {label} is {word!r}")
        values, persons = len(set(truth)), subjects.nunique()
        if values < 2 or persons < 3:
            raise DataError(
                f"too few people: to read {label} as a number takes 3 people and different values, there are "
                f"{persons} people and {values} values"
            )
    return Reading(
        reader="",
        ids=tuple(words.index),
        subjects=subjects.loc[words.index].to_numpy(dtype=str),
        truth=truth,
        classes=np.array([]) if kind == "continuous" else np.unique(truth),
        likely=np.array([]),
        missing=len(words),
        kind=kind,
        reason=reason,
    )


def read_view(original: Batch, released: Batch, task: Task, train: Train, *, rng: np.random.Generator) -> list[Reading]:
    """Train on the originals or the release of some people, and read the release of the others.

    **Guarantee**: no reader was trained on the person that it reads; every class was learned from other people.

    One reading for each of ``READERS``; if ``released`` is the very same object as ``original``, both readers are one.
    """
    reading = _labelled(original, released, task)
    ids, truth, classes, nominal = reading.ids, reading.truth, reading.classes, reading.kind == "nominal"
    before = usable_clips(original, task.view)
    after = before if released is original else usable_clips(released, task.view)
    for clips, what in ((before, "originals"), (after, "released recordings")):
        seen = sum(i in clips for i in ids)
        if 2 * seen < len(ids):
            raise DataError(f"{task.view} is there in only {seen} of {len(ids)} {what}")
    if not nominal and not hasattr(train, "regress"):
        raise DataError(f"this reader knows classes only, and the label is {reading.kind}")
    originals = _prepared(before, reading, task)
    shown = originals if after is before else _prepared(after, reading, task)
    labels, place = dict(zip(ids, truth.tolist(), strict=True)), {i: n for n, i in enumerate(ids)}
    whose = dict(zip(ids, reading.subjects.tolist(), strict=True))
    people, classed = len(set(whose.values())), labels if nominal else None
    folds = person_folds(whose, people if people <= _FEW_PEOPLE else task.folds, labels=classed, rng=rng)
    if nominal and any({labels[i] for i in asked} - {labels[i] for i in learned} for learned, asked in folds):
        # all people of a class came into one fold: each person alone, some of the class are always learned from
        folds = person_folds(whose, people, rng=rng)

    def answers(learn_from: Clips) -> Array:
        """Return ``likely`` of a reading: each fold is read by a model of all others."""
        likely = np.full((len(ids), len(classes)), 1 / len(classes)) if nominal else np.zeros((len(ids), 1))
        for learned, asked in folds:
            ours = {i: learn_from[i] for i in learned if i in learn_from}
            theirs = {i: shown[i] for i in asked if i in shown}
            rows = np.array([place[i] for i in theirs])
            if not nominal:
                likely[[place[i] for i in asked]] = np.mean([labels[i] for i in learned])
            if not theirs or len({labels[i] for i in ours}) < 2:
                continue
            if nominal:
                names, predict = train(ours, {i: labels[i] for i in ours}, rng)
                likely[rows] = 0.0
                likely[np.ix_(rows, np.searchsorted(classes, names))] = predict(theirs)
            else:
                numbers = np.array([labels[i] for i in ours])
                likely[rows, 0] = train.regress(ours, numbers, rng)(theirs)  # type: ignore[attr-defined]
        return likely

    missing = sum(i not in shown for i in ids)
    fixed = replace(reading, reader=READERS[0], likely=answers(originals), missing=missing)
    again = fixed.likely if shown is originals else answers(shown)
    return [fixed, replace(fixed, reader=READERS[1], likely=again)]


def _prepared(clips: Clips, reading: Reading, task: Task) -> Clips:
    ready = {i: np.asarray(task.describe(clips[i])) for i in reading.ids if i in clips}
    for person in np.unique(reading.subjects) if task.adapt else ():
        ids = [i for i, who in zip(reading.ids, reading.subjects, strict=True) if who == person and i in ready]
        if ids:
            rows = np.stack([ready[i].astype(float).ravel() for i in ids])
            mean, spread = column_moments(rows)
            ready |= dict(zip(ids, (rows - mean) / np.where(spread > 1e-9, spread, np.inf), strict=True))
    return ready


def measure_reading(reading: Reading, name: str, *, rng: np.random.Generator) -> list[Result]:
    """Return how well a label was read, people resampled.

    Of classes: unweighted average recall (with the confusion matrix) and accuracy. Of numbers: the concordance
    correlation, and the share of variance explained (continuous) or the mean absolute error (ordinal; there the
    concordance is the kappa with quadratic weights).
    """
    missing = f"{reading.missing} recordings without anything to look at count as guesses" if reading.missing else ""
    truth, subjects = reading.truth, reading.subjects

    def row(figure: str, estimate: Estimate, control: float, **columns: Any) -> Result:
        reason = "; ".join(filter(None, (missing, reading.reason)))
        columns = {"attacker": reading.reader, "control": control, "reason": reason, **columns}
        return Result(question="read", method=name, figure=figure, **estimate.columns, **columns)

    if reading.kind == "nominal":
        uar, accuracy, confusion = recall_and_accuracy(truth, reading.predictions, subjects, reading.classes, rng=rng)
        majority = float(max(np.unique(truth, return_counts=True)[1]) / len(truth))
        detail = {"classes": reading.classes.tolist(), "confusion": confusion.tolist(), ANSWERS: reading}
        return [row("uar", uar, 1 / len(reading.classes), detail=detail), row("accuracy", accuracy, majority)]
    agreed = agreement(truth, reading.predictions, subjects, rng=rng)
    concordance = row("ccc", agreed["ccc"], 0.0, unit="correlation", detail={ANSWERS: reading})
    if reading.kind == "continuous":
        return [concordance, row("r2", agreed["r2"], 0.0, unit="share of variance")]
    middle = float(np.abs(truth - np.median(truth)).mean())
    return [concordance, row("mae", agreed["mae"], middle, unit="steps", better="lower")]


def read_and_measure(
    original: Batch, released: Batch, readers: Mapping[str, tuple[Task, Train]], *, rng: np.random.Generator
) -> list[Result]:
    """Return how well readers read, each trained twice, see ``read_view``; rows that say why where one cannot."""
    rows: list[Result] = []
    for name, (task, train) in readers.items():
        try:
            for reading in read_view(original, released, task, train, rng=rng):
                rows += measure_reading(reading, name, rng=rng)
        except DataError as error:
            rows += unread(name, error)
    return rows


def forest_and_adapted(name: str, task: Task, trees: int = 100) -> dict[str, tuple[Task, Train]]:
    """Return a random forest, and a discriminant that gets used to each person, for ``read_and_measure``."""
    return {f"{name}_rf": (task, forest(trees)), f"{name}_adapted": (replace(task, adapt=True), discriminant())}


def unread(name: str, error: Exception) -> list[Result]:
    """Return rows without a value for a reader that could not be used."""
    pairs = product(READERS, ("uar", "accuracy"))
    return [unmeasured(name, "read", error, figure=figure, attacker=reader) for reader, figure in pairs]


def quality_on_others(
    readings: Sequence[Reading], folds: int, *, rng: np.random.Generator
) -> Iterator[tuple[Array, Array]]:
    """Yield, of each group of people, which (N,) recordings are theirs, and how well each reading reads all others.

    The recall averaged over classes, or the concordance of numbers. The best of several readings on the very recordings
    it is shown on would be too good: part of it is luck. The readings are of the same recordings and label.
    """
    first = readings[0]

    def quality(reading: Reading, rows: Array) -> float:
        truth, read = reading.truth[rows], reading.predictions[rows]
        if reading.kind == "nominal":
            right = ((truth[:, None] == reading.classes) * read).sum(axis=1)
            return float(np.mean([right[truth == c].mean() for c in np.unique(truth)]))
        apart = truth.var() + read.var() + (truth.mean() - read.mean()) ** 2
        return float(2 * np.mean((truth - truth.mean()) * (read - read.mean())) / max(apart, 1e-12))

    for _, group in person_folds(dict(zip(first.ids, first.subjects.tolist(), strict=True)), folds, rng=rng):
        asked = np.isin(first.ids, group)
        yield asked, np.array([quality(reading, ~asked) for reading in readings])


def measure_chosen(readings: Mapping[str, Reading], *, rng: np.random.Generator) -> list[Result]:
    """Return the figures of ``reader``: of several, the one chosen for each group of people on all others."""
    names, same = list(readings), list(readings.values())
    likely, used = same[0].likely.copy(), Counter[str]()
    for asked, qualities in quality_on_others(same, min(_CHOSEN_IN, len(set(same[0].subjects))), rng=rng):
        best = int(np.argmax(qualities))
        likely[asked] = same[best].likely[asked]
        used[names[best]] += 1
    said = ", ".join(f"{name} ({n} of {used.total()})" for name, n in used.most_common())
    reason = f"each group of people is read by the reader that reads all others best: {said}"
    joint = replace(same[0], likely=likely, missing=min(r.missing for r in same))
    first, *others = measure_reading(joint, "reader", rng=rng)
    detail = {key: value for key, value in first.detail.items() if key != ANSWERS}
    rows = [replace(first, detail=detail), *others]
    return [replace(row, reason="; ".join(filter(None, (reason, row.reason)))) for row in rows]


def attribute_rows(
    original: Batch,
    released: Batch,
    readers: Mapping[str, Train],
    *,
    method: str,
    folds: int,
    fewest: int,
    rng: np.random.Generator,
) -> list[Result]:
    """Return how well sex and age are read from each recording, each a row for each of two attackers.

    ``readers`` by view; what those of several views find likely is averaged. ``ignorant`` learned from originals,
    ``semi_informed`` from the release; nobody is enrolled, so there is no third. ``fewest`` as of ``kinds_of_people``.

    **Guarantee**: nothing was learned from the person whose attribute is read.
    """

    def read(attribute: str) -> list[Result]:
        if (table := original.table) is None:
            raise DataError(f"nobody's {attribute} is known")
        before = replace(original, table=table.assign(attribute=kinds_of_people(table, attribute, fewest)))
        after = before if released is original else released
        seed = int(rng.integers(2**31))  # the same folds for every view
        by_view, reasons = [], []
        for view, train in readers.items():
            task = Task(view=view, label="attribute", folds=folds)
            try:
                by_view.append(read_view(before, after, task, train, rng=np.random.default_rng(seed)))
            except DataError as error:
                reasons.append(str(error))
        if not by_view:
            raise DataError("; ".join(dict.fromkeys(reasons)))
        rows = []
        for readings in zip(*by_view, strict=True):
            likely = np.mean([r.likely for r in readings], axis=0)
            joint = replace(readings[0], likely=likely, missing=min(r.missing for r in readings))
            rows.append(replace(measure_reading(joint, method, rng=rng)[0], detail={}))
        return rows

    rows: list[Result] = []
    for attribute in ATTRIBUTES:
        try:
            both = read(attribute)
        except DataError as error:
            both = [unmeasured(method, "infer", error, figure="uar")] * 2
        for row, attacker in zip(both, ("ignorant", "semi_informed"), strict=True):
            rows.append(replace(row, question="infer", subset=attribute, attacker=attacker, better="lower"))
    return rows


def kinds_of_people(table: pd.DataFrame, name: str, fewest: int) -> "pd.Series[str]":
    """Return ``sex`` or ``age`` of each recording as one of two kinds of people; missing stays missing.

    Ages (years) become ``older`` and ``younger`` than the median person; each kind needs the ``fewest`` people.

    Example:
        >>> people = pd.DataFrame({"subject": ["a", "b"], "age": [20, 60]})
        >>> kinds_of_people(people, "age", 1).tolist()
        ['younger', 'older']
    """
    if name not in table or table[name].isna().all():
        raise DataError(f"nobody's {name} is known")
    values = table[name]
    if name == "age":
        years = pd.to_numeric(values, errors="coerce")
        middle = years.groupby(table["subject"]).first().median()
        values = years.map(lambda a: "older" if a > middle else "younger", na_action="ignore")
    people = values.groupby(table["subject"]).first().value_counts()
    if len(people) < 2 or people.min() < fewest:
        there = ", ".join(f"{count} {kind}" for kind, count in people.items())
        raise DataError(f"{name} needs at least {fewest} people of two kinds, there are {there}")
    return values.astype(object)
