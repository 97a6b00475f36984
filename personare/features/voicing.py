"""Sound from a log-mel spectrogram: what a made-up voice says can be heard."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Final, NamedTuple

import numpy as np
from scipy.fft import irfft, rfft
from scipy.signal import get_window

from personare.core.errors import DataError
from personare.core.types import Array, Signal
from personare.features.acoustics import HOP, N_FFT, RATE_HZ, SLANEY_TOP, WINDOW, framed, mel_bank, slaney_hz, triangles
from personare.features.resynthesis import overlapped

_UNMIXING = 40  # updates of the power spectrum; more changes nothing that can be heard
_ROUNDS, _MOMENTUM = 32, 0.99  # of the search for phases
_QUIET = 0.02  # under this share of the range there is nothing but what filled up the array
_LOUDNESS = 0.06  # RMS of speech whose level is not known, about -24 dBFS
_TINY = 1e-12


class _Mel(NamedTuple):
    window: int  # samples of a Hann frame
    hop: int  # samples between frames
    bank: Callable[[int], Array]  # makes the filters, (513, bands)
    range_db: float  # decibels from 0 to 1
    gain: float | None  # power at 1 of a frame's squared spectrum; None where the level was scaled away clip by clip


def voiced(mel: Array, *, rng: np.random.Generator) -> Signal:
    """Make the sound that has a log-mel spectrogram; the phases, which it does not hold, are made up.

    Two kinds are known by their number of bands: 64, the program's own (``features/acoustics.logmel`` from -100 to 0
    dB), and 128, as data sets publish them (frames of 64 ms, every 16 ms, decibels scaled clip by clip to [0, 1]; they
    are taken to span 80 dB, and come out at the level of speech). They are (bands, T) in [0, 1], lowest band first;
    silence at their end is cut off.

    **Source**: Perraudin, Balazs, Søndergaard, A fast Griffin-Lim algorithm, WASPAA 2013,
    doi:10.1109/WASPAA.2013.6701851; power from mel bands by the multiplicative updates of Lee and Seung (2000).
    """
    kind = _kind(mel)
    last = int(np.flatnonzero(np.max(mel, axis=0) > _QUIET).max(initial=0))
    if last < 1:
        raise DataError("The spectrogram is silent, so there is nothing to hear. Leave the recording out.")
    spoken = np.asarray(mel, np.float64)[:, : last + 1]
    bank = kind.bank(len(spoken)).astype(np.float64)
    bands = 10 ** ((np.clip(spoken, 0, 1) - 1) * kind.range_db / 10)
    reach = bank.sum(axis=1, keepdims=True) + _TINY
    power = bank @ bands / reach  # (513, T)
    for _ in range(_UNMIXING):  # lowers the Kullback-Leibler divergence, which counts quiet bands like loud ones
        power *= bank @ (bands / (bank.T @ power + _TINY)) / reach
    size = np.sqrt(power / (kind.gain or 1.0)).T  # (T, 513)
    guess = np.exp(2j * np.pi * rng.random(size.shape))
    before = np.zeros_like(guess)
    for _ in range(_ROUNDS):
        heard = _spectra(_overlapped(size * guess, kind), kind)
        guess = heard - _MOMENTUM / (1 + _MOMENTUM) * before
        guess /= np.abs(guess) + _TINY
        before = heard
    samples = _overlapped(size * guess, kind)
    if kind.gain is None:
        samples *= _LOUDNESS / max(float(np.sqrt(np.mean(samples**2))), _TINY)
    samples /= max(1.0, float(np.abs(samples).max()) / 0.99)
    return Signal(values=samples[:, None].astype(np.float32), rate_hz=float(RATE_HZ))


def mel_of(samples: Array, bands: int) -> Array:
    """Return the log-mel spectrogram (64 or 128 bands, T), 0 to 1, of samples (N,) that :func:`voiced` turns round."""
    kind = _kind(np.zeros((bands, 2)))
    power = np.abs(_spectra(samples, kind)) ** 2 @ kind.bank(bands)  # (T, bands)
    top = float(power.max()) if kind.gain is None else 1 / kind.gain
    decibel = 10 * np.log10(np.maximum(power / max(top, _TINY), _TINY)).T
    return np.clip(1 + decibel / kind.range_db, 0, 1).astype(np.float32)


def _kind(mel: Array) -> _Mel:
    if mel.ndim != 2 or len(mel) not in _KINDS:
        kinds = " or ".join(map(str, _KINDS))
        raise DataError(f"A spectrogram to be heard must have {kinds} bands by frames, not the shape {mel.shape}.")
    if not np.isfinite(mel).all():
        raise DataError("A spectrogram to be heard must hold numbers only. Replace what is missing or infinite.")
    return _KINDS[len(mel)]


def _spectra(samples: Array, kind: _Mel) -> Array:
    frames = framed(samples, kind.window, hop=kind.hop)  # (T, window)
    return np.asarray(rfft(frames * get_window("hann", kind.window), N_FFT))


def _overlapped(spectra: Array, kind: _Mel) -> Array:
    """Return the samples whose frames come closest to these spectra, ((T - 1) * hop,)."""
    window = get_window("hann", kind.window)
    frames = irfft(spectra, N_FFT)[:, : kind.window] * window  # (T, window)
    whole = ((0, 0), (0, -kind.window % kind.hop))
    total, weight = (
        overlapped(np.pad(part, whole), kind.hop, np.float64)
        for part in (frames, np.broadcast_to(window**2, frames.shape))
    )
    kept = slice(kind.window // 2, kind.window // 2 + (len(spectra) - 1) * kind.hop)
    return np.asarray(total[kept] / np.maximum(weight[kept], 1e-3))


@cache
def _slaney_bank(bands: int) -> Array:
    """Return triangular filters of equal area from 0 to 8000 Hz, (513, bands).

    **Source**: Slaney, Auditory Toolbox, Interval Research Technical Report 1998-010; as in librosa.
    """
    edges = slaney_hz(np.linspace(0, SLANEY_TOP, bands + 2))
    return np.asarray(triangles(edges, np.fft.rfftfreq(N_FFT, 1 / RATE_HZ)) * 2 / (edges[2:] - edges[:-2]))


_OWN_GAIN = 4 / (N_FFT * float(np.square(get_window("hann", WINDOW)).sum()))
_KINDS: Final[Mapping[int, _Mel]] = {
    64: _Mel(window=WINDOW, hop=HOP, bank=mel_bank, range_db=100.0, gain=_OWN_GAIN),
    128: _Mel(window=N_FFT, hop=256, bank=_slaney_bank, range_db=80.0, gain=None),
}
