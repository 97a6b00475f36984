"""Has the words spoken anew by a voice that is nobody's, in the melody of the original: no sound of it is passed on."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from scipy.ndimage import uniform_filter1d

from personare.core.errors import DataError
from personare.core.options import check_options
from personare.core.types import Array, Signal
from personare.features.acoustics import RATE_HZ
from personare.features.audio import match_loudness, resample
from personare.features.language import words_of
from personare.features.resynthesis import SHORTEST_S, breathiness, samples_of, spoken, taken_apart
from personare.features.speech_synthesis import Voice, draw_voice
from personare.features.transcription import Recognizer, Transcript, Word, transcribe_in_words

__all__ = ["VoiceRetell"]

_FRAME_MS = 10.0
_LOWEST_HZ, _HIGHEST_HZ = 60.0, 700.0
_QUIET = 8.0  # nepers of power under the loudest: nobody speaks there
_PAUSE_S = 0.3
_MOST_WORDS = 25  # spoken at once: the voice takes 500 symbols
_LONGEST = 3.0  # times as long as the voice would take, at most, a phrase lasts
_LEAST = 1e-10
_SWELL_S = 1.0  # quicker, the loudness of one sound would fall on another, which few understand
_LONGEST_WORD_S = 0.7  # the first of a phrase is often said to begin with the breath before it
_FARTHEST = 0.7  # log pitch from its median: an octave
_LEVEL = np.full((1, 1), 0.03)  # everybody is as loud
_MOST_UNKNOWN = 0.25  # share of words that the dictionary may lack


@dataclass(frozen=True, kw_only=True)
class VoiceRetell:
    """Recognize the words, speak them in an invented voice, and lay the course of pitch and loudness over them.

    **Guarantee**: of a recording leave only the recognized words, when each phrase begins and ends, the course of the
    pitch around its median (smoothed over ``smooth_s``) and that of the loudness around its mean (over a second). The
    height of the voice, how loud it is, how a sound is formed, breath, laughter, noises and what is no word do not.
    A recording is withheld if no words are recognized, if they are not English, if their mean probability is under
    ``least_probability``, or if the dictionary lacks more than a quarter of them. Choice of words stays, and names.

    **Source**: recognition and synthesis after S. Meyer et al., "Anonymizing speech with generative adversarial
    networks to preserve speaker privacy" (SLT 2022), arXiv:2210.07002, with the original's prosody as in S. Meyer et
    al., "Prosody is not identity" (ICASSP 2023), DOI 10.1109/ICASSP49357.2023.10096607. Whisper, Kokoro and WORLD in
    their places, and the smoothing, are ours.
    """

    needs_words: ClassVar[bool] = True

    smooth_s: float = 0.3  # what is quicker in the pitch is the voice's own (its loudness: quicker than 1 s), 0.05 to 2
    least_probability: float = 0.5  # of the words on average; under it nothing is released, 0 to 1
    policy: Literal["recording", "person", "common"] = "recording"  # whose voice a recording gets

    def __post_init__(self) -> None:
        check_options(self, smooth_s=(0.05, 2), least_probability=(0, 1))

    def __call__(
        self,
        speech: Signal,
        *,
        rng: np.random.Generator,
        recognize: Recognizer = transcribe_in_words,
        draw: Callable[[np.random.Generator], Voice] = draw_voice,
    ) -> Signal:
        """Return the words in a drawn voice, all channels alike; rate, length and channels are kept."""
        samples = samples_of(speech)
        transcript = recognize(samples)
        self._check(transcript)
        voice = draw(rng)
        if (unknown := np.mean([not voice.knows(word.text) for word in transcript.words])) > _MOST_UNKNOWN:
            raise DataError(
                f"The dictionary must have three quarters of the words, it lacks {unknown:.0%}. Choose another method."
            )
        phrases = list(_phrases(transcript.words))
        courses = [self._course(_take(samples[_samples(p[0].start_s) : _samples(p[-1].end_s)])) for p in phrases]
        melody, level = (np.concatenate([getattr(c, part) for c in courses]) for part in ("melody", "level"))
        median = np.median(melody[np.isfinite(melody)]) if np.isfinite(melody).any() else 0.0
        told = np.zeros(len(samples), np.float32)
        for words, course in zip(phrases, courses, strict=True):
            sound = self._spoken(
                voice.speak([word.text for word in words]),
                np.nan_to_num(course.melody - median).clip(-_FARTHEST, _FARTHEST),
                course.level - level.mean(),
            )
            begin = _samples(words[0].start_s) + course.begin
            told[begin : begin + len(sound)] += sound[: max(0, len(told) - begin)]
        values = resample(Signal(values=told[:, None], rate_hz=RATE_HZ), speech.rate_hz).values[: len(speech.values)]
        values = np.pad(values, ((0, len(speech.values) - len(values)), (0, speech.values.shape[1] - 1)), mode="edge")
        return match_loudness(replace(speech, values=values), replace(speech, values=_LEVEL))

    def _check(self, transcript: Transcript) -> None:
        words = transcript.words
        if not any(words_of(word.text) for word in words):
            raise DataError("No words were recognized, so nothing can be spoken anew. Choose another voice method.")
        if transcript.language != "en":
            raise DataError(
                f"The words must be English, they were taken for '{transcript.language}'. Choose another voice method."
            )
        probability = float(np.mean([word.probability for word in words]))
        if probability < self.least_probability:
            raise DataError(
                f"Words must be recognized with a mean probability of {self.least_probability} or more, here it is "
                f"{probability:.2f}. Choose another voice method, or lower least_probability and listen to the result."
            )

    def _course(self, take: "_Take") -> "_Course":
        voiced = np.flatnonzero(take.pitch)
        melody = np.full(len(take.pitch), np.nan)
        if len(voiced):  # drawn through where unvoiced
            melody = np.interp(np.arange(len(melody)), voiced, np.log(take.pitch[voiced]))
        return _Course(
            begin=take.begin,
            melody=uniform_filter1d(melody, _frames(self.smooth_s), mode="nearest"),
            level=uniform_filter1d(np.log(take.power.sum(axis=1) + _LEAST), _frames(_SWELL_S), mode="nearest"),
        )

    def _spoken(self, samples: Array, melody: Array, level: Array) -> Array:
        """Return a phrase as long as its course (T,): log pitch around the voice's own, log power around its mean."""
        if not len(samples):  # no word that the dictionary has
            return samples
        take = _take(samples)
        own, voiced = self._course(take), take.pitch > 0
        frames = min(len(melody), round(_LONGEST * len(take.pitch)))
        at = np.rint(np.linspace(0, len(take.pitch) - 1, frames)).astype(int)
        breath = breathiness(samples[take.begin :], take.pitch, frame_ms=_FRAME_MS)
        center = np.log(np.median(take.pitch[voiced])) if voiced.any() else 0.0
        pitch = np.where(voiced[at], np.exp(center + melody[:frames]), 0.0)
        louder = level[:frames] - (own.level - own.level.mean())[at]
        return spoken(pitch, take.power[at] * np.exp(louder)[:, None], breath[at], frame_ms=_FRAME_MS)


class _Take(NamedTuple):
    """A phrase taken apart, without the silence around it."""

    begin: int  # sample
    pitch: Array  # (T,) Hz, 0 where unvoiced
    power: Array  # (T, 513)


class _Course(NamedTuple):
    """How a phrase goes, smoothed."""

    begin: int  # sample
    melody: Array  # (T,) log pitch; NaN if nothing is voiced
    level: Array  # (T,) log power


def _take(samples: Array) -> _Take:
    filled = np.pad(samples, (0, max(0, _samples(SHORTEST_S) - len(samples))))
    pitch, power = taken_apart(filled, frame_ms=_FRAME_MS, low_hz=_LOWEST_HZ, high_hz=_HIGHEST_HZ)
    level = np.log(power.sum(axis=1) + _LEAST)
    loud = np.flatnonzero(level > level.max() - _QUIET)
    part = slice(loud[0], loud[-1] + 1)
    return _Take(begin=_samples(loud[0] * _FRAME_MS / 1000), pitch=pitch[part], power=power[part])


def _samples(seconds: float) -> int:
    return round(seconds * RATE_HZ)


def _frames(seconds: float) -> int:
    return round(seconds * 1000 / _FRAME_MS)


def _phrases(words: Sequence[Word]) -> Iterator[list[Word]]:
    """Part words where somebody pauses, or is long without a pause."""
    phrase: list[Word] = []
    for word in words:
        word = replace(word, start_s=max(word.start_s, word.end_s - _LONGEST_WORD_S))
        if phrase and (word.start_s - phrase[-1].end_s > _PAUSE_S or len(phrase) == _MOST_WORDS):
            yield phrase
            phrase = []
        phrase.append(word)
    if phrase:
        yield phrase
