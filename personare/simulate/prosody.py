"""How the made-up voices say it: pitch, level and voice quality that an emotion, a person and a take ask for."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from personare.core.errors import OptionError
from personare.core.types import Array
from personare.simulate.people import Voice
from personare.simulate.sentences import Utterance

__all__ = ["CONTROL_HZ", "Prosody", "contour", "intend"]

CONTROL_HZ = 200.0


@dataclass(frozen=True, kw_only=True)
class Prosody:
    """What one take does with a voice.

    Attributes:
        pitch_st: Semitones above the person's mean pitch.
        span: Factor of the size of accents.
        fall_st: How far the pitch falls from the first to the last syllable.
        rate: Factor of the speaking rate.
        level_db: Louder than usual by this.
        tilt_db: Brighter than usual by this at 3 kHz.
        tremor_st: Size of a 5.5 Hz tremor.
        breath: Breath noise on top of the person's own.
        rough: Jitter and shimmer on top of the person's own, as a factor of cycle noise.
        spread: Factor of the formants: above 1 for spread lips.
    """

    pitch_st: float = 0.0
    span: float = 1.0
    fall_st: float = 2.0
    rate: float = 1.0
    level_db: float = 0.0
    tilt_db: float = 0.0
    tremor_st: float = 0.0
    breath: float = 0.0
    rough: float = 0.0
    spread: float = 1.0


# Directions after the reviews of Scherer (2003, doi:10.1016/S0167-6393(02)00084-5) and Juslin and Laukka (2003,
# doi:10.1037/0033-2909.129.5.770); the sizes are ours, chosen so that emotions overlap from take to take.
_FEELINGS: dict[str, Prosody] = {
    "neutral": Prosody(),
    "happiness": Prosody(pitch_st=5, span=2.4, fall_st=-1.0, rate=1.04, level_db=3, tilt_db=2, spread=1.06),
    "sadness": Prosody(pitch_st=-2, span=0.4, fall_st=3.0, rate=0.84, level_db=-8, tilt_db=-8, breath=0.15),
    "anger": Prosody(pitch_st=3.5, span=1.6, fall_st=4.0, rate=1.10, level_db=10, tilt_db=10, rough=0.03),
    "fear": Prosody(pitch_st=7.5, span=0.7, fall_st=0.0, rate=1.18, level_db=0, tilt_db=1, tremor_st=0.8, breath=0.08),
    "disgust": Prosody(pitch_st=-2, span=1.2, fall_st=5.5, rate=0.88, level_db=-1, tilt_db=2, rough=0.03, spread=0.94),
}
_TAKE_NOISE = Prosody(
    pitch_st=0.9, span=0.17, fall_st=0.9, rate=0.04, level_db=1.4, tilt_db=1.2, tremor_st=0.1, breath=0.02,
    rough=0.003, spread=0.012,
)  # fmt: skip


def intend(emotion: str, *, strength: float, rng: np.random.Generator) -> Prosody:
    """Decide how one take of an emotion sounds.

    Args:
        emotion: One of neutral, happiness, sadness, anger, fear, disgust.
        strength: How strongly it is shown, 1 for fully.
        rng: Makes this take differ from the next.

    Raises:
        OptionError: The emotion is not known.

    Example:
        >>> sad = intend("sadness", strength=1.0, rng=np.random.default_rng(0))
        >>> sad.rate < 1 and sad.level_db < 0
        True
    """
    if emotion not in _FEELINGS:
        raise OptionError(f"There is no emotion '{emotion}' here. Choose one of: {', '.join(_FEELINGS)}.")
    rest, feeling = vars(Prosody()), vars(_FEELINGS[emotion])
    values = {
        name: rest[name] + strength * (feeling[name] - rest[name]) + noise * float(rng.standard_normal())
        for name, noise in vars(_TAKE_NOISE).items()
    }
    floors = {"tremor_st": 0.0, "breath": 0.0, "rough": 0.0, "span": 0.2, "rate": 0.7}
    return Prosody(**{name: max(value, floors.get(name, -np.inf)) for name, value in values.items()})


def contour(utterance: Utterance, voice: Voice, prosody: Prosody, *, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return pitch and level over the whole take, 200 values a second.

    Args:
        utterance: Timing and stress.
        voice: The person's mean pitch, accents and falls.
        prosody: What this take does with them.
        rng: Varies each accent.

    Returns:
        Pitch in Hz and level in dB, both (N,).
    """
    times = np.arange(round(utterance.duration_s * CONTROL_HZ)) / CONTROL_HZ
    start, end = utterance.syllables_s[0, 0], utterance.syllables_s[-1, 1]
    share = np.clip((times - start) / (end - start), 0, 1)
    centers = utterance.syllables_s.mean(axis=1)
    accents = utterance.stress * np.exp(0.3 * rng.standard_normal(len(centers)))
    peaks = centers + voice.accent_late_s
    bumps = np.exp(-0.5 * ((times[:, None] - peaks) / voice.accent_width_s) ** 2) @ accents  # (N,)
    wander = gaussian_filter1d(rng.standard_normal(len(times)), 8) * 1.2
    tremor = prosody.tremor_st * np.sin(2 * np.pi * (5.5 * times + rng.random()))
    semitones = (
        prosody.pitch_st
        + voice.f0_range_st * prosody.span * (bumps - 0.4)
        - (voice.fall_st + prosody.fall_st) * (share - 0.5)
        + voice.final_st * np.clip(4 * share - 3, 0, 1)
        + 0.25 * wander
        + tremor
    )
    accent = voice.accent_db * (bumps - 0.4) * prosody.span
    level = prosody.level_db + accent - voice.fade_db * share**2 + 0.8 * tremor
    return voice.f0_hz * 2 ** (semitones / 12), level
