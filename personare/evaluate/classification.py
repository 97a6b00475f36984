"""Judges what a model answers about people it never met: how often it is right, for whom, how well it knows that.

Also how it bears missing modalities and noise, and what single answers rest on. Explanations of private recordings tell
about those recordings: they are for the people who may see them, not a release.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import combinations
from math import factorial
from typing import Any, Final

import numpy as np
import pandas as pd

from personare.core.errors import DataError, OptionError
from personare.core.protocols import Predictor
from personare.core.types import Array, Batch, Result
from personare.evaluate.metrics import Estimate, mean_over_people, over_people, recall_and_accuracy
from personare.evaluate.unmeasured import without_figure

EQUAL_WIDTH: Final = np.linspace(0, 1, 16)[1:-1]
"""The inner edges of 15 bins of the same width."""
_COLLAPSED: Final = 0.9  # one class for more than this share of recordings, where it is not that frequent
_AGES: Final = (30, 45)
_LOW: Final = 0.5
_DISTURBED: Final = ("accuracy", "uar", "ece")  # figures of a model on disturbed recordings
_MISSING: Final = (0.0, 0.2, 0.5)  # shares of recordings from which a modality is taken
_SNR_DB: Final = (20.0, 10.0, 0.0)
_SAME: Final = {"recall_weighted": "the same as accuracy", "recall_macro": "the same as uar"}
_MOST: Final = 5  # modalities to explain answers by; each subset is one pass over the recordings


def judge_model(
    probabilities: Array, batch: Batch, table: pd.DataFrame | None, *, rng: np.random.Generator
) -> list[Result]:
    """Measure accuracy, recall, precision, F1, calibration, and recall by sex and age, as the method ``model``.

    Weighted recall is accuracy (the weights cancel the class sizes): both rows are given, and are equal. ``uar`` is
    macro recall over the classes that occur. A class that is never predicted has precision 0. The detail of
    ``accuracy`` has the confusion matrix, that of calibration errors the reliability diagrams. A bootstrap makes
    calibration errors a little larger than they are; so are intervals.

    ``probabilities`` are (N, C), columns as ``batch.classes``; ``table`` has rows as in ``batch``, columns ``sex`` and
    ``age`` (years) where known. Ties are broken by chance.
    """
    likely, predicted = _answers(probabilities, batch, rng)
    k, truth, subjects, more = len(batch.classes), batch.labels, batch.subjects, []
    hits = np.eye(k * k)[truth * k + predicted]  # (N, C * C) the confusion matrix of each recording, rows = truth
    for i, rate in enumerate(("precision", "recall", "f1")):
        for kind in ("macro", "weighted"):
            estimate = over_people(hits, subjects, partial(_averaged, k, i, kind == "weighted"), rng=rng)
            more.append(_row(f"{rate}_{kind}", estimate, reason=_SAME.get(f"{rate}_{kind}", "")))
    low = likely.max(axis=1) <= _LOW
    right = mean_over_people((predicted == truth)[low], subjects[low], rng=rng)
    why = "" if low.any() else f"no answer has a confidence of at most {_LOW}"
    more.append(_row("confacc_low", right, reason=why))
    # the share of recordings that get the commonest answer: near 1, the model has learned nothing else
    answered, true = (np.bincount(v, minlength=k) / len(batch) for v in (predicted, truth))
    top = int(answered.argmax())
    collapsed = answered[top] > max(_COLLAPSED, true[top])
    why = f"collapsed: nearly every recording is called {batch.classes[top]}" if collapsed else ""
    commonest = mean_over_people(predicted == top, subjects, rng=rng)
    more.append(_row("largest_class", commonest, control=true[top], better="lower", reason=why))
    rows = of_two_classes(_overall(likely, predicted, batch, rng) + more, batch)
    for name, group in ({} if table is None else _groups(table, len(batch))).items():
        estimate, *_ = recall_and_accuracy(truth[group], predicted[group], subjects[group], np.arange(k), rng=rng)
        row = _row("uar", estimate, subset=name, reason=f"{len(np.unique(subjects[group]))} people")
        rows += of_two_classes([row], batch.take(group))
    return rows


def judge_robustness(predictor: Predictor, batch: Batch, *, rng: np.random.Generator) -> list[Result]:
    """Measure a model on recordings of people it never met that lost a modality, or are noisy in one.

    Rows are of the method ``robustness``: ``accuracy``, ``uar`` and ``ece`` of subsets such as ``audio_missing50`` and
    ``audio_snr10db`` (text gets no noise); the undisturbed figure is the baseline.
    """

    def judged(batch: Batch, name: str) -> list[Result]:
        rows = of_two_classes(_overall(*_answers(predictor(batch), batch, rng), batch, rng), batch)
        # the confusion matrix and the diagrams of every disturbance would fill the report
        return [replace(r, method="robustness", subset=name, detail={}) for r in rows if r.figure in _DISTURBED]

    def disturbed() -> Iterator[tuple[str, Batch]]:
        for modality, values in batch.arrays.items():
            for share in _MISSING:
                yield f"{modality}_missing{share * 100:.0f}", with_missing(batch, modality, share, rng=rng)
            for ratio in _SNR_DB if values.dtype.kind == "f" else ():
                yield f"{modality}_snr{ratio:.0f}db", with_noise(batch, modality, ratio, rng=rng)

    whole = {r.figure: r.value for r in judged(batch, "")}
    rows = [row for name, some in disturbed() for row in judged(some, name)]
    return [replace(r, baseline=whole[r.figure]) for r in rows]


def _answers(probabilities: Array, batch: Batch, rng: np.random.Generator) -> tuple[Array, Array]:
    """Check (N, C) probabilities, and return them with the likeliest classes, (N,), ties broken by chance."""
    if probabilities.shape != (len(batch), len(batch.classes)) or not len(batch):
        raise DataError(
            f"A judge needs one row of {len(batch.classes)} probabilities for each of {len(batch)} recordings (at "
            f"least one), given {probabilities.shape}."
        )
    likely = probabilities.astype(float)
    if not np.isfinite(likely).all() or likely.min() < -1e-6 or np.abs(likely.sum(axis=1) - 1).max() > 1e-3:
        raise DataError("Probabilities must be finite, at least 0, and add up to 1 for each recording.")
    best = likely >= likely.max(axis=1, keepdims=True)
    return likely, (best * rng.random(best.shape)).argmax(axis=1)


def _overall(likely: Array, predicted: Array, batch: Batch, rng: np.random.Generator) -> list[Result]:
    """Return accuracy, unweighted average recall and the calibration errors, likelihood and Brier score."""
    k, truth, subjects = len(batch.classes), batch.labels, batch.subjects
    uar, accuracy, confusion = recall_and_accuracy(truth, predicted, subjects, np.arange(k), rng=rng)
    counts = confusion.sum(axis=1)
    detail = {"classes": list(batch.classes), "confusion": confusion.astype(int).tolist()}
    true = np.maximum(likely[np.arange(len(truth)), truth], 1e-12)
    off = mean_over_people(((likely - np.eye(k)[truth]) ** 2).sum(axis=1), subjects, rng=rng)
    likelihood = mean_over_people(-np.log(true), subjects, rng=rng)
    rows = [
        _row("accuracy", accuracy, control=counts.max() / len(truth), detail=detail),
        _row("uar", uar, control=1 / int((counts > 0).sum())),
        _row("brier", off, better="lower", unit="squared error", control=1 - 1 / k),
        _row("nll", likelihood, better="lower", unit="nats", control=np.log(k)),
    ]
    confidence, right = likely.max(axis=1), predicted == truth
    for figure, edges in (("ece", EQUAL_WIDTH), ("ece_equal_mass", equal_mass(confidence))):
        parts = calibration_parts(confidence, right, edges)
        flat = parts.reshape(len(right), -1)
        estimate = over_people(flat, subjects, lambda sums: calibration_error(sums.reshape(len(sums), -1, 3)), rng=rng)
        sums = parts.sum(axis=0)
        count, sure, hit = sums[sums[:, 0] > 0].T  # of a reliability diagram: each bin that holds answers
        diagram = {"confidence": (sure / count).tolist(), "accuracy": (hit / count).tolist(), "count": count.tolist()}
        rows.append(_row(figure, estimate, better="lower", detail={"reliability": diagram}))
    return rows


def _row(figure: str, estimate: Estimate, **columns: Any) -> Result:
    return Result(kind="model", question="read", method="model", figure=figure, **estimate.columns, **columns)


def of_two_classes(rows: list[Result], batch: Batch) -> list[Result]:
    """Keep figures only where people of two classes were asked about: of one, always saying it would be perfect."""
    shown = np.unique(batch.labels)
    if len(shown) > 1:
        return rows
    why = f"the people it is tested on show one class only, {batch.classes[shown[0]]}"
    return [without_figure(row, why) for row in rows]


def _averaged(k: int, which: int, weighted: bool, sums: Array) -> Array:
    """Return the mean over k classes of precision (0), recall (1) or F1 (2), (draws,), from confusion matrices."""
    confusion = sums.reshape(-1, k, k)
    hit, true, named = np.diagonal(confusion, axis1=1, axis2=2), confusion.sum(axis=2), confusion.sum(axis=1)
    rates = (hit / np.maximum(named, 1e-12), hit / np.maximum(true, 1e-12), 2 * hit / np.maximum(true + named, 1e-12))
    weights = true if weighted else true > 0  # a class that does not occur has no recall
    return np.asarray((rates[which] * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-12))


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


def equal_mass(confidence: Array) -> Array:
    """Return the inner edges of bins that hold about as many answers each; fewer bins where confidences are equal."""
    return np.unique(np.quantile(confidence, EQUAL_WIDTH))


def calibration_parts(confidence: Array, right: Array, edges: Array) -> Array:
    """Return of each answer its part in the sums of ``calibration_error``, (N, B, 3).

    Bins are given by their inner edges; an answer on an edge belongs to the lower bin.
    """
    where = np.eye(len(edges) + 1)[np.searchsorted(edges, confidence)]  # (N, B)
    return np.asarray(where[:, :, None] * np.stack([np.ones(len(right)), confidence, right], axis=1)[:, None])


def calibration_error(sums: Array) -> Array:
    """Return the expected calibration error: how far confidence and accuracy lie apart, over bins, weighted.

    ``sums`` (..., B, 3) are, by bin: how many answers, the sum of their confidences, how many are right.

    **Source**: C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On calibration of modern neural networks", ICML 2017
    (arXiv 1706.04599).
    """
    gaps = np.abs(sums[..., 1] - sums[..., 2]).sum(axis=-1)
    return np.asarray(gaps / np.maximum(sums[..., 0].sum(axis=-1), 1e-12))


def with_missing(batch: Batch, modality: str, share: float, *, rng: np.random.Generator) -> Batch:
    """Return the batch without a modality in a share of the recordings, drawn by chance."""
    if not 0 <= share <= 1:
        raise OptionError(f"The share of recordings without {modality} must be in [0, 1], given {share}.")
    lost = rng.permutation(len(batch))[: round(share * len(batch))]
    values, present = batch.arrays[modality].copy(), batch.present[modality].copy()
    values[lost], present[lost] = np.zeros(1, dtype=values.dtype)[0], False
    return replace(batch, arrays={**batch.arrays, modality: values}, present={**batch.present, modality: present})


def with_noise(batch: Batch, modality: str, snr_db: float, *, rng: np.random.Generator) -> Batch:
    """Return the batch with Gaussian noise in one modality.

    A table's columns have their own units: noise is measured against each column's variance over the recordings. In
    signals, spectrograms and pictures it is measured against the variance within each recording.
    """
    values, present = batch.arrays[modality], batch.present[modality]
    if not present.any():
        return batch
    clean = values[present].astype(float)
    axes = (0,) if values.ndim == 2 else tuple(range(1, values.ndim))
    spread = clean.std(axis=axes, keepdims=True) * 10 ** (-snr_db / 20)
    noisy = values.copy()
    noisy[present] = clean + spread * rng.standard_normal(clean.shape)
    return replace(batch, arrays={**batch.arrays, modality: noisy})


def weights_by_class(weights: Mapping[str, Array], labels: Array, classes: tuple[str, ...]) -> pd.DataFrame:
    """Return how much each modality counted on average: one row a class, and ``all``; columns are modalities.

    ``weights`` (N,) in [0, 1] by modality, as ``Predictor.weights`` gives them; NaN for a class without recordings.
    """
    table = pd.DataFrame({name: np.asarray(values, dtype=float) for name, values in weights.items()})
    by_class = table.groupby(np.asarray(labels)).mean().reindex(range(len(classes)))
    by_class.index = pd.Index(classes)
    return pd.concat([by_class, table.mean().to_frame("all").T])


def modality_shapley(predictor: Predictor, batch: Batch) -> dict[str, Array]:
    """Return what each modality adds to the probability of the answer, exactly (Shapley values), (N,) in [-1, 1].

    A modality left out is missing, just as the model met it in training. The values of a recording add up to the
    probability with everything, less that with nothing (chance); a modality that a recording lacks gets 0.

    **Source**: L. Shapley, "A value for n-person games", 1953; S. Lundberg, S.-I. Lee, "A unified approach to
    interpreting model predictions", NeurIPS 2017 (arXiv 1705.07874).
    """
    names = tuple(batch.arrays)
    if not 1 <= len(names) <= _MOST:
        raise OptionError(
            f"Exact attribution takes 1 to {_MOST} modalities, given {len(names)}: choose with batch.only."
        )
    answers = {}
    for kept in (frozenset(s) for size in range(len(names) + 1) for s in combinations(names, size)):
        arrays = {name: values if name in kept else np.zeros_like(values) for name, values in batch.arrays.items()}
        present = {name: p if name in kept else np.zeros_like(p) for name, p in batch.present.items()}
        answers[kept] = predictor(replace(batch, arrays=arrays, present=present))
    asked = answers[frozenset(names)].argmax(axis=1)
    worth = {kept: likely[np.arange(len(batch)), asked].astype(float) for kept, likely in answers.items()}
    values, n = {name: np.zeros(len(batch)) for name in names}, len(names)
    for name in names:
        for kept in worth:
            if name not in kept:
                share = factorial(len(kept)) * factorial(n - len(kept) - 1) / factorial(n)
                values[name] += share * (worth[kept | {name}] - worth[kept])
    return values
