"""Voice quality of speech at 16 kHz: linear prediction, formants, irregularities of the glottis, spectral balance."""

import numpy as np
from scipy.fft import irfft, rfft
from scipy.signal import butter, get_window, resample_poly, sosfiltfilt

from personare.core.types import Array
from personare.features.acoustics import HOP, N_FFT, RATE_HZ, framed, power_spectra

__all__ = ["formants", "linear_prediction", "perturbation", "spectral_shapes"]

_FORMANT_RATE_HZ = 10_000
_FORMANT_ORDER = 11
_BATCH = 4096


def linear_prediction(frames: Array, order: int, *, floor: float = 1e-6) -> Array:
    """Return the predictor polynomials of windowed frames, (T, order + 1), first column 1.

    Args:
        frames: (T, N) windowed samples.
        order: Number of coefficients.
        floor: White noise added, as a share of the energy; keeps digital silence and pure tones stable.

    **Source**: autocorrelation method with the Levinson-Durbin recursion (J. Makhoul, "Linear prediction: a tutorial
    review", Proceedings of the IEEE 63, 1975), run over all frames at once.
    """
    size = 1 << int(np.ceil(np.log2(frames.shape[1] + order)))
    lags = irfft(np.abs(rfft(frames, size)) ** 2, size)[:, : order + 1].astype(np.float64)
    lags[:, 0] = lags[:, 0] * (1 + floor) + 1e-9
    poly = np.zeros((len(frames), order + 1))
    poly[:, 0] = 1
    error = lags[:, 0].copy()
    for k in range(1, order + 1):
        reflection = -np.einsum("ij,ij->i", poly[:, :k], lags[:, k:0:-1]) / error
        poly[:, 1 : k + 1] += reflection[:, None] * poly[:, k - 1 :: -1][:, :k]
        error *= 1 - reflection**2
    return poly


def formants(samples: Array, voiced: Array) -> tuple[Array, Array]:
    """Return the lowest three resonances of the vocal tract in voiced frames.

    Args:
        samples: (N,) at 16 kHz.
        voiced: (T,) every 10 ms.

    Returns:
        Frequency and bandwidth in Hz, each (T', 3) over the voiced frames; NaN where fewer were found.
    """
    low = resample_poly(samples, 5, 8).astype(np.float32)
    low = np.append(low[:1], low[1:] - 0.97 * low[:-1])
    size = 250
    frames = framed(low, size, hop=_FORMANT_RATE_HZ * HOP // RATE_HZ)
    window = get_window("hann", size).astype(np.float32)
    chosen = np.flatnonzero(voiced[: len(frames)])
    found = [
        _resonances(frames[chosen[at : at + _BATCH]] * window) for at in range(0, max(1, len(chosen)), _BATCH)
    ]  # fmt: skip
    return np.concatenate([f for f, _ in found]), np.concatenate([b for _, b in found])


def _resonances(frames: Array) -> tuple[Array, Array]:
    if len(frames) == 0:
        return np.full((0, 3), np.nan), np.full((0, 3), np.nan)
    poly = linear_prediction(frames, _FORMANT_ORDER, floor=1e-4)
    companion = np.zeros((len(poly), _FORMANT_ORDER, _FORMANT_ORDER))
    companion[:, 0] = -poly[:, 1:]
    below = np.arange(1, _FORMANT_ORDER)
    companion[:, below, below - 1] = 1
    roots = np.linalg.eigvals(companion)
    frequency = np.angle(roots) * _FORMANT_RATE_HZ / (2 * np.pi)
    bandwidth = -np.log(np.maximum(np.abs(roots), 1e-6)) * _FORMANT_RATE_HZ / np.pi
    frequency = np.where((frequency > 150) & (frequency < 4800) & (bandwidth < 700), frequency, np.nan)
    order = np.argsort(frequency, axis=1)[:, :3]  # NaN sorts last
    picked = np.take_along_axis(frequency, order, axis=1)
    return picked, np.where(np.isnan(picked), np.nan, np.take_along_axis(bandwidth, order, axis=1))


def perturbation(samples: Array, pitch_hz: Array) -> tuple[Array, Array]:
    """Return how unlike each glottal cycle is to the one before it.

    Args:
        samples: (N,) at 16 kHz.
        pitch_hz: (T,) every 10 ms, NaN where unvoiced.

    Returns:
        Jitter, (C,): change of the cycle's length as a share of it; shimmer, (C,): change of its peak in dB.
    """
    if len(samples) < 64 or not np.isfinite(pitch_hz).any():
        return np.zeros(0), np.zeros(0)
    smooth = sosfiltfilt(butter(2, 1000, fs=RATE_HZ, output="sos").astype(np.float32), samples)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.isfinite(pitch_hz).astype(np.int8), [0]])))
    jitter, shimmer = [np.zeros(0)], [np.zeros(0)]
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        at = _cycles(smooth, pitch_hz, first, last)
        if len(at) > 3:
            length, height = np.diff(_sharp(smooth, at)), np.abs(smooth[at]) + 1e-6
            jitter.append(np.abs(np.diff(length)) / length.mean())
            shimmer.append(np.abs(20 * np.log10(height[1:] / height[:-1])))
    together_jitter, together_shimmer = np.concatenate(jitter), np.concatenate(shimmer)
    return together_jitter[together_jitter < 0.2], together_shimmer[together_shimmer < 12]


def _cycles(smooth: Array, pitch_hz: Array, first: int, last: int) -> Array:
    """Walk from peak to peak through one voiced stretch, (C,) sample positions."""
    end = min(len(smooth) - 1, last * HOP)
    here = first * HOP
    size = int(RATE_HZ / pitch_hz[first])
    stretch = smooth[here:end]
    if len(stretch) <= size:
        return np.zeros(0, int)
    sign = 1.0 if stretch.max() >= -stretch.min() else -1.0
    here += int(np.argmax(sign * smooth[here : here + size]))
    peaks = [here]
    while True:
        size = int(RATE_HZ / pitch_hz[min(last - 1, max(first, here // HOP))])
        low, high = here + int(0.75 * size), here + int(1.3 * size) + 1
        if high >= end:
            return np.array(peaks)
        here = low + int(np.argmax(sign * smooth[low:high]))
        peaks.append(here)


def _sharp(smooth: Array, at: Array) -> Array:
    """Return peak positions between the samples, by a parabola."""
    inside = np.clip(at, 1, len(smooth) - 2)
    before, here, after = smooth[inside - 1], smooth[inside], smooth[inside + 1]
    bend = before - 2 * here + after
    shift = np.where(np.abs(bend) > 1e-12, 0.5 * (before - after) / np.where(bend == 0, 1, bend), 0)
    return np.asarray(inside + shift.clip(-1, 1))


def spectral_shapes(samples: Array, pitch_hz: Array) -> Array:
    """Return the shape of each frame's spectrum.

    Args:
        samples: (N,) at 16 kHz.
        pitch_hz: (T,) every 10 ms, NaN where unvoiced.

    Returns:
        (T, 7): alpha ratio and Hammarberg index in dB, slopes under 500 Hz and from 500 to 1500 Hz in dB a kHz,
        centroid in Hz, first harmonic over the second and over the strongest from 2 to 3.5 kHz in dB.
    """
    rows, at = [], 0
    frequency = np.fft.rfftfreq(N_FFT, 1 / RATE_HZ)
    for power in power_spectra(samples):
        level = 10 * np.log10(power + 1e-10)
        rows.append(
            np.column_stack([
                _between(power, frequency, 50, 1000) - _between(power, frequency, 1000, 5000),
                _highest(level, frequency, 0, 2000) - _highest(level, frequency, 2000, 5000),
                _tilt(level, frequency, 0, 500),
                _tilt(level, frequency, 500, 1500),
                power @ frequency / (power.sum(axis=1) + 1e-10),
                _harmonics(level, pitch_hz[at : at + len(level)]),
            ])
        )  # fmt: skip
        at += len(level)
    return np.concatenate(rows)


def _between(power: Array, frequency: Array, low: float, high: float) -> Array:
    return np.asarray(10 * np.log10(power[:, (frequency >= low) & (frequency < high)].sum(axis=1) + 1e-10))


def _highest(level: Array, frequency: Array, low: float, high: float) -> Array:
    return np.asarray(level[:, (frequency >= low) & (frequency < high)].max(axis=1))


def _tilt(level: Array, frequency: Array, low: float, high: float) -> Array:
    """Slope of the spectrum in dB a kHz."""
    inside = (frequency >= low) & (frequency < high)
    khz = (frequency[inside] - frequency[inside].mean()) / 1000
    return np.asarray(level[:, inside] @ khz / (khz @ khz))


def _harmonics(level: Array, pitch_hz: Array) -> Array:
    """Return level of the first harmonic over the second, and over the strongest from 2 to 3.5 kHz, (T, 2)."""
    step = RATE_HZ / N_FFT
    pitch = np.nan_to_num(pitch_hz, nan=100.0)
    rows = np.arange(len(level))[:, None]
    near = np.arange(-1, 2)
    first, second = (level[rows, np.rint(k * pitch / step).astype(int)[:, None] + near].max(axis=1) for k in (1, 2))
    third = level[:, round(2000 / step) : round(3500 / step)].max(axis=1)
    return np.where(np.isfinite(pitch_hz)[:, None], np.column_stack([first - second, first - third]), np.nan)
