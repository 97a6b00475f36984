"""What they say: pitch as set, emotions and people heard, the same for the same seed."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import pyworld

from personare.anonymize.voice_noise import VoiceNoise
from personare.core.errors import OptionError
from personare.core.types import Batch
from personare.evaluate.judging import judge
from personare.features.acoustics import mfcc
from personare.features.functionals import functionals
from personare.simulate.people import person
from personare.simulate.sentences import PHONES, SENTENCES, speak
from personare.simulate.take import perform
from personare.simulate.voice import RATE_HZ, intend, recorded


@pytest.mark.parametrize("number", [1, 2, 6])
def test_the_pitch_that_is_heard_is_the_pitch_that_was_set(number):
    take = perform(person(0, number), "neutral", "S1", seed=0)
    samples = take.sound.values[:, 0].astype(np.float64)
    heard, times = pyworld.harvest(samples, int(RATE_HZ), f0_floor=60, f0_ceil=500)
    truth = take.truth
    wanted = np.interp(times, truth["control_time_s"], np.nan_to_num(truth["f0_hz"]))
    both = (heard > 0) & (wanted > 50)
    assert both.sum() > 0.9 * (wanted > 50).sum()
    assert np.median(np.abs(heard[both] / wanted[both] - 1)) < 0.02


def test_people_differ_in_pitch_as_their_traits_do():
    low, high = person(0, 6), person(0, 3)
    heard = [np.nanmedian(perform(p, "neutral", "S2", seed=0).truth["f0_hz"]) for p in (low, high)]
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
        sound = perform(person(0, 3), emotion, "S2", seed=5).sound.values
        assert sound.dtype == np.float32 and np.abs(sound).max() < 0.95 and np.isfinite(sound).all()
        np.testing.assert_array_equal(sound, perform(person(0, 3), emotion, "S2", seed=5).sound.values)


def test_formants_move_with_the_length_of_the_tract():
    take = perform(person(0, 2), "neutral", "S1", seed=0)
    voice = person(0, 2).voice
    fourth = take.truth["formants_hz"][:, 3]
    np.testing.assert_allclose(fourth, 3450 * voice.formants[3] / voice.tract, rtol=1e-4)


@pytest.mark.parametrize("sentence", list(SENTENCES))
def test_sentences_last_about_two_seconds_and_leave_no_gap(sentence):
    said = speak(sentence, voice=person(0, 1).voice, rng=np.random.default_rng(0))
    assert 1.2 < said.duration_s < 3
    assert all(a.end_s == pytest.approx(b.start_s) for a, b in zip(said.sounds, said.sounds[1:], strict=False))
    assert all(set(syllable) <= set(PHONES) for syllable in SENTENCES[sentence].syllables.split())


def test_unknown_words_and_feelings_are_refused():
    with pytest.raises(OptionError, match="no sentence 'S9'"):
        speak("S9", voice=person(0, 1).voice, rng=np.random.default_rng(0))
    with pytest.raises(OptionError, match="no emotion 'envy'"):
        perform(person(0, 1), "envy", "S1", seed=0)


@pytest.fixture(scope="module")
def takes():
    """Return the sounds of six people by (subject, emotion, sentence)."""
    return {
        (str(number), emotion, sentence): perform(person(0, number), emotion, sentence, seed=0).sound
        for number in range(1, 7)
        for emotion in ("neutral", "anger", "sadness")
        for sentence in ("S1", "S2")
    }


@pytest.fixture(scope="module")
def described(takes):
    rows = [functionals(sound.values[:, 0]) for sound in takes.values()]
    index = pd.MultiIndex.from_tuples(takes, names=["subject", "emotion", "sentence"])
    return pd.DataFrame(rows, index=index)


@pytest.mark.parametrize(
    "attribute",
    ["pitch_median", "f3_mean", "h1_h2_mean", "mfcc4_mean", "mfcc6_mean", "centroid_unvoiced_mean"],
)
def test_people_differ_more_from_each_other_than_from_themselves(described, attribute):
    values = described[attribute].groupby("subject")
    assert values.mean().var() > values.var().mean()


@pytest.mark.parametrize("habit", ["silence before", "silence after", "pause"])
def test_people_keep_their_habits_of_timing(habit):
    def length(number, take):
        said = speak("S1", voice=person(0, number).voice, rng=np.random.default_rng(take))
        pauses = [sound.end_s - sound.start_s for sound in said.sounds if sound.phone is PHONES["_"]]
        return {
            "silence before": said.sounds[0].start_s,
            "silence after": said.duration_s - said.sounds[-1].end_s,
            "pause": sum(pauses),
        }[habit]

    lengths = np.array([[length(number, take) for take in range(6)] for number in range(1, 13)])
    assert lengths.mean(axis=1).var() > 4 * lengths.var(axis=1).mean()


def test_a_person_keeps_room_and_microphone_and_no_two_share_them():
    def heard(number, rng):
        room = replace(person(0, number).room, noise_db=-200.0)
        click = np.zeros(int(RATE_HZ))
        click[100] = 1
        walls = np.random.default_rng(number)
        gain_db, sound = recorded(click, room, rate_hz=RATE_HZ, walls=walls, rng=np.random.default_rng(rng))
        return sound / 10 ** (gain_db / 20)

    np.testing.assert_allclose(heard(1, 1), heard(1, 2), atol=1e-5)
    assert np.corrcoef(heard(1, 1), heard(2, 1))[0, 1] < 0.9


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_the_noise_before_speech_is_the_microphones(number):
    who = person(0, number)
    for emotion in ("neutral", "anger", "fear"):
        start = int(0.02 * RATE_HZ)
        silence = perform(who, emotion, "S1", seed=0).sound.values[:start, 0]
        assert 20 * np.log10(silence.std()) == pytest.approx(who.room.noise_db, abs=2.5)


def test_noise_alone_hides_nobody(takes):
    def evidence(sounds):
        views = {"_".join(key): mfcc(sound.values[:, 0]) for key, sound in sounds.items()}
        columns = ["subject", "emotion", "sentence"]
        return Batch.of(pd.DataFrame(list(sounds), index=list(views), columns=columns), {"mfcc": views})

    noisy = {key: VoiceNoise()(sound, rng=np.random.default_rng(k)) for k, (key, sound) in enumerate(takes.items())}
    rows = judge(evidence(takes), evidence(noisy), modality="audio", seed=0, attacks=["voice_gmm"], utilities=[])
    named = {row.attacker: row for row in rows if (row.method, row.figure) == ("strongest", "top1")}
    assert named["semi_informed"].value > 0.5  # guessing names one in six
    assert named["semi_informed"].baseline > 0.8
