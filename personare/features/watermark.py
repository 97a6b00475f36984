"""A watermark in sound that is not heard and outlives re-encoding: spread spectrum, found by its correlation."""

import hashlib
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy.ndimage import uniform_filter
from scipy.special import ndtr

from personare.core.errors import DataError
from personare.core.types import Array, Signal
from personare.features.audio import mono, resample

PUBLIC_KEY = "personare"
"""Known to everybody, so that everybody can find the mark, as it is meant; whoever knows a key can remove its mark."""

_CHIP_S, _CHIPS = 0.064, 64  # how long the pattern holds still, and how often it changes before it begins anew
_EDGES_HZ = np.arange(300.0, 7300.0, 46.875)  # of bands: what codecs of speech carry; a telephone carries half
_STEP_S = 0.016  # of the search for where the pattern begins
_RATE_HZ, _ENOUGH_S = 16000.0, 60.0
_DEPTHS = (0.1, 0.15, 0.2, 0.3)  # by which magnitudes are changed, up or down: the first by which it is surely found
_SURE_Z = 9.0
_DECOYS = 8  # keys that nobody uses
_SMOOTH = (7, 3)  # steps and bands over which speech changes little
_QUIET = 1e-6  # of the loudest energy: what is below is a codec's, not the sound's


@dataclass(frozen=True, kw_only=True)
class Trace:
    """How surely a watermark was found; ``false_positive_rate``: how often an unmarked sound would look as marked."""

    z: float
    false_positive_rate: float

    @property
    def is_there(self) -> bool:
        """Whether it is there; an unmarked sound is taken for marked once in a million."""
        return self.false_positive_rate < 1e-6


def embed_watermark(signal: Signal, *, key: str = PUBLIC_KEY) -> Signal:
    """Return the sound with a watermark in it: magnitudes from 300 Hz up are changed a little, as the key says.

    By a tenth where the sound is long enough to find it again, by up to three tenths where it is short, and not at all
    where it would still not be found: that is an error.

    **Guarantee**: the same sound and key give the same samples; rate and length stay.

    **Source**: I. Cox, J. Kilian, F. T. Leighton, T. Shamoon, "Secure spread spectrum watermarking for multimedia",
    1997 (10.1109/83.650120); ours multiplies bands of short-time spectra, and chooses its depth for each sound.
    """
    for depth in _DEPTHS:
        marked = _embedded(signal, depth * _pattern(key))
        trace = find_watermark(marked, key=key)
        if trace.z > _SURE_Z:
            break
    if not trace.is_there:
        raise DataError(
            "The sound is too short or too plain to carry a watermark. Leave the watermark or the sound out."
        )
    return marked


def _embedded(signal: Signal, pattern: Array) -> Signal:
    hop = round(signal.rate_hz * _CHIP_S / 2)
    window = np.sqrt(0.5 - 0.5 * np.cos(np.pi * np.arange(2 * hop) / hop))[:, None]
    padded = np.pad(signal.values.astype(np.float64), ((hop, 2 * hop), (0, 0)))
    bands = np.digitize(np.fft.rfftfreq(2 * hop, 1 / signal.rate_hz), _EDGES_HZ) - 1
    gains = np.exp(np.pad(pattern, ((0, 0), (0, 2))))[:, bands]  # (chips, K); 1 below the first band and above the last
    out = np.zeros_like(padded)
    for start in range(0, len(padded) - 2 * hop + 1, hop):
        gain = gains[int(start / signal.rate_hz / _CHIP_S) % _CHIPS]
        frame = np.fft.rfft(window * padded[start : start + 2 * hop], axis=0)
        out[start : start + 2 * hop] += window * np.fft.irfft(gain[:, None] * frame, n=2 * hop, axis=0)
    values = out[hop : hop + len(signal.values)]
    return replace(signal, values=np.clip(values, -1, 1).astype(np.float32))


def find_watermark(signal: Signal, *, key: str = PUBLIC_KEY) -> Trace:
    """Look for a watermark in the first minute, wherever in its pattern the sound begins."""
    beginning = replace(signal, values=signal.values[: round(_ENOUGH_S * signal.rate_hz)])
    sound = resample(mono(beginning), _RATE_HZ).values[:, 0].astype(np.float64)
    size, hop = round(_RATE_HZ * _CHIP_S), round(_RATE_HZ * _STEP_S)
    if len(sound) < 4 * size or not sound.any():
        return Trace(z=0.0, false_positive_rate=1.0)
    frames = np.lib.stride_tricks.sliding_window_view(sound, size)[::hop]
    energy = np.abs(np.fft.rfft(frames * np.hanning(size), axis=1)) ** 2  # (T, K)
    edges = np.searchsorted(np.fft.rfftfreq(size, 1 / _RATE_HZ), _EDGES_HZ)
    energy = np.add.reduceat(energy, edges, axis=1)[:, :-1]  # (T, B)
    level = np.log(energy + _QUIET * energy.max())
    level -= uniform_filter(level, _SMOOTH, mode="nearest")
    level = np.clip(level / level.std(axis=0).clip(1e-9), -2, 2)
    period = round(_CHIP_S * _CHIPS / _STEP_S)
    folded = np.zeros((period, level.shape[1]))
    np.add.at(folded, np.arange(len(level)) % period, level)
    spectrum = np.fft.fft(folded, axis=0)

    def matches(key: str) -> Array:
        """Correlate with the pattern wherever it may begin."""
        chips = np.repeat(_pattern(key), period // _CHIPS, axis=0)
        return np.asarray(np.fft.ifft(spectrum * np.fft.fft(chips, axis=0).conj(), axis=0).real.sum(axis=1))

    # what chance finds in this sound
    others = np.concatenate([matches(f"{key} {number}") for number in range(_DECOYS)])
    z = float((matches(key).max() - others.mean()) / (others.std() + 1e-12))
    return Trace(z=z, false_positive_rate=float(min(1.0, period * ndtr(-z))))


@cache
def _pattern(key: str) -> Array:
    """Return (chips, bands) of -1 and 1; pairs of neighboring bands are opposite, so that the sound stays as loud."""
    pairs = len(_EDGES_HZ) // 2
    content = hashlib.shake_256(key.encode()).digest(_CHIPS * pairs // 8)  # the same for ever, as no generator promises
    half = 2.0 * np.unpackbits(np.frombuffer(content, np.uint8)).reshape(_CHIPS, pairs) - 1
    return np.stack([half, -half], axis=2).reshape(_CHIPS, -1)[:, : len(_EDGES_HZ) - 1]
