"""Log-mel spectrograms as they might have been: another voice, pace, microphone and room."""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from personare.core.types import Array

__all__ = ["vary_mel"]

_RANGE_DB = 80.0  # from 0 to 1


def vary_mel(spectrograms: Array, *, rng: np.random.Generator) -> Array:
    """Shift the voice and the pace, color the microphone and add the room's noise, each drawn anew.

    Few recordings of public people then stand for many rooms and voices, which is what fitting a scaling needs.

    Args:
        spectrograms: (N, 1, F, T), 0 to 1 over 80 dB, lowest band first, padding of zeros at the end.
        rng: Everything is drawn from it.

    Returns:
        The same shape, float32; the loudest point is 1, padding stays 0.

    Example:
        >>> tone = np.zeros((1, 1, 40, 20), dtype=np.float32)
        >>> tone[0, 0, 10, :15] = 1
        >>> varied = vary_mel(tone, rng=np.random.default_rng(0))
        >>> varied.shape == tone.shape and float(varied.max()) == 1
        True
    """
    out = np.zeros(spectrograms.shape, np.float32)
    for row, one in zip(out, spectrograms, strict=True):
        row[0] = _varied(one[0].astype(np.float32), rng)
    return out


def _varied(x: Array, rng: np.random.Generator) -> Array:
    x = _warped(x, rng.uniform(0.87, 1.15), rng.uniform(0.85, 1.2))
    heard = x.max(axis=0) > 0
    if not heard.any():
        return x
    place = np.linspace(-0.5, 0.5, len(x))
    color = rng.normal(0, 6) * place + _bumps(len(x), rng.uniform(0, 4), rng)
    room = rng.uniform(-72, -38) + rng.normal(-8, 8) * place + _bumps(len(x), 2.5, rng)
    noise = room[:, None] + 10 * np.log10(rng.gamma(3, 1 / 3, x.shape) + 1e-3)
    level = 10 * np.log10(10 ** ((_RANGE_DB * (x - 1) + color[:, None]) / 10) + 10 ** (noise / 10))
    lifted = 1 + (level - level[:, heard].max()) / _RANGE_DB
    return np.where(heard, np.clip(lifted, 0, 1), 0)


def _bumps(bands: int, size_db: float, rng: np.random.Generator) -> Array:
    """Return a smooth random curve of about this deviation."""
    curve = gaussian_filter1d(rng.standard_normal(bands), bands / 12)
    return np.asarray(size_db * curve / (curve.std() + 1e-6))


def _warped(x: Array, higher: float, faster: float) -> Array:
    """Stretch the frequencies and the time; what is past the end is silence."""
    bands, frames = np.arange(x.shape[0]) / higher, np.arange(x.shape[1]) * faster
    moved = _interpolated(x, np.minimum(bands, x.shape[0] - 1))
    paced = _interpolated(moved.T, np.minimum(frames, x.shape[1] - 1)).T
    return np.asarray(np.where(frames <= x.shape[1] - 1, paced, 0))


def _interpolated(x: Array, at: Array) -> Array:
    low = np.floor(at).astype(int)
    part = (at - low)[:, None]
    return np.asarray(x[low] * (1 - part) + x[np.minimum(low + 1, len(x) - 1)] * part)
