"""Which recordings of an evidence can be looked at, and how vectors are taken from them."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from personare.core.types import Array, Evidence

__all__ = ["evenly", "looped", "stacked", "usable_clips", "vectors"]

_SEEN = 0.25  # of a clip's rows; with less there is no face or voice to speak of


def usable_clips(evidence: Evidence, view: str) -> dict[str, Array]:
    """Return one view of the recordings in which there is something to see, by recording id.

    A view is missing where the array is absent or empty, or where fewer than a quarter of its rows hold a number.
    """
    arrays = evidence.views.get(view, {})
    found = {name: arrays[name] for name in evidence.table.index if name in arrays}
    return {name: array for name, array in found.items() if _usable(array)}


def _usable(array: Array) -> bool:
    if array.size == 0:
        return False
    if not np.issubdtype(array.dtype, np.floating):
        return True
    return bool(np.isfinite(array.reshape(len(array), -1)).any(axis=1).mean() >= _SEEN)


def vectors(clips: Mapping[str, Array], describe: Callable[[Array], Array]) -> dict[str, Array]:
    """Return one vector for each clip."""
    return {name: np.asarray(describe(clip), dtype=float).ravel() for name, clip in clips.items()}


def stacked(clips: Mapping[str, Array], names: Sequence[str]) -> Array:
    """Return the vectors of named clips as (N, D)."""
    return np.stack([clips[name] for name in names])


def evenly(rows: Array, count: int) -> Array:
    """Return ``count`` rows spread over a clip (all rows if there are fewer).

    Example:
        >>> evenly(np.arange(10), 3).tolist()
        [0, 4, 9]
    """
    return np.asarray(rows[np.unique(np.linspace(0, len(rows) - 1, count).astype(int))])


def looped(rows: Array, least: int) -> Array:
    """Return a clip repeated until it has at least ``least`` rows.

    Example:
        >>> looped(np.arange(3), 5).tolist()
        [0, 1, 2, 0, 1, 2]
    """
    return np.asarray(np.concatenate([rows] * -(-least // len(rows)))) if len(rows) < least else rows
