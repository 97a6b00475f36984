"""One row of numbers that says how something was said: pitch, loudness, voice quality, spectrum and rhythm.

**Source**: the choice follows in spirit F. Eyben et al., "The Geneva minimalistic acoustic parameter set (GeMAPS) for
voice research and affective computing", IEEE Transactions on Affective Computing 7 (2016), DOI
10.1109/TAFFC.2015.2457417; all of it is computed by our own code, and rhythm and modulation are added.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy.fft import dct
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, find_peaks, sosfiltfilt

from personare.core.errors import DataError, OptionError
from personare.core.types import Array, Signal
from personare.features.acoustics import (
    HOP,
    N_FFT,
    RATE_HZ,
    formants,
    logmel,
    mfcc,
    power_spectra,
    prosody,
    runs,
    slopes,
    track_pitch,
)
from personare.features.resynthesis import samples_of

_FRAMES_A_SECOND = RATE_HZ / HOP
_CEPSTRA = 12
_SHAPES = ("alpha_ratio", "hammarberg", "slope_0_500", "slope_500_1500", "flux", "centroid", "entropy")


def functionals(samples: Array) -> dict[str, float]:
    """Return the functionals of speech (N,) at 16 kHz by name, always in this order; NaN where one cannot be had."""
    pitch_hz, periodicity = track_pitch(samples)
    voiced = np.isfinite(pitch_hz)
    bands = 10 ** (logmel(samples, 26).astype(float) / 10)
    compressed = bands**0.3
    loudness = compressed.sum(axis=1)
    spoken = np.asarray(loudness > 0.1 * np.percentile(loudness, 98))  # (T,) frames that are not pauses
    shapes = spectral_shapes(samples, pitch_hz)
    values = {
        **_of_pitch(pitch_hz),
        **_of_loudness(loudness, bands.sum(axis=1), spoken),
        **_of_quality(samples, pitch_hz, periodicity, shapes[:, 5:7]),
    }
    for k, (frequency, bandwidth) in enumerate(zip(*(rows.T for rows in formants(samples, voiced)), strict=True)):  # Hz
        values |= {f"f{k + 1}_mean": _mean(frequency), f"f{k + 1}_std": _std(frequency)}
        values[f"f{k + 1}_bandwidth"] = _mean(bandwidth)

    normal = compressed / (compressed.sum(axis=1, keepdims=True) + 1e-9)
    flux = np.append(0.0, np.sqrt(np.square(np.diff(normal, axis=0)).sum(axis=1)))  # change from frame to frame
    entropy = -(normal * np.log(normal + 1e-9)).sum(axis=1)  # how evenly loudness is spread over the bands
    spectral = np.column_stack([shapes[:, :4], flux, shapes[:, 4], entropy])  # dB, dB, dB/kHz twice, share, Hz, neper
    for shape, column in zip(_SHAPES, spectral.T, strict=True):
        values |= {f"{shape}_voiced_mean": _mean(column[voiced]), f"{shape}_voiced_std": _std(column[voiced])}
        values[f"{shape}_unvoiced_mean"] = _mean(column[~voiced & spoken])

    cepstra = dct(np.log(bands + 1e-10), type=2, norm="ortho", axis=1)[:, 1 : _CEPSTRA + 1]  # neper
    for k, (column, moving) in enumerate(zip(cepstra[spoken].T, slopes(cepstra)[spoken].T, strict=True)):
        values |= {f"mfcc{k + 1}_mean": _mean(column), f"mfcc{k + 1}_std": _std(column)}
        values[f"mfcc{k + 1}_change"] = _std(moving)
    return values | _of_rhythm(voiced, loudness)


def _mean(values: Array) -> float:
    kept = values[np.isfinite(values)]
    return float(kept.mean()) if kept.size else float("nan")


def _std(values: Array) -> float:
    kept = values[np.isfinite(values)]
    return float(kept.std()) if kept.size > 1 else float("nan")


def _trend(values: Array) -> float:
    """Slope of a straight line through the finite frames, a second."""
    at = np.flatnonzero(np.isfinite(values))
    if len(at) < 3:
        return float("nan")
    centred = at - at.mean()
    return float(centred @ values[at] / (centred @ centred) * _FRAMES_A_SECOND)


def _skew(values: Array) -> float:
    kept = values[np.isfinite(values)]
    return float(np.mean(((kept - kept.mean()) / (kept.std() + 1e-9)) ** 3)) if kept.size > 2 else float("nan")


def _percentiles(values: Array, which: tuple[int, ...]) -> list[float]:
    kept = values[np.isfinite(values)]
    return np.percentile(kept, which).tolist() if kept.size else [float("nan")] * len(which)


def _of_pitch(pitch_hz: Array) -> dict[str, float]:
    semitones = 12 * np.log2(pitch_hz / 27.5)
    slope = (semitones[4:] - semitones[:-4]) * _FRAMES_A_SECOND / 4  # NaN across a voiceless gap
    lowest, low, middle, high, highest = _percentiles(semitones, (1, 20, 50, 80, 99))
    falling, _, rising = _percentiles(slope, (20, 50, 80))
    last = np.flatnonzero(np.isfinite(semitones))[-30:]
    return {  # semitones above 27.5 Hz, above the median, or a second
        "pitch_mean": _mean(semitones), "pitch_std": _std(semitones), "pitch_median": middle,
        "pitch_lowest": lowest - middle, "pitch_p20": low - middle, "pitch_p80": high - middle,
        "pitch_highest": highest - middle, "pitch_skew": _skew(semitones),
        "pitch_slope_std": _std(slope), "pitch_slope_p20": falling, "pitch_slope_p80": rising,
        "pitch_rise_mean": _mean(slope[slope > 0]), "pitch_rise_std": _std(slope[slope > 0]),
        "pitch_fall_mean": _mean(slope[slope < 0]), "pitch_fall_std": _std(slope[slope < 0]),
        "pitch_trend": _trend(semitones),
        "pitch_end_trend": _trend(semitones[last[0] : last[-1] + 1]) if last.size else float("nan"),
    }  # fmt: skip


def _of_loudness(loudness: Array, energy: Array, spoken: Array) -> dict[str, float]:
    level = 10 * np.log10(energy[spoken] / (energy.max(initial=0.0) + 1e-12) + 1e-10)
    smooth = uniform_filter1d(loudness, 5, mode="nearest")
    slope = np.diff(smooth) * _FRAMES_A_SECOND
    low, middle, high = _percentiles(smooth, (20, 50, 80))
    return {  # sum of compressed mel bands; level in dB
        "loudness_mean": _mean(loudness), "loudness_variation": _std(loudness) / (_mean(loudness) + 1e-9),
        "loudness_p20": low, "loudness_p50": middle, "loudness_p80": high, "loudness_range": high - low,
        "loudness_rise_mean": _mean(slope[slope > 0]), "loudness_fall_mean": _mean(slope[slope < 0]),
        "loudness_slope_std": _std(slope), "loudness_trend": _trend(smooth),
        "level_under_peak_mean": _mean(level), "level_under_peak_std": _std(level),
        "level_under_peak_skew": _skew(level),
    }  # fmt: skip


def _of_quality(samples: Array, pitch_hz: Array, periodicity: Array, harmonics: Array) -> dict[str, float]:
    jitters, shimmers = [np.zeros(0)], [np.zeros(0)]  # how unlike each glottal cycle is to the one before it
    voiced = runs(np.isfinite(pitch_hz)) if len(samples) >= 64 else []
    if voiced:
        smooth = sosfiltfilt(butter(2, 1000, fs=RATE_HZ, output="sos").astype(np.float32), samples)
    for first, last in voiced:
        at = _cycles(smooth, pitch_hz, first, last)
        if len(at) > 3:
            inside = np.clip(at, 1, len(smooth) - 2)  # the peaks lie between the samples: a parabola
            before, here, after = smooth[inside - 1], smooth[inside], smooth[inside + 1]
            bend = before - 2 * here + after
            shift = np.where(np.abs(bend) > 1e-12, 0.5 * (before - after) / np.where(bend == 0, 1, bend), 0)
            length, height = np.diff(inside + shift.clip(-1, 1)), np.abs(smooth[at]) + 1e-6
            jitters.append(np.abs(np.diff(length)) / length.mean())
            shimmers.append(np.abs(20 * np.log10(height[1:] / height[:-1])))
    jitter, shimmer = np.concatenate(jitters), np.concatenate(shimmers)
    jitter, shimmer = jitter[jitter < 0.2], shimmer[shimmer < 12]
    share = np.clip(np.where(np.isfinite(pitch_hz), periodicity, np.nan), 1e-3, 0.9999)
    hnr = 10 * np.log10(share / (1 - share))
    return {  # jitter is a share, all else dB
        "jitter": _mean(jitter), "jitter_std": _std(jitter),
        "shimmer": _mean(shimmer), "shimmer_std": _std(shimmer),
        "hnr_mean": _mean(hnr), "hnr_std": _std(hnr),
        "h1_h2_mean": _mean(harmonics[:, 0]), "h1_h2_std": _std(harmonics[:, 0]),
        "h1_a3_mean": _mean(harmonics[:, 1]), "h1_a3_std": _std(harmonics[:, 1]),
    }  # fmt: skip


def _of_rhythm(voiced: Array, loudness: Array) -> dict[str, float]:
    seconds = len(voiced) / _FRAMES_A_SECOND
    on, off = (np.array([last - first for first, last in runs(mask)]) / _FRAMES_A_SECOND for mask in (voiced, ~voiced))
    smooth = uniform_filter1d(loudness, 7, mode="nearest")
    peaks, _ = find_peaks(smooth, prominence=0.08 * (smooth.max() + 1e-9), distance=8)
    moving = loudness - loudness.mean()
    size = max(256, len(moving))
    power = np.abs(np.fft.rfft(moving * np.hanning(len(moving)), size)) ** 2
    rate = np.fft.rfftfreq(size, 1 / _FRAMES_A_SECOND)
    total = power[(rate >= 0.5) & (rate < 16)].sum()
    slow, syllable, fast = (
        float(power[(rate >= low) & (rate < high)].sum() / total) if total > 0 else float("nan")
        for low, high in ((0.5, 2), (2, 6), (6, 16))
    )
    return {  # shares, counts a second, seconds
        "voiced_share": float(voiced.mean()), "voiced_segments": len(on) / seconds,
        "voiced_length_mean": _mean(on), "voiced_length_std": _std(on),
        "unvoiced_length_mean": _mean(off), "unvoiced_length_std": _std(off),
        "pause_share": float((smooth < 0.15 * np.percentile(smooth, 95)).mean()),
        "loudness_peaks": len(peaks) / seconds,
        "modulation_slow": slow, "modulation_syllable": syllable, "modulation_fast": fast,
    }  # fmt: skip


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


def spectral_shapes(samples: Array, pitch_hz: Array) -> Array:
    """Return alpha ratio, Hammarberg index, slopes to 500 and 1500 Hz, centroid in Hz and harmonic ratios, (T, 7)."""
    rows, at, step = [], 0, RATE_HZ / N_FFT
    frequency = np.fft.rfftfreq(N_FFT, 1 / RATE_HZ)

    def between(low: float, high: float) -> Array:
        return np.flatnonzero((frequency >= low) & (frequency < high))

    def energy_db(power: Array, low: float, high: float) -> Array:
        return np.asarray(10 * np.log10(power[:, between(low, high)].sum(axis=1) + 1e-10))

    def tilt(level: Array, low: float, high: float) -> Array:
        inside = frequency[between(low, high)]
        khz = (inside - inside.mean()) / 1000
        return np.asarray(level[:, between(low, high)] @ khz / (khz @ khz))

    for power in power_spectra(samples):
        level = 10 * np.log10(power + 1e-10)
        pitch, frames = pitch_hz[at : at + len(level)], np.arange(len(level))[:, None]
        places = (np.rint(k * np.nan_to_num(pitch, nan=100.0) / step).astype(int)[:, None] for k in (1, 2))
        first, second = (level[frames, place + np.arange(-1, 2)].max(axis=1) for place in places)
        third = level[:, round(2000 / step) : round(3500 / step)].max(axis=1)
        rows.append(
            np.column_stack([
                energy_db(power, 50, 1000) - energy_db(power, 1000, 5000),  # dB, as all but the slopes and the centroid
                level[:, between(0, 2000)].max(axis=1) - level[:, between(2000, 5000)].max(axis=1),
                tilt(level, 0, 500),  # dB a kHz
                tilt(level, 500, 1500),
                power @ frequency / (power.sum(axis=1) + 1e-10),
                np.where(np.isfinite(pitch), first - second, np.nan),
                np.where(np.isfinite(pitch), first - third, np.nan),
            ])
        )  # fmt: skip
        at += len(level)
    return np.concatenate(rows)


VIEWS: Mapping[str, Callable[[Array], Array]] = {
    "mfcc": mfcc,
    "logmel": logmel,
    "prosody": prosody,
    "functionals": lambda samples: np.array([[*functionals(samples).values()]], np.float32),  # (1, D)
    "waveform": lambda samples: samples.astype(np.float16),  # (N,)
}
"""What :func:`describe` can compute, by name, of (N,) samples at 16 kHz; frames are 10 ms apart."""


def describe(signal: Signal, views: Sequence[str]) -> dict[str, Array]:
    """Describe speech by views of ``VIEWS``, after mixing it to one channel at 16 kHz."""
    unknown = sorted(set(views) - set(VIEWS))
    if unknown:
        raise OptionError(f"There is no view {', '.join(unknown)} of sound. Choose from: {', '.join(VIEWS)}.")
    if len(signal.values) == 0:
        raise DataError("A sound without samples cannot be described. Leave the recording out.")
    samples = samples_of(signal)
    return {view: VIEWS[view](samples) for view in views}
