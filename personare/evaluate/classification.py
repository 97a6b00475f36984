"""Judges what a model answers about people it never met: how often it is right, for whom, how well it knows that."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from personare.core.errors import DataError
from personare.core.types import Array, Batch, Result
from personare.evaluate.calibration import bin_of, calibration_error, equal_mass, equal_width, reliability
from personare.evaluate.metrics import over_people
from personare.evaluate.unmeasured import without_figure

__all__ = ["Answers", "judge_model", "overall"]

_BINS: Final = 15
_COLLAPSED: Final = 0.9  # one class for more than this share of recordings, where it is not that frequent
_AGES: Final = (30, 45)
_LOW: Final = 0.5


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a model said, and what was true.

    Attributes:
        likely: (N, C) probabilities.
        truth: (N,) int.
        predicted: (N,) the likeliest class, ties broken by chance.
        subjects: (N,) who is resampled.
        classes: Names of the columns.
    """

    likely: Array
    truth: Array
    predicted: Array
    subjects: Array
    classes: tuple[str, ...]

    @classmethod
    def of(cls, probabilities: Array, batch: Batch, *, rng: np.random.Generator) -> "Answers":
        """Check probabilities and choose classes.

        Raises:
            DataError: Probabilities that are none, or not one row for each recording.
        """
        if probabilities.shape != (len(batch), len(batch.classes)) or not len(batch):
            raise DataError(
                f"A judge needs one row of {len(batch.classes)} probabilities for each of {len(batch)} recordings (at "
                f"least one), given {probabilities.shape}."
            )
        likely = probabilities.astype(float)
        if not np.isfinite(likely).all() or likely.min() < -1e-6 or np.abs(likely.sum(axis=1) - 1).max() > 1e-3:
            raise DataError("Probabilities must be finite, at least 0, and add up to 1 for each recording.")
        best = likely >= likely.max(axis=1, keepdims=True)
        return cls(
            likely=likely,
            truth=batch.labels,
            predicted=(best * rng.random(best.shape)).argmax(axis=1),
            subjects=batch.subjects,
            classes=batch.classes,
        )

    @property
    def confidence(self) -> Array:
        """(N,) probability of the likeliest class."""
        return np.asarray(self.likely.max(axis=1))

    @property
    def right(self) -> Array:
        """(N,) bool."""
        return np.asarray(self.predicted == self.truth)

    def hits(self) -> Array:
        """Return the confusion matrix of each recording, (N, C * C), rows = truth."""
        k = len(self.classes)
        return np.asarray(np.eye(k * k)[self.truth * k + self.predicted])

    def take(self, rows: Array) -> "Answers":
        """Return some recordings' answers."""
        return Answers(
            likely=self.likely[rows],
            truth=self.truth[rows],
            predicted=self.predicted[rows],
            subjects=self.subjects[rows],
            classes=self.classes,
        )


Figure = Callable[[Array], Array]


def judge_model(
    probabilities: Array, batch: Batch, table: pd.DataFrame | None, *, rng: np.random.Generator
) -> list[Result]:
    """Measure accuracy, recall, precision, F1, calibration, and recall by sex and age.

    Weighted recall is accuracy (the weights cancel the class sizes): both rows are given, and are equal. ``uar`` is
    macro recall over the classes that occur. A class that is never predicted has precision 0.

    Args:
        probabilities: (N, C), columns as ``batch.classes``.
        batch: What was asked.
        table: Rows as in ``batch``, columns ``sex`` and ``age`` (years) where known; None where nothing is.
        rng: Bootstrap over people, ties.

    Returns:
        Rows of the method ``model``. The detail of ``accuracy`` has the confusion matrix, that of calibration errors
        the reliability diagrams. A bootstrap makes calibration errors a little larger than they are; so are intervals.

    Raises:
        DataError: Probabilities that are none.

    Example:
        >>> one = Batch(ids=("a", "b"), arrays={}, present={}, labels=np.array([0, 1]), classes=("x", "y"),
        ...     subjects=np.array(["p", "q"]))
        >>> rows = judge_model(np.array([[0.9, 0.1], [0.8, 0.2]]), one, None, rng=np.random.default_rng(0))
        >>> {r.figure: r.value for r in rows}["accuracy"]
        0.5
    """
    said = Answers.of(probabilities, batch, rng=rng)
    more = [*_averages(said, rng), _low_confidence(said, rng), _collapse(said, rng)]
    rows = overall(said, rng=rng) + _of_classes(more, said)
    rows += _groups(said, table, rng) if table is not None else []
    return [replace(row, kind="model") for row in rows]


def overall(said: Answers, *, rng: np.random.Generator) -> list[Result]:
    """Return accuracy, unweighted average recall and the calibration errors, likelihood and Brier score."""
    confidence, right, k = said.confidence, said.right.astype(float), len(said.classes)
    counts = np.bincount(said.truth, minlength=k)
    confusion = said.hits().sum(axis=0).reshape(k, k).astype(int)
    true = np.maximum(said.likely[np.arange(len(right)), said.truth], 1e-12)
    off = ((said.likely - np.eye(k)[said.truth]) ** 2).sum(axis=1)
    rows = [
        _mean("accuracy", right, said, rng, control=counts.max() / counts.sum(), confusion=confusion.tolist()),
        _row("uar", said.hits(), said, _uar(k), rng, control=1 / int((counts > 0).sum())),
        _mean("brier", off, said, rng, better="lower", unit="squared error", control=1 - 1 / k),
        _mean("nll", -np.log(true), said, rng, better="lower", unit="nats", control=np.log(k)),
    ]
    for measure, edges in (("ece", equal_width(_BINS)), ("ece_equal_mass", equal_mass(confidence, _BINS))):
        where = np.eye(len(edges) + 1)[bin_of(confidence, edges)]  # (N, B)
        parts = where[:, :, None] * np.stack([np.ones(len(right)), confidence, right], axis=1)[:, None]  # (N, B, 3)
        drawn = _row(measure, parts.reshape(len(right), -1), said, _ece, rng, better="lower")
        rows.append(replace(drawn, detail={"reliability": reliability(confidence, said.right, edges)}))
    return _of_classes(rows, said)


def _of_classes(rows: list[Result], said: Answers) -> list[Result]:
    """Keep figures only where people of two classes were asked about: of one, always saying it would be perfect."""
    shown = np.unique(said.truth)
    if len(shown) > 1:
        return rows
    why = f"the people it is tested on show one class only, {said.classes[shown[0]]}"
    return [without_figure(row, why) for row in rows]


def _ece(sums: Array) -> Array:
    return calibration_error(sums.reshape(len(sums), -1, 3))


def _rates(sums: Array, k: int) -> tuple[Array, Array, Array, Array]:
    """Return precision, recall, F1 and the number of each class, (draws, C), from confusion matrices."""
    confusion = sums.reshape(-1, k, k)
    hit, true, told = np.diagonal(confusion, axis1=1, axis2=2), confusion.sum(axis=2), confusion.sum(axis=1)
    f1 = 2 * hit / np.maximum(true + told, 1e-12)
    return hit / np.maximum(told, 1e-12), hit / np.maximum(true, 1e-12), f1, true


def _uar(k: int) -> Figure:
    return lambda sums: _macro(_rates(sums, k)[1], _rates(sums, k)[3])


def _macro(rate: Array, true: Array) -> Array:
    seen = true > 0  # a class that does not occur has no recall
    return np.asarray((rate * seen).sum(axis=1) / np.maximum(seen.sum(axis=1), 1))


def _weighted(rate: Array, true: Array) -> Array:
    return np.asarray((rate * true).sum(axis=1) / np.maximum(true.sum(axis=1), 1e-12))


def _averages(said: Answers, rng: np.random.Generator) -> list[Result]:
    k, rows = len(said.classes), []
    for i, rate in enumerate(("precision", "recall", "f1")):
        for kind, mean in (("macro", _macro), ("weighted", _weighted)):

            def figure(sums: Array, i: int = i, mean: Callable[[Array, Array], Array] = mean) -> Array:
                found = _rates(sums, k)
                return mean(found[i], found[3])

            row = _row(f"{rate}_{kind}", said.hits(), said, figure, rng)
            same = {"recall_weighted": "the same as accuracy", "recall_macro": "the same as uar"}
            rows.append(replace(row, reason=same.get(f"{rate}_{kind}", "")))
    return rows


def _low_confidence(said: Answers, rng: np.random.Generator) -> Result:
    low = said.confidence <= _LOW
    if not low.any():
        return _missing("confacc_low", f"no answer has a confidence of at most {_LOW}")
    return _mean("confacc_low", said.take(low).right.astype(float), said.take(low), rng)


def _collapse(said: Answers, rng: np.random.Generator) -> Result:
    """Return the share of recordings that get the commonest answer; near 1, the model has learned nothing else."""
    k = len(said.classes)
    told, true = (np.bincount(v, minlength=k) / len(said.truth) for v in (said.predicted, said.truth))
    top = int(told.argmax())
    row = _mean("largest_class", (said.predicted == top).astype(float), said, rng, control=true[top])
    collapsed = told[top] > max(_COLLAPSED, true[top])
    note = f"collapsed: nearly every recording is called {said.classes[top]}" if collapsed else ""
    return replace(row, better="lower", reason=note)


def _groups(said: Answers, table: pd.DataFrame, rng: np.random.Generator) -> list[Result]:
    k, rows = len(said.classes), []
    for name, group in _kinds(table, len(said.truth)).items():
        part = said.take(group)
        row = _row("uar", part.hits(), part, _uar(k), rng)
        rows += _of_classes([replace(row, subset=name, reason=f"{len(np.unique(part.subjects))} people")], part)
    return rows


def _kinds(table: pd.DataFrame, n: int) -> dict[str, Array]:
    """Return which recordings are of each sex and age band that occurs."""
    if len(table) != n:
        raise DataError(f"The table needs a row for each of the {n} recordings, it has {len(table)}.")
    kinds: dict[str, Array] = {}
    if "sex" in table:
        sex = table["sex"]
        kinds |= {f"sex_{s}": (sex == s).to_numpy(dtype=bool, na_value=False) for s in sorted(sex.dropna().unique())}
    if "age" in table:
        age = pd.to_numeric(table["age"], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
        young, old = _AGES
        kinds[f"age_below_{young}"] = age < young
        kinds[f"age_{young}_to_{old}"] = (age >= young) & (age <= old)
        kinds[f"age_above_{old}"] = age > old
    return {name: rows for name, rows in kinds.items() if rows.any()}


def _mean(
    figure_name: str,
    values: Array,
    said: Answers,
    rng: np.random.Generator,
    *,
    control: float = float("nan"),
    unit: str = "share",
    better: Literal["higher", "lower"] = "higher",
    confusion: Any = None,
) -> Result:
    sums = np.stack([values, np.ones(len(values))], axis=1)
    row = _row(
        figure_name, sums, said, lambda s: s[:, 0] / np.maximum(s[:, 1], 1e-12), rng, control=control, better=better
    )
    detail = {"classes": list(said.classes), "confusion": confusion} if confusion is not None else {}
    return replace(row, unit=unit, detail=detail)


def _row(
    figure_name: str,
    values: Array,
    said: Answers,
    figure: Figure,
    rng: np.random.Generator,
    *,
    control: float = float("nan"),
    better: Literal["higher", "lower"] = "higher",
) -> Result:
    found = over_people(values, said.subjects, figure, rng=rng)
    return replace(
        _missing(figure_name, ""),
        value=found.value,
        low=found.low,
        high=found.high,
        n=found.n,
        control=float(control),
        better=better,
    )


def _missing(figure: str, reason: str) -> Result:
    return Result(question="read", method="model", figure=figure, value=float("nan"), reason=reason)
