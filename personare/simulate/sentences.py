"""What the made-up people say: short English sentences as sounds, with their timing and the mouth they need."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from personare.core.errors import OptionError
from personare.core.types import Array
from personare.simulate.people import Voice


@dataclass(frozen=True, kw_only=True)
class Phone:
    """One speech sound."""

    formants: tuple[float, float, float]  # the first three, in Hz, of a 17.5 cm tract
    seconds: float  # usual length
    voice: float = 1.0  # amplitude of the voice, 1 for an open vowel
    noise: float = 0.0  # amplitude of friction or burst noise
    band_hz: tuple[float, float] = (3000.0, 1500.0)  # center and half width of that noise
    burst: float = 1.0  # share of the sound's end that sounds, the rest is a closure; 1 for sounds that are not stops
    jaw: float = 0.1  # how far it opens, 0 to 1
    lips: float = 0.5  # how far they part, 0 to 1; 0 presses them together
    round: float = 0.0  # how much the lips round, 0 to 1


PHONES: dict[str, Phone] = {
    "a": Phone(formants=(730, 1120, 2450), seconds=0.125, jaw=1.0, lips=1.0),
    "A": Phone(formants=(660, 1700, 2420), seconds=0.115, jaw=0.85, lips=0.9),
    "e": Phone(formants=(450, 1950, 2600), seconds=0.115, voice=0.95, jaw=0.5, lips=0.8),
    "i": Phone(formants=(290, 2250, 3000), seconds=0.110, voice=0.85, jaw=0.2, lips=0.7),
    "o": Phone(formants=(500, 860, 2400), seconds=0.125, voice=0.95, jaw=0.6, lips=0.7, round=0.8),
    "u": Phone(formants=(315, 900, 2250), seconds=0.110, voice=0.85, jaw=0.25, lips=0.5, round=1.0),
    "@": Phone(formants=(500, 1450, 2450), seconds=0.070, voice=0.85, jaw=0.4, lips=0.6),
    "m": Phone(formants=(250, 1050, 2200), seconds=0.070, voice=0.42, jaw=0.05, lips=0.0),
    "n": Phone(formants=(250, 1600, 2550), seconds=0.060, voice=0.42, jaw=0.15, lips=0.45),
    "l": Phone(formants=(360, 1250, 2700), seconds=0.060, voice=0.65, jaw=0.3, lips=0.6),
    "j": Phone(formants=(280, 2250, 3050), seconds=0.055, voice=0.7, jaw=0.15, lips=0.6),
    "w": Phone(formants=(300, 720, 2200), seconds=0.060, voice=0.7, jaw=0.15, lips=0.3, round=1.0),
    "v": Phone(formants=(280, 1150, 2300), seconds=0.060, voice=0.4, noise=0.05, band_hz=(4000, 2500), lips=0.15),
    "z": Phone(formants=(280, 1700, 2550), seconds=0.075, voice=0.3, noise=0.14, band_hz=(5600, 1400), lips=0.5),
    "s": Phone(formants=(320, 1700, 2550), seconds=0.095, voice=0, noise=0.30, band_hz=(5600, 1400), lips=0.5),
    "S": Phone(formants=(320, 1750, 2450), seconds=0.095, voice=0, noise=0.32, band_hz=(3400, 900), round=0.5),
    "f": Phone(formants=(320, 1150, 2300), seconds=0.080, voice=0, noise=0.10, band_hz=(4200, 2600), lips=0.15),
    "b": Phone(formants=(250, 850, 2250), seconds=0.065, voice=0.2, noise=0.2, band_hz=(900, 700), burst=0.2, lips=0),
    "d": Phone(formants=(250, 1750, 2650), seconds=0.060, voice=0.2, noise=0.25, band_hz=(3800, 1500), burst=0.25),
    "g": Phone(formants=(250, 2050, 2400), seconds=0.065, voice=0.2, noise=0.25, band_hz=(2200, 700), burst=0.3),
    "t": Phone(formants=(300, 1750, 2650), seconds=0.080, voice=0, noise=0.35, band_hz=(4200, 1600), burst=0.45),
    "k": Phone(formants=(300, 2050, 2400), seconds=0.080, voice=0, noise=0.35, band_hz=(2200, 800), burst=0.45),
    "_": Phone(formants=(500, 1500, 2500), seconds=0.100, voice=0, jaw=0.05, lips=0.2),
}


class Sentence(NamedTuple):
    """A line of text and how it is said."""

    text: str
    phrase: int  # the first phrase ends with this syllable
    syllables: str  # the sounds of each, keys of PHONES; a space between two
    stress: tuple[float, ...]  # how much each is accented, 0 to 1


SENTENCES = {
    "S1": Sentence(
        "Anna may see you at noon today.", 5, "An @ me si ju At nun t@ de", (1, 0, 0.2, 0.7, 0.1, 0, 1, 0, 0.8)
    ),
    "S2": Sentence("Bob goes to the market so soon.", 2, "bab goz t@ d@ ma k@t so sun", (1, 0.5, 0, 0, 1, 0, 0.5, 0.9)),
    "S3": Sentence("A moon may move over the sea.", 4, "@ mun me muv o v@ d@ si", (0, 1, 0.2, 0.7, 0.5, 0, 0, 1)),
    "S4": Sentence("Take me down to a sunny bay.", 3, "tek mi dan t@ @ sa ni be", (1, 0.1, 0.6, 0, 0, 0.9, 0, 0.8)),
}


class Sound(NamedTuple):
    """One sound at its place in time."""

    phone: Phone
    start_s: float
    end_s: float


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """A sentence as it was said."""

    text: str
    sounds: tuple[Sound, ...]  # in order, without gaps
    syllables_s: Array  # (syllables, 2) start and end
    stress: Array  # (syllables,) 0 to 1
    duration_s: float  # with the silence before and after

    def mouth(self, times_s: Array) -> Array:
        """Return (times, 3): jaw, lips and rounding that speech asks for; before and after it the mouth is at rest."""
        knots, values = [0.0, self.sounds[0].start_s - 0.06], [(0.0, 0.12, 0.0)] * 2
        for sound in self.sounds:
            knots.append((sound.start_s + sound.end_s) / 2)
            values.append((sound.phone.jaw, sound.phone.lips, sound.phone.round))
        knots += [self.sounds[-1].end_s + 0.08, self.duration_s + 0.1]
        values += [(0.0, 0.12, 0.0)] * 2
        return np.stack([np.interp(times_s, knots, column) for column in np.array(values).T], axis=1)  # (T, 3)


def speak(sentence: str, *, voice: Voice, rate: float = 1.0, rng: np.random.Generator) -> Utterance:
    """Time the sounds of one of ``SENTENCES``: the person's own rate times ``rate``, every length a little varied."""
    if sentence not in SENTENCES:
        raise OptionError(f"There is no sentence '{sentence}'. Choose one of: {', '.join(SENTENCES)}.")
    line = SENTENCES[sentence]
    clock = voice.wait_s * float(rng.uniform(0.8, 1.25))
    sounds: list[Sound] = []
    syllables = []
    for place, (syllable, stress) in enumerate(zip(line.syllables.split(), line.stress, strict=True)):
        start, last = clock, place == len(line.stress) - 1
        for symbol in syllable:
            phone = PHONES[symbol]
            stretch = 1 + voice.lengthening * (0.3 * stress + 0.35 * last) if phone.voice > 0.8 else 1.0
            length = phone.seconds * stretch * float(np.exp(0.08 * rng.standard_normal())) / (1.15 * voice.rate * rate)
            sounds.append(Sound(phone, clock, clock + length))
            clock += length
        syllables.append((start, clock))
        if place + 1 == line.phrase and voice.pause_s > 0:
            length = voice.pause_s / rate * float(np.exp(0.2 * rng.standard_normal()))
            sounds.append(Sound(PHONES["_"], clock, clock + length))
            clock += length
    return Utterance(
        text=line.text,
        sounds=tuple(sounds),
        syllables_s=np.array(syllables),
        stress=np.array(line.stress, dtype=float),
        duration_s=clock + voice.stay_s * float(rng.uniform(0.8, 1.25)),
    )
