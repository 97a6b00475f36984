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
        found = []
        for modality, values in released.arrays.items():
            if values.ndim != 3 and not (values.ndim == 4 and values.shape[1] == 1):
                continue
            kept = [_series(batch, modality) for batch in (original, released, others)]
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
                found.append(row)
        return found


def _series(batch: Batch, modality: str) -> Array:
    """Return (N, T, D)."""
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
