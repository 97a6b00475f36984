"""Where the made-up voices are recorded: a room, a desk and a microphone that stay with a person."""

import numpy as np
from scipy import signal as dsp

from personare.core.types import Array
from personare.simulate.people import Room

__all__ = ["recorded"]


def recorded(
    sound: Array, room: Room, *, rate_hz: float, walls: np.random.Generator, rng: np.random.Generator
) -> tuple[float, Array]:
    """Return the gain in dB and what the microphone recorded, as long as the sound; peaks stay below 0.9.

    Args:
        sound: (N,) speech at the mouth.
        room: Where it is heard.
        rate_hz: Samples a second.
        walls: The room's echoes; the same generator gives the same room.
        rng: The gain and the noise of this recording.

    **Source**: late reverberation as exponentially falling noise (Moorer 1979, doi:10.2307/3680280).
    """
    heard = _heard(dsp.fftconvolve(sound, _response(room, rate_hz, walls))[: len(sound)], room, rate_hz)
    gain_db = room.gain_db + float(rng.normal(0, 1))
    gain_db = min(gain_db, 20 * np.log10(0.85 / max(float(np.abs(heard).max()), 1e-9)))
    noise = 10 ** (room.noise_db / 20) * dsp.lfilter([0.7], [1, -0.7], rng.standard_normal(len(sound)))
    return gain_db, np.clip(heard * 10 ** (gain_db / 20) + noise, -1, 1).astype(np.float32)


def _response(room: Room, rate_hz: float, walls: np.random.Generator) -> Array:
    """Return the room's impulse response: the voice itself, the desk, and the walls' falling noise."""
    times = np.arange(int(room.decay_s * rate_hz)) / rate_hz
    echoes = walls.standard_normal(len(times)) * 10 ** (-3 * times / room.decay_s) * (times > 0.004)
    echoes *= 10 ** (-room.reverb_db / 20) / np.sqrt(np.sum(echoes**2))
    echoes[0] += 1
    echoes[round(room.desk_ms / 1000 * rate_hz)] += room.desk
    return np.asarray(echoes)


def _heard(sound: Array, room: Room, rate_hz: float) -> Array:
    """Return the sound through the microphone's frequency response."""
    hz = np.fft.rfftfreq(len(sound), 1 / rate_hz)
    octaves = np.log2(np.maximum(hz, 20) / 1000)
    gain_db = room.shelf_db * np.clip(octaves / 4, -0.75, 0.75)
    gain_db += room.peak_db * np.exp(-0.5 * ((octaves - np.log2(room.peak_hz / 1000)) / 0.35) ** 2)
    gain_db -= 10 * np.log10(1 + (room.low_hz / np.maximum(hz, 1)) ** 4) + 10 * np.log10(1 + (hz / room.high_hz) ** 8)
    return np.fft.irfft(np.fft.rfft(sound) * 10 ** (gain_db / 20), len(sound))
