"""Seconds of one core that a second of speech costs to describe or to change, against the limits.

Usage: ``OMP_NUM_THREADS=1 python benchmarks/voice_speed.py [FOLDER_OF_REAL_SPEECH]``
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from scipy.signal import lfilter
from threadpoolctl import threadpool_limits

from personare.anonymize.voice_codebook import VoiceCodebook
from personare.anonymize.voice_mcadams import VoiceMcadams
from personare.anonymize.voice_noise import VoiceNoise
from personare.anonymize.voice_vocoder import VoiceVocoder
from personare.core.types import Array, Signal
from personare.features import audio
from personare.features.functionals import VIEWS

RATE_HZ = 16000
SECONDS = 60.0
REPEATS = 3


def speech_like() -> Signal:
    """Return a minute of pulses and hiss through changing resonances, with pauses."""
    rng = np.random.default_rng(0)
    size, piece = round(SECONDS * RATE_HZ), round(0.12 * RATE_HZ)
    pitch_hz = np.interp(np.arange(size), np.linspace(0, size, 120), rng.uniform(100, 220, 120))
    pulses = np.diff(np.floor(np.cumsum(pitch_hz) / RATE_HZ), prepend=0)
    source = np.where(np.arange(size) // piece % 4 == 3, rng.normal(0, 0.1, size), pulses)
    sound = np.concatenate([_resonant(source[at : at + piece], rng) for at in range(0, size, piece)])
    sound[np.arange(size) // piece % 12 == 11] *= 0.001
    return Signal(values=(0.3 * sound / np.abs(sound).max())[:, None].astype(np.float32), rate_hz=RATE_HZ)


def _resonant(source: Array, rng: np.random.Generator) -> Array:
    for hertz in rng.uniform((300, 900, 2300), (800, 2200, 3000)):
        radius = np.exp(-np.pi * 90 / RATE_HZ)
        source = np.asarray(lfilter([1.0], [1, -2 * radius * np.cos(2 * np.pi * hertz / RATE_HZ), radius**2], source))
    return source


def real_speech(folder: Path) -> Signal:
    """Return about a minute of the sound files of a folder, end to end."""
    files = sorted(f for f in folder.rglob("*") if f.suffix in (".wav", ".flac"))
    values = np.concatenate([audio.read(f, rate_hz=RATE_HZ).values[:, :1] for f in islice(files, 40)])
    return Signal(values=values[: round(SECONDS * RATE_HZ)], rate_hz=RATE_HZ)


def jobs(speech: Signal) -> dict[str, tuple[float | None, Callable[[], object]]]:
    """Return what is timed: limit and call by name."""
    shared = VoiceCodebook().fit([("01", speech)], rng=np.random.default_rng(0))
    wide = audio.resample(speech, 48000)
    stereo = Signal(values=np.repeat(wide.values, 2, axis=1), rate_hz=48000)

    def run(method: Callable[..., Signal], what: Signal = speech) -> Callable[[], object]:
        return lambda: method(what, rng=np.random.default_rng(0))

    return {
        "voice_mcadams": (0.02, run(VoiceMcadams())),
        "voice_codebook, shared": (0.1, run(shared)),
        "voice_codebook, clip": (0.1, run(VoiceCodebook(scope="clip"))),
        "voice_vocoder": (0.15, run(VoiceVocoder())),
        "voice_vocoder, 10 ms": (None, run(VoiceVocoder(frame_ms=10))),
        "voice_noise": (None, run(VoiceNoise())),
        "voice_mcadams, 48 kHz stereo": (None, run(VoiceMcadams(), stereo)),
        **{f"describe {view}": (None, partial(audio.describe, speech, [view])) for view in VIEWS},
    }


def main() -> None:
    """Print one line for each job: the best of three, in processor time of one thread."""
    speeches = {"generated": speech_like()}
    if len(sys.argv) > 1:
        speeches["real"] = real_speech(Path(sys.argv[1]))
    for name, speech in speeches.items():
        print(f"{name} speech, {speech.duration_s:.0f} s at 16 kHz, one core, best of {REPEATS}")
        for job, (limit, call) in jobs(speech).items():
            factor = min(_seconds(call) for _ in range(REPEATS)) / speech.duration_s
            against = f"{factor / limit:5.0%} of the limit {limit}" if limit else ""
            print(f"  {job:30s} {factor:.4f}  {against}")


def _seconds(call: Callable[[], object]) -> float:
    with threadpool_limits(1):
        start = time.process_time()  # not disturbed by what else the machine does
        call()
        return time.process_time() - start


if __name__ == "__main__":
    main()
