"""Whether synthetic signals keep the course of real ones: how they hang on their past, and their spectrum."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from personare.core.types import Array, Batch, Result

__all__ = ["SyntheticSignals"]

_SERIES = 500  # recordings of each set


@dataclass(frozen=True, kw_only=True)
class SyntheticSignals:
    """Compares the lag-1 to lag-20 autocorrelation and the log spectrum of every signal and spectrogram.

    Means over at most 500 recordings from all over each set; the baseline is the difference of other real people.
    """

    kinds: ClassVar[tuple[str, ...]] = ("synthetic",)

    def __call__(self, original: Batch, released: Batch, *, others: Batch, rng: np.random.Generator) -> list[Result]:
        """Measure ``autocorrelation_error`` and ``spectrum_error`` of each modality; draws nothing."""
        rows = []
        for modality, values in released.arrays.items():
            if values.ndim != 3 and not (values.ndim == 4 and values.shape[1] == 1):
                continue
            kept = [_centered(batch, modality) for batch in (original, released, others)]
            for figure, of in (("autocorrelation_error", _autocorrelation), ("spectrum_error", _spectrum)):
                real, made, best = (of(x) for x in kept)
                row = Result(
                    question="resemble",
                    method="synthetic",
                    figure=figure,
                    subset=modality,
                    value=float(np.abs(real - made).mean()),
                    n=len(released),
                    baseline=float(np.abs(real - best).mean()),
                    unit="mean difference",
                    better="lower",
                )
                rows.append(row)
        return rows


def _centered(batch: Batch, modality: str) -> Array:
    """Return (N, T, D) around the mean of each recording."""
    there = np.flatnonzero(batch.present[modality])
    values = batch.arrays[modality][there[:: -(-len(there) // _SERIES) or 1]]
    values = values if values.ndim == 3 else values[:, 0].swapaxes(1, 2)
    return np.asarray(values - values.mean(axis=1, keepdims=True))


def _autocorrelation(x: Array) -> Array:
    """Return (lags, D) mean autocorrelation at up to 20 lags."""
    power = np.maximum((x**2).mean(axis=1), 1e-12)
    lags = range(1, min(20, x.shape[1] - 1) + 1)
    return np.stack([((x[:, lag:] * x[:, :-lag]).mean(axis=1) / power).mean(axis=0) for lag in lags])


def _spectrum(x: Array) -> Array:
    """Return (F, D) log10 power of the mean spectrum, without the constant."""
    return np.asarray(np.log10((np.abs(np.fft.rfft(x, axis=1)[:, 1:]) ** 2).mean(axis=0) + 1e-12))
