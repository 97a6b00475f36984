"""The made-up voices: a glottal source through a moving vocal tract, with friction and bursts beside it."""

from dataclasses import dataclass

import numpy as np
from scipy import signal as dsp
from scipy.ndimage import gaussian_filter1d

from personare.core.types import Array, Signal
from personare.simulate.people import Room, Voice
from personare.simulate.prosody import CONTROL_HZ, Prosody, contour
from personare.simulate.room import recorded
from personare.simulate.sentences import Utterance

__all__ = ["RATE_HZ", "Speech", "say"]

RATE_HZ = 16000.0
_STEP = int(RATE_HZ / CONTROL_HZ)
_BANDWIDTHS_HZ = np.array((70.0, 90.0, 130.0, 200.0, 280.0))
_UPPER_HZ = (3450.0, 4500.0)  # fourth and fifth formant of a 17.5 cm tract
_NOSE_BANDWIDTH_HZ = 100.0
_NEUTRAL_HZ = (500.0, 1500.0, 2500.0)  # the other three, where no sound is shaped


@dataclass(frozen=True, kw_only=True)
class Speech:
    """A spoken sentence and what was set to make it.

    Attributes:
        sound: Mono, 16 kHz.
        f0_hz: (N,) pitch, 200 values a second; NaN where there is no voice.
        formants_hz: (N, 5).
        level_db: (N,) intended level beside the usual one.
        gain_db: The microphone's gain.
    """

    sound: Signal
    f0_hz: Array
    formants_hz: Array
    level_db: Array
    gain_db: float


def say(
    utterance: Utterance,
    voice: Voice,
    prosody: Prosody,
    *,
    room: Room,
    walls: np.random.Generator,
    rng: np.random.Generator,
) -> Speech:
    """Speak a timed sentence with a voice.

    Args:
        utterance: Sounds and their times.
        voice: Whose voice.
        prosody: What this take does with it.
        room: Where it is recorded.
        walls: What the room's echoes are like; the same for every recording in the room.
        rng: Cycle noise, breath, friction, accents and the microphone's noise.

    Returns:
        The sound and the truth about it. Peaks stay below 0.9: the microphone's gain is lowered where needed.

    **Source**: the cascade of resonators of Klatt (1980, doi:10.1121/1.383940) with the glottal pulse of Rosenberg
    (1971, doi:10.1121/1.1912389); formants move along straight lines between the sounds' targets.
    What differs between people (open quotient, breath, tilt, bandwidths, a pole and a zero of the nose) after Klatt and
    Klatt (1990, doi:10.1121/1.398894).
    """
    pitch, level = contour(utterance, voice, prosody, rng=rng)
    formants, voicing = _tract(utterance, voice, prosody, len(pitch))
    source = _source(pitch, voice, prosody, rng)
    breath = (voice.breath + prosody.breath) * rng.standard_normal(len(source)) * (0.6 + 0.4 * (source < 0))
    excitation = (source + breath) * _samples(voicing * 10 ** (level / 20))
    sound = _filter(_tilted(excitation, voice.tilt_db - prosody.tilt_db), formants, voice.bandwidth)
    sound = _through_nose(sound, voice)
    sound += _friction(utterance, voice, rng) * _samples(10 ** (0.7 * level / 20))
    gain_db, sound = recorded(sound, room, rate_hz=RATE_HZ, walls=walls, rng=rng)
    return Speech(
        sound=Signal(values=sound[:, None], rate_hz=RATE_HZ),
        f0_hz=np.where(voicing > 0.3, pitch, np.nan).astype(np.float32),
        formants_hz=formants.astype(np.float32),
        level_db=level.astype(np.float32),
        gain_db=gain_db,
    )


def _samples(control: Array) -> Array:
    """Return a control track (N,) at the sound's rate (N * step,)."""
    times = np.arange(len(control) * _STEP) / _STEP
    return np.asarray(np.interp(times, np.arange(len(control)), control))


def _tract(utterance: Utterance, voice: Voice, prosody: Prosody, count: int) -> tuple[Array, Array]:
    """Return formants (N, 5) in Hz and the amplitude of the voice (N,)."""
    times = np.arange(count) / CONTROL_HZ
    knots: list[float] = []
    targets: list[tuple[float, float, float]] = []
    voicing = np.zeros(count)
    for sound in utterance.sounds:
        length = sound.end_s - sound.start_s
        knots += [sound.start_s + 0.3 * length, sound.end_s - 0.3 * length]
        first, second, third = sound.phone.formants
        rounded = sound.phone.round > 0 and sound.phone.voice > 0.8
        targets += [(first, second * (voice.fronting if rounded else 1), third)] * 2
        voicing[(times >= sound.start_s) & (times < sound.end_s)] = sound.phone.voice * (
            voice.voicing if sound.phone.noise else 1
        )
    low = np.stack([np.interp(times, knots, column) for column in np.array(targets).T], axis=1)  # (N, 3)
    low = _NEUTRAL_HZ + voice.space * (low - _NEUTRAL_HZ)
    formants = np.concatenate([low, np.broadcast_to(_UPPER_HZ, (count, 2))], axis=1)
    formants = gaussian_filter1d(formants, voice.coarticulation_s * CONTROL_HZ, axis=0)
    formants *= np.array(voice.formants) / voice.tract
    formants[:, :3] *= prosody.spread
    return np.minimum(formants, 0.47 * RATE_HZ), gaussian_filter1d(voicing, 1.6)


def _source(pitch: Array, voice: Voice, prosody: Prosody, rng: np.random.Generator) -> Array:
    """Return the derivative of the glottal flow, cycle by cycle unequal, made at twice the rate against aliasing."""
    rate_hz = 2 * RATE_HZ
    wanted = np.interp(np.arange(len(pitch) * 2 * _STEP) / (2 * _STEP), np.arange(len(pitch)), pitch)
    cycles = int(wanted.sum() / rate_hz * 1.5) + 10
    jitter = 1 + (voice.jitter + prosody.rough) * rng.standard_normal(cycles)
    shimmer = 1 + (voice.shimmer + 4 * prosody.rough) * rng.standard_normal(cycles)
    plain = np.cumsum(wanted) / rate_hz
    phase = np.cumsum(wanted * jitter[plain.astype(int)]) / rate_hz
    place = phase % 1.0
    closed, peak = voice.open_share, voice.open_share * voice.peak_share
    rising, falling = place / peak, (place - peak) / (closed - peak)
    pulse = np.where(place < peak, 6 * rising * (1 - rising) / peak, -2 * falling / (closed - peak))
    pulse = np.where(place < closed, pulse, 0.0) * shimmer[phase.astype(int)]
    return np.asarray(dsp.resample_poly(pulse / 10, 1, 2))


def _tilted(sound: Array, fall_db: float) -> Array:
    """Return the sound through a one-pole low-pass that takes the given dB at 3 kHz."""
    power = 10 ** (-max(fall_db, 0.3) / 10)
    ratio = (1 - power * np.cos(2 * np.pi * 3000 / RATE_HZ)) / (1 - power)
    pole = ratio - np.sqrt(ratio**2 - 1)
    return np.asarray(dsp.lfilter([1 - pole], [1, -pole], sound))


def _through_nose(sound: Array, voice: Voice) -> Array:
    """Return the sound with a pole of the nose, and a zero above it that the open velum makes."""
    radius = np.exp(-np.pi * _NOSE_BANDWIDTH_HZ / RATE_HZ)
    turns = 2 * np.pi * voice.nasal_hz * np.array((1, 1 + voice.nasality)) / RATE_HZ
    pole, zero = (np.array((1, -2 * radius * np.cos(turn), radius**2)) for turn in turns)
    return np.asarray(dsp.lfilter(zero * pole.sum() / zero.sum(), pole, sound))


def _filter(sound: Array, formants: Array, bandwidth: float) -> Array:
    """Return the sound through five resonators in a row whose frequencies (N, 5) change every step."""
    radius = np.exp(-np.pi * bandwidth * _BANDWIDTHS_HZ / RATE_HZ)
    first = -2 * radius * np.cos(2 * np.pi * formants / RATE_HZ)  # (N, 5)
    second = np.broadcast_to(radius**2, first.shape)
    sections = np.zeros((*first.shape, 6))
    sections[..., 0] = 1 + first + second
    sections[..., 3], sections[..., 4], sections[..., 5] = 1, first, second
    out, state = np.empty_like(sound), np.zeros((first.shape[1], 2))
    for index, section in enumerate(sections):
        piece = slice(index * _STEP, (index + 1) * _STEP)
        out[piece], state = dsp.sosfilt(section, sound[piece], zi=state)
    return out


def _friction(utterance: Utterance, voice: Voice, rng: np.random.Generator) -> Array:
    """Return (samples,) hissing, buzzing and bursting consonants."""
    out = np.zeros(round(utterance.duration_s * CONTROL_HZ) * _STEP)
    for sound in utterance.sounds:
        if sound.phone.noise == 0:
            continue
        length = sound.end_s - sound.start_s
        start = int((sound.end_s - sound.phone.burst * length) * RATE_HZ)
        piece = out[start : int(sound.end_s * RATE_HZ)]
        center, half = (value * voice.sibilance / voice.tract**0.5 for value in sound.phone.band_hz)
        band = np.clip((center - half, center + half), 100, 0.48 * RATE_HZ)
        noise = dsp.sosfilt(dsp.butter(2, band, "bandpass", fs=RATE_HZ, output="sos"), rng.standard_normal(len(piece)))
        falling = np.linspace(1, 0, len(piece)) ** 0.7
        swell = np.sin(np.pi * np.linspace(0, 1, len(piece))) ** 0.5
        piece += 0.5 * voice.friction * sound.phone.noise * noise * (falling if sound.phone.burst < 1 else swell)
    return out
