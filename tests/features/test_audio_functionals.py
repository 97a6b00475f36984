"""Functionals against answers that can be worked out: what was put into the sound comes out as a number."""

import numpy as np
import pytest
from scipy.signal import lfilter

from personare.core.types import Signal
from personare.features.acoustics import formants, linear_prediction
from personare.features.functionals import describe, functionals

RATE = 16000


def vowel(pitch_hz, *, seconds=1.5, formant_hz=(600, 1400, 2500), jitter=0.0, shimmer_db=0.0, hiss=0.0):
    """Return pulses through resonances; jitter and shimmer alternate from pulse to pulse."""
    rng = np.random.default_rng(0)
    pulses, at, k = np.zeros(int(seconds * RATE)), 100.0, 0
    while at < len(pulses) - 2:
        sign = 1 if k % 2 else -1
        whole, share = int(at), at % 1
        height = 10 ** (sign * shimmer_db / 40)
        pulses[whole] += height * (1 - share)
        pulses[whole + 1] += height * share
        current = pitch_hz if np.isscalar(pitch_hz) else np.interp(at / RATE, [0, seconds], pitch_hz)
        at, k = at + RATE / current * (1 + sign * jitter / 2), k + 1
    sound = pulses
    for hz in formant_hz:
        radius = np.exp(-np.pi * 80 / RATE)
        sound = lfilter([1.0], [1, -2 * radius * np.cos(2 * np.pi * hz / RATE), radius**2], sound)
    sound = sound / np.abs(sound).max() * 0.3 + hiss * rng.standard_normal(len(sound))
    return sound.astype(np.float32)


def row(samples):
    return functionals(samples)


def test_every_functional_has_a_name_and_always_the_same_place():
    silence, speech = functionals(np.zeros(RATE, np.float32)), functionals(vowel(150))
    assert list(silence) == list(speech) and len(speech) == 117
    view = describe(Signal(values=vowel(150)[:, None], rate_hz=RATE), ["functionals"])["functionals"]
    np.testing.assert_array_equal(view, np.float32([[*speech.values()]]))


def test_a_vowel_leaves_nothing_out():
    # a single stretch of voice has no spread of lengths, no unvoiced speech and nothing before or after it to compare
    missing = {name for name, value in row(vowel((150, 200))).items() if not np.isfinite(value)}
    allowed = ("unvoiced", "voiced_length_std", "pitch_fall")
    assert all(any(word in name for word in allowed) for name in missing)


def test_pitch_in_semitones_over_27_5_hertz():
    assert row(vowel(220))["pitch_mean"] == pytest.approx(36, abs=0.1)
    assert row(vowel(220))["pitch_std"] < 0.2


def test_a_rising_glide_has_its_slope():
    # an octave in 1.5 s is 8 semitones a second
    assert row(vowel((150, 300)))["pitch_trend"] == pytest.approx(8, rel=0.15)
    assert row(vowel((300, 150)))["pitch_trend"] == pytest.approx(-8, rel=0.15)


def test_jitter_and_shimmer_are_what_was_put_in():
    # alternation by +-j/2 changes the length from one cycle to the next by j
    assert row(vowel(120))["jitter"] < 0.004
    assert row(vowel(120, jitter=0.04))["jitter"] == pytest.approx(0.04, rel=0.35)
    assert row(vowel(120, shimmer_db=2))["shimmer"] > row(vowel(120))["shimmer"] + 0.5


def test_hiss_lowers_the_harmonics_to_noise_ratio():
    assert row(vowel(150))["hnr_mean"] > row(vowel(150, hiss=0.03))["hnr_mean"] + 5


def test_formants_are_found():
    samples = vowel(100, formant_hz=(500, 1500, 2500, 3500))
    frequency, bandwidth = formants(samples, np.ones(1 + len(samples) // 160, bool))
    assert np.nanmedian(frequency, axis=0) == pytest.approx([500, 1500, 2500], rel=0.08)
    assert (np.nanmedian(bandwidth, axis=0) < 300).all()


def test_louder_is_louder_and_steeper_is_steeper():
    quiet, loud = row(vowel(150) * 0.1), row(vowel(150))
    assert loud["loudness_mean"] > quiet["loudness_mean"]
    assert loud["level_under_peak_mean"] == pytest.approx(quiet["level_under_peak_mean"], abs=0.5)
    bright = row(vowel(150, formant_hz=(600, 1400, 2500, 3500, 4500)))
    dark = row(vowel(150, formant_hz=(300, 600)))
    assert dark["alpha_ratio_voiced_mean"] > bright["alpha_ratio_voiced_mean"]


def test_rhythm_counts_syllables_and_pauses():
    time_s = np.arange(3 * RATE) / RATE
    spoken = vowel(150, seconds=3) * (0.5 - 0.5 * np.cos(2 * np.pi * 4 * time_s)).astype(np.float32)
    assert row(spoken)["loudness_peaks"] == pytest.approx(4, abs=0.5)
    assert row(spoken)["modulation_syllable"] > 0.8
    halved = np.where(time_s < 1.5, vowel(150, seconds=3), 0).astype(np.float32)
    assert row(halved)["pause_share"] == pytest.approx(0.5, abs=0.05)
    assert row(halved)["voiced_share"] == pytest.approx(0.5, abs=0.05)


def test_linear_prediction_finds_the_filter():
    poles = np.array([1, -1.2, 0.6])
    noise = np.random.default_rng(0).standard_normal(200_000)
    sound = lfilter([1.0], poles, noise).reshape(100, 2000)
    assert linear_prediction(sound, 2).mean(axis=0) == pytest.approx(poles, abs=0.02)
