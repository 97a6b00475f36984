"""What methods share that speak anew: a rule for 16 kHz run over any voice, speech taken apart and put together.

**Source**: M. Morise, F. Yokomori, K. Ozawa, "WORLD: a vocoder-based high-quality speech synthesis system for
real-time applications", IEICE Transactions E99-D (2016), DOI 10.1587/transinf.2015EDP7457, through pyworld.
"""

import math
import warnings
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from personare.core.errors import DataError
from personare.core.types import Array, Signal
from personare.features.acoustics import N_FFT, RATE_HZ
from personare.features.audio import SILENT_DBFS, match_loudness, mono, resample

BINS = N_FFT // 2 + 1
BLOCK_S = 60.0
OVERLAP_S = 0.2
SHORTEST_S = 0.5
sound_progress: ContextVar[Callable[[float, float], None]] = ContextVar(
    "sound_progress", default=lambda _done_s, _total_s: None
)
"""Is told how many seconds of sound are done, of how many, by whoever waits for them."""


def rework(speech: Signal, change: Callable[[Array], Array]) -> Signal:
    """Run each channel of a recording through a rule and give it back its rate, length and loudness.

    Recordings longer than a minute go minute by minute, with 0.2 s faded into each other, so that what the rule needs
    in memory does not grow with their length. Nothing above 8 kHz is passed on, nor what is silent (below -80 dBFS);
    nothing is above 0.99.

    ``change`` takes (N,) float32 at 16 kHz, at least half a second (shorter speech is filled up with silence), and
    returns (N,). It is called once for each minute and channel and must treat them alike.
    """
    if len(speech.values) == 0:
        raise DataError("A recording without samples cannot be changed. Leave it out.")
    values, silence = np.asarray(speech.values, np.float32), 10 ** (SILENT_DBFS / 20)
    changed = np.zeros_like(values)
    if np.abs(values).max() < silence:
        return replace(speech, values=changed)
    tell, rate_hz, total_s = sound_progress.get(), speech.rate_hz, values.size / speech.rate_hz
    size, fade = round(BLOCK_S * rate_hz), round(OVERLAP_S * rate_hz)
    for channel, (samples, total) in enumerate(zip(values.T, changed.T, strict=True)):
        if np.abs(samples).max() < silence:
            continue
        for start in range(0, len(samples), size):
            if start and len(samples) - start <= fade:
                break  # the block before has covered this rest
            part = samples[start : start + size + fade]
            low = resample(Signal(values=part[:, None], rate_hz=rate_hz), RATE_HZ).values[:, 0]
            filled = np.pad(low, (0, max(0, math.ceil(SHORTEST_S * RATE_HZ) - len(low))))
            new = np.nan_to_num(np.asarray(change(filled), np.float32))[: len(low)]
            back = resample(Signal(values=new[:, None], rate_hz=RATE_HZ), rate_hz).values[: len(part), 0]
            new = np.pad(back, (0, len(part) - len(back)))
            if start:
                new[:fade] *= np.linspace(0, 1, fade, dtype=np.float32)
            if start + size + fade < len(samples):
                new[size:] *= np.linspace(1, 0, fade, dtype=np.float32)
            total[start : start + len(new)] += new
            tell(channel * speech.duration_s + min(start + size, len(samples)) / rate_hz, total_s)
    return match_loudness(replace(speech, values=changed), speech)


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
