"""Gives the voice the pitch, throat and timbre of somebody who does not exist; how the pitch moves is kept."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from personare.core.errors import OptionError
from personare.core.options import check_options
from personare.core.types import Array, Signal
from personare.features.acoustics import HOP, RATE_HZ, formants
from personare.features.resynthesis import BINS, breathiness, rework, spoken, taken_apart

__all__ = ["VoiceVocoder"]

_LOW_HZ = 65.0
_HIGH_HZ = 650.0
_RIPPLES = 6
_HZ = np.linspace(0, RATE_HZ / 2, BINS)
_TYPICAL_F2_HZ, _TYPICAL_F3_HZ = 1500.0, 2600.0


@dataclass(frozen=True, kw_only=True)
class VoiceVocoder:
    """Take the voice apart (pitch, envelope, breath) and put it together as an invented speaker's.

    **Guarantee**: the median pitch, the mean spectral envelope of voiced and of unvoiced sounds, the mean
    aperiodicity and the length of the vocal tract (as its second and third formant tell it) are those of a speaker
    drawn at random, whatever they were; nothing above 8 kHz leaves. The movement of pitch, level and envelope around
    those means is kept, and with it what a retrained attacker can use: accent, timing, and much of the person.

    **Source**: analysis and synthesis by WORLD: M. Morise, F. Yokomori, K. Ozawa, "WORLD: a vocoder-based high-quality
    speech synthesis system for real-time applications", IEICE Transactions E99-D (2016), DOI
    10.1587/transinf.2015EDP7457 (DIO, StoneMask, CheapTrick, D4C through pyworld). The invented speaker is ours.
    """

    pitch_low_hz: float = 100.0  # lowest median pitch to draw
    pitch_high_hz: float = 220.0  # highest
    # keep leaves the width of the pitch movement; draw multiplies it by the invented speaker's own factor (0.8 to
    # 1.25); set brings it to the invented speaker's (2 to 4 semitones), and with it loses much of the arousal
    pitch_range: Literal["keep", "draw", "set"] = "draw"
    pitch_step_semitones: float = 0.0  # rounds the pitch to steps of this size, 0 (not at all) to 12
    throat: float = 0.2  # spread of the vocal tract's length, as a share, 0 to 0.3
    timbre_db: float = 3.0  # spread of the invented long-term spectrum around that of average speech, 0 to 12
    frame_ms: float = 5.0  # step of the analysis, 2 to 15
    # an invented speaker for each recording, each person, or all
    policy: Literal["recording", "person", "common"] = "recording"

    def __post_init__(self) -> None:
        if not 60 <= self.pitch_low_hz <= self.pitch_high_hz <= 400:
            raise OptionError(
                "pitch_low_hz and pitch_high_hz must satisfy 60 <= low <= high <= 400, "
                f"{self.pitch_low_hz} and {self.pitch_high_hz} were given."
            )
        check_options(self, pitch_step_semitones=(0, 12), throat=(0, 0.3), timbre_db=(0, 12), frame_ms=(2, 15))

    def __call__(self, speech: Signal, *, rng: np.random.Generator) -> Signal:
        """Return the speech of the invented speaker; rate, length, channels and loudness are kept."""
        where = rng.random()
        # high voices come with short throats in most, not all people
        short = np.clip(0.6 * (2 * where - 1) + 0.8 * rng.uniform(-1, 1), -1.2, 1.2)
        median_hz = self.pitch_low_hz * (self.pitch_high_hz / self.pitch_low_hz) ** where
        widening, semitones = float(np.exp(rng.uniform(-0.22, 0.22))), float(rng.uniform(2, 4))
        mel = np.log1p(_HZ / 700)
        waves = np.cos(np.pi * np.outer(np.arange(1, _RIPPLES + 1), mel / mel[-1]))
        falling = -9 * np.log2(np.maximum(_HZ, 500) / 500) - 12 * np.maximum(0, 1 - _HZ / 90)
        hissing = 6 * np.log2(np.maximum(_HZ, 400) / 3000).clip(-3, 0.5)
        # mean log power of voiced and of unvoiced sounds, (513,) each: a smooth random curve over the mel scale
        voiced_curve, unvoiced_curve = (
            _nepers(curve + rng.normal(0, self.timbre_db / np.sqrt(_RIPPLES / 2), _RIPPLES) @ waves)
            for curve in (falling, hissing)
        )
        breath_db = np.interp(_HZ, [0, 1500, 4000, 8000], [-32, -22, -10, -4]) + rng.uniform(-4, 4)

        def change(samples: Array) -> Array:
            pitch, power = taken_apart(samples, frame_ms=self.frame_ms, low_hz=_LOW_HZ, high_hz=_HIGH_HZ)
            breath = breathiness(samples, pitch, frame_ms=self.frame_ms)
            voiced = pitch > 0
            stretch = float(np.exp(self.throat * short)) / _throat(samples, pitch, self.frame_ms)
            envelope = _moved_onto(np.log(power + 1e-12), voiced, (voiced_curve, unvoiced_curve), stretch)
            if voiced.any():
                logarithm = np.log(np.maximum(breath[voiced], 1e-4))
                breath[voiced] = np.exp(logarithm - logarithm.mean(axis=0) + _nepers(breath_db) / 2)
                pitch[voiced] = median_hz * 2 ** (self._melody(pitch[voiced], widening, semitones) / 12)
                pitch[voiced] = pitch[voiced].clip(50, 700)
            breath = np.clip(breath, 1e-4, 1 - 1e-9)
            return spoken(pitch, np.exp(envelope), breath, frame_ms=self.frame_ms)[: len(samples)]

        return rework(speech, change)

    def _melody(self, pitch_hz: Array, widening: float, semitones: float) -> Array:
        """Return the pitch in semitones from its median, kept, widened or rounded as the options say."""
        moves = 12 * np.log2(pitch_hz)
        moves = moves - np.median(moves)
        if self.pitch_range == "draw":
            moves = moves * widening
        if self.pitch_range == "set":
            moves = moves * (semitones / max(0.5, float(moves.std())))
        if self.pitch_step_semitones:
            moves = np.round(moves / self.pitch_step_semitones) * self.pitch_step_semitones
        return np.asarray(moves)


def _nepers(decibels: Array) -> Array:
    return np.asarray(decibels * np.log(10) / 10)


def _throat(samples: Array, pitch: Array, frame_ms: float) -> float:
    """Return how high the formants lie against those of an average speaker (1 = as high)."""
    frames = np.arange(1 + len(samples) // HOP)
    at = np.minimum(np.rint(frames * 1000 * HOP / RATE_HZ / frame_ms).astype(int), len(pitch) - 1)
    frequency, _ = formants(samples, pitch[at] > 0)
    second, third = (frequency[np.isfinite(frequency[:, k]), k] for k in (1, 2))
    if len(third) < 10:  # too little voice to tell
        return 1.0
    ratio = np.log(np.median(second) / _TYPICAL_F2_HZ) / 3 + 2 * np.log(np.median(third) / _TYPICAL_F3_HZ) / 3
    return float(np.exp(np.clip(ratio, -0.25, 0.25)))


def _moved_onto(envelope: Array, voiced: Array, curves: tuple[Array, Array], stretch: float) -> Array:
    """Return log power, (T, 513): deviations from the mean stretched along frequency, on the speaker's mean."""
    place = np.minimum(np.arange(BINS) / stretch, BINS - 1.001)
    low, share = place.astype(int), place % 1
    new = np.empty_like(envelope)
    loud = envelope.mean(axis=1) > envelope.mean(axis=1).max() - _nepers(np.array(40.0))
    for kind, curve in zip((voiced, ~voiced), curves, strict=True):
        if kind.any():
            moves = envelope[kind] - envelope[kind & loud if (kind & loud).any() else kind].mean(axis=0)
            new[kind] = moves[:, low] * (1 - share) + moves[:, low + 1] * share + curve
    # each frame keeps its power: how the loudness moves is behavior
    before, after = (np.log(np.exp(log_power).sum(axis=1)) for log_power in (envelope, new))
    return np.asarray(new + (before - after)[:, None])
