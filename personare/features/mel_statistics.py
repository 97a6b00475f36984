"""Log-mel spectrograms as rows of numbers, by public arithmetic that was fitted to no one and costs no privacy."""

import numpy as np
from scipy.fft import dct
from scipy.ndimage import gaussian_filter1d

from personare.core.errors import DataError
from personare.core.types import Array
from personare.features.acoustics import SLANEY_TOP, slaney_hz

_CHUNK = 128  # spectrograms at a time, so that memory stays bounded
_BANDS = 32
_CEPSTRA = 26
_LEVELS = (0.5, 0.75, 0.9, 0.98)

_PITCHES_HZ = np.geomspace(75, 500, 40)
_COMB_HZ = 1300.0
_SHARPNESS = 25.0
_SMOOTHING = 13  # bands

_FRAME_HZ = 62.5
_RATES_HZ = (1.5, 3.0, 6.0, 12.0, 22.0)
_SCALES = ((0.0, 0.012), (0.02, 0.015), (0.045, 0.02), (0.09, 0.03), (0.15, 0.04), (0.23, 0.05))
"""Center and width of the filters along frequency, in cycles a band of 128."""
_REGIONS = 8

_RANGE_DB = 80.0  # from 0 to 1


def mel_statistics(spectrograms: Array) -> Array:
    """Describe log-mel spectrograms by levels, cepstra, rhythm, pitch and modulation.

    **Guarantee**: a row depends on its own spectrogram alone, and on no other recording.

    From (N, 1, F, T) on a logarithmic scale, 0 = silence (80 to 100 dB below 1), lowest band first; frames of zeros at
    the end are padding; to (N, K) float32, K the same for any F and T. Pitch is read right from 128 Slaney mel bands up
    to 8 kHz (frames of 64 ms at 16 kHz); from others it is a texture of the low bands. Rates are right at 16 ms.

    **Source**: 2-D modulation energies in the spirit of T. Chi, P. Ru, S. Shamma, JASA 2005, doi:10.1121/1.1945807, in
    place of learned layers as F. Tramer and D. Boneh do with scattering, ICLR 2021, arXiv:2011.11660.
    """
    shape = spectrograms.shape
    if len(shape) != 4 or shape[1] != 1 or shape[2] < _BANDS or shape[3] < 8:
        raise DataError(
            f"Log-mel spectrograms must be (N, 1, F, T) with at least {_BANDS} bands and 8 frames, given {shape}."
        )
    rows = []
    for at in range(0, max(1, len(spectrograms)), _CHUNK):
        x = spectrograms[at : at + _CHUNK, 0].astype(np.float32)  # (N, F, T)
        level, heard, active = _activity(x)
        weight = active / (active.sum(axis=1, keepdims=True) + 1e-6)  # (N, T)
        edges = np.linspace(0, x.shape[1], _BANDS + 1).astype(int)
        bands = np.sort(np.add.reduceat(x, edges[:-1], axis=1) / np.diff(edges)[:, None], axis=2)  # (N, 32, T)
        levels = bands[:, :, [min(round(q * x.shape[2]), x.shape[2] - 1) for q in _LEVELS]].reshape(len(x), -1)
        c = dct(x, axis=1, norm="ortho")[:, :_CEPSTRA] / np.sqrt(x.shape[1] / 2)  # (N, 26, T)
        mean = np.einsum("nft,nt->nf", c, weight)
        spread = np.einsum("nft,nt->nf", c**2, weight) - mean**2
        change = np.einsum("nft,nt->nf", np.abs(c[:, :, 2:] - c[:, :, :-2]), weight[:, 1:-1])
        cepstra = [mean, np.sqrt(np.maximum(spread, 0)), change]
        motion = [_rhythm(level, heard, active), harmonics(x, active), modulation(x, active)]
        rows.append(np.concatenate([levels, *cepstra, *motion], axis=1))
    return np.concatenate(rows).astype(np.float32)


def _activity(x: Array) -> tuple[Array, Array, Array]:
    """Return level, whether a frame is no padding, and how surely somebody speaks in it, each (N, T)."""
    loudest = np.sort(x, axis=1)[:, -x.shape[1] // 4 :]
    level = loudest.mean(axis=1)
    heard = x.max(axis=1) > 0
    high = np.quantile(np.where(heard, level, 0), 0.98, axis=1, keepdims=True)
    # the level of the noise: the lowest tenth of what is no padding
    low = np.array([np.quantile(one[:, at], 0.1) if at.any() else 0 for one, at in zip(x, heard, strict=True)])
    low = low[:, None]
    spoken = np.clip((level - low - 0.35 * (high - low)) / (0.3 * (high - low) + 1e-6), 0, 1)
    return level, heard, spoken * heard


def _rhythm(level: Array, heard: Array, active: Array) -> Array:
    """Return how long, how loud over the noise, how steady, and how quickly it rises and falls, (N, 9)."""
    total = active.sum(axis=1, keepdims=True) + 1e-6
    weight = active / total
    mean = (level * weight).sum(axis=1)
    spread = np.maximum((level**2 * weight).sum(axis=1) - mean**2, 0)
    quiet = np.where(heard, level, np.inf).min(axis=1)
    move = level[:, 2:] - level[:, :-2]
    time = np.linspace(-1, 1, level.shape[1])
    columns = [
        total[:, 0] / 100,
        heard.sum(axis=1) / 100,
        mean,
        np.sqrt(spread),
        np.where(np.isfinite(quiet), quiet, 0),
        np.abs(np.diff(active, axis=1)).sum(axis=1) / 10,
        (np.maximum(move, 0) * weight[:, 1:-1]).sum(axis=1),
        (np.maximum(-move, 0) * weight[:, 1:-1]).sum(axis=1),
        (time * weight).sum(axis=1),
    ]
    return np.stack(columns, axis=1)


def harmonics(x: Array, active: Array) -> Array:
    """Return how much of each pitch there is, and how it moves, (N, 92): combs' mean answer, share of time, movement.

    Takes (N, F, T) log-mel, 0 to 1, and how surely somebody speaks, (N, T).
    """
    hz = slaney_hz(np.arange(1, x.shape[1] + 1) * SLANEY_TOP / (x.shape[1] + 1))
    harmonic = hz[hz < _COMB_HZ] / _PITCHES_HZ[:, None]  # a wave over the low bands, peaks on each pitch's harmonics
    comb = np.where(harmonic > 0.4, np.cos(2 * np.pi * harmonic) / np.sqrt(np.maximum(harmonic, 0.5)), 0)
    comb -= comb.mean(axis=1, keepdims=True)
    comb = np.asarray(comb / np.linalg.norm(comb, axis=1, keepdims=True), np.float32)  # (P, F')

    padded = np.pad(x, ((0, 0), (_SMOOTHING // 2 + 1, _SMOOTHING // 2), (0, 0)), mode="edge")
    total = np.cumsum(padded, axis=1)
    smooth = (total[:, _SMOOTHING:] - total[:, :-_SMOOTHING]) / _SMOOTHING  # running means over the bands
    low = x[:, : comb.shape[1]] - smooth[:, : comb.shape[1]]
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


def _movement(octave: Array, weight: Array) -> Array:
    """Return mean, spread, direction, unrest, trend and quantiles of the pitch, (N, 10)."""
    mean = (octave * weight).sum(axis=1)
    spread = np.maximum((octave**2 * weight).sum(axis=1) - mean**2, 0)
    move = octave[:, 4:] - octave[:, :-4]
    both = np.minimum(weight[:, 4:], weight[:, :-4])
    both = both / (both.sum(axis=1, keepdims=True) + 1e-6)
    time = np.linspace(-1, 1, octave.shape[1])
    late = time - (time * weight).sum(axis=1, keepdims=True)
    trend = (late * octave * weight).sum(axis=1) / ((late**2 * weight).sum(axis=1) + 1e-4)
    columns = [mean, np.sqrt(spread), (move * both).sum(axis=1), (np.abs(move) * both).sum(axis=1), trend]

    order = np.argsort(octave, axis=1)
    below = np.cumsum(np.take_along_axis(weight, order, axis=1), axis=1)
    ranked = np.take_along_axis(octave, order, axis=1)
    at = [np.minimum((below < q).sum(axis=1), octave.shape[1] - 1) for q in (0.05, 0.2, 0.5, 0.8, 0.95)]
    quantiles = np.take_along_axis(ranked, np.stack(at, axis=1), axis=1)
    return np.concatenate([np.stack(columns, axis=1), quantiles], axis=1)


def modulation(x: Array, active: Array) -> Array:
    """Return the amplitudes of ripples, (N, 488): 6 scales, 5 rates up and down and what stands still, 8 regions."""
    bands, frames = x.shape[1], x.shape[2] + 36
    padded = bands + bands // 4
    spoken = active[:, None]
    mean = (x * spoken).sum(axis=2, keepdims=True) / (spoken.sum(axis=2, keepdims=True) + 1e-6)
    ripples = np.fft.fft(np.fft.rfft((x - mean) * spoken, frames, axis=2), padded, axis=1)
    still = np.fft.fft((mean * (spoken.max(axis=2, keepdims=True) > 0)), padded, axis=1)
    rate = np.arange(frames // 2 + 1) * _FRAME_HZ / frames
    passed = np.exp(-(((rate - np.array(_RATES_HZ)[:, None]) / (0.35 * np.array(_RATES_HZ)[:, None])) ** 2))  # (R, T')
    length = spoken.sum(axis=2) + 1e-6
    scale = np.fft.fftfreq(padded)[:, None] * bands / 128
    edges = np.linspace(0, bands, _REGIONS + 1).astype(int)

    def energy(spectrum: Array, center: float, width: float) -> Array:
        """Filter along frequency and return the energy in each region, (N, regions, T')."""
        filtered = np.fft.ifft(spectrum * np.exp(-0.5 * ((scale - center) / width) ** 2), axis=1)[:, :bands]
        power = filtered.real**2 + filtered.imag**2
        return np.asarray(np.add.reduceat(power, edges[:-1], axis=1) / np.diff(edges)[:, None])

    parts = []
    for center, width in _SCALES:
        for sign in (1, -1) if center else (1,):
            moving = energy(ripples, sign * center, width)
            parts.append(np.sqrt(moving @ passed.T / frames / length[:, :, None]).reshape(len(x), -1))
        parts.append(np.sqrt(energy(still, center, width)[:, :, 0]))
    return np.concatenate(parts, axis=1)


def vary_mel(spectrograms: Array, *, rng: np.random.Generator) -> Array:
    """Return log-mel spectrograms as they might have been: another voice, pace, microphone and room, each drawn anew.

    Few recordings of public people then stand for many rooms and voices. They are (N, 1, F, T), 0 to 1 over 80 dB,
    lowest band first, padding of zeros at the end, before and after; the loudest point is then 1.
    """
    out = np.zeros(spectrograms.shape, np.float32)
    for row, one in zip(out, spectrograms, strict=True):
        x = one[0].astype(np.float32)
        last, end = x.shape[0] - 1, x.shape[1] - 1
        x = _interpolated(x, np.minimum(np.arange(last + 1) / rng.uniform(0.87, 1.15), last))  # higher or lower
        frames = np.arange(end + 1) * rng.uniform(0.85, 1.2)  # faster or slower; what is past the end is silence
        x = np.where(frames <= end, _interpolated(x.T, np.minimum(frames, end)).T, 0)
        row[0] = x
        heard = x.max(axis=0) > 0
        if not heard.any():
            continue
        place = np.linspace(-0.5, 0.5, len(x))
        color = rng.normal(0, 6) * place + _bumps(len(x), rng.uniform(0, 4), rng)
        room = rng.uniform(-72, -38) + rng.normal(-8, 8) * place + _bumps(len(x), 2.5, rng)
        noise = room[:, None] + 10 * np.log10(rng.gamma(3, 1 / 3, x.shape) + 1e-3)
        level = 10 * np.log10(10 ** ((_RANGE_DB * (x - 1) + color[:, None]) / 10) + 10 ** (noise / 10))
        lifted = 1 + (level - level[:, heard].max()) / _RANGE_DB
        row[0] = np.where(heard, np.clip(lifted, 0, 1), 0)
    return out


def _bumps(bands: int, size_db: float, rng: np.random.Generator) -> Array:
    """Return a smooth random curve of about this deviation."""
    curve = gaussian_filter1d(rng.standard_normal(bands), bands / 12)
    return np.asarray(size_db * curve / (curve.std() + 1e-6))


def _interpolated(x: Array, at: Array) -> Array:
    low = np.floor(at).astype(int)
    part = (at - low)[:, None]
    return np.asarray(x[low] * (1 - part) + x[np.minimum(low + 1, len(x) - 1)] * part)
