"""Sound: read any file, write, change the rate, match loudness, and describe it as numbers.

One recording is a :class:`~personare.core.types.Signal`: float32 in [-1, 1], (samples, channels).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import soxr
from scipy.ndimage import minimum_filter1d, uniform_filter1d

from personare.core.errors import DataError, OptionError
from personare.core.types import Array, Signal
from personare.features import acoustics
from personare.features.audio_files import (
    BLOCK_S,
    SILENT_DBFS,
    blocks,
    check,
    downmix,
    extract_sound,
    remarks,
    unscaled_blocks,
    write,
)
from personare.features.functionals import FUNCTIONAL_NAMES, functionals

__all__ = [
    "FUNCTIONAL_NAMES",
    "VIEWS",
    "blocks",
    "check",
    "describe",
    "extract_sound",
    "match_loudness",
    "mono",
    "read",
    "remarks",
    "resample",
    "write",
]

CEILING = 0.99
_CHUNK = 1 << 16  # samples handled at once


def read(path: Path, *, rate_hz: float | None = None) -> Signal:
    """Read the sound of any file: WAV, FLAC, MP3 ... or the sound track of a video.

    Args:
        path: The file.
        rate_hz: Samples a second to convert to; None keeps the file's own.

    Returns:
        (samples, channels) float32 in [-1, 1]. Surround sound is mixed to stereo; sound beyond full scale is turned
        down as a whole; silence fills pauses of the time stamps. ``remarks`` says what was done.

    Raises:
        DataError: The file is missing, empty, broken, or holds no sound.
    """
    parts = list(unscaled_blocks(path, block_s=BLOCK_S))
    values = np.concatenate([p.values for p in parts])
    values /= np.float32(max(1.0, float(values.max()), -float(values.min())))
    signal = Signal(values=values, rate_hz=parts[0].rate_hz)
    return signal if rate_hz is None else resample(signal, rate_hz)


def resample(signal: Signal, rate_hz: float) -> Signal:
    """Return the sound at another number of samples a second (soxr, high quality).

    Example:
        >>> resample(Signal(values=np.zeros((800, 2), np.float32), rate_hz=8000), 16000).values.shape
        (1600, 2)
    """
    if not rate_hz > 0:
        raise OptionError(f"A rate must be above 0 Hz, {rate_hz} was given.")
    if rate_hz == signal.rate_hz:
        return signal
    size = math.ceil(len(signal.values) * rate_hz / signal.rate_hz)
    values = soxr.resample(np.asarray(signal.values, np.float32), signal.rate_hz, rate_hz)
    values = np.pad(values[:size], ((0, max(0, size - len(values))), (0, 0)))
    return Signal(values=values, rate_hz=rate_hz, start_s=signal.start_s)


def mono(signal: Signal) -> Signal:
    """Return the channels as one, (samples, 1): their mean; of more than two, as loud as the loudest."""
    return Signal(values=downmix(np.asarray(signal.values, np.float32)), rate_hz=signal.rate_hz, start_s=signal.start_s)


def match_loudness(signal: Signal, like: Signal) -> Signal:
    """Return the sound with the effective level (RMS) of another, limited smoothly so that nothing clips.

    Args:
        signal: What to change.
        like: Whose level to take.

    Returns:
        The signal, nowhere above 0.99. A silent signal or a silent model gives silence.
    """
    wanted, values = _rms(like.values), np.array(signal.values, np.float32)
    if wanted < 10 ** (SILENT_DBFS / 20) or _rms(values) == 0:
        return Signal(values=np.zeros_like(signal.values), rate_hz=signal.rate_hz, start_s=signal.start_s)
    for _ in range(3):  # the limiter takes a little away, so the level is set again
        gain = wanted / _rms(values)
        if abs(20 * np.log10(gain)) < 0.01:
            break
        values *= np.float32(gain)
        values = _limited(values, max(1, round(0.001 * signal.rate_hz)))
    return Signal(values=np.asarray(values, np.float32), rate_hz=signal.rate_hz, start_s=signal.start_s)


def _rms(values: Array) -> float:
    power = sum(np.square(values[at : at + _CHUNK], dtype=np.float64).sum() for at in range(0, len(values), _CHUNK))
    return float(np.sqrt(power / max(1, values.size)))


def _limited(values: Array, step: int) -> Array:
    """Lower the gain around peaks in place, smoothly over some milliseconds.

    The gain is set every millisecond (``step`` samples) and drawn as straight lines between. It is the mean of local
    minima over a shorter reach than theirs, so no sample gets more than it can bear.
    """
    count = -(-len(values) // step)
    starts = range(0, len(values), step * _CHUNK)
    loudest = np.concatenate([_loudest(values[at : at + step * _CHUNK], step) for at in starts])
    if loudest.max() <= CEILING:
        return values
    needed = np.minimum(1.0, CEILING / np.maximum(loudest, CEILING))
    knots = uniform_filter1d(minimum_filter1d(needed, 13, mode="nearest"), 11, mode="nearest")
    middles = (np.arange(count) + 0.5) * step
    for at in range(0, len(values), _CHUNK):  # in place, so that an hour needs little more than itself
        part = values[at : at + _CHUNK]
        part *= np.interp(np.arange(at, at + len(part)), middles, knots)[:, None].astype(np.float32)
        np.clip(part, -CEILING, CEILING, out=part)
    return values


def _loudest(values: Array, step: int) -> Array:
    peak = np.abs(values).max(axis=1)
    return np.asarray(np.pad(peak, (0, -len(peak) % step)).reshape(-1, step).max(axis=1))


def describe(signal: Signal, views: Sequence[str]) -> dict[str, Array]:
    """Describe speech as numbers, after mixing it to one channel at 16 kHz.

    Args:
        signal: Any rate, any channels.
        views: Which descriptions; frames are 10 ms apart and T is their number.

            - ``mfcc`` (T, 38): 19 mel-frequency cepstral coefficients (without the level) and their slopes.
            - ``logmel`` (T, 64): energy in 64 mel bands, dB.
            - ``prosody`` (T, 2): pitch in Hz (NaN where unvoiced) and level in dB.
            - ``functionals`` (1, D): one row of ``FUNCTIONAL_NAMES``; NaN where it cannot be had.
            - ``waveform`` (N,): float16 at 16 kHz.

    Returns:
        The views by name.

    Raises:
        OptionError: An unknown view.
        DataError: No samples.

    Example:
        >>> describe(Signal(values=np.ones((16000, 1)), rate_hz=16000), ["logmel"])["logmel"].shape
        (101, 64)
    """
    unknown = sorted(set(views) - set(VIEWS))
    if unknown:
        raise OptionError(f"There is no view {', '.join(unknown)} of sound. Choose from: {', '.join(VIEWS)}.")
    if len(signal.values) == 0:
        raise DataError("A sound without samples cannot be described. Leave the recording out.")
    samples = resample(mono(signal), acoustics.RATE_HZ).values[:, 0]
    return {view: VIEWS[view](samples) for view in views}


def _waveform(samples: Array) -> Array:
    return samples.astype(np.float16)


VIEWS: Mapping[str, Callable[[Array], Array]] = {
    "mfcc": acoustics.mfcc,
    "logmel": acoustics.logmel,
    "prosody": acoustics.prosody,
    "functionals": functionals,
    "waveform": _waveform,
}
"""What :func:`describe` can compute, by name; each takes (N,) samples at 16 kHz."""
