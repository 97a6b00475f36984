"""Builds the voice anew from a few typical sounds: shared by everybody they hide people, per clip they do not."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.fft import dct, idct, irfft, rfft
from scipy.signal import get_window

from personare.core.errors import DataError, OptionError
from personare.core.options import check_options
from personare.core.types import Array, Signal
from personare.features.acoustics import N_FFT, RATE_HZ, framed
from personare.features.resynthesis import BINS, mel_bands, nearest, overlapped, rework, samples_of, typical

__all__ = ["VoiceCodebook"]

_HOP = 256
_BANDS = 64
_CEPSTRA = 20
_MOST_FRAMES = 200_000
_MOMENTUM = 0.99


@dataclass(frozen=True, kw_only=True)
class VoiceCodebook:
    """Replace each frame of the voice by the nearest of ``size`` typical spectra and build new sound from those.

    **Guarantee**: each frame of the sound is built from one of at most ``size`` spectral envelopes and from phases
    drawn at random; the pitch and phase of the speaker are not used. With ``scope="shared"`` the envelopes are the
    same for all people, so a released recording holds nothing but the order of log2(``size``)-bit symbols and a
    loudness. With ``scope="clip"`` the envelopes are the speaker's own and name the speaker.

    **Source**: A. Ranade et al., "Privacy Preserving Representation Learning for Multimodal Behavior Understanding"
    (USC, 2024), whose text leaves the scope open; phases by N. Perraudin, P. Balazs, P. Sondergaard, "A fast
    Griffin-Lim algorithm", WASPAA 2013, DOI 10.1109/WASPAA.2013.6701851. Ours: 64 mel bands at 16 kHz every 16 ms,
    envelopes drawn directly instead of by least squares, mini-batch k-means.
    """

    size: int = 16  # typical spectra, 2 to 1024: the dial between privacy and intelligibility
    scope: Literal["shared", "clip"] = "shared"  # fitted once on everybody, or anew on each recording
    rounds: int = 16  # iterations that find phases fitting the spectra, 1 to 100
    policy: Literal["recording", "person", "common"] = "recording"  # whose randomness a recording gets

    def __post_init__(self) -> None:
        check_options(self, size=(2, 1024), rounds=(1, 100))

    @property
    def fit_on(self) -> str:
        """``everyone`` for a shared codebook, ``nothing`` for one per clip."""
        return "everyone" if self.scope == "shared" else "nothing"

    def fit(self, background: Iterable[tuple[str, Signal]], *, rng: np.random.Generator) -> "_Codebook | VoiceCodebook":
        """Find the typical spectra of many people, who count by how much they speak; per clip none are sought."""
        if self.scope == "clip":
            return self
        kept: list[Array] = []
        for _, speech in background:
            kept.append(_cepstra(samples_of(speech)))
            if sum(map(len, kept)) > 2 * _MOST_FRAMES:  # thin out, so that memory does not grow with the cohort
                kept = [_thinned(np.concatenate(kept), rng)]
        if not kept:
            raise DataError("A shared codebook needs speech to be fitted on, none was given. Pass recordings.")
        frames = _thinned(np.concatenate(kept), rng)
        if len(frames) < self.size:
            raise DataError(
                f"A codebook of {self.size} needs at least as many frames, {len(frames)} were given. Give more speech."
            )
        return _Codebook(spectra=typical(frames, self.size, rng), rounds=self.rounds)

    def __call__(self, speech: Signal, *, rng: np.random.Generator) -> Signal:
        """Return speech built from the recording's own typical spectra (``scope="clip"`` only)."""
        if self.scope == "shared":
            raise OptionError(
                "voice_codebook with scope='shared' must be fitted on recordings of many people first: call "
                "fit(background, rng=...), give background recordings, or choose scope='clip' (which protects less)."
            )
        if len(speech.values) == 0:
            raise DataError("A recording without samples cannot be changed. Leave it out.")
        frames = _cepstra(samples_of(speech))
        codebook = _Codebook(spectra=typical(frames, min(self.size, len(frames)), rng), rounds=self.rounds)
        return codebook(speech, rng=rng)


@dataclass(frozen=True, kw_only=True)
class _Codebook:
    spectra: Array  # (size, 20) cepstra of typical spectra
    rounds: int

    def __call__(self, speech: Signal, *, rng: np.random.Generator) -> Signal:
        """Return speech built from the typical spectra; rate, length, channels and loudness are kept."""
        seed = int(rng.integers(2**63))  # the same phases for every channel

        def change(samples: Array) -> Array:
            magnitude = _magnitudes(self.spectra)[nearest(_cepstra(samples), self.spectra)]
            return _sound(magnitude, len(samples), self.rounds, np.random.default_rng(seed))

        return rework(speech, change)


def _cepstra(samples: Array) -> Array:
    """Return 20 mel cepstra, the level among them, every 16 ms, (T, 20)."""
    window = get_window("hann", N_FFT).astype(np.float32)
    frames, parts = framed(samples, N_FFT, hop=_HOP), []
    bank = mel_bands(_BANDS, 0, RATE_HZ / 2)[0].astype(np.float32)  # a flat spectrum has equal energy in each
    for at in range(0, len(frames), 2048):
        power = np.abs(rfft(frames[at : at + 2048] * window)) ** 2
        parts.append(dct(np.log(power @ bank + 1e-7), norm="ortho", axis=1)[:, :_CEPSTRA])
    return np.concatenate(parts)


def _magnitudes(cepstra: Array) -> Array:
    """Return the magnitude spectra that cepstra stand for, (K, 513)."""
    bands = idct(np.pad(cepstra, ((0, 0), (0, _BANDS - _CEPSTRA))), norm="ortho", axis=1)
    hz, centers = np.arange(BINS) * RATE_HZ / N_FFT, mel_bands(_BANDS, 0, RATE_HZ / 2)[1]
    return np.stack([np.exp(0.5 * np.interp(hz, centers, row)) for row in bands]).astype(np.float32)


def _thinned(frames: Array, rng: np.random.Generator) -> Array:
    return frames if len(frames) <= _MOST_FRAMES else frames[rng.choice(len(frames), _MOST_FRAMES, replace=False)]


def _sound(magnitude: Array, length: int, rounds: int, rng: np.random.Generator) -> Array:
    """Return (length,) samples whose short-time spectra come close to the magnitudes, (T, 513)."""
    window = get_window("hann", N_FFT).astype(np.float32)
    phase = np.exp(2j * np.pi * rng.random(magnitude.shape, dtype=np.float32)).astype(np.complex64)
    before = np.zeros_like(phase)

    def sound(spectra: Array) -> Array:
        # four squared Hann windows that overlap add up to 1.5; the edges of the recording are faded
        added = overlapped(irfft(spectra, N_FFT) * window, _HOP)
        return np.asarray(added[N_FFT // 2 : N_FFT // 2 + length] / 1.5)

    for _ in range(rounds):
        again = rfft(framed(sound(magnitude * phase), N_FFT, hop=_HOP) * window)
        ahead = again + _MOMENTUM * (again - before)
        before, phase = again, ahead / (np.abs(ahead) + 1e-12)
    return sound(magnitude * phase)
