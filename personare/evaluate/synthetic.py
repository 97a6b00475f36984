"""Judges made-up people: can be learned from, are like real ones, and belong together; each against best and worst."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from personare.core.errors import DataError
from personare.core.types import Array, Batch, Result
from personare.evaluate.closeness import (
    correlations_kept,
    kernel_distance,
    marginal_distance,
    neighborhoods,
    told_apart,
)
from personare.evaluate.described import rows_of
from personare.evaluate.metrics import Estimate, mean_over_people, recall_and_accuracy

__all__ = ["SyntheticJudge", "shuffled"]

_FEWEST = (6, 3)  # recordings with a fifth neighbor, and people for three folds
_MOST = 2000  # recordings of each set in figures over pairs
_SERIES = 500  # recordings of each set in figures over time
_READERS: Mapping[str, Callable[[], Any]] = {
    "linear": lambda: make_pipeline(StandardScaler(), LogisticRegression(C=0.003, max_iter=300)),
    "forest": lambda: RandomForestClassifier(200, min_samples_leaf=2, random_state=0),
}


@dataclass(frozen=True, kw_only=True)
class SyntheticJudge:
    """Compares made-up people with the real people learned from and with others.

    Every likeness is measured three times: of the made-up people, of other real people (``baseline``, the best that can
    be had) and of recordings whose modalities were put together anew at random (``control``, the worst that still has
    every value right). What can be learned is measured with the same readers on real and made-up recordings.

    Attributes:
        train: The real people learned from.
        test: Other real people.

    **Source**: train on synthetic, test on real: C. Esteban, S. Hyland, G. Rätsch, arXiv:1706.02633.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> def people(seed, who):
        ...     rng = np.random.default_rng(seed)
        ...     labels = np.tile([0, 1], 60)
        ...     rows = rng.standard_normal((120, 3)) + labels[:, None]
        ...     return Batch(ids=tuple(f"{who}{i}" for i in range(120)), arrays={"x": rows.astype(np.float32)},
        ...         present={"x": np.ones(120, dtype=bool)}, labels=labels, classes=("no", "yes"),
        ...         subjects=np.repeat([f"{who}{p}" for p in range(12)], 10))
        >>> rows = SyntheticJudge(train=people(0, "a"), test=people(1, "b"))(people(2, "c"), rng=rng)
        >>> {(r.method, r.figure): r.value for r in rows}["linear", "tstr_uar"] > 0.7
        True
    """

    train: Batch
    test: Batch

    def __post_init__(self) -> None:
        """Refuse people in both."""
        if both := sorted(set(self.train.subjects) & set(self.test.subjects)):
            raise DataError(
                f"{len(both)} people are in training and in test, e.g. {both[0]}: split the cohort by person."
            )

    def __call__(self, made: Batch, *, rng: np.random.Generator) -> list[Result]:
        """Return what is read (by ``linear`` and ``forest``) and how real it looks (``synthetic``).

        Raises:
            DataError: Made-up recordings of other classes or modalities.
        """
        if made.classes != self.train.classes or set(made.arrays) != set(self.train.arrays):
            raise DataError("Made-up recordings must have the classes and modalities of the real ones.")
        sets = {"made": made, "train": self.train, "test": self.test}
        for name, batch in sets.items():
            if len(batch) < _FEWEST[0] or len(np.unique(batch.subjects)) < _FEWEST[1]:
                raise DataError(
                    f"Likeness needs at least {_FEWEST[0]} recordings of {_FEWEST[1]} people on each side, but {name} "
                    f"has {len(batch)} of {len(np.unique(batch.subjects))}. Make or keep out more people."
                )
        told = {name: _told(batch) for name, batch in sets.items()}
        rows = {name: _side_by_side(batch) for name, batch in told.items()}
        return [*self._learned(made, rows, rng), *self._alike(told, rows, rng), *self._over_time(made)]

    def _learned(self, made: Batch, rows: Mapping[str, Array], rng: np.random.Generator) -> list[Result]:
        train, test, found = self.train, self.test, []
        both = (np.concatenate([rows["train"], rows["made"]]), np.concatenate([train.labels, made.labels]))
        for name in _READERS:
            reader = _fitted(name, rows["train"], train.labels)
            real = _uar(reader, rows["test"], test, rng)
            fits = {
                "tstr_uar": _uar(_fitted(name, rows["made"], made.labels), rows["test"], test, rng),
                "trts_uar": _uar(reader, rows["made"], made, rng),
                "augmented_uar": _uar(_fitted(name, *both), rows["test"], test, rng),
            }
            chance = 1 / len(np.unique(test.labels))
            for figure, estimate in fits.items():
                row = replace(_row(figure, estimate), question="read", method=name)
                found.append(replace(row, baseline=real.value, control=chance))
            share = (fits["tstr_uar"].value - chance) / max(real.value - chance, 1e-9)
            row = _plain("share_learned", share, len(test))
            found.append(replace(row, question="read", method=name, baseline=1.0, control=0.0))
        return found

    def _alike(self, told: Mapping[str, Batch], rows: Mapping[str, Array], rng: np.random.Generator) -> list[Result]:
        worst = _side_by_side(shuffled(told["train"], rng=rng))
        scale = StandardScaler().fit(rows["train"])
        real = _some(self.train, scale.transform(rows["train"]), rng)
        widths = [values.shape[1] for values in told["made"].arrays.values()]
        parts = np.repeat(np.arange(len(widths)), widths)
        others = {
            "": _some(told["made"], scale.transform(rows["made"]), rng),
            "best": _some(self.test, scale.transform(rows["test"]), rng),
            "worst": _some(self.train, scale.transform(worst), rng),
        }
        figures = {kind: _likeness(real, other, parts, rng) for kind, other in others.items()}
        # against people whom the generator did not learn from: those it did would be told by what it kept of them
        new = _some(self.test, scale.transform(rows["test"]), rng)
        for kind, other in {**others, "best": real}.items():
            for name, auc in told_apart(new.rows, other.rows, new.people, other.people).items():
                figures[kind][f"told_apart_{name}"] = _number(auc, len(other.rows))
        found = []
        for measure, estimate in figures[""].items():
            lower = measure in ("mmd2", "ks", "told_apart_linear", "told_apart_trees")
            best, worst_value = figures["best"][measure].value, figures["worst"][measure].value
            row = replace(_row(measure, estimate), baseline=best, control=worst_value)
            found.append(replace(row, better="lower" if lower else "higher"))
        return found

    def _over_time(self, made: Batch) -> list[Result]:
        """Return how much of the lag-1 to lag-20 autocorrelation and of the log spectrum of signals is kept."""
        found = []
        for modality, values in made.arrays.items():
            if values.ndim != 3 and not (values.ndim == 4 and values.shape[1] == 1):
                continue
            kept = [_series(b, modality) for b in (self.train, made, self.test)]
            for figure, of in (("autocorrelation", _autocorrelation), ("spectrum", _spectrum)):
                real, fake, best = (of(x) for x in kept)
                row = _plain(f"{figure}_error", float(np.abs(real - fake).mean()), len(made))
                row = replace(row, subset=modality)
                row = replace(row, baseline=float(np.abs(real - best).mean()), better="lower", unit="mean difference")
                found.append(row)
        return found


def shuffled(batch: Batch, *, rng: np.random.Generator) -> Batch:
    """Return recordings with each modality taken from another at random: nothing belongs together any more."""
    orders = {m: rng.permutation(len(batch)) for m in batch.arrays}
    arrays = {m: values[orders[m]] for m, values in batch.arrays.items()}
    return replace(batch, arrays=arrays, present={m: batch.present[m][orders[m]] for m in batch.arrays})


def _told(batch: Batch) -> Batch:
    """Return recordings whose arrays are descriptions, (N, D)."""
    return replace(batch, arrays={m: rows_of(values) for m, values in batch.arrays.items()}, columns={})


def _side_by_side(told: Batch) -> Array:
    """Return (N, D) descriptions of all modalities, the mean where one is missing."""
    parts = []
    for modality, values in told.arrays.items():
        rows, present = values.astype(float), told.present[modality]
        parts.append(np.where(present[:, None], rows, rows[present].mean(axis=0) if present.any() else 0.0))
    return np.concatenate(parts, axis=1)


def _fitted(name: str, rows: Array, labels: Array) -> Any:
    return _READERS[name]().fit(rows, labels)


def _uar(reader: Any, rows: Array, test: Batch, rng: np.random.Generator) -> Estimate:
    told = reader.predict(rows)
    return recall_and_accuracy(test.labels, told, test.subjects, np.arange(len(test.classes)), rng=rng)[0]


@dataclass(frozen=True)
class _Rows:
    rows: Array
    people: Array


def _some(batch: Batch, rows: Array, rng: np.random.Generator) -> _Rows:
    chosen = rng.permutation(len(rows))[:_MOST]
    return _Rows(rows[chosen], batch.subjects[chosen])


def _likeness(real: _Rows, other: _Rows, parts: Array, rng: np.random.Generator) -> dict[str, Estimate]:
    """Return every figure of one set beside the real one; intervals over people where it is a mean over recordings."""
    precision, recall, density, coverage = neighborhoods(real.rows, other.rows)
    distance, chance = kernel_distance(real.rows, other.rows, rng=rng)
    within, across = correlations_kept(real.rows, other.rows, parts)
    alone = {
        "mmd2": distance,
        "mmd_p": chance,
        "ks": marginal_distance(real.rows, other.rows),
        "correlation_within": within,
        "correlation_across": across,
    }
    found = {
        "precision": mean_over_people(precision.astype(float), other.people, rng=rng),
        "recall": mean_over_people(recall.astype(float), real.people, rng=rng),
        "density": mean_over_people(density, other.people, rng=rng),
        "coverage": mean_over_people(coverage.astype(float), real.people, rng=rng),
    }
    return {**found, **{name: _number(value, len(other.rows)) for name, value in alone.items()}}


def _number(value: float, n: int) -> Estimate:
    return Estimate(value=value, low=float("nan"), high=float("nan"), n=n)


def _series(batch: Batch, modality: str) -> Array:
    """Return (N, T, D), of at most 500 recordings from all over the batch: means over these hardly change with more."""
    there = np.flatnonzero(batch.present[modality])
    values = batch.arrays[modality][there[:: -(-len(there) // _SERIES) or 1]]
    return values if values.ndim == 3 else values[:, 0].swapaxes(1, 2)


def _autocorrelation(x: Array) -> Array:
    """Return (lags, D) mean autocorrelation at up to 20 lags."""
    centered = x - x.mean(axis=1, keepdims=True)
    power = np.maximum((centered**2).mean(axis=1), 1e-12)
    lags = range(1, min(20, x.shape[1] - 1) + 1)
    return np.stack([((centered[:, lag:] * centered[:, :-lag]).mean(axis=1) / power).mean(axis=0) for lag in lags])


def _spectrum(x: Array) -> Array:
    """Return (F, D) log10 power of the mean spectrum, without the constant."""
    centered = x - x.mean(axis=1, keepdims=True)
    return np.asarray(np.log10((np.abs(np.fft.rfft(centered, axis=1)[:, 1:]) ** 2).mean(axis=0) + 1e-12))


def _row(figure: str, estimate: Estimate) -> Result:
    plain = _plain(figure, estimate.value, estimate.n)
    return replace(plain, low=estimate.low, high=estimate.high)


def _plain(figure: str, value: float, n: int) -> Result:
    return Result(kind="synthetic", question="resemble", method="synthetic", figure=figure, value=value, n=n)
