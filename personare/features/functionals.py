"""One row of numbers that says how something was said: pitch, loudness, voice quality, spectrum and rhythm.

**Source**: the choice follows in spirit F. Eyben et al., "The Geneva minimalistic acoustic parameter set (GeMAPS) for
voice research and affective computing", IEEE Transactions on Affective Computing 7 (2016), DOI
10.1109/TAFFC.2015.2457417; all of it is computed by our own code, and rhythm and modulation are added.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from scipy.fft import dct
from scipy.ndimage import uniform_filter1d
from scipy.signal import find_peaks

from personare.core.types import Array
from personare.features.acoustics import HOP, RATE_HZ, logmel, slopes, track_pitch
from personare.features.voice_quality import formants, perturbation, spectral_shapes

__all__ = ["FUNCTIONAL_NAMES", "FUNCTIONAL_UNITS", "functionals"]

_FRAMES_A_SECOND = RATE_HZ / HOP
_CEPSTRA: Final = 12

_PITCH = {
    "pitch_mean": "semitone",
    "pitch_std": "semitone",
    "pitch_median": "semitone",
    "pitch_lowest": "semitone from the median",
    "pitch_p20": "semitone from the median",
    "pitch_p80": "semitone from the median",
    "pitch_highest": "semitone from the median",
    "pitch_skew": "standard deviations",
    "pitch_slope_std": "semitone/s",
    "pitch_slope_p20": "semitone/s",
    "pitch_slope_p80": "semitone/s",
    "pitch_rise_mean": "semitone/s",
    "pitch_rise_std": "semitone/s",
    "pitch_fall_mean": "semitone/s",
    "pitch_fall_std": "semitone/s",
    "pitch_trend": "semitone/s",
    "pitch_end_trend": "semitone/s",
}
_LOUDNESS = {
    "loudness_mean": "loudness",
    "loudness_variation": "share",
    "loudness_p20": "loudness",
    "loudness_p50": "loudness",
    "loudness_p80": "loudness",
    "loudness_range": "loudness",
    "loudness_rise_mean": "loudness/s",
    "loudness_fall_mean": "loudness/s",
    "loudness_slope_std": "loudness/s",
    "loudness_trend": "loudness/s",
    "level_under_peak_mean": "dB",
    "level_under_peak_std": "dB",
    "level_under_peak_skew": "standard deviations",
}
_QUALITY = {
    "jitter": "share",
    "jitter_std": "share",
    "shimmer": "dB",
    "shimmer_std": "dB",
    "hnr_mean": "dB",
    "hnr_std": "dB",
    "h1_h2_mean": "dB",
    "h1_h2_std": "dB",
    "h1_a3_mean": "dB",
    "h1_a3_std": "dB",
}
_FORMANTS = {
    f"f{k}_{what}": unit for k in (1, 2, 3) for what, unit in (("mean", "Hz"), ("std", "Hz"), ("bandwidth", "Hz"))
}
_SHAPES = ("alpha_ratio", "hammarberg", "slope_0_500", "slope_500_1500", "flux", "centroid", "entropy")
_SHAPE_UNITS = ("dB", "dB", "dB/kHz", "dB/kHz", "share", "Hz", "neper")
_SPECTRUM = {
    f"{shape}_{what}": unit
    for shape, unit in zip(_SHAPES, _SHAPE_UNITS, strict=True)
    for what in ("voiced_mean", "voiced_std", "unvoiced_mean")
}
_CEPSTRUM = {f"mfcc{k}_{what}": "neper" for k in range(1, _CEPSTRA + 1) for what in ("mean", "std", "change")}
_RHYTHM = {
    "voiced_share": "share",
    "voiced_segments": "1/s",
    "voiced_length_mean": "s",
    "voiced_length_std": "s",
    "unvoiced_length_mean": "s",
    "unvoiced_length_std": "s",
    "pause_share": "share",
    "loudness_peaks": "1/s",
    "modulation_slow": "share",
    "modulation_syllable": "share",
    "modulation_fast": "share",
}
FUNCTIONAL_UNITS: Mapping[str, str] = {
    **_PITCH, **_LOUDNESS, **_QUALITY, **_FORMANTS, **_SPECTRUM, **_CEPSTRUM, **_RHYTHM,
}  # fmt: skip
"""Unit of each functional. A semitone counts from 27.5 Hz; loudness is a sum of compressed mel bands."""
FUNCTIONAL_NAMES: tuple[str, ...] = tuple(FUNCTIONAL_UNITS)


def functionals(samples: Array) -> Array:
    """Return one row of acoustic functionals of speech, in the order of ``FUNCTIONAL_NAMES``.

    Args:
        samples: (N,) at 16 kHz.

    Returns:
        (1, D) float32; NaN where it cannot be had, e.g. pitch where nothing is voiced.

    Example:
        >>> row = functionals(np.zeros(1600))
        >>> row.shape[1] == len(FUNCTIONAL_NAMES)
        True
    """
    pitch_hz, periodicity = track_pitch(samples)
    voiced = np.isfinite(pitch_hz)
    bands = 10 ** (logmel(samples, 26).astype(float) / 10)
    compressed = bands**0.3
    loudness = compressed.sum(axis=1)
    shape = spectral_shapes(samples, pitch_hz)
    spectral = np.column_stack([shape[:, :4], _flux(compressed), shape[:, 4], _entropy(compressed)])
    values = {
        **_of_pitch(pitch_hz),
        **_of_loudness(loudness, bands.sum(axis=1)),
        **_of_quality(samples, pitch_hz, periodicity, shape[:, 5:7]),
        **_of_formants(samples, voiced),
        **_of_spectrum(spectral, voiced, loudness),
        **_of_cepstrum(bands, loudness),
        **_of_rhythm(voiced, loudness),
    }
    return np.array([[values[name] for name in FUNCTIONAL_NAMES]], np.float32)


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
    return {
        "pitch_mean": _mean(semitones), "pitch_std": _std(semitones), "pitch_median": middle,
        "pitch_lowest": lowest - middle, "pitch_p20": low - middle, "pitch_p80": high - middle,
        "pitch_highest": highest - middle, "pitch_skew": _skew(semitones),
        "pitch_slope_std": _std(slope), "pitch_slope_p20": falling, "pitch_slope_p80": rising,
        "pitch_rise_mean": _mean(slope[slope > 0]), "pitch_rise_std": _std(slope[slope > 0]),
        "pitch_fall_mean": _mean(slope[slope < 0]), "pitch_fall_std": _std(slope[slope < 0]),
        "pitch_trend": _trend(semitones),
        "pitch_end_trend": _trend(semitones[last[0] : last[-1] + 1]) if last.size else float("nan"),
    }  # fmt: skip


def _of_loudness(loudness: Array, energy: Array) -> dict[str, float]:
    level = 10 * np.log10(energy[_spoken(loudness)] / (energy.max(initial=0.0) + 1e-12) + 1e-10)
    smooth = uniform_filter1d(loudness, 5, mode="nearest")
    slope = np.diff(smooth) * _FRAMES_A_SECOND
    low, middle, high = _percentiles(smooth, (20, 50, 80))
    return {
        "loudness_mean": _mean(loudness), "loudness_variation": _std(loudness) / (_mean(loudness) + 1e-9),
        "loudness_p20": low, "loudness_p50": middle, "loudness_p80": high, "loudness_range": high - low,
        "loudness_rise_mean": _mean(slope[slope > 0]), "loudness_fall_mean": _mean(slope[slope < 0]),
        "loudness_slope_std": _std(slope), "loudness_trend": _trend(smooth),
        "level_under_peak_mean": _mean(level), "level_under_peak_std": _std(level),
        "level_under_peak_skew": _skew(level),
    }  # fmt: skip


def _flux(compressed: Array) -> Array:
    """Change of the normalized loudness spectrum from one frame to the next."""
    normal = compressed / (compressed.sum(axis=1, keepdims=True) + 1e-9)
    return np.append(0.0, np.sqrt(np.square(np.diff(normal, axis=0)).sum(axis=1)))


def _entropy(compressed: Array) -> Array:
    """How evenly loudness is spread over the bands."""
    normal = compressed / (compressed.sum(axis=1, keepdims=True) + 1e-9)
    return np.asarray(-(normal * np.log(normal + 1e-9)).sum(axis=1))


def _spoken(loudness: Array) -> Array:
    """Frames that are not pauses, (T,)."""
    return np.asarray(loudness > 0.1 * np.percentile(loudness, 98))


def _of_quality(samples: Array, pitch_hz: Array, periodicity: Array, harmonics: Array) -> dict[str, float]:
    jitter, shimmer = perturbation(samples, pitch_hz)
    share = np.clip(np.where(np.isfinite(pitch_hz), periodicity, np.nan), 1e-3, 0.9999)
    hnr = 10 * np.log10(share / (1 - share))
    return {
        "jitter": _mean(jitter), "jitter_std": _std(jitter),
        "shimmer": _mean(shimmer), "shimmer_std": _std(shimmer),
        "hnr_mean": _mean(hnr), "hnr_std": _std(hnr),
        "h1_h2_mean": _mean(harmonics[:, 0]), "h1_h2_std": _std(harmonics[:, 0]),
        "h1_a3_mean": _mean(harmonics[:, 1]), "h1_a3_std": _std(harmonics[:, 1]),
    }  # fmt: skip


def _of_formants(samples: Array, voiced: Array) -> dict[str, float]:
    frequency, bandwidth = formants(samples, voiced)
    return {
        f"f{k + 1}_{what}": value
        for k in range(3)
        for what, value in (
            ("mean", _mean(frequency[:, k])),
            ("std", _std(frequency[:, k])),
            ("bandwidth", _mean(bandwidth[:, k])),
        )
    }


def _of_spectrum(spectral: Array, voiced: Array, loudness: Array) -> dict[str, float]:
    unvoiced = ~voiced & _spoken(loudness)
    values = {}
    for column, shape in zip(spectral.T, _SHAPES, strict=True):
        values[f"{shape}_voiced_mean"] = _mean(column[voiced])
        values[f"{shape}_voiced_std"] = _std(column[voiced])
        values[f"{shape}_unvoiced_mean"] = _mean(column[unvoiced])
    return values


def _of_cepstrum(bands: Array, loudness: Array) -> dict[str, float]:
    coefficients = dct(np.log(bands + 1e-10), type=2, norm="ortho", axis=1)[:, 1 : _CEPSTRA + 1]
    spoken, moving = (rows[_spoken(loudness)] for rows in (coefficients, slopes(coefficients)))
    return {
        f"mfcc{k + 1}_{what}": value
        for k in range(_CEPSTRA)
        for what, value in (
            ("mean", _mean(spoken[:, k])),
            ("std", _std(spoken[:, k])),
            ("change", _std(moving[:, k])),
        )
    }


def _runs(mask: Array) -> Array:
    """Lengths in seconds of the stretches where the mask holds."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return np.asarray((edges[1::2] - edges[::2]) / _FRAMES_A_SECOND)


def _of_rhythm(voiced: Array, loudness: Array) -> dict[str, float]:
    seconds = len(voiced) / _FRAMES_A_SECOND
    on, off = _runs(voiced), _runs(~voiced)
    smooth = uniform_filter1d(loudness, 7, mode="nearest")
    peaks, _ = find_peaks(smooth, prominence=0.08 * (smooth.max() + 1e-9), distance=8)
    slow, syllable, fast = _modulation(loudness)
    return {
        "voiced_share": float(voiced.mean()), "voiced_segments": len(on) / seconds,
        "voiced_length_mean": _mean(on), "voiced_length_std": _std(on),
        "unvoiced_length_mean": _mean(off), "unvoiced_length_std": _std(off),
        "pause_share": float((smooth < 0.15 * np.percentile(smooth, 95)).mean()),
        "loudness_peaks": len(peaks) / seconds,
        "modulation_slow": slow, "modulation_syllable": syllable, "modulation_fast": fast,
    }  # fmt: skip


def _modulation(loudness: Array) -> tuple[float, float, float]:
    """Shares of the loudness contour's movement at 0.5-2, 2-6 and 6-16 Hz."""
    moving = loudness - loudness.mean()
    size = max(256, len(moving))
    power = np.abs(np.fft.rfft(moving * np.hanning(len(moving)), size)) ** 2
    rate = np.fft.rfftfreq(size, 1 / _FRAMES_A_SECOND)
    total = power[(rate >= 0.5) & (rate < 16)].sum()
    if total <= 0:
        return (float("nan"),) * 3
    slow, syllable, fast = (
        power[(rate >= low) & (rate < high)].sum() / total for low, high in ((0.5, 2), (2, 6), (6, 16))
    )
    return float(slow), float(syllable), float(fast)
