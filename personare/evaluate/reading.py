"""What behavior is still read, and which attributes: trained on some people, asked about others.

Every label is read twice: by a reader trained on originals (what a release does to programs people already have) and by
one trained on the release (what is left in it).
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from personare.core.errors import DataError, OptionError
from personare.core.types import Array, Batch, Result
from personare.data.labels import KINDS, as_number, check_classes, kind_of_label
from personare.data.splits import person_folds
from personare.evaluate.classifiers import Clips, Train
from personare.evaluate.clips import usable_clips
from personare.evaluate.metrics import Estimate, agreement, recall_and_accuracy
from personare.evaluate.unmeasured import unmeasured

READERS = ("fixed_reader", "retrained_reader")
ANSWERS = "answers"
"""In the detail of a reading's first row: the reading, by which the judge chooses among readers."""
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
class Task:
    """What is read, and from what."""

    view: str
    label: str = "emotion"  # column of the table
    kind: str = ""  # of the label; empty to tell from its values
    folds: int = 6  # groups in which people are left out; up to eight people, each alone
    describe: Callable[[Array], Array] | None = None  # turns a clip into what is learned from; None: the clip itself
    adapt: bool = False  # whether each person's vectors are standardized over that person's clips, without their labels

    def __post_init__(self) -> None:
        if self.kind and self.kind not in KINDS:
            raise OptionError(f"The kind of a label must be one of {', '.join(KINDS)}, not {self.kind!r}.")


def _labelled(original: Batch, released: Batch, task: Task) -> tuple["pd.Series[Any]", "pd.Series[str]", str, str]:
    """Return labels (numbers, unless nominal) and subjects of the released recordings that have one, kind and reason.

    **Guarantee**: every class has at least two people and four recordings; with fewer it is left out, and said.
    """
    label, kind, facts = task.label, task.kind, original.table
    if facts is None or label not in facts:
        raise DataError(f"the recordings carry no {label}")
    shown = set(released.ids)
    table = facts.loc[[i for i in original.ids if i in shown]]
    known = table[label].dropna().astype(str)
    known = known[known != ""]
    subjects = table["subject"].astype(str).loc[known.index]
    kind = kind or kind_of_label(known)
    if kind == "nominal":
        check_classes(known, label)
        counts, people = known.value_counts(), subjects.groupby(known).nunique()
        said = {c: f"{c} (recordings: {counts[c]}, people: {people[c]})" for c in sorted(counts.index)}
        few = [c for c in said if counts[c] < _FEWEST_RECORDINGS or people[c] < _FEWEST_PEOPLE]
        needs = f"at least {_FEWEST_PEOPLE} people and {_FEWEST_RECORDINGS} recordings"
        if len(said) - len(few) < 2:
            there = ", ".join(said.values()) or f"none with a {label}"
            raise DataError(f"too few people or recordings: two classes need {needs} each, there are {there}")
        kept = known[~known.isin(few)]
        reason = f"left out, since a class needs {needs}: {', '.join(said[c] for c in few)}" if few else ""
        return kept, subjects.loc[kept.index], kind, reason
    numbers = known.map(as_number)
    if numbers.isna().any():
        word = known[numbers.isna()].iloc[0]
        raise DataError(f"a label that is {kind} must be numbers, but a {label} is {word!r}")
    if numbers.nunique() < 2 or subjects.nunique() < 3:
        raise DataError(
            f"too few people: to read {label} as a number takes 3 people and different values, there are "
            f"{subjects.nunique()} people and {numbers.nunique()} values"
        )
    return numbers, subjects, kind, ""


def read_view(original: Batch, released: Batch, task: Task, train: Train, *, rng: np.random.Generator) -> list[Reading]:
    """Train on the originals or the release of some people, and read the release of the others.

    **Guarantee**: no reader was trained on the person that it reads; every class was learned from other people.

    One reading for each of ``READERS``; if ``released`` is the very same object as ``original``, both readers are one.
    """
    labels, subjects, kind, reason = _labelled(original, released, task)
    before = usable_clips(original, task.view)
    after = before if released is original else usable_clips(released, task.view)
    for clips, what in ((before, "originals"), (after, "released recordings")):
        seen = sum(i in clips for i in labels.index)
        if 2 * seen < len(labels):
            raise DataError(f"{task.view} is there in only {seen} of {len(labels)} {what}")
    first = _prepared(before, subjects, task)
    second = first if after is before else _prepared(after, subjects, task)
    if kind != "nominal" and not hasattr(train, "regress"):
        raise DataError(f"this reader knows classes only, and the label is {kind}")
    parts = _folds(labels, subjects, kind, task.folds, rng)
    classes = np.array([])
    if kind != "continuous":
        classes = np.unique(labels.to_numpy(dtype=str if kind == "nominal" else float))
    found: list[Reading] = []
    for reader, learn_from in zip(READERS, (first, second), strict=True):
        if found and second is first:
            return [*found, replace(found[0], reader=reader)]
        reading = Reading(
            reader=reader,
            ids=tuple(map(str, labels.index)),
            subjects=subjects.to_numpy(dtype=str),
            truth=labels.to_numpy(dtype=str if kind == "nominal" else float),
            classes=classes,
            likely=_answers(learn_from, second, labels, classes, kind == "nominal", parts, train, rng),
            missing=sum(i not in second for i in labels.index),
            kind=kind,
            reason=reason,
        )
        found.append(reading)
    return found


def _prepared(clips: Clips, subjects: "pd.Series[str]", task: Task) -> Clips:
    found = {i: clips[i] for i in subjects.index if i in clips}
    if task.describe is not None:
        found = {i: np.asarray(task.describe(clip)) for i, clip in found.items()}
    if not task.adapt:
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


def _folds(
    labels: "pd.Series[Any]", subjects: "pd.Series[str]", kind: str, folds: int, rng: np.random.Generator
) -> list[tuple[list[str], list[str]]]:
    people = {str(i): str(s) for i, s in subjects.items()}
    named = {str(i): str(c) for i, c in labels.items()} if kind == "nominal" else None
    count = len(set(people.values()))
    parts = person_folds(people, count if count <= _FEW_PEOPLE else folds, labels=named, rng=rng)
    if named and any({named[i] for i in asked} - {named[i] for i in learned} for learned, asked in parts):
        # all people of a class came into one fold: each person alone, some of the class are always learned from
        return person_folds(people, count, rng=rng)
    return parts


def _answers(
    learn_from: Clips,
    ask: Clips,
    labels: "pd.Series[Any]",
    classes: Array,
    nominal: bool,
    parts: Sequence[tuple[list[str], list[str]]],
    train: Train,
    rng: np.random.Generator,
) -> Array:
    """Return ``likely`` of a reading: each fold is read by a model of all others."""
    ids = [str(i) for i in labels.index]
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
    return likely


def read_rows(train: Train, rows: Array, labels: Array, asked: Array, rng: np.random.Generator) -> Array:
    """Return the class of each of (M, D) ``asked`` rows, by a reader of (N, D) rows and their labels."""
    clips, others = ({str(i): row for i, row in enumerate(part.astype(float))} for part in (rows, asked))
    classes, predict = train(clips, {str(i): str(k) for i, k in enumerate(labels)}, rng)
    return np.asarray(classes[predict(others).argmax(axis=1)].astype(labels.dtype))


def measure_reading(reading: Reading, name: str, *, modality: str, rng: np.random.Generator) -> list[Result]:
    """Return how well a label was read, people resampled.

    Of classes: unweighted average recall (with the confusion matrix) and accuracy. Of numbers: the concordance
    correlation, and the share of variance explained (continuous) or the mean absolute error (ordinal; there the
    concordance is the kappa with quadratic weights).
    """
    missing = f"{reading.missing} recordings without anything to look at count as guesses" if reading.missing else ""
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
            **estimate.columns,
            control=control,
            unit={"ccc": "correlation", "r2": "share of variance", "mae": "steps"}.get(figure, "share"),
            better="lower" if figure == "mae" else "higher",
            reason="; ".join(filter(None, (missing, reading.reason))),
            detail=extra,
        )
        for figure, estimate, control, extra in told
    ]


def read_and_measure(
    name: str, original: Batch, released: Batch, task: Task, train: Train, *, modality: str, rng: np.random.Generator
) -> list[Result]:
    """Return how well both readers read, see ``read_view``; rows that say why where none can."""
    try:
        readings = read_view(original, released, task, train, rng=rng)
    except DataError as error:
        return unread(name, error, modality=modality)
    return [row for reading in readings for row in measure_reading(reading, name, modality=modality, rng=rng)]


def unread(name: str, error: Exception, *, modality: str) -> list[Result]:
    """Return rows without a value for a reader that could not be used."""
    return [
        unmeasured(name, "read", error, figure=figure, modality=modality, attacker=reader)
        for reader in READERS
        for figure in ("uar", "accuracy")
    ]


def quality(reading: Reading, rows: Array) -> float:
    """Return the recall averaged over classes, or the concordance of numbers, on some of the recordings."""
    truth, told = reading.truth[rows], reading.told()[rows]
    if reading.kind == "nominal":
        right = ((truth[:, None] == reading.classes) * told).sum(axis=1)
        return float(np.mean([right[truth == c].mean() for c in np.unique(truth)]))
    apart = truth.var() + told.var() + (truth.mean() - told.mean()) ** 2
    return float(2 * np.mean((truth - truth.mean()) * (told - told.mean())) / max(apart, 1e-12))


def measure_chosen(readings: Mapping[str, Reading], *, modality: str, rng: np.random.Generator) -> list[Result]:
    """Return the figures of ``reader``: of several of one label, the one chosen for each group of people on all others.

    The best of several readers on the very recordings it is shown on would be too good: part of it is luck.
    """
    first = next(iter(readings.values()))
    ids = [i for i in first.ids if all(i in r.ids for r in readings.values())]
    same = {}
    for name, reading in readings.items():
        place = {i: n for n, i in enumerate(reading.ids)}
        rows = np.array([place[i] for i in ids])
        kept = {part: getattr(reading, part)[rows] for part in ("subjects", "truth", "likely")}
        same[name] = replace(reading, ids=tuple(ids), **kept)
    some = next(iter(same.values()))
    likely, used = some.likely.copy(), Counter[str]()
    subjects = dict(zip(ids, some.subjects.tolist(), strict=True))
    for others, own in person_folds(subjects, min(_CHOSEN_IN, len(set(subjects.values()))), rng=rng):
        learn, ask = np.isin(ids, others), np.isin(ids, own)
        best = max(same, key=lambda name: quality(same[name], learn))
        likely[ask] = same[best].likely[ask]
        used[best] += 1
    said = ", ".join(f"{name} ({n} of {used.total()})" for name, n in used.most_common())
    chosen = replace(some, likely=likely, missing=min(r.missing for r in same.values()))
    reason = f"each group of people is read by the reader that reads all others best: {said}"
    measured = measure_reading(chosen, "reader", modality=modality, rng=rng)
    return [replace(row, reason="; ".join(filter(None, (reason, row.reason)))) for row in measured]


def attribute_rows(
    original: Batch,
    released: Batch,
    attribute: str,
    readers: Mapping[str, Train],
    *,
    method: str,
    folds: int,
    fewest: int,
    rng: np.random.Generator,
) -> list[Result]:
    """Return how well an attribute of people is read from each recording, a row for each of two attackers.

    ``readers`` by view; what those of several views find likely is averaged. ``ignorant`` learned from originals,
    ``semi_informed`` from the release; nobody is enrolled, so there is no third. ``attribute`` and ``fewest`` as of
    ``kinds_of_people``.

    **Guarantee**: nothing was learned from the person whose attribute is read.
    """
    attackers = ("ignorant", "semi_informed")
    try:
        kinds = kinds_of_people(pd.DataFrame() if original.table is None else original.table, attribute, fewest)
        before = replace(original, table=original.table.assign(attribute=kinds))  # type: ignore[union-attr]
        after = before if released is original else released
        seed = int(rng.integers(2**31))  # the same folds for every view
        by_view: list[list[Reading]] = []
        reasons: list[str] = []
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
            rows.append(measure_reading(joint, method, modality="", rng=rng)[0])
    except DataError as error:
        rows = [unmeasured(method, "infer", error, figure="uar")] * len(attackers)
    said = zip(rows, attackers, strict=True)
    return [
        replace(row, question="infer", subset=attribute, attacker=attacker, better="lower", detail={})
        for row, attacker in said
    ]


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
