"""Who the made-up people are: faces, voices, bodies and habits that belong to nobody, drawn from a seed and a number.

Each trait deals its range out evenly to six women and six men at a time, so that a few people already differ clearly
and person 7 stays the same however many people there are.
"""

from dataclasses import asdict, dataclass

import numpy as np

from personare.core.errors import OptionError
from personare.core.randomness import generator

__all__ = ["Body", "Face", "Person", "Room", "Style", "Voice", "person", "traits"]

Rgb = tuple[int, int, int]

_SKIN: tuple[Rgb, ...] = (
    (246, 214, 190), (236, 190, 160), (224, 172, 136), (200, 146, 108), (166, 112, 78), (122, 80, 56), (96, 62, 46),
)  # fmt: skip
_HAIR: tuple[Rgb, ...] = (
    (34, 26, 24), (58, 38, 28), (96, 62, 38), (140, 94, 52), (196, 156, 92), (150, 62, 34), (72, 66, 70),
)  # fmt: skip
_IRIS: tuple[Rgb, ...] = ((70, 44, 28), (104, 70, 38), (86, 104, 62), (70, 110, 150), (98, 112, 122))
_LIP: tuple[Rgb, ...] = ((196, 104, 100), (178, 84, 84), (204, 118, 106))


@dataclass(frozen=True, kw_only=True)
class Face:
    """A face at rest: lengths in centimetres measured from the point between the eyes, colors as RGB."""

    width_cm: float
    chin_cm: float
    crown_cm: float
    jaw: float
    chin_width_cm: float
    eye_distance_cm: float
    eye_width_cm: float
    eye_open_cm: float
    eye_slant_cm: float
    nose_length_cm: float
    nose_width_cm: float
    mouth_cm: float
    mouth_width_cm: float
    upper_lip_cm: float
    lower_lip_cm: float
    brow_cm: float
    brow_thickness_cm: float
    brow_arch_cm: float
    hair_length_cm: float
    hair_volume_cm: float
    hair_parting: float
    hairline_cm: float
    stubble: float
    freckles: float
    wrinkles: float
    skin_rgb: Rgb
    hair_rgb: Rgb
    iris_rgb: Rgb
    lip_rgb: Rgb


@dataclass(frozen=True, kw_only=True)
class Voice:
    """A voice at rest.

    Attributes:
        f0_hz: Mean pitch.
        f0_range_st: Size of an accent, in semitones.
        tract: Vocal tract length, 1 for 17.5 cm; formants are divided by it.
        formants: Factor of each of five formants, beyond the tract's length.
        jitter: Standard deviation of the period from cycle to cycle, as a share.
        shimmer: The same of the amplitude.
        breath: Breath noise beside the voice, as a share of its amplitude.
        tilt_db: How far the source falls at 3 kHz, beyond a plain glottal pulse.
        rate: Speaking rate, 1 for about six syllables a second.
        open_share: Share of a cycle in which the glottis is open.
        peak_share: Share of the open time after which the flow is highest.
        bandwidth: Factor of the formants' bandwidths.
        nasal_hz: Where the nose couples in: a pole here, a zero above it.
        nasality: Distance of that zero, as a share of ``nasal_hz``; 0 for a closed velum.
        space: Factor of the distance of vowels from the neutral one.
        coarticulation_s: How far sounds run into each other.
        friction: Factor of hisses and bursts.
        sibilance: Factor of their frequency.
        accent_db: How much louder an accent is.
        accent_late_s: How long after a syllable's middle its accent comes.
        accent_width_s: Standard deviation of an accent's bump.
        fall_st: How far the pitch falls over a sentence, beyond what the emotion asks for.
        fade_db: How far the level falls over a sentence.
        pause_s: Pause between phrases.
        lengthening: Factor by which stressed and last vowels are lengthened.
        fronting: Factor of the second formant of rounded vowels.
        voicing: Factor of the voice in consonants with friction or bursts.
        wait_s: Silence before the person begins to speak.
        stay_s: Silence until the recording is ended.
        final_st: How far the pitch rises over the last quarter of a sentence; negative where it falls.
    """

    f0_hz: float
    f0_range_st: float
    tract: float
    formants: tuple[float, float, float, float, float]
    jitter: float
    shimmer: float
    breath: float
    tilt_db: float
    rate: float
    open_share: float
    peak_share: float
    bandwidth: float
    nasal_hz: float
    nasality: float
    space: float
    coarticulation_s: float
    friction: float
    sibilance: float
    accent_db: float
    accent_late_s: float
    accent_width_s: float
    fall_st: float
    fade_db: float
    pause_s: float
    lengthening: float
    fronting: float
    voicing: float
    wait_s: float
    stay_s: float
    final_st: float


@dataclass(frozen=True, kw_only=True)
class Room:
    """Where this person is always recorded: at the same desk, with the same microphone.

    Attributes:
        decay_s: Time in which the room's sound falls by 60 dB.
        reverb_db: Energy of the room's sound under that of the voice itself.
        desk_ms: How much later the desk's reflection comes than the voice.
        desk: Amplitude of that reflection.
        low_hz: Where the microphone begins.
        high_hz: Where it ends.
        shelf_db: How much more it hears at 4 kHz than at 250 Hz.
        peak_hz: Where it resonates.
        peak_db: How much.
        gain_db: How loud it is set.
        noise_db: Level of its noise, 0 for full scale.
    """

    decay_s: float
    reverb_db: float
    desk_ms: float
    desk: float
    low_hz: float
    high_hz: float
    shelf_db: float
    peak_hz: float
    peak_db: float
    gain_db: float
    noise_db: float


@dataclass(frozen=True, kw_only=True)
class Body:
    """A body at rest: skin conductance (uS) and heart rate (beats a minute), and how much feeling moves them."""

    eda_us: float
    eda_response_us: float
    heart_bpm: float
    heart_response_bpm: float


@dataclass(frozen=True, kw_only=True)
class Style:
    """How this person shows what they feel: the habits by which motion alone can name somebody.

    Attributes:
        expressivity: Factor of every expression.
        gains: Factor of each action unit, in the order of ``ACTION_UNITS``.
        mouth_side: How much more the left corner of the mouth moves, as a share; negative for the right.
        brow_side: The same of the brows.
        onset_s: Time an expression takes to rise.
        sway_deg: Standard deviation of the head's turning.
        nod_deg: How far the head nods on an accent.
        blinks_per_min: Rate of blinks.
        jaw_gain: How far the jaw opens for a vowel.
    """

    expressivity: float
    gains: tuple[float, ...]
    mouth_side: float
    brow_side: float
    onset_s: float
    sway_deg: float
    nod_deg: float
    blinks_per_min: float
    jaw_gain: float


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

    def color(self, colors: tuple[Rgb, ...], spread: float = 10) -> Rgb:
        """Return a color of the list, slightly changed."""
        base = colors[int(self.share() * len(colors))]
        shift = self.within(-spread, spread)
        red, green, blue = (int(np.clip(channel + shift, 8, 250)) for channel in base)
        return red, green, blue


def person(seed: int, number: int) -> Person:
    """Invent a person, the same for the same seed and number whatever else is made.

    Args:
        seed: The cohort's seed.
        number: 1 for the first person; also the pseudonym.

    Raises:
        OptionError: The number is below 1.

    Example:
        >>> person(0, 7) == person(0, 7), person(0, 1).subject
        (True, '01')
    """
    if number < 1:
        raise OptionError(f"A person's number must be at least 1, it is {number}. Count from 1.")
    draw = _Draw(seed, number)
    sex = "F" if number % 2 else "M"
    age = round(draw.within(20, 66))
    return Person(
        subject=f"{number:02d}",
        sex=sex,
        age=float(age),
        face=_face(draw, sex, age),
        voice=_voice(draw, _Draw(seed, number, "speaking"), sex),
        room=_room(_Draw(seed, number, "room")),
        body=Body(
            eda_us=draw.within(2, 12),
            eda_response_us=draw.within(0.3, 1.5),
            heart_bpm=draw.within(58, 86),
            heart_response_bpm=draw.within(4, 16),
        ),
        style=_style(draw),
    )


def _face(draw: _Draw, sex: str, age: float) -> Face:
    man = sex == "M"
    width = draw.within(13.2, 16.4) + 0.3 * man
    grey = max(0.0, (age - 45) / 30) * draw.share()
    hair = draw.color(_HAIR)
    light = np.array((190, 188, 186))
    red, green, blue = (int(c) for c in np.rint((1 - grey) * np.array(hair) + grey * light))
    return Face(
        width_cm=width,
        chin_cm=draw.within(10.9, 12.4) + 0.3 * man,
        crown_cm=draw.within(10.2, 11.8),
        jaw=draw.within(0.66, 0.84) + 0.06 * man,
        chin_width_cm=draw.within(2.0, 3.4) + 0.5 * man,
        eye_distance_cm=width * draw.within(0.405, 0.47),
        eye_width_cm=draw.within(3.0, 3.8),
        eye_open_cm=draw.within(1.1, 1.5),
        eye_slant_cm=draw.within(-0.18, 0.28),
        nose_length_cm=draw.within(3.9, 5.3),
        nose_width_cm=draw.within(2.9, 4.1) + 0.2 * man,
        mouth_cm=draw.within(6.9, 7.6),
        mouth_width_cm=draw.within(4.6, 5.6),
        upper_lip_cm=draw.within(0.42, 0.85),
        lower_lip_cm=draw.within(0.65, 1.15),
        brow_cm=draw.within(1.7, 2.1),
        brow_thickness_cm=draw.within(0.3, 0.6) + 0.2 * man,
        brow_arch_cm=draw.within(0.1, 0.5) - 0.1 * man,
        hair_length_cm=draw.within(-3, 6) if man else draw.within(4, 26),
        hair_volume_cm=draw.within(0.5, 1.7) + 0.5 * (not man),
        hair_parting=draw.within(-0.7, 0.7),
        hairline_cm=draw.within(5.2, 7.2),
        stubble=draw.within(-0.3, 0.5) * man,
        freckles=max(0.0, draw.within(-1.5, 1)),
        wrinkles=max(0.0, (age - 30) / 40),
        skin_rgb=draw.color(_SKIN),
        hair_rgb=(red, green, blue),
        iris_rgb=draw.color(_IRIS),
        lip_rgb=draw.color(_LIP),
    )


def _voice(draw: _Draw, speaking: _Draw, sex: str) -> Voice:
    man = sex == "M"
    first, second, third, fourth, fifth = (draw.within(0.92, 1.08) for _ in range(5))
    return Voice(
        f0_hz=draw.within(88, 150) if man else draw.within(168, 250),
        f0_range_st=draw.within(1.2, 3.2),
        tract=draw.within(0.93, 1.08) if man else draw.within(0.80, 0.92),
        formants=(first, second, third, fourth, fifth),
        jitter=draw.within(0.002, 0.012),
        shimmer=draw.within(0.02, 0.09),
        breath=draw.within(0.01, 0.12),
        tilt_db=draw.within(4, 10),
        rate=draw.within(0.8, 1.25),
        open_share=speaking.within(0.5, 0.75),
        peak_share=speaking.within(0.6, 0.8),
        bandwidth=speaking.within(0.7, 1.7),
        nasal_hz=speaking.within(450, 1100),
        nasality=speaking.within(0, 0.4),
        space=speaking.within(0.85, 1.1),
        coarticulation_s=speaking.within(0.006, 0.024),
        friction=speaking.within(0.7, 1.4),
        sibilance=speaking.within(0.82, 1.12),
        accent_db=speaking.within(1.5, 3.5),
        accent_late_s=speaking.within(-0.08, 0.1),
        accent_width_s=speaking.within(0.045, 0.13),
        fall_st=speaking.within(-2, 2),
        fade_db=speaking.within(1.5, 7.5),
        pause_s=speaking.within(-0.08, 0.34),
        lengthening=speaking.within(0.1, 2),
        fronting=speaking.within(0.85, 1.4),
        voicing=speaking.within(0, 1.8),
        wait_s=speaking.within(0.05, 0.36),
        stay_s=speaking.within(0.06, 0.46),
        final_st=speaking.within(-4, 4),
    )


def _room(draw: _Draw) -> Room:
    return Room(
        decay_s=draw.within(0.1, 0.5),
        reverb_db=draw.within(4, 18),
        desk_ms=draw.within(0.8, 5),
        desk=draw.within(0.1, 0.35),
        low_hz=draw.within(50, 200),
        high_hz=draw.within(4000, 7800),
        shelf_db=draw.within(-2, 2),
        peak_hz=draw.within(900, 4000),
        peak_db=draw.within(-1.5, 3),
        gain_db=draw.within(-22.5, -21),
        noise_db=draw.within(-70, -44),
    )


def _style(draw: _Draw) -> Style:
    return Style(
        expressivity=draw.within(0.8, 1.1),
        gains=tuple(draw.within(0.75, 1.25) for _ in range(15)),
        mouth_side=draw.within(-0.25, 0.25),
        brow_side=draw.within(-0.25, 0.25),
        onset_s=draw.within(0.18, 0.5),
        sway_deg=draw.within(0.8, 2.6),
        nod_deg=draw.within(0.3, 2.0),
        blinks_per_min=draw.within(8, 34),
        jaw_gain=draw.within(0.7, 1.1),
    )


def traits(people: tuple[Person, ...]) -> dict[str, list[object]]:
    """Return everything that makes the people who they are as columns of a table, one row a person.

    Example:
        >>> traits((person(0, 1), person(0, 2)))["participant_id"]
        ['sub-01', 'sub-02']
    """
    columns: dict[str, list[object]] = {"participant_id": [f"sub-{p.subject}" for p in people]}
    for each in people:
        for part in ("face", "voice", "room", "body", "style"):
            for name, value in asdict(getattr(each, part)).items():
                values = value if isinstance(value, tuple) else (value,)
                for place, single in enumerate(values, start=1):
                    suffix = f"_{place}" if isinstance(value, tuple) else ""
                    columns.setdefault(f"{part}_{name}{suffix}", []).append(single)
    return columns
