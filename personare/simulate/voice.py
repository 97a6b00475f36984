"""How the made-up voices say it: what an emotion asks, a glottal source through a moving vocal tract, a room."""

from dataclasses import dataclass

import numpy as np
from scipy import signal as dsp
from scipy.ndimage import gaussian_filter1d

from personare.core.types import Array, Signal
from personare.simulate.people import Room, Voice
from personare.simulate.sentences import Utterance

RATE_HZ = 16000.0
CONTROL_HZ = 200.0
_STEP = int(RATE_HZ / CONTROL_HZ)
_BANDWIDTHS_HZ = np.array((70.0, 90.0, 130.0, 200.0, 280.0))
_UPPER_HZ = (3450.0, 4500.0)  # fourth and fifth formant of a 17.5 cm tract
_NOSE_BANDWIDTH_HZ = 100.0
_NEUTRAL_HZ = (500.0, 1500.0, 2500.0)  # the other three, where no sound is shaped


@dataclass(frozen=True, kw_only=True)
class Prosody:
    """What one take does with a voice."""

    pitch_st: float = 0.0  # semitones above the person's mean pitch
    span: float = 1.0  # factor of the size of accents
    fall_st: float = 2.0  # how far the pitch falls from the first to the last syllable
    rate: float = 1.0  # factor of the speaking rate
    level_db: float = 0.0  # louder than usual by this
    tilt_db: float = 0.0  # brighter than usual by this at 3 kHz
    tremor_st: float = 0.0  # size of a 5.5 Hz tremor
    breath: float = 0.0  # noise on top of the person's own
    rough: float = 0.0  # jitter and shimmer on top of the person's own, as a factor of cycle noise
    spread: float = 1.0  # factor of the formants: above 1 for spread lips


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
    """Decide how one take of an emotion sounds, shown more or less strongly (1: fully)."""
    rest, feeling = vars(Prosody()), vars(_FEELINGS[emotion])
    values = {
        name: rest[name] + strength * (feeling[name] - rest[name]) + noise * float(rng.standard_normal())
        for name, noise in vars(_TAKE_NOISE).items()
    }
    floors = {"tremor_st": 0.0, "breath": 0.0, "rough": 0.0, "span": 0.2, "rate": 0.7}
    return Prosody(**{name: max(value, floors.get(name, -np.inf)) for name, value in values.items()})


def say(
    utterance: Utterance,
    voice: Voice,
    prosody: Prosody,
    *,
    room: Room,
    walls: np.random.Generator,
    rng: np.random.Generator,
) -> tuple[Signal, dict[str, Array]]:
    """Speak a timed sentence with a voice, in a room whose echoes come from ``walls``, the same for each recording.

    Peaks stay below 0.9: the microphone's gain is lowered where needed.

    Returns:
        The sound; and the truth about it, 200 times a second: ``f0_hz`` (N,), NaN without voice, ``formants_hz``
        (N, 5), ``level_db`` (N,), intended, beside the usual one, ``control_time_s``; the microphone's ``gain_db``.

    **Source**: the cascade of resonators of Klatt (1980, doi:10.1121/1.383940) with the glottal pulse of Rosenberg
    (1971, doi:10.1121/1.1912389); formants move along straight lines between the sounds' targets.
    What differs between people (open quotient, breath, tilt, bandwidths, a pole and a zero of the nose) after Klatt and
    Klatt (1990, doi:10.1121/1.398894).
    """
    pitch, level = _contour(utterance, voice, prosody, rng)
    formants, voicing = _tract(utterance, voice, prosody, len(pitch))
    source = _source(pitch, voice, prosody, rng)
    breath = (voice.breath + prosody.breath) * rng.standard_normal(len(source)) * (0.6 + 0.4 * (source < 0))
    excitation = (source + breath) * _samples(voicing * 10 ** (level / 20))
    # A one-pole low-pass takes the given dB at 3 kHz.
    power = 10 ** (-max(voice.tilt_db - prosody.tilt_db, 0.3) / 10)
    ratio = (1 - power * np.cos(2 * np.pi * 3000 / RATE_HZ)) / (1 - power)
    fall = ratio - np.sqrt(ratio**2 - 1)
    sound = _filter(dsp.lfilter([1 - fall], [1, -fall], excitation), formants, voice.bandwidth)
    # The nose adds a pole, and a zero above it that the open velum makes.
    radius = np.exp(-np.pi * _NOSE_BANDWIDTH_HZ / RATE_HZ)
    turns = 2 * np.pi * voice.nasal_hz * np.array((1, 1 + voice.nasality)) / RATE_HZ
    pole, zero = (np.array((1, -2 * radius * np.cos(turn), radius**2)) for turn in turns)
    sound = dsp.lfilter(zero * pole.sum() / zero.sum(), pole, sound)
    sound += _friction(utterance, voice, rng) * _samples(10 ** (0.7 * level / 20))
    gain_db, sound = recorded(sound, room, rate_hz=RATE_HZ, walls=walls, rng=rng)
    return Signal(values=sound[:, None], rate_hz=RATE_HZ), {
        "f0_hz": np.where(voicing > 0.3, pitch, np.nan).astype(np.float32),
        "formants_hz": formants.astype(np.float32),
        "level_db": level.astype(np.float32),
        "control_time_s": np.arange(len(pitch)) / CONTROL_HZ,
        "gain_db": np.array(gain_db),
    }


def _contour(utterance: Utterance, voice: Voice, prosody: Prosody, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return pitch in Hz and level in dB over the whole take, both (N,), 200 values a second."""
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


def recorded(
    sound: Array, room: Room, *, rate_hz: float, walls: np.random.Generator, rng: np.random.Generator
) -> tuple[float, Array]:
    """Return the gain in dB and what the microphone recorded of speech at the mouth (N,), as long; peaks below 0.9.

    **Source**: late reverberation as exponentially falling noise (Moorer 1979, doi:10.2307/3680280).
    """
    times = np.arange(int(room.decay_s * rate_hz)) / rate_hz
    echoes = walls.standard_normal(len(times)) * 10 ** (-3 * times / room.decay_s) * (times > 0.004)
    echoes *= 10 ** (-room.reverb_db / 20) / np.sqrt(np.sum(echoes**2))
    echoes[0] += 1  # the voice itself
    echoes[round(room.desk_ms / 1000 * rate_hz)] += room.desk
    hz = np.fft.rfftfreq(len(sound), 1 / rate_hz)
    octaves = np.log2(np.maximum(hz, 20) / 1000)
    hears_db = room.shelf_db * np.clip(octaves / 4, -0.75, 0.75)
    hears_db += room.peak_db * np.exp(-0.5 * ((octaves - np.log2(room.peak_hz / 1000)) / 0.35) ** 2)
    hears_db -= 10 * np.log10(1 + (room.low_hz / np.maximum(hz, 1)) ** 4) + 10 * np.log10(1 + (hz / room.high_hz) ** 8)
    heard = np.fft.rfft(dsp.fftconvolve(sound, echoes)[: len(sound)]) * 10 ** (hears_db / 20)
    heard = np.fft.irfft(heard, len(sound))
    gain_db = room.gain_db + float(rng.normal(0, 1))
    gain_db = min(gain_db, 20 * np.log10(0.85 / max(float(np.abs(heard).max()), 1e-9)))
    noise = 10 ** (room.noise_db / 20) * dsp.lfilter([0.7], [1, -0.7], rng.standard_normal(len(sound)))
    return gain_db, np.clip(heard * 10 ** (gain_db / 20) + noise, -1, 1).astype(np.float32)
