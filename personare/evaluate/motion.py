"""What a clip's landmarks or blendshapes say over time: where they are, how they move, what moves together."""

import numpy as np
from scipy.signal import periodogram

from personare.core.types import Array

__all__ = ["describe_motion", "seen_rows"]

_BANDS = 4
_TOGETHER = 24  # tracks whose correlations are taken


def seen_rows(clip: Array) -> Array:
    """Return the rows (F, D) in which a face was seen, gaps closed."""
    rows = np.asarray(clip, dtype=float).reshape(len(clip), -1)
    return np.asarray(rows[np.isfinite(rows).all(axis=1)])


def describe_motion(clip: Array) -> list[Array]:
    """Return three descriptions of a clip: geometry, dynamics, coordination.

    Args:
        clip: (F, 52) blendshapes or (F, 478, 2) landmarks; rows of NaN where no face was seen.

    Returns:
        Mean and ends of the range of every track; spread, speed and rhythm of every track; which tracks move together.

    Example:
        >>> [d.shape for d in describe_motion(np.random.default_rng(0).random((30, 52)))]
        [(156,), (364,), (276,)]
    """
    rows = seen_rows(clip)
    if len(rows) < 2:
        rows = np.repeat(rows, 2, axis=0) if len(rows) else np.zeros((2, rows.shape[1]))
    low, high = np.percentile(rows, (10, 90), axis=0)
    return [np.concatenate([rows.mean(axis=0), low, high]), _dynamics(rows), _coordination(rows)]


def _dynamics(rows: Array) -> Array:
    speed = np.diff(rows, axis=0)
    power = periodogram(rows, axis=0, detrend="constant")[1][1:]
    bands = [part.sum(axis=0) for part in np.array_split(power, _BANDS)]
    rhythm = np.log(np.array(bands) + 1e-9)
    return np.concatenate([rows.std(axis=0), np.abs(speed).mean(axis=0), np.abs(speed).max(axis=0), rhythm.ravel()])


def _coordination(rows: Array) -> Array:
    """Correlations of tracks; of landmarks only a spread of them, so that the vector stays small."""
    chosen = rows[:, np.linspace(0, rows.shape[1] - 1, min(_TOGETHER, rows.shape[1])).astype(int)]
    centred = chosen - chosen.mean(axis=0)
    length = np.linalg.norm(centred, axis=0)
    centred = centred / np.where(length > 1e-6, length, np.inf)
    return np.asarray((centred.T @ centred)[np.triu_indices(chosen.shape[1], 1)])
