"""Speech taken apart and put together says the same; bands, codes and frames are what they are said to be."""

import numpy as np
import pytest
from scipy.signal import get_window

from personare.core.types import Signal
from personare.features import resynthesis
from personare.features.acoustics import framed, track_pitch
from personare.features.resynthesis import rework


def buzz(pitch_hz=140.0, seconds=1.0):
    time_s = np.arange(int(16000 * seconds)) / 16000
    return 0.05 * sum(np.sin(2 * np.pi * pitch_hz * k * time_s) / k for k in range(1, 20)).astype(np.float32)


def test_what_was_taken_apart_and_put_together_has_its_pitch_and_spectrum():
    before = buzz()
    pitch, power = resynthesis.taken_apart(before, frame_ms=5, low_hz=65, high_hz=650)
    breath = resynthesis.breathiness(before, pitch, frame_ms=5)
    assert power.shape == breath.shape == (len(pitch), resynthesis.BINS)
    assert np.median(pitch[pitch > 0]) == pytest.approx(140, rel=0.01)
    after = resynthesis.spoken(pitch, power, breath, frame_ms=5)
    assert np.nanmedian(track_pitch(after)[0]) == pytest.approx(140, rel=0.01)
    again = resynthesis.taken_apart(after, frame_ms=5, low_hz=65, high_hz=650)[1]
    middle = slice(len(pitch) // 4, len(pitch) // 2)
    bank, _ = resynthesis.mel_bands(16, 100, 2400)  # there is nothing above 2660 Hz
    differ = np.log(power[middle] @ bank).mean(axis=0) - np.log(again[middle] @ bank).mean(axis=0)
    assert np.abs(differ).max() < 0.5  # nepers of power


def test_a_flat_spectrum_is_as_strong_in_every_band():
    bank, centers = resynthesis.mel_bands(40, 0, 8000)
    assert bank.shape == (resynthesis.BINS, 40)
    assert np.ones(resynthesis.BINS) @ bank == pytest.approx(np.ones(40))
    assert (np.diff(centers) > 0).all() and 0 < centers[0] < centers[-1] < 8000


def test_overlapping_frames_add_up():
    window = get_window("hann", 1024)
    frames = framed(np.ones(8000, np.float32), 1024, hop=256) * window**2
    assert resynthesis.overlapped(frames, 256)[2048:6000] == pytest.approx(1.5, rel=1e-4)


def test_typical_frames_are_the_middles_of_the_crowds_and_each_frame_has_its_nearest():
    crowds = np.concatenate([np.random.default_rng(k).normal(k * 10, 0.1, (50, 3)) for k in range(3)])
    codes = resynthesis.typical(crowds, 3, np.random.default_rng(0))
    assert np.sort(codes.mean(axis=1)) == pytest.approx([0, 10, 20], abs=0.2)
    which = resynthesis.nearest(crowds, codes)
    assert len(set(which[:50])) == 1 and len(set(which)) == 3


def hum(seconds, rate_hz, channels=1):
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    values = 0.2 * np.sin(2 * np.pi * 200 * time_s) * (1 + 0.5 * np.sin(2 * np.pi * 0.7 * time_s))
    return Signal(values=np.repeat(values[:, None], channels, axis=1).astype(np.float32), rate_hz=rate_hz)


@pytest.mark.parametrize("seconds", [0.05, 1, 59.9, 60, 60.1, 60.3, 130])
def test_a_rule_that_changes_nothing_changes_nothing(seconds):
    signal = hum(seconds, 8000)
    same = rework(signal, lambda samples: samples)
    assert np.allclose(same.values[20:-20], signal.values[20:-20], atol=0.01)


def test_guarantee_the_rule_never_sees_more_than_a_minute():
    seen = []

    def note(samples):
        seen.append(len(samples))
        return samples

    rework(hum(200, 16000, 2), note)
    assert max(seen) <= 60.2 * 16000
    assert len(seen) == 8


def test_the_rule_sees_at_least_half_a_second_at_16_khz():
    seen = []
    rework(hum(0.1, 44100), lambda samples: (seen.append(len(samples)), samples)[1])
    assert seen == [8000]


def test_a_rule_that_breaks_gives_finite_sound():
    broken = rework(hum(1, 16000), lambda samples: np.where(np.arange(len(samples)) % 7, samples, np.nan))
    assert np.isfinite(broken.values).all()


def test_guarantee_what_nobody_can_hear_is_not_passed_on():
    whisper = Signal(values=hum(1, 16000).values * 2e-4, rate_hz=16000)
    assert not rework(whisper, lambda samples: samples).values.any()
    left = Signal(values=np.column_stack([hum(1, 16000).values, whisper.values]), rate_hz=16000)
    right = rework(left, lambda samples: samples).values
    assert right[:, 0].any()
    assert not right[:, 1].any()
