"""Loudness, rates and channels of sound, and the views that describe it."""

import numpy as np
import pytest

from personare.core.errors import DataError, OptionError
from personare.core.types import Signal
from personare.features import audio
from personare.features.functionals import FUNCTIONAL_NAMES


def tone(hertz: float = 220.0, *, seconds: float = 1.0, rate_hz: float = 16000, channels: int = 1) -> Signal:
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    harmonics = sum(np.sin(2 * np.pi * k * hertz * time_s) / k for k in range(1, 8))
    values = np.repeat(0.1 * harmonics[:, None], channels, axis=1).astype(np.float32)
    return Signal(values=values, rate_hz=rate_hz)


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values.astype(float)))))


@pytest.mark.parametrize("rate_hz", [8000, 11025, 22050, 44100, 48000, 96000])
def test_resampling_keeps_length_and_channels(rate_hz):
    signal = tone(rate_hz=rate_hz, channels=2)
    there = audio.resample(signal, 16000)
    assert there.values.shape == (16000, 2)
    assert abs(there.duration_s - signal.duration_s) < 1e-3
    assert rms(there.values) == pytest.approx(rms(signal.values), rel=0.02)


def test_resampling_refuses_a_rate_of_zero():
    with pytest.raises(OptionError, match="above 0 Hz"):
        audio.resample(tone(), 0)


def test_mono_is_the_mean_of_the_channels():
    both = Signal(values=np.array([[0.2, 0.4], [-0.2, 0.0]], np.float32), rate_hz=8000)
    assert audio.mono(both).values == pytest.approx(np.array([[0.3], [-0.1]]))


def test_guarantee_loudness_is_matched():
    quiet = Signal(values=tone().values * 0.01, rate_hz=16000)
    assert rms(audio.match_loudness(quiet, tone()).values) == pytest.approx(rms(tone().values), rel=0.01)


def test_guarantee_nothing_clips():
    clicks = np.random.default_rng(0).standard_t(2, (16000, 1)).astype(np.float32)
    loud = Signal(values=np.sign(tone().values) * 0.5, rate_hz=16000)
    matched = audio.match_loudness(Signal(values=clicks, rate_hz=16000), loud)
    assert np.abs(matched.values).max() <= 0.99
    # below the ceiling nothing is cut: neighbors of a peak are turned down with it, so its shape stays
    assert np.mean(np.abs(matched.values) > 0.985) < 0.1


def test_matching_silence_gives_silence():
    silent = Signal(values=np.zeros((800, 2), np.float32), rate_hz=8000)
    assert not audio.match_loudness(tone(rate_hz=8000, channels=2), silent).values.any()
    assert not audio.match_loudness(silent, tone(rate_hz=8000, channels=2)).values.any()


@pytest.mark.parametrize(("rate_hz", "seconds"), [(8000, 1.0), (44100, 0.1), (96000, 2.5), (16000, 0.06)])
def test_views_have_their_shapes(rate_hz, seconds):
    views = audio.describe(tone(rate_hz=rate_hz, seconds=seconds, channels=2), list(audio.VIEWS))
    frames = 1 + round(seconds * 16000) // 160
    assert views["mfcc"].shape == (frames, 38)
    assert views["logmel"].shape == (frames, 64)
    assert views["prosody"].shape == (frames, 2)
    assert views["functionals"].shape == (1, len(FUNCTIONAL_NAMES))
    assert views["waveform"].shape == (round(seconds * 16000),)
    assert views["waveform"].dtype == np.float16
    assert np.isfinite(views["mfcc"]).all()
    assert np.isfinite(views["logmel"]).all()


@pytest.mark.parametrize("size", [1, 50, 1600, 16000])
def test_silence_is_described_without_complaint(size):
    views = audio.describe(Signal(values=np.zeros((size, 1), np.float32), rate_hz=16000), list(audio.VIEWS))
    assert np.isnan(views["prosody"][:, 0]).all()
    assert views["logmel"].max() == pytest.approx(-100)
    row = dict(zip(FUNCTIONAL_NAMES, views["functionals"][0], strict=True))
    assert np.isnan(row["pitch_mean"])
    assert row["voiced_share"] == 0


def test_prosody_is_pitch_in_hertz_and_level_in_decibels():
    prosody = audio.describe(tone(150, seconds=1.5), ["prosody"])["prosody"]
    assert np.nanmedian(prosody[:, 0]) == pytest.approx(150, rel=0.005)
    assert np.median(prosody[:, 1]) == pytest.approx(20 * np.log10(rms(tone(150).values)), abs=0.5)


def test_a_full_scale_tone_is_near_zero_decibels():
    time_s = np.arange(16000) / 16000
    full = Signal(values=np.sin(2 * np.pi * 2000 * time_s)[:, None].astype(np.float32), rate_hz=16000)
    assert audio.describe(full, ["logmel"])["logmel"].max() == pytest.approx(0, abs=1)


def test_cepstra_do_not_depend_on_the_level():
    noise = np.random.default_rng(0).normal(0, 0.2, (16000, 1)).astype(np.float32)
    loud, quiet = (Signal(values=noise * gain, rate_hz=16000) for gain in (1, 0.1))
    views = [audio.describe(signal, ["mfcc"])["mfcc"][10:-10] for signal in (loud, quiet)]
    assert views[0] == pytest.approx(views[1], abs=0.05)


def test_an_unknown_view_is_named():
    with pytest.raises(OptionError, match="no view pitchiness"):
        audio.describe(tone(), ["pitchiness"])


def test_no_samples_cannot_be_described():
    with pytest.raises(DataError, match="without samples"):
        audio.describe(Signal(values=np.zeros((0, 1), np.float32), rate_hz=16000), ["mfcc"])
