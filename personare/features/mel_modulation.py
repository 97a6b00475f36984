"""Pitch and modulation of log-mel spectrograms, by fixed filters."""

import numpy as np

from personare.core.types import Array

__all__ = ["harmonics", "modulation"]

_HZ_A_MEL = 200 / 3  # Slaney's mel scale is linear up to 1 kHz, 15 mel
_TOP_MEL = 15 + 27 * np.log(8) / np.log(6.4)  # 8 kHz
_PITCHES_HZ = np.geomspace(75, 500, 40)
_COMB_HZ = 1300.0
_FRAME_HZ = 62.5
_RATES_HZ = (1.5, 3.0, 6.0, 12.0, 22.0)
_SCALES = ((0.0, 0.012), (0.02, 0.015), (0.045, 0.02), (0.09, 0.03), (0.15, 0.04), (0.23, 0.05))
"""Center and width of the filters along frequency, in cycles a band of 128."""
_REGIONS = 8
_SHARPNESS = 25.0


def harmonics(x: Array, active: Array) -> Array:
    """Return how much of each pitch there is, and how it moves.

    Args:
        x: (N, F, T) log-mel, 0 to 1.
        active: (N, T) how surely somebody speaks.

    Returns:
        (N, 92): combs' mean answer, share of time by pitch, level and movement.

    Example:
        >>> harmonics(np.zeros((1, 128, 20)), np.ones((1, 20))).shape
        (1, 92)
    """
    comb = _combs(x.shape[1])  # (P, F')
    low = x[:, : comb.shape[1]] - _smooth(x, 13)[:, : comb.shape[1]]
    answer = np.einsum("pf,nft->npt", comb, low)
    certain = np.exp(_SHARPNESS * (answer - answer.max(axis=1, keepdims=True)))
    certain /= certain.sum(axis=1, keepdims=True)
    best = answer.max(axis=1)
    voiced = active * np.clip(4 * best, 0, 1)
    spoken, sung = (w / (w.sum(axis=1, keepdims=True) + 1e-6) for w in (active, voiced))
    histogram = np.sqrt(np.einsum("npt,nt->np", certain, sung))
    octave = np.einsum("p,npt->nt", np.log2(_PITCHES_HZ / 100), certain)
    extra = np.stack([(best * spoken).sum(axis=1), voiced.sum(axis=1) / (active.sum(axis=1) + 1e-6)], axis=1)
    return np.concatenate([np.einsum("npt,nt->np", answer, spoken), histogram, _movement(octave, sung), extra], axis=1)


def _smooth(x: Array, width: int) -> Array:
    """Return running means over the bands, edges repeated."""
    padded = np.pad(x, ((0, 0), (width // 2 + 1, width // 2), (0, 0)), mode="edge")
    total = np.cumsum(padded, axis=1)
    return np.asarray((total[:, width:] - total[:, :-width]) / width)


def _combs(bands: int) -> Array:
    """Return a wave over the bands below 1.3 kHz for each pitch, peaks on its harmonics."""
    mel = np.arange(1, bands + 1) * _TOP_MEL / (bands + 1)
    hz = np.where(mel < 15, mel * _HZ_A_MEL, 1000 * 6.4 ** ((mel - 15) / 27))
    harmonic = hz[hz < _COMB_HZ] / _PITCHES_HZ[:, None]
    comb = np.where(harmonic > 0.4, np.cos(2 * np.pi * harmonic) / np.sqrt(np.maximum(harmonic, 0.5)), 0)
    comb -= comb.mean(axis=1, keepdims=True)
    return np.asarray(comb / np.linalg.norm(comb, axis=1, keepdims=True), np.float32)


def _movement(octave: Array, weight: Array) -> Array:
    """Return mean, spread, direction, unrest, quantiles and trend of the pitch, (N, 10)."""
    mean = (octave * weight).sum(axis=1)
    spread = np.maximum((octave**2 * weight).sum(axis=1) - mean**2, 0)
    move = octave[:, 4:] - octave[:, :-4]
    both = np.minimum(weight[:, 4:], weight[:, :-4])
    both = both / (both.sum(axis=1, keepdims=True) + 1e-6)
    time = np.linspace(-1, 1, octave.shape[1])
    late = time - (time * weight).sum(axis=1, keepdims=True)
    trend = (late * octave * weight).sum(axis=1) / ((late**2 * weight).sum(axis=1) + 1e-4)
    columns = [mean, np.sqrt(spread), (move * both).sum(axis=1), (np.abs(move) * both).sum(axis=1), trend]
    return np.concatenate([np.stack(columns, axis=1), _quantiles(octave, weight)], axis=1)


def _quantiles(values: Array, weight: Array) -> Array:
    order = np.argsort(values, axis=1)
    below = np.cumsum(np.take_along_axis(weight, order, axis=1), axis=1)
    ranked = np.take_along_axis(values, order, axis=1)
    at = [np.minimum((below < q).sum(axis=1), values.shape[1] - 1) for q in (0.05, 0.2, 0.5, 0.8, 0.95)]
    return np.take_along_axis(ranked, np.stack(at, axis=1), axis=1)


def modulation(x: Array, active: Array) -> Array:
    """Return the energy of ripples by rate, scale, direction and region of frequency.

    Args:
        x: (N, F, T) log-mel, 0 to 1.
        active: (N, T) how surely somebody speaks.

    Returns:
        (N, 488) amplitudes: 6 scales, 5 rates upwards and downwards and what stands still, 8 regions.

    Example:
        >>> modulation(np.zeros((1, 128, 20)), np.ones((1, 20))).shape
        (1, 488)
    """
    spoken = active[:, None]
    mean = (x * spoken).sum(axis=2, keepdims=True) / (spoken.sum(axis=2, keepdims=True) + 1e-6)
    frames = x.shape[2] + 36
    ripples = np.fft.fft(np.fft.rfft((x - mean) * spoken, frames, axis=2), _padded(x.shape[1]), axis=1)
    still = np.fft.fft((mean * (spoken.max(axis=2, keepdims=True) > 0)), _padded(x.shape[1]), axis=1)
    rate = np.arange(frames // 2 + 1) * _FRAME_HZ / frames
    passed = np.exp(-(((rate - np.array(_RATES_HZ)[:, None]) / (0.35 * np.array(_RATES_HZ)[:, None])) ** 2))  # (R, T')
    length = spoken.sum(axis=2) + 1e-6
    parts = []
    for center, width in _SCALES:
        for sign in (1, -1) if center else (1,):
            energy = _energy(ripples, sign * center, width, x.shape[1])  # (N, regions, T')
            parts.append(np.sqrt(energy @ passed.T / frames / length[:, :, None]).reshape(len(x), -1))
        parts.append(np.sqrt(_energy(still, center, width, x.shape[1])[:, :, 0]))
    return np.concatenate(parts, axis=1)


def _padded(bands: int) -> int:
    return bands + bands // 4


def _energy(spectrum: Array, center: float, width: float, bands: int) -> Array:
    """Filter along frequency and return the energy in each region, (N, regions, T')."""
    scale = np.fft.fftfreq(_padded(bands))[:, None] * bands / 128
    passed = np.exp(-0.5 * ((scale - center) / width) ** 2)
    filtered = np.fft.ifft(spectrum * passed, axis=1)[:, :bands]
    power = filtered.real**2 + filtered.imag**2
    edges = np.linspace(0, bands, _REGIONS + 1).astype(int)
    return np.asarray(np.add.reduceat(power, edges[:-1], axis=1) / np.diff(edges)[:, None])
