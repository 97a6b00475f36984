"""A fixed description of any modality by a row of numbers, for learners that take tables: nothing in it is learned."""

import numpy as np

from personare.core.errors import DataError
from personare.core.types import Array, Batch
from personare.learn.text import ngrams

__all__ = ["describe_batch", "describe_rows"]

TEXT_BUCKETS = 512
GRID = 6  # pictures are described by the mean color and the spread of 6 x 6 fields


def describe_rows(values: Array) -> Array:
    """Describe each recording's array.

    Args:
        values: (N, D) as they are; (N, T, D) signals by mean, deviation, minimum, maximum and mean step of each
            channel; (N, 1, F, T) spectrograms by the same of each frequency; (N, 3, H, W) pictures by fields; (N,) text
            by hashed words and pieces of words.

    Returns:
        (N, K) float32.

    Example:
        >>> describe_rows(np.zeros((2, 50, 3), dtype=np.float32)).shape
        (2, 15)
    """
    if values.dtype.kind == "U":
        return ngrams(values.tolist(), buckets=TEXT_BUCKETS)
    if values.ndim == 2:
        return values.astype(np.float32)
    if values.ndim == 3:
        return _over_time(values)
    if values.shape[1] == 1:
        return _over_time(values[:, 0].swapaxes(1, 2))
    fields = [f for row in np.array_split(values, GRID, axis=2) for f in np.array_split(row, GRID, axis=3) if f.size]
    found = [part for f in fields for part in (f.mean(axis=(2, 3)), f.std(axis=(2, 3)))]
    return np.concatenate(found, axis=1).astype(np.float32)


def _over_time(x: Array) -> Array:
    """Describe (N, T, D) by five numbers a channel, (N, 5 D)."""
    steps = np.abs(np.diff(x, axis=1, append=x[:, -1:])).mean(axis=1)
    parts = (x.mean(axis=1), x.std(axis=1), x.min(axis=1), x.max(axis=1), steps)
    return np.concatenate(parts, axis=1).astype(np.float32)


def describe_batch(batch: Batch, modalities: tuple[str, ...]) -> Array:
    """Put the descriptions of modalities side by side, zeros and a bit of 0 where one is missing.

    Raises:
        DataError: The batch lacks a modality altogether.
    """
    if absent := sorted(set(modalities) - set(batch.arrays)):
        raise DataError(f"The batch has no {', '.join(absent)}: give it with a mask of False where it is missing.")
    columns = []
    for modality in modalities:
        present = batch.present[modality][:, None]
        columns += [np.where(present, describe_rows(batch.arrays[modality]), 0), present]
    return np.concatenate(columns, axis=1).astype(np.float32)
