"""McAdams: resonances move as stated; who trained on originals fails, who retrains does not."""

import numpy as np
import pytest
from scipy.signal import lfilter, welch
from voices import changed, made_up_voice, named, takes

from personare.anonymize.voice_mcadams import VoiceMcadams
from personare.core.types import Signal
from personare.features import audio
from personare.features.functionals import describe


def ringing(hertz, rate_hz=16000):
    radius = np.exp(-np.pi * 60 / rate_hz)
    noise = np.random.default_rng(0).normal(0, 1, 3 * rate_hz)
    sound = lfilter([1.0], [1, -2 * radius * np.cos(2 * np.pi * hertz / rate_hz), radius**2], noise)
    return Signal(values=(0.2 * sound / np.abs(sound).max())[:, None].astype(np.float32), rate_hz=rate_hz)


def peak_hz(signal):
    frequency, power = welch(signal.values[:, 0], signal.rate_hz, nperseg=2048)
    return frequency[power.argmax()]


@pytest.mark.parametrize(("hertz", "alpha"), [(800, 0.8), (1500, 0.7), (5000, 0.8)])
def test_guarantee_a_resonance_moves_to_its_angle_to_the_power_of_alpha(hertz, alpha):
    moved = VoiceMcadams(alpha=alpha)(ringing(hertz), rng=np.random.default_rng(0))
    expected = (2 * np.pi * hertz / 16000) ** alpha * 16000 / (2 * np.pi)
    assert peak_hz(moved) == pytest.approx(expected, rel=0.05)


def test_guarantee_nothing_above_8_khz_leaves():
    noise = np.random.default_rng(0).normal(0, 0.1, (48000, 1)).astype(np.float32)
    new = VoiceMcadams()(Signal(values=noise, rate_hz=48000), rng=np.random.default_rng(0))
    frequency, power = welch(new.values[:, 0], 48000, nperseg=1024)
    assert power[frequency > 8300].max() < 1e-6 * power.max()


def test_pitch_and_timing_stay():
    voice = made_up_voice(seconds=2)
    new = VoiceMcadams(alpha=0.8)(voice, rng=np.random.default_rng(0))
    before, after = (describe(s, ["prosody"])["prosody"] for s in (voice, new))
    both = np.isfinite(before[:, 0]) & np.isfinite(after[:, 0])
    assert both.mean() > 0.4
    assert np.median(after[both, 0] / before[both, 0]) == pytest.approx(1, abs=0.02)
    assert np.corrcoef(before[:, 1], after[:, 1])[0, 1] > 0.5


def test_a_fixed_exponent_needs_no_luck():
    voice = made_up_voice(seconds=0.5)
    one, other = (VoiceMcadams(alpha=0.8)(voice, rng=np.random.default_rng(k)) for k in (1, 2))
    assert np.array_equal(one.values, other.values)


def test_pair_the_ignorant_attacker_names_people_before_and_fails_after():
    enrolled, tested = takes(range(4)), takes(range(4, 7))
    assert named(enrolled, tested) > 0.9
    assert named(enrolled, changed(tested, VoiceMcadams())) < 0.5


@pytest.mark.real
def test_pair_on_real_voices_ignorance_fails_and_retraining_does_not(real_data):
    files = [f for f in sorted((real_data / "emodb").glob("*.flac")) if f.stem[5] in "NW"]
    clips = [(f.stem[:2], audio.read(f), int(f.stem[3:5]) % 2) for f in files]
    enrolled = [(p, s) for p, s, half in clips if half]
    tested = [(p, s) for p, s, half in clips if not half]
    hidden = changed(tested, VoiceMcadams())
    before, ignorant = (named(enrolled, what, components=12) for what in (tested, hidden))
    retrained = named(changed(enrolled, VoiceMcadams(), seed=1), hidden, components=12)
    assert before > 0.85
    assert ignorant < 0.6
    assert retrained > ignorant
