"""What methods share that speak anew: speech at 16 kHz taken apart and put together, mel bands, typical spectra.

**Source**: M. Morise, F. Yokomori, K. Ozawa, "WORLD: a vocoder-based high-quality speech synthesis system for
real-time applications", IEICE Transactions E99-D (2016), DOI 10.1587/transinf.2015EDP7457, through pyworld.
"""

import warnings
from functools import cache
from typing import Any

import numpy as np

from personare.core.types import Array, Signal
from personare.features.acoustics import RATE_HZ
from personare.features.audio import mono, resample

N_FFT = 1024
BINS = N_FFT // 2 + 1


@cache
def _world() -> Any:
    with warnings.catch_warnings():  # pyworld asks pkg_resources for its own version, which warns
        warnings.simplefilter("ignore")
        import pyworld

        return pyworld


def samples_of(speech: Signal) -> Array:
    """Return speech as (N,) samples at 16 kHz, its channels mixed."""
    return resample(mono(speech), RATE_HZ).values[:, 0]


def taken_apart(samples: Array, *, frame_ms: float, low_hz: float, high_hz: float) -> tuple[Array, Array]:
    """Return pitch in Hz, (T,), 0 where unvoiced, and the power of the spectral envelope, (T, 513)."""
    sound = np.ascontiguousarray(samples, dtype=np.float64)
    coarse, at = _world().dio(sound, RATE_HZ, f0_floor=low_hz, f0_ceil=high_hz, frame_period=frame_ms)
    pitch = _world().stonemask(sound, coarse, at, RATE_HZ)
    return pitch, _world().cheaptrick(sound, pitch, at, RATE_HZ, fft_size=N_FFT)


def breathiness(samples: Array, pitch: Array, *, frame_ms: float) -> Array:
    """Return the aperiodic share of amplitude, (T, 513)."""
    at = np.arange(len(pitch)) * frame_ms / 1000
    return np.asarray(_world().d4c(np.ascontiguousarray(samples, np.float64), pitch, at, RATE_HZ, fft_size=N_FFT))


def spoken(pitch: Array, power: Array, breath: Array, *, frame_ms: float) -> Array:
    """Return (N,) samples of a voice with this pitch, envelope and breath."""
    return np.asarray(_world().synthesize(pitch, power, breath, RATE_HZ, frame_ms), np.float32)


@cache
def mel_bands(count: int, low_hz: float, high_hz: float) -> tuple[Array, Array]:
    """Return triangular filters, (513, count), each with weights that sum to 1, and their centers in Hz, (count,)."""
    edges = 700 * (np.geomspace(1 + low_hz / 700, 1 + high_hz / 700, count + 2) - 1) * N_FFT / RATE_HZ
    center, width = edges[1:-1], np.maximum(np.diff(edges), 1)  # the lowest bands may be narrower than a bin
    bins = np.arange(BINS)[:, None]
    bank = np.maximum(0, np.minimum(1 - (center - bins) / width[:-1], 1 - (bins - center) / width[1:]))
    return bank / bank.sum(axis=0), center * RATE_HZ / N_FFT


def overlapped(frames: Array, hop: int, dtype: type[np.floating[Any]] = np.float32) -> Array:
    """Return the sum of (T, size) frames that begin ``hop`` samples after each other, (N,); hops fill a frame."""
    laps = frames.shape[1] // hop
    total = np.zeros((len(frames) + laps - 1, hop), dtype)
    for k in range(laps):
        total[k : k + len(frames)] += frames[:, k * hop : (k + 1) * hop]
    return total.ravel()


def typical(frames: Array, count: int, rng: np.random.Generator) -> Array:
    """Return (count, D) frames that stand for (N, D) ones, by mini-batch k-means."""
    from sklearn.cluster import MiniBatchKMeans  # slow to import, and only two methods have use for it

    clusters = MiniBatchKMeans(count, n_init=3, batch_size=1024, random_state=int(rng.integers(2**31)))
    return np.asarray(clusters.fit(frames).cluster_centers_)


def nearest(frames: Array, typical: Array) -> Array:
    """Return which typical frame each one is nearest to, (T,)."""
    return np.asarray((np.square(typical).sum(axis=1) - 2 * frames @ typical.T).argmin(axis=1))
