"""Speech taken apart and put together says the same; bands, codes and frames are what they are said to be."""

import numpy as np
import pytest
from scipy.signal import get_window

from personare.features import resynthesis
from personare.features.acoustics import framed, track_pitch


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
