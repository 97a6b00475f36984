"""Who the made-up people are: faces, voices, bodies and habits that belong to nobody, drawn from a seed and a number.

A trait is one line: its name, the range from which people get it, and what it is. Each trait deals its range out evenly
to six women and six men at a time, so that a few people already differ clearly and person 7 stays the same however many
people there are.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from itertools import product
from typing import Any

import numpy as np

from personare.core.errors import OptionError
from personare.core.randomness import generator

EMOTIONS = ("neutral", "happiness", "sadness", "anger", "fear", "disgust")
Rgb = tuple[int, int, int]

_SKIN: tuple[Rgb, ...] = (
    (246, 214, 190), (236, 190, 160), (224, 172, 136), (200, 146, 108), (166, 112, 78), (122, 80, 56), (96, 62, 46),
)  # fmt: skip
_HAIR: tuple[Rgb, ...] = (
    (34, 26, 24), (58, 38, 28), (96, 62, 38), (140, 94, 52), (196, 156, 92), (150, 62, 34), (72, 66, 70),
)  # fmt: skip
_IRIS: tuple[Rgb, ...] = ((70, 44, 28), (104, 70, 38), (86, 104, 62), (70, 110, 150), (98, 112, 122))
_LIP: tuple[Rgb, ...] = ((196, 104, 100), (178, 84, 84), (204, 118, 106))


class _Draw:
    """Hands out one evenly spread number after another for one person.

    Six women or men share a block: each trait deals them one sixth of its range each, in an order of its own.
    """

    def __init__(self, seed: int, number: int, part: str = "people") -> None:
        block, place = divmod(number - 1, 12)
        self._rng = generator(seed, part, str(block), str(place % 2))
        self._place = place // 2

    def share(self) -> float:
        """Return the next number in [0, 1)."""
        sixth = self._rng.permutation(6)[self._place]
        return float((sixth + self._rng.random(6)[self._place]) / 6)

    def within(self, low: float, high: float) -> float:
        """Return the next number, spread evenly between two ends."""
        return round(low + (high - low) * self.share(), 4)

    def color(self, colors: tuple[Rgb, ...]) -> Rgb:
        """Return a color of the list, slightly changed."""
        base = colors[int(self.share() * len(colors))]
        shift = self.within(-10, 10)
        red, green, blue = (int(np.clip(channel + shift, 8, 250)) for channel in base)
        return red, green, blue


def _trait(draw: Callable[[_Draw, bool], object]) -> Any:
    return field(metadata={"draw": draw})


def _within(
    low: float, high: float, *, man: float = 0.0, woman: float = 0.0, men: tuple[float, float] | None = None
) -> Any:
    """A number between two ends, which may be others for men; a man or a woman gets so much more."""
    ends = (low, high), men or (low, high)
    return _trait(lambda draw, is_man: draw.within(*ends[is_man]) + (man if is_man else woman))


def _drawn(kind: type, draw: _Draw, is_man: bool, part: slice = slice(None)) -> dict[str, Any]:
    """Return those traits of a kind that are drawn, or a part of them, by name, in their order."""
    how = [(one.name, one.metadata["draw"]) for one in fields(kind) if one.metadata]
    return {name: pick(draw, is_man) for name, pick in how[part]}


@dataclass(frozen=True, kw_only=True)
class Face:
    """A face at rest: lengths in centimetres measured from the point between the eyes, colors as RGB."""

    width_cm: float = _within(13.2, 16.4, man=0.3)
    chin_cm: float = _within(10.9, 12.4, man=0.3)
    crown_cm: float = _within(10.2, 11.8)
    jaw: float = _within(0.66, 0.84, man=0.06)
    chin_width_cm: float = _within(2.0, 3.4, man=0.5)
    eye_distance_cm: float = _within(0.405, 0.47)  # drawn as a share of the width
    eye_width_cm: float = _within(3.0, 3.8)
    eye_open_cm: float = _within(1.1, 1.5)
    eye_slant_cm: float = _within(-0.18, 0.28)
    nose_length_cm: float = _within(3.9, 5.3)
    nose_width_cm: float = _within(2.9, 4.1, man=0.2)
    mouth_cm: float = _within(6.9, 7.6)
    mouth_width_cm: float = _within(4.6, 5.6)
    upper_lip_cm: float = _within(0.42, 0.85)
    lower_lip_cm: float = _within(0.65, 1.15)
    brow_cm: float = _within(1.7, 2.1)
    brow_thickness_cm: float = _within(0.3, 0.6, man=0.2)
    brow_arch_cm: float = _within(0.1, 0.5, man=-0.1)
    hair_length_cm: float = _within(4, 26, men=(-3, 6))
    hair_volume_cm: float = _within(0.5, 1.7, woman=0.5)
    hair_parting: float = _within(-0.7, 0.7)
    hairline_cm: float = _within(5.2, 7.2)
    stubble: float = _within(-0.3, 0.5)  # of men
    freckles: float = _within(-1.5, 1)  # of those above 0
    wrinkles: float  # age alone makes them
    skin_rgb: Rgb
    hair_rgb: Rgb  # turns grey with age
    iris_rgb: Rgb
    lip_rgb: Rgb


def _face(draw: _Draw, is_man: bool, age: float) -> Face:
    drawn = _drawn(Face, draw, is_man, slice(1))
    grey = max(0.0, (age - 45) / 30) * draw.share()
    hair, light = np.array(draw.color(_HAIR)), np.array((190, 188, 186))
    red, green, blue = (int(channel) for channel in np.rint((1 - grey) * hair + grey * light))
    drawn |= _drawn(Face, draw, is_man, slice(1, None))
    drawn["eye_distance_cm"] *= drawn["width_cm"]
    drawn["stubble"] *= is_man
    drawn["freckles"] = max(0.0, drawn["freckles"])
    return Face(
        **drawn,
        wrinkles=max(0.0, (age - 30) / 40),
        skin_rgb=draw.color(_SKIN),
        hair_rgb=(red, green, blue),
        iris_rgb=draw.color(_IRIS),
        lip_rgb=draw.color(_LIP),
    )


@dataclass(frozen=True, kw_only=True)
class Voice:
    """A voice at rest, and habits of speaking."""

    f0_hz: float = _within(168, 250, men=(88, 150))  # mean pitch
    f0_range_st: float = _within(1.2, 3.2)  # size of an accent, in semitones
    tract: float = _within(0.80, 0.92, men=(0.93, 1.08))  # length, 1 for 17.5 cm; formants are divided by it
    formants: tuple[float, float, float, float, float]  # factor of each, beyond the tract's length
    jitter: float = _within(0.002, 0.012)  # standard deviation of the period from cycle to cycle, as a share
    shimmer: float = _within(0.02, 0.09)  # the same of the amplitude
    breath: float = _within(0.01, 0.12)  # noise beside the voice, as a share of its amplitude
    tilt_db: float = _within(4, 10)  # how far the source falls at 3 kHz, beyond a plain glottal pulse
    rate: float = _within(0.8, 1.25)  # 1 for about six syllables a second
    open_share: float = _within(0.5, 0.75)  # of a cycle, in which the glottis is open
    peak_share: float = _within(0.6, 0.8)  # of the open time, after which the flow is highest
    bandwidth: float = _within(0.7, 1.7)  # factor of the formants' bandwidths
    nasal_hz: float = _within(450, 1100)  # where the nose couples in: a pole here, a zero above it
    nasality: float = _within(0, 0.4)  # distance of that zero, as a share of nasal_hz; 0 for a closed velum
    space: float = _within(0.85, 1.1)  # factor of the distance of vowels from the neutral one
    coarticulation_s: float = _within(0.006, 0.024)  # how far sounds run into each other
    friction: float = _within(0.7, 1.4)  # factor of hisses and bursts
    sibilance: float = _within(0.82, 1.12)  # factor of their frequency
    accent_db: float = _within(1.5, 3.5)  # how much louder an accent is
    accent_late_s: float = _within(-0.08, 0.1)  # how long after a syllable's middle its accent comes
    accent_width_s: float = _within(0.045, 0.13)  # standard deviation of an accent's bump
    fall_st: float = _within(-2, 2)  # of the pitch over a sentence, beyond what the emotion asks for
    fade_db: float = _within(1.5, 7.5)  # of the level over a sentence
    pause_s: float = _within(-0.08, 0.34)  # between phrases
    lengthening: float = _within(0.1, 2)  # factor by which stressed and last vowels are lengthened
    fronting: float = _within(0.85, 1.4)  # factor of the second formant of rounded vowels
    voicing: float = _within(0, 1.8)  # factor of the voice in consonants with friction or bursts
    wait_s: float = _within(0.05, 0.36)  # silence before the person begins to speak
    stay_s: float = _within(0.06, 0.46)  # silence until the recording is ended
    final_st: float = _within(-4, 4)  # rise of the pitch over the last quarter of a sentence


@dataclass(frozen=True, kw_only=True)
class Room:
    """Where this person is always recorded: at the same desk, with the same microphone."""

    decay_s: float = _within(0.1, 0.5)  # in which the room's sound falls by 60 dB
    reverb_db: float = _within(4, 18)  # energy of the room's sound under that of the voice itself
    desk_ms: float = _within(0.8, 5)  # how much later the desk's reflection comes than the voice
    desk: float = _within(0.1, 0.35)  # amplitude of that reflection
    low_hz: float = _within(50, 200)  # where the microphone begins
    high_hz: float = _within(4000, 7800)  # where it ends
    shelf_db: float = _within(-2, 2)  # how much more it hears at 4 kHz than at 250 Hz
    peak_hz: float = _within(900, 4000)  # where it resonates
    peak_db: float = _within(-1.5, 3)  # how much
    gain_db: float = _within(-22.5, -21)  # how loud it is set
    noise_db: float = _within(-70, -44)  # level of its noise, 0 for full scale


@dataclass(frozen=True, kw_only=True)
class Body:
    """A body at rest: skin conductance (uS) and heart rate (beats a minute), and how much feeling moves them."""

    eda_us: float = _within(2, 12)
    eda_response_us: float = _within(0.3, 1.5)
    heart_bpm: float = _within(58, 86)
    heart_response_bpm: float = _within(4, 16)


@dataclass(frozen=True, kw_only=True)
class Style:
    """How this person shows what they feel: the habits by which motion alone can name somebody."""

    expressivity: float = _within(0.8, 1.1)  # factor of every expression
    gains: tuple[float, ...] = _trait(  # factor of each action unit, in the order of ACTION_UNITS
        lambda draw, _: tuple(draw.within(0.75, 1.25) for _ in range(15))
    )
    mouth_side: float = _within(-0.25, 0.25)  # how much more the mouth's left corner moves; negative for the right
    brow_side: float = _within(-0.25, 0.25)  # the same of the brows
    onset_s: float = _within(0.18, 0.5)  # time an expression takes to rise
    sway_deg: float = _within(0.8, 2.6)  # standard deviation of the head's turning
    nod_deg: float = _within(0.3, 2.0)  # how far the head nods on an accent
    blinks_per_min: float = _within(8, 34)
    jaw_gain: float = _within(0.7, 1.1)  # how far the jaw opens for a vowel


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody who does not exist."""

    subject: str
    sex: str
    age: float
    face: Face
    voice: Voice
    room: Room
    body: Body
    style: Style


def person(seed: int, number: int) -> Person:
    """Invent a person, the same for the same seed and number (1 for the first) whatever else is made."""
    if number < 1:
        raise OptionError(f"A person's number must be at least 1, it is {number}. Count from 1.")
    draw, speaking, room = (_Draw(seed, number, part) for part in ("people", "speaking", "room"))
    is_man = number % 2 == 0
    age = round(draw.within(20, 66))
    face = _face(draw, is_man, age)
    first, second, third, fourth, fifth = (draw.within(0.92, 1.08) for _ in range(5))
    voice = Voice(
        formants=(first, second, third, fourth, fifth),
        **_drawn(Voice, draw, is_man, slice(8)),
        **_drawn(Voice, speaking, is_man, slice(8, None)),  # from open_share on: drawn apart, so that bodies stay
    )
    return Person(
        subject=f"{number:02d}",
        sex="M" if is_man else "F",
        age=float(age),
        face=face,
        voice=voice,
        room=Room(**_drawn(Room, room, is_man)),
        body=Body(**_drawn(Body, draw, is_man)),
        style=Style(**_drawn(Style, draw, is_man)),
    )


def traits(people: Sequence[Person]) -> dict[str, list[object]]:
    """Return everything that makes the people who they are as columns of a table, one row a person."""
    columns: dict[str, list[object]] = {"participant_id": [f"sub-{p.subject}" for p in people]}
    for each, part in product(people, ("face", "voice", "room", "body", "style")):
        for name, value in asdict(getattr(each, part)).items():
            values = {f"_{n}": v for n, v in enumerate(value, start=1)} if isinstance(value, tuple) else {"": value}
            for suffix, single in values.items():
                columns.setdefault(f"{part}_{name}{suffix}", []).append(single)
    return columns
