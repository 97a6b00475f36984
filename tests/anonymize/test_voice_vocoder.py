"""Vocoder: the means are the invented speaker's, the movement around them is kept."""

import numpy as np
import pytest
from voices import PEOPLE, changed, made_up_voice, named, takes

from personare.anonymize.voice_vocoder import VoiceVocoder
from personare.features.acoustics import formants, logmel
from personare.features.functionals import describe


def heard(signal):
    views = describe(signal, ["prosody"])["prosody"]
    return views[:, 0], views[:, 1]


def everybody(seed=0, **options):
    """Return the five people before and after, all through the same invented speaker."""
    people = [made_up_voice(p, 3, seconds=3) for p in range(len(PEOPLE))]
    return people, [VoiceVocoder(**options)(v, rng=np.random.default_rng(seed)) for v in people]


def test_guarantee_median_pitch_is_the_invented_speakers():
    before, after = ([np.nanmedian(heard(s)[0]) for s in group] for group in everybody())
    assert max(before) / min(before) > 1.8
    assert max(after) / min(after) < 1.06


def test_guarantee_long_term_spectrum_is_the_invented_speakers():
    def spread(group):
        means = []
        for signal in group:
            bands, voiced = logmel(signal.values[:, 0], 26), np.isfinite(heard(signal)[0])
            loud = bands[voiced].mean(axis=0)
            means.append(loud - loud.mean())
        return np.std(means, axis=0).mean()

    before, after = everybody()
    assert spread(after) < 0.5 * spread(before)


def test_guarantee_formants_no_longer_tell_the_length_of_the_tract():
    def spread(group):
        found = []
        for signal in group:
            samples = signal.values[:, 0]
            frequency, _ = formants(samples, np.isfinite(heard(signal)[0]))
            found.append(np.log(np.nanmedian(frequency[:, 2])))
        return np.std(found)

    before, after = everybody(throat=0.0)
    assert spread(after) < 0.7 * spread(before)


@pytest.mark.parametrize("width", ["keep", "draw", "set"])
def test_guarantee_the_melody_is_kept(width):
    voice = made_up_voice(2, 1, seconds=3)
    new = VoiceVocoder(pitch_range=width)(voice, rng=np.random.default_rng(0))
    before, after = heard(voice)[0], heard(new)[0]
    both = np.isfinite(before) & np.isfinite(after)
    assert both.mean() > 0.4
    assert np.corrcoef(np.log(before[both]), np.log(after[both]))[0, 1] > 0.8
    assert np.corrcoef(heard(voice)[1], heard(new)[1])[0, 1] > 0.8


def test_the_pitch_can_be_rounded_to_steps():
    voice = made_up_voice(2, 1, seconds=3)
    new = VoiceVocoder(pitch_step_semitones=4, pitch_range="keep")(voice, rng=np.random.default_rng(0))
    pitch = heard(new)[0]
    steps = 12 * np.log2(pitch[np.isfinite(pitch)] / np.nanmedian(pitch)) / 4
    assert np.mean(np.abs(steps - np.round(steps)) < 0.15) > 0.8


def test_invented_speakers_differ():
    voice = made_up_voice(1)
    pitches = [np.nanmedian(heard(VoiceVocoder()(voice, rng=np.random.default_rng(k)))[0]) for k in range(6)]
    assert max(pitches) / min(pitches) > 1.2
    assert 90 < min(pitches) < max(pitches) < 240


def test_whisper_passes_without_pitch():
    noise = made_up_voice(1)
    hiss = np.random.default_rng(0).normal(0, 0.05, noise.values.shape).astype(np.float32)
    new = VoiceVocoder()(type(noise)(values=hiss, rate_hz=16000), rng=np.random.default_rng(0))
    assert np.isfinite(new.values).all()
    assert new.values.std() == pytest.approx(hiss.std(), rel=0.1)


def test_pair_the_ignorant_attacker_names_people_before_and_fails_after():
    enrolled, tested = takes(range(4)), takes(range(4, 7))
    assert named(enrolled, tested) > 0.9
    assert named(enrolled, changed(tested, VoiceVocoder())) < 0.5
