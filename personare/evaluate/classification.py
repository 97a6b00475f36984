"""Judges what a model answers about people it never met: how often it is right, for whom, how well it knows that.

Also how it bears missing modalities and noise.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd

from personare.core.errors import DataError, OptionError
from personare.core.protocols import Predictor
from personare.core.types import Array, Batch, Result
from personare.evaluate.metrics import over_people
from personare.evaluate.unmeasured import without_figure

_BINS: Final = 15
_COLLAPSED: Final = 0.9  # one class for more than this share of recordings, where it is not that frequent
_AGES: Final = (30, 45)
_LOW: Final = 0.5
_DISTURBED: Final = ("accuracy", "uar", "ece")  # figures of a model on disturbed recordings
_SAME: Final = {"recall_weighted": "the same as accuracy", "recall_macro": "the same as uar"}


@dataclass(frozen=True, kw_only=True)
class _Answers:
    """What a model said, and what was true."""

    likely: Array  # (N, C) probabilities
    truth: Array  # (N,) int
    predicted: Array  # (N,) the likeliest class, ties broken by chance
    subjects: Array  # (N,) who is resampled
    classes: tuple[str, ...]

    @classmethod
    def of(cls, probabilities: Array, batch: Batch, rng: np.random.Generator) -> "_Answers":
        """Check probabilities and choose classes."""
        if probabilities.shape != (len(batch), len(batch.classes)) or not len(batch):
            raise DataError(
                f"A judge needs one row of {len(batch.classes)} probabilities for each of {len(batch)} recordings (at "
                f"least one), given {probabilities.shape}."
            )
        likely = probabilities.astype(float)
        if not np.isfinite(likely).all() or likely.min() < -1e-6 or np.abs(likely.sum(axis=1) - 1).max() > 1e-3:
            raise DataError("Probabilities must be finite, at least 0, and add up to 1 for each recording.")
        best = likely >= likely.max(axis=1, keepdims=True)
        predicted = (best * rng.random(best.shape)).argmax(axis=1)
        return cls(
            likely=likely, truth=batch.labels, predicted=predicted, subjects=batch.subjects, classes=batch.classes
        )

    @property
    def confidence(self) -> Array:
        """(N,) probability of the likeliest class."""
        return np.asarray(self.likely.max(axis=1))

    @property
    def right(self) -> Array:
        """(N,) 1 or 0."""
        return np.asarray(self.predicted == self.truth).astype(float)

    @property
    def hits(self) -> Array:
        """(N, C * C) the confusion matrix of each recording, rows = truth."""
        k = len(self.classes)
        return np.asarray(np.eye(k * k)[self.truth * k + self.predicted])

    def take(self, rows: Array) -> "_Answers":
        """Return some recordings' answers."""
        parts = {name: getattr(self, name)[rows] for name in ("likely", "truth", "predicted", "subjects")}
        return replace(self, **parts)


def judge_model(
    probabilities: Array, batch: Batch, table: pd.DataFrame | None, *, rng: np.random.Generator
) -> list[Result]:
    """Measure accuracy, recall, precision, F1, calibration, and recall by sex and age, as the method ``model``.

    Weighted recall is accuracy (the weights cancel the class sizes): both rows are given, and are equal. ``uar`` is
    macro recall over the classes that occur. A class that is never predicted has precision 0. The detail of
    ``accuracy`` has the confusion matrix, that of calibration errors the reliability diagrams. A bootstrap makes
    calibration errors a little larger than they are; so are intervals.

    Args:
        probabilities: (N, C), columns as ``batch.classes``.
        batch: What was asked.
        table: Rows as in ``batch``, columns ``sex`` and ``age`` (years) where known; None where nothing is.
        rng: Bootstrap over people, ties.

    Example:
        >>> one = Batch(ids=("a", "b"), arrays={}, present={}, labels=np.array([0, 1]), classes=("x", "y"),
        ...     subjects=np.array(["p", "q"]))
        >>> rows = judge_model(np.array([[0.9, 0.1], [0.8, 0.2]]), one, None, rng=np.random.default_rng(0))
        >>> {r.figure: r.value for r in rows}["accuracy"]
        0.5
    """
    said = _Answers.of(probabilities, batch, rng)
    k, more = len(said.classes), []
    for i, rate in enumerate(("precision", "recall", "f1")):
        for kind, mean in (("macro", _macro), ("weighted", _weighted)):
            figure = f"{rate}_{kind}"
            row = _row(figure, said, said.hits, partial(_averaged, k, i, mean), rng)
            more.append(replace(row, reason=_SAME.get(figure, "")))
    low = said.confidence <= _LOW
    if low.any():
        more.append(_mean("confacc_low", said.take(low), said.take(low).right, rng))
    else:
        why = f"no answer has a confidence of at most {_LOW}"
        more.append(replace(more[-1], figure="confacc_low", value=np.nan, low=np.nan, high=np.nan, n=0, reason=why))
    # the share of recordings that get the commonest answer: near 1, the model has learned nothing else
    told, true = (np.bincount(v, minlength=k) / len(said.truth) for v in (said.predicted, said.truth))
    top = int(told.argmax())
    row = _mean("largest_class", said, said.predicted == top, rng, control=true[top], better="lower")
    collapsed = told[top] > max(_COLLAPSED, true[top])
    reason = f"collapsed: nearly every recording is called {said.classes[top]}" if collapsed else ""
    more.append(replace(row, reason=reason))
    rows = _of_classes(_overall(said, rng) + more, said)
    for name, group in ({} if table is None else _groups(table, len(said.truth))).items():
        part = said.take(group)
        row = _row("uar", part, part.hits, partial(_averaged, k, 1, _macro), rng)
        rows += _of_classes([replace(row, subset=name, reason=f"{len(np.unique(part.subjects))} people")], part)
    return rows


def judge_robustness(
    predictor: Predictor,
    batch: Batch,
    *,
    missing: Sequence[float] = (0.0, 0.2, 0.5),
    snr_db: Sequence[float] = (20.0, 10.0, 0.0),
    rng: np.random.Generator,
) -> list[Result]:
    """Measure a model on recordings that lost a modality, and on noisy ones, one modality at a time.

    Args:
        predictor: The model.
        batch: Recordings of people it never met.
        missing: Shares of recordings from which the modality is taken.
        snr_db: Signal-to-noise ratios; text gets no noise.
        rng: Draws what is lost, noise and the bootstrap.

    Returns:
        Rows of the method ``robustness``: ``accuracy``, ``uar`` and ``ece`` of subsets such as ``audio_missing50`` and
        ``audio_snr10db``; the undisturbed figure is the baseline.
    """

    def judged(batch: Batch, name: str) -> list[Result]:
        said = _Answers.of(predictor(batch), batch, rng)
        found = _of_classes(_overall(said, rng), said)
        # the confusion matrix and the diagrams of every disturbance would fill the report
        return [replace(r, method="robustness", subset=name, detail={}) for r in found if r.figure in _DISTURBED]

    def disturbed() -> Iterator[tuple[str, Batch]]:
        for modality, values in batch.arrays.items():
            for share in missing:
                yield f"{modality}_missing{share * 100:.0f}", with_missing(batch, modality, share, rng=rng)
            for ratio in snr_db if values.dtype.kind == "f" else ():
                yield f"{modality}_snr{ratio:.0f}db", with_noise(batch, modality, ratio, rng=rng)

    whole = {r.figure: r.value for r in judged(batch, "")}
    rows = [row for name, some in disturbed() for row in judged(some, name)]
    return [replace(r, baseline=whole[r.figure]) for r in rows]


def _overall(said: _Answers, rng: np.random.Generator) -> list[Result]:
    """Return accuracy, unweighted average recall and the calibration errors, likelihood and Brier score."""
    confidence, right, k = said.confidence, said.right, len(said.classes)
    counts = np.bincount(said.truth, minlength=k)
    confusion = said.hits.sum(axis=0).reshape(k, k).astype(int)
    true = np.maximum(said.likely[np.arange(len(right)), said.truth], 1e-12)
    off = ((said.likely - np.eye(k)[said.truth]) ** 2).sum(axis=1)
    accuracy = _mean("accuracy", said, right, rng, control=counts.max() / counts.sum())
    rows = [
        replace(accuracy, detail={"classes": list(said.classes), "confusion": confusion.tolist()}),
        _row("uar", said, said.hits, partial(_averaged, k, 1, _macro), rng, control=1 / int((counts > 0).sum())),
        _mean("brier", said, off, rng, better="lower", unit="squared error", control=1 - 1 / k),
        _mean("nll", said, -np.log(true), rng, better="lower", unit="nats", control=np.log(k)),
    ]
    for figure, edges in (("ece", equal_width(_BINS)), ("ece_equal_mass", equal_mass(confidence, _BINS))):
        where = np.eye(len(edges) + 1)[bin_of(confidence, edges)]  # (N, B)
        parts = where[:, :, None] * np.stack([np.ones(len(right)), confidence, right], axis=1)[:, None]  # (N, B, 3)
        drawn = _row(figure, said, parts.reshape(len(right), -1), _ece, rng, better="lower")
        rows.append(replace(drawn, detail={"reliability": _reliability(parts.sum(axis=0))}))
    return rows


def _of_classes(rows: list[Result], said: _Answers) -> list[Result]:
    """Keep figures only where people of two classes were asked about: of one, always saying it would be perfect."""
    shown = np.unique(said.truth)
    if len(shown) > 1:
        return rows
    why = f"the people it is tested on show one class only, {said.classes[shown[0]]}"
    return [without_figure(row, why) for row in rows]


def _averaged(k: int, which: int, mean: Callable[[Array, Array], Array], sums: Array) -> Array:
    """Return the mean over k classes of precision (0), recall (1) or F1 (2), (draws,), from confusion matrices."""
    confusion = sums.reshape(-1, k, k)
    hit, true, told = np.diagonal(confusion, axis1=1, axis2=2), confusion.sum(axis=2), confusion.sum(axis=1)
    rates = (hit / np.maximum(told, 1e-12), hit / np.maximum(true, 1e-12), 2 * hit / np.maximum(true + told, 1e-12))
    return mean(rates[which], true)


def _macro(rate: Array, true: Array) -> Array:
    seen = true > 0  # a class that does not occur has no recall
    return np.asarray((rate * seen).sum(axis=1) / np.maximum(seen.sum(axis=1), 1))


def _weighted(rate: Array, true: Array) -> Array:
    return np.asarray((rate * true).sum(axis=1) / np.maximum(true.sum(axis=1), 1e-12))


def _ece(sums: Array) -> Array:
    return calibration_error(sums.reshape(len(sums), -1, 3))


def _groups(table: pd.DataFrame, n: int) -> dict[str, Array]:
    """Return which recordings are of each sex and age band that occurs."""
    if len(table) != n:
        raise DataError(f"The table needs a row for each of the {n} recordings, it has {len(table)}.")
    groups: dict[str, Array] = {}
    if "sex" in table:
        sex = table["sex"]
        groups |= {f"sex_{s}": (sex == s).to_numpy(dtype=bool, na_value=False) for s in sorted(sex.dropna().unique())}
    if "age" in table:
        age = pd.to_numeric(table["age"], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
        young, old = _AGES
        groups[f"age_below_{young}"] = age < young
        groups[f"age_{young}_to_{old}"] = (age >= young) & (age <= old)
        groups[f"age_above_{old}"] = age > old
    return {name: rows for name, rows in groups.items() if rows.any()}


def _mean(figure: str, said: _Answers, values: Array, rng: np.random.Generator, **columns: Any) -> Result:
    sums = np.stack([values, np.ones(len(values))], axis=1)
    return _row(figure, said, sums, lambda s: s[:, 0] / np.maximum(s[:, 1], 1e-12), rng, **columns)


def _row(
    figure: str,
    said: _Answers,
    values: Array,
    of_sums: Callable[[Array], Array],
    rng: np.random.Generator,
    **columns: Any,
) -> Result:
    found = over_people(values, said.subjects, of_sums, rng=rng)
    return Result(kind="model", question="read", method="model", figure=figure, **found.columns, **columns)


def equal_width(bins: int = _BINS) -> Array:
    """Return the inner edges of bins of the same width on [0, 1]."""
    return np.linspace(0, 1, bins + 1)[1:-1]


def equal_mass(confidence: Array, bins: int = _BINS) -> Array:
    """Return the inner edges of bins that hold about as many answers each; fewer bins where confidences are equal."""
    return np.unique(np.quantile(confidence, np.linspace(0, 1, bins + 1)[1:-1]))


def bin_of(confidence: Array, edges: Array) -> Array:
    """Return the bin of each answer, (N,), by inner edges; an answer on an edge belongs to the lower bin."""
    return np.searchsorted(edges, confidence, side="left")


def calibration_error(sums: Array) -> Array:
    """Return the expected calibration error: how far confidence and accuracy lie apart, over bins, weighted.

    Of answers given with 80 % confidence, 80 % should be right.

    Args:
        sums: (..., B, 3) by bin: how many answers, the sum of their confidences, how many are right.

    **Source**: C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On calibration of modern neural networks", ICML 2017
    (arXiv 1706.04599).

    Example:
        >>> float(calibration_error(np.array([[10, 9.0, 7], [10, 5.0, 5]])))
        0.1
    """
    gaps = np.abs(sums[..., 1] - sums[..., 2]).sum(axis=-1)
    return np.asarray(gaps / np.maximum(sums[..., 0].sum(axis=-1), 1e-12))


def _reliability(sums: Array) -> dict[str, list[float]]:
    """Return the data of a reliability diagram: for each bin that holds answers their confidence, accuracy, number."""
    count, confidence, right = sums[sums[:, 0] > 0].T  # (B, 3) as of ``calibration_error``
    return {"confidence": (confidence / count).tolist(), "accuracy": (right / count).tolist(), "count": count.tolist()}


def with_missing(batch: Batch, modality: str, share: float, *, rng: np.random.Generator) -> Batch:
    """Return the batch without a modality in a share of the recordings, drawn by chance.

    Example:
        >>> two = Batch(ids=("a", "b"), arrays={"x": np.ones((2, 1))}, present={"x": np.ones(2, dtype=bool)},
        ...     labels=np.zeros(2, int), classes=("c",), subjects=np.array(["a", "b"]))
        >>> with_missing(two, "x", 0.5, rng=np.random.default_rng(0)).arrays["x"].sum()
        np.float64(1.0)
    """
    if not 0 <= share <= 1:
        raise OptionError(f"The share of recordings without {modality} must be in [0, 1], given {share}.")
    lost = rng.permutation(len(batch))[: round(share * len(batch))]
    values, present = batch.arrays[modality].copy(), batch.present[modality].copy()
    values[lost], present[lost] = np.zeros(1, dtype=values.dtype)[0], False
    return _changed(batch, modality, values, present)


def with_noise(batch: Batch, modality: str, snr_db: float, *, rng: np.random.Generator) -> Batch:
    """Return the batch with Gaussian noise in one modality.

    A table's columns have their own units: noise is measured against each column's variance over the recordings. In
    signals, spectrograms and pictures it is measured against the variance within each recording.
    """
    values, present = batch.arrays[modality], batch.present[modality]
    if not present.any():
        return batch
    known = values[present].astype(float)
    axes = (0,) if values.ndim == 2 else tuple(range(1, values.ndim))
    spread = known.std(axis=axes, keepdims=True) * 10 ** (-snr_db / 20)
    noisy = values.copy()
    noisy[present] = known + spread * rng.standard_normal(known.shape)
    return _changed(batch, modality, noisy, present)


def _changed(batch: Batch, modality: str, values: Array, present: Array) -> Batch:
    arrays, there = {**batch.arrays, modality: values}, {**batch.present, modality: present}
    return replace(batch, arrays=arrays, present=there)
