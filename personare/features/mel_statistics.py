"""One row of numbers that says how a log-mel spectrogram moves: public arithmetic, in which nothing is learned.

Numbers that were fitted to no one can stand in front of a private learner and cost no privacy.
"""

import numpy as np
from scipy.fft import dct

from personare.core.errors import DataError
from personare.core.types import Array
from personare.features.mel_modulation import harmonics, modulation

__all__ = ["mel_statistics"]

_CHUNK = 128  # spectrograms at a time, so that memory stays bounded
_BANDS = 32
_CEPSTRA = 26
_LEVELS = (0.5, 0.75, 0.9, 0.98)


def mel_statistics(spectrograms: Array) -> Array:
    """Describe log-mel spectrograms by levels, cepstra, rhythm, pitch and modulation.

    **Guarantee**: a row depends on its own spectrogram alone, and on no other recording.

    Args:
        spectrograms: (N, 1, F, T) on a logarithmic scale, 0 = silence (80 to 100 dB below 1), lowest band first; frames
            of zeros at the end are padding. Pitch is read right from 128 Slaney mel bands up to 8 kHz (frames of 64 ms
            at 16 kHz); from others it is a texture of the low bands. Rates are right at 16 ms a frame.

    Returns:
        (N, K) float32, K the same for any F and T.

    Raises:
        DataError: Another shape, or fewer than 32 bands or 8 frames.

    **Source**: 2-D modulation energies in the spirit of T. Chi, P. Ru, S. Shamma, JASA 2005, doi:10.1121/1.1945807, in
    place of learned layers as F. Tramer and D. Boneh do with scattering, ICLR 2021, arXiv:2011.11660.

    Example:
        >>> noise = np.random.default_rng(0).random((2, 1, 128, 60), dtype=np.float32)
        >>> mel_statistics(noise).shape[0]
        2
    """
    shape = spectrograms.shape
    if len(shape) != 4 or shape[1] != 1 or shape[2] < _BANDS or shape[3] < 8:
        raise DataError(
            f"Log-mel spectrograms must be (N, 1, F, T) with at least {_BANDS} bands and 8 frames, given {shape}."
        )
    starts = range(0, max(1, len(spectrograms)), _CHUNK)
    rows = [_describe(spectrograms[at : at + _CHUNK, 0].astype(np.float32)) for at in starts]
    return np.concatenate(rows).astype(np.float32)


def _describe(x: Array) -> Array:
    """Describe (N, F, T)."""
    level, heard, active = _activity(x)
    weight = active / (active.sum(axis=1, keepdims=True) + 1e-6)  # (N, T)
    parts = [_levels(x), _cepstra(x, weight), _rhythm(level, heard, active), harmonics(x, active)]
    return np.concatenate([*parts, modulation(x, active)], axis=1)


def _activity(x: Array) -> tuple[Array, Array, Array]:
    """Return level, whether a frame is no padding, and how surely somebody speaks in it, each (N, T)."""
    loudest = np.sort(x, axis=1)[:, -x.shape[1] // 4 :]
    level = loudest.mean(axis=1)
    heard = x.max(axis=1) > 0
    high = np.quantile(np.where(heard, level, 0), 0.98, axis=1, keepdims=True)
    low = _floor(x, heard)[:, None]
    spoken = np.clip((level - low - 0.35 * (high - low)) / (0.3 * (high - low) + 1e-6), 0, 1)
    return level, heard, spoken * heard


def _floor(x: Array, heard: Array) -> Array:
    """Return the level of the noise: the lowest tenth of what is no padding, (N,)."""
    return np.array([np.quantile(one[:, own], 0.1) if own.any() else 0 for one, own in zip(x, heard, strict=True)])


def _bands(x: Array) -> Array:
    """Pool (N, F, T) to (N, 32, T)."""
    edges = np.linspace(0, x.shape[1], _BANDS + 1).astype(int)
    return np.asarray(np.add.reduceat(x, edges[:-1], axis=1) / np.diff(edges)[:, None])


def _levels(x: Array) -> Array:
    found = np.sort(_bands(x), axis=2)
    at = [min(round(q * x.shape[2]), x.shape[2] - 1) for q in _LEVELS]
    return np.asarray(found[:, :, at].reshape(len(x), -1))


def _cepstra(x: Array, weight: Array) -> Array:
    """Return mean, deviation and mean change of the cepstra where somebody speaks."""
    c = dct(x, axis=1, norm="ortho")[:, :_CEPSTRA] / np.sqrt(x.shape[1] / 2)  # (N, 26, T)
    mean = np.einsum("nft,nt->nf", c, weight)
    spread = np.einsum("nft,nt->nf", c**2, weight) - mean**2
    change = np.einsum("nft,nt->nf", np.abs(c[:, :, 2:] - c[:, :, :-2]), weight[:, 1:-1])
    return np.concatenate([mean, np.sqrt(np.maximum(spread, 0)), change], axis=1)


def _rhythm(level: Array, heard: Array, active: Array) -> Array:
    """Return how long, how loud over the noise, how steady, and how quickly it rises and falls, (N, 9)."""
    total = active.sum(axis=1, keepdims=True) + 1e-6
    weight = active / total
    mean = (level * weight).sum(axis=1)
    spread = np.maximum((level**2 * weight).sum(axis=1) - mean**2, 0)
    quiet = np.where(heard, level, np.inf).min(axis=1)
    move = level[:, 2:] - level[:, :-2]
    time = np.linspace(-1, 1, level.shape[1])
    columns = [
        total[:, 0] / 100,
        heard.sum(axis=1) / 100,
        mean,
        np.sqrt(spread),
        np.where(np.isfinite(quiet), quiet, 0),
        np.abs(np.diff(active, axis=1)).sum(axis=1) / 10,
        (np.maximum(move, 0) * weight[:, 1:-1]).sum(axis=1),
        (np.maximum(-move, 0) * weight[:, 1:-1]).sum(axis=1),
        (time * weight).sum(axis=1),
    ]
    return np.stack(columns, axis=1)
