"""Speech at 16 kHz as frames every 10 ms: mel bands, cepstra, pitch, level and the resonances of the vocal tract."""

from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import dct, irfft, rfft
from scipy.signal import get_window, resample_poly

from personare.core.types import Array

RATE_HZ = 16_000
HOP = 160
N_FFT = 1024
WINDOW = 400
FLOOR = 1e-10
SLANEY_TOP = 15 + 27 * np.log(8) / np.log(6.4)  # mel of 8 kHz
_CHUNK = 4096  # frames handled at once: an hour of speech never lies in memory as spectra

_PITCH_WINDOW = 640
_LOWEST_HZ, _HIGHEST_HZ = 65.0, 650.0
_CANDIDATES = 6
_SHORTEST_VOICED = 4
_FORMANT_RATE_HZ = 10_000
_FORMANT_ORDER = 11


def framed(samples: Array, size: int, *, hop: int = HOP) -> Array:
    """Return frames centred every ``hop`` samples, (1 + samples // hop, size), as a view."""
    padded = np.pad(np.asarray(samples, np.float32), (size // 2, size - size // 2))
    return sliding_window_view(padded, size)[: len(samples) + 1 : hop]


def power_spectra(samples: Array) -> Iterator[Array]:
    """Yield power spectra of 25 ms Hann frames in chunks, (frames, 513); the bins of a full-scale tone add up to 1."""
    window = get_window("hann", WINDOW).astype(np.float32)
    frames, scale = framed(samples, WINDOW), np.float32(4 / (N_FFT * np.square(window).sum()))
    for at in range(0, len(frames), _CHUNK):
        yield np.abs(rfft(frames[at : at + _CHUNK] * window, N_FFT)) ** 2 * scale


@cache
def mel_bank(bands: int) -> Array:
    """Return triangular mel filters from 50 to 8000 Hz, (513, bands)."""
    low, high, at = (2595 * np.log10(1 + hz / 700) for hz in (50.0, 8000.0, np.fft.rfftfreq(N_FFT, 1 / RATE_HZ)))
    return triangles(np.linspace(low, high, bands + 2), at).astype(np.float32)


def slaney_hz(mel: Array) -> Array:
    """Return where a mel lies on Slaney's scale: linear to 1 kHz, 15 mel, then logarithmic."""
    return np.where(mel < 15, mel * (200 / 3), 1000 * 6.4 ** ((mel - 15) / 27))


def triangles(edges: Array, at: Array) -> Array:
    """Return filters (len(at), len(edges) - 2), each rising from one edge to the next and falling to the one after."""
    rising = (at[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - at[:, None]) / np.diff(edges)[1:]
    return np.maximum(0, np.minimum(rising, falling))


def logmel(samples: Array, bands: int = 64) -> Array:
    """Return the energy in mel bands in dB, (T, bands) float32; nothing lies under -100 dB."""
    parts = [10 * np.log10(power @ mel_bank(bands) + FLOOR) for power in power_spectra(samples)]
    return np.concatenate(parts).astype(np.float32)


def mfcc(samples: Array) -> Array:
    """Return mel-frequency cepstral coefficients 1 to 19 and their slopes, (T, 38) float32."""
    nepers = logmel(samples, 40) * np.float32(np.log(10) / 10)
    coefficients = dct(nepers, type=2, norm="ortho", axis=1)[:, 1:20]
    return np.hstack([coefficients, slopes(coefficients)]).astype(np.float32)


def slopes(rows: Array) -> Array:
    """Return each column's regression slope over five frames, same shape."""
    padded, size = np.pad(rows, ((2, 2), (0, 0)), mode="edge"), len(rows)
    near, far = (padded[2 + k : 2 + k + size] - padded[2 - k : 2 - k + size] for k in (1, 2))
    return np.asarray((near + 2 * far) / 10)


def prosody(samples: Array) -> Array:
    """Return pitch in Hz (NaN where unvoiced) and level in dB of full scale, (T, 2) float32."""
    pitch_hz, _ = track_pitch(samples)
    frames = framed(samples, WINDOW)
    energy = np.einsum("ij,ij->i", frames, frames) / WINDOW
    return np.column_stack([pitch_hz, 10 * np.log10(energy + FLOOR)]).astype(np.float32)


def track_pitch(samples: Array) -> tuple[Array, Array]:
    """Return pitch in Hz, (T,), NaN where unvoiced, and the share of energy that repeats, (T,) in [0, 1), every 10 ms.

    The autocorrelation of Hann frames of 40 ms divided by that of the window gives candidates; the cheapest path
    through them (voiced or not, no needless octave jumps) is the contour.

    **Source**: P. Boersma, "Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise
    ratio of a sampled sound", IFA Proceedings 17 (1993); our own code, with one fixed set of costs.
    """
    frames = framed(samples, _PITCH_WINDOW)
    loudest = float(np.abs(samples).max(initial=0.0)) + 1e-9
    candidates = [_candidates(frames[at : at + _CHUNK], loudest) for at in range(0, len(frames), _CHUNK)]
    pitch, strength, reward = (np.concatenate(parts) for parts in zip(*candidates, strict=True))
    path = _cheapest_path(pitch, reward)
    rows = np.arange(len(frames))
    pitch_hz, periodicity = pitch[rows, path], strength[rows, path]
    for first, last in runs(pitch_hz > 0):
        if last - first < _SHORTEST_VOICED:  # hiss that happens to repeat
            pitch_hz[first:last] = 0
    return np.where(pitch_hz > 0, pitch_hz, np.nan), np.clip(periodicity, 0, 0.9999)


def runs(flags: Array) -> list[tuple[int, int]]:
    """Return (first, one past last) of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(first), int(last)) for first, last in zip(edges[::2], edges[1::2], strict=True)]


def _candidates(frames: Array, loudest: float) -> tuple[Array, Array, Array]:
    """Return pitch, periodicity and reward of candidates, each (T, 1 + K); column 0 is "unvoiced" with pitch 0."""
    centred = frames - frames.mean(axis=1, keepdims=True)
    first, last = int(RATE_HZ / _HIGHEST_HZ), int(RATE_HZ / _LOWEST_HZ) + 1
    window = get_window("hann", _PITCH_WINDOW).astype(np.float32)
    taper = irfft(np.abs(rfft(window, N_FFT)) ** 2, N_FFT)[: last + 2]
    raw = irfft(np.abs(rfft(centred * window, N_FFT)) ** 2, N_FFT)[:, : last + 2]
    shape = np.asarray(raw / (raw[:, :1] + 1e-9) / (taper / taper[0]), np.float32)  # (T, lags) autocorrelation
    inside = shape[:, first : last + 1]
    peaks = (inside > shape[:, first - 1 : last]) & (inside >= shape[:, first + 1 : last + 2]) & (inside > 0.2)
    lags = np.arange(first, last + 1)
    ranked = np.where(peaks, inside - 0.01 * np.log2(lags * _LOWEST_HZ / RATE_HZ), -np.inf)
    best = np.argpartition(-ranked, _CANDIDATES, axis=1)[:, :_CANDIDATES]
    valid = np.isfinite(np.take_along_axis(ranked, best, axis=1))
    # lag and height of each peak by a parabola through three points
    before, here, after = (np.take_along_axis(shape, best + first + k, axis=1).astype(float) for k in (-1, 0, 1))
    bend = before - 2 * here + after
    shift = np.clip(np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, -1), 0), -0.5, 0.5)
    strength = np.clip(here - 0.25 * (before - after) * shift, 0, 1)
    pitch = np.where(valid, RATE_HZ / (best + first + shift), 1.0)
    reward = np.where(valid, strength - 0.01 * np.log2(np.maximum(_LOWEST_HZ / pitch, 1e-3)), -np.inf)
    quiet = np.abs(centred).max(axis=1) / loudest
    unvoiced = 0.45 + np.maximum(0, 2 - quiet / (0.03 / 1.45))
    none = np.zeros((len(frames), 1))
    top = np.max(np.where(valid, strength, 0), axis=1, keepdims=True)
    return np.hstack([none, pitch]), np.hstack([top, strength]), np.hstack([unvoiced[:, None], reward])


def _cheapest_path(pitch: Array, reward: Array) -> Array:
    """Return which candidate each frame takes: rewards minus costs of octave jumps and of switching the voice."""
    total, back = reward[0], np.zeros(pitch.shape, np.int8)
    columns = np.arange(pitch.shape[1])
    for at in range(1, len(pitch), _CHUNK):
        part = pitch[at - 1 : at + _CHUNK]
        octaves, voiced = np.log2(np.maximum(part, 1.0)), part > 0
        jump = 0.35 * np.abs(octaves[:-1, :, None] - octaves[1:, None, :])
        both = voiced[:-1, :, None] & voiced[1:, None, :]
        switch = 0.14 * (voiced[:-1, :, None] != voiced[1:, None, :])
        for t, cost_now in enumerate(np.where(both, jump, switch), start=at):  # (from, to)
            options = total[:, None] - cost_now
            back[t] = options.argmax(axis=0)
            total = options[back[t], columns] + reward[t]
    path = np.zeros(len(pitch), np.intp)
    path[-1] = total.argmax()
    for t in range(len(pitch) - 1, 0, -1):
        path[t - 1] = back[t, path[t]]
    return path


def linear_prediction(frames: Array, order: int, *, floor: float = 1e-6) -> Array:
    """Return the predictor polynomials of windowed frames (T, N), (T, order + 1), first column 1.

    ``floor`` is white noise, as a share of the energy, that keeps digital silence and pure tones stable.

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
    """Return frequency and bandwidth in Hz, each (T', 3), of the lowest resonances in the voiced frames; NaN: fewer."""
    low = resample_poly(samples, 5, 8).astype(np.float32)
    low = np.append(low[:1], low[1:] - 0.97 * low[:-1])
    size = 250
    frames = framed(low, size, hop=_FORMANT_RATE_HZ * HOP // RATE_HZ)
    window = get_window("hann", size).astype(np.float32)
    rows, parts = np.flatnonzero(voiced[: len(frames)]), []
    for at in range(0, max(1, len(rows)), _CHUNK):
        poly = linear_prediction(frames[rows[at : at + _CHUNK]] * window, _FORMANT_ORDER, floor=1e-4)
        companion = np.zeros((len(poly), _FORMANT_ORDER, _FORMANT_ORDER))
        companion[:, 0] = -poly[:, 1:]
        below = np.arange(1, _FORMANT_ORDER)
        companion[:, below, below - 1] = 1
        roots = np.linalg.eigvals(companion)
        frequency = np.angle(roots) * _FORMANT_RATE_HZ / (2 * np.pi)
        bandwidth = -np.log(np.maximum(np.abs(roots), 1e-6)) * _FORMANT_RATE_HZ / np.pi
        resonant = (frequency > 150) & (frequency < 4800) & (bandwidth < 700)
        both = np.where(resonant, [frequency, bandwidth], np.nan)  # (2, T', order)
        order = np.argsort(both[0], axis=1)[:, :3]  # NaN sorts last
        parts.append(np.take_along_axis(both, order[None], axis=2))
    frequency, bandwidth = np.concatenate(parts, axis=1)
    return frequency, bandwidth
