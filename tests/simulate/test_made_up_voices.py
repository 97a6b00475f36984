"""What they say: pitch as set, emotions and people heard, the same for the same seed."""

import numpy as np
import pytest
import pyworld

from personare.core.errors import OptionError
from personare.simulate.people import person
from personare.simulate.prosody import intend
from personare.simulate.sentences import PHONES, SENTENCES, speak
from personare.simulate.take import perform
from personare.simulate.voice import RATE_HZ


@pytest.mark.parametrize("number", [1, 2, 6])
def test_the_pitch_that_is_heard_is_the_pitch_that_was_set(number):
    take = perform(person(0, number), "neutral", "S1", seed=0)
    samples = take.speech.sound.values[:, 0].astype(np.float64)
    heard, times = pyworld.harvest(samples, int(RATE_HZ), f0_floor=60, f0_ceil=500)
    truth = take.truth()
    wanted = np.interp(times, truth["control_time_s"], np.nan_to_num(truth["f0_hz"]))
    both = (heard > 0) & (wanted > 50)
    assert both.sum() > 0.9 * (wanted > 50).sum()
    assert np.median(np.abs(heard[both] / wanted[both] - 1)) < 0.02


def test_people_differ_in_pitch_as_their_traits_do():
    low, high = person(0, 6), person(0, 3)
    heard = [np.nanmedian(perform(p, "neutral", "S2", seed=0).speech.f0_hz) for p in (low, high)]
    assert heard[1] / heard[0] == pytest.approx(high.voice.f0_hz / low.voice.f0_hz, rel=0.25)


def test_emotions_differ_in_the_direction_the_literature_says():
    def mean(emotion, name):
        takes = [intend(emotion, strength=1.0, rng=np.random.default_rng(seed)) for seed in range(40)]
        return np.mean([getattr(take, name) for take in takes])

    assert mean("fear", "pitch_st") > mean("neutral", "pitch_st") + 2 > mean("sadness", "pitch_st") + 2
    assert mean("anger", "level_db") > mean("neutral", "level_db") > mean("sadness", "level_db")
    assert mean("sadness", "rate") < mean("neutral", "rate") < mean("anger", "rate")


def test_takes_of_one_emotion_differ():
    first, second = (intend("anger", strength=1.0, rng=np.random.default_rng(seed)) for seed in (1, 2))
    assert first != second


def test_sound_never_clips_and_is_the_same_again():
    for emotion in ("anger", "happiness"):
        sound = perform(person(0, 3), emotion, "S2", seed=5).speech.sound.values
        assert sound.dtype == np.float32 and np.abs(sound).max() < 0.95 and np.isfinite(sound).all()
        np.testing.assert_array_equal(sound, perform(person(0, 3), emotion, "S2", seed=5).speech.sound.values)


def test_formants_move_with_the_length_of_the_tract():
    take = perform(person(0, 2), "neutral", "S1", seed=0)
    voice = person(0, 2).voice
    fourth = take.speech.formants_hz[:, 3]
    np.testing.assert_allclose(fourth, 3450 * voice.formants[3] / voice.tract, rtol=1e-4)


@pytest.mark.parametrize("sentence", list(SENTENCES))
def test_sentences_last_about_two_seconds_and_leave_no_gap(sentence):
    said = speak(sentence, rate=1.0, rng=np.random.default_rng(0))
    assert 1.3 < said.duration_s < 2.5
    assert all(a.end_s == pytest.approx(b.start_s) for a, b in zip(said.sounds, said.sounds[1:], strict=False))
    assert all(set(syllable) <= set(PHONES) for syllable in SENTENCES[sentence].syllables)


def test_unknown_words_and_feelings_are_refused():
    with pytest.raises(OptionError, match="no sentence 'S9'"):
        speak("S9", rate=1.0, rng=np.random.default_rng(0))
    with pytest.raises(OptionError, match="no emotion 'envy'"):
        intend("envy", strength=1.0, rng=np.random.default_rng(0))
