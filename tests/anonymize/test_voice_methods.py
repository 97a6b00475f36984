"""What every voice anonymizer keeps and what none may do, on sound of every shape."""

import numpy as np
import pytest
from voices import made_up_voice

from personare.anonymize.voice_codebook import VoiceCodebook
from personare.anonymize.voice_mcadams import VoiceMcadams
from personare.anonymize.voice_noise import VoiceNoise
from personare.anonymize.voice_vocoder import VoiceVocoder
from personare.core.errors import DataError, OptionError
from personare.core.types import Signal
from personare.features import audio


def fitted():
    people = [(str(p), made_up_voice(p)) for p in (0, 3)]
    return VoiceCodebook().fit(people, rng=np.random.default_rng(0))


METHODS = {
    "mcadams": VoiceMcadams,
    "codebook shared": fitted,
    "codebook clip": lambda: VoiceCodebook(scope="clip"),
    "vocoder": VoiceVocoder,
    "noise": VoiceNoise,
}
every_method = pytest.mark.parametrize("method", METHODS)


def run(method, signal, seed=0):
    return METHODS[method]()(signal, rng=np.random.default_rng(seed))


def level_db(signal):
    return 20 * np.log10(np.sqrt(np.mean(np.square(signal.values, dtype=float))) + 1e-12)


@every_method
@pytest.mark.parametrize(("rate_hz", "channels"), [(8000, 1), (16000, 2), (44100, 1), (48000, 2), (96000, 1)])
def test_guarantee_rate_length_channels_and_loudness_are_kept(method, rate_hz, channels):
    voice = audio.resample(made_up_voice(seconds=1.1), rate_hz)
    voice = Signal(values=np.repeat(voice.values, channels, axis=1), rate_hz=rate_hz, start_s=2.5)
    new = run(method, voice)
    assert new.values.shape == voice.values.shape
    assert new.values.dtype == np.float32
    assert (new.rate_hz, new.start_s) == (rate_hz, 2.5)
    assert abs(level_db(new) - level_db(voice)) < 1
    assert not np.allclose(new.values, voice.values, atol=0.01)


@every_method
def test_guarantee_nothing_clips(method):
    voice = made_up_voice(seconds=1)
    clipped = Signal(values=np.clip(voice.values * 20, -1, 1), rate_hz=voice.rate_hz)
    new = run(method, clipped)
    assert np.abs(new.values).max() <= 0.99
    assert np.isfinite(new.values).all()


@every_method
def test_the_same_generator_gives_the_same_speech_and_another_gives_other_speech(method):
    voice = made_up_voice(seconds=1)
    once, again, other = run(method, voice, 1), run(method, voice, 1), run(method, voice, 2)
    assert np.array_equal(once.values, again.values)
    assert np.abs(once.values - other.values).max() > 0.01


@every_method
def test_the_given_speech_is_not_touched(method):
    voice = made_up_voice(seconds=1)
    before = voice.values.copy()
    run(method, voice)
    assert np.array_equal(voice.values, before)


@every_method
def test_channels_are_changed_alike(method):
    if method == "noise":
        pytest.skip("each channel has its own hiss")
    voice = made_up_voice(seconds=1)
    new = run(method, Signal(values=np.repeat(voice.values, 2, axis=1), rate_hz=voice.rate_hz))
    assert np.array_equal(new.values[:, 0], new.values[:, 1])


@every_method
@pytest.mark.parametrize("rate_hz", [8000, 48000])
def test_silence_stays_silent(method, rate_hz):
    new = run(method, Signal(values=np.zeros((rate_hz, 2), np.float32), rate_hz=rate_hz))
    assert new.values.shape == (rate_hz, 2)
    assert not new.values.any()


@every_method
@pytest.mark.parametrize("size", [1, 100, 1600])
def test_a_tenth_of_a_second_and_less_survives(method, size):
    new = run(method, Signal(values=made_up_voice().values[4000 : 4000 + size], rate_hz=16000))
    assert new.values.shape == (size, 1)
    assert np.isfinite(new.values).all()


@every_method
def test_speech_that_starts_late_survives(method):
    voice = made_up_voice(seconds=0.5)
    late = Signal(values=np.concatenate([np.zeros((16000, 1), np.float32), voice.values]), rate_hz=16000)
    new = run(method, late)
    assert np.isfinite(new.values).all()
    assert abs(level_db(new) - level_db(late)) < 1


@every_method
def test_no_samples_are_refused(method):
    with pytest.raises(DataError, match="without samples"):
        run(method, Signal(values=np.zeros((0, 1), np.float32), rate_hz=16000))


@pytest.mark.parametrize(
    ("method", "options", "says"),
    [
        (VoiceMcadams, {"alpha": 1.0}, "alpha must lie"),
        (VoiceMcadams, {"low": 0.9, "high": 0.5}, "low < high"),
        (VoiceMcadams, {"order": 7}, "even number"),
        (VoiceCodebook, {"size": 1}, "size must lie"),
        (VoiceCodebook, {"scope": "everyone"}, "shared or clip"),
        (VoiceCodebook, {"rounds": 0}, "rounds must lie"),
        (VoiceVocoder, {"pitch_low_hz": 300, "pitch_high_hz": 100}, "low <= high"),
        (VoiceVocoder, {"throat": 2}, "throat must lie"),
        (VoiceVocoder, {"frame_ms": 100}, "frame_ms must lie"),
        (VoiceVocoder, {"pitch_range": "wide"}, "keep, draw or set"),
        (VoiceNoise, {"snr_db": 100}, "snr_db must lie"),
        *[(m, {"policy": "always"}, "policy must be") for m in (VoiceMcadams, VoiceCodebook, VoiceVocoder, VoiceNoise)],
    ],
)
def test_an_option_that_cannot_be_used_is_refused(method, options, says):
    with pytest.raises(OptionError, match=says):
        method(**options)
