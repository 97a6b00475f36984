"""Dynamic time warping of one clip against many at once."""

from collections.abc import Sequence

import numpy as np

from personare.core.types import Array

__all__ = ["warped_distances"]


def warped_distances(clip: Array, templates: Sequence[Array]) -> Array:
    """Return how far a clip is from each template when both may be stretched.

    Args:
        clip: (T, D).
        templates: Each (its own T, D).

    Returns:
        (M,) mean Euclidean distance along the best path, steps of one in either or both directions.

    Example:
        >>> a = np.array([[0.0], [1.0], [2.0]])
        >>> warped_distances(a, [np.repeat(a, 3, axis=0), a + 6]).round(1).tolist()
        [0.0, 4.3]
    """
    lengths = np.array([len(t) for t in templates])
    padded = np.zeros((len(templates), lengths.max(), clip.shape[1]))
    for row, template in zip(padded, templates, strict=True):
        row[: len(template)] = template
    square = (clip**2).sum(axis=1)[:, None] + (padded**2).sum(axis=2)[:, None]  # (M, T, S)
    local = np.sqrt(np.maximum(square - 2 * np.einsum("td,msd->mts", clip, padded, optimize=True), 0))
    total = _accumulated(local)
    return np.asarray(total[np.arange(len(templates)), lengths - 1] / (len(clip) + lengths))


def _accumulated(local: Array) -> Array:
    """Return the cost of the best path to the clip's last row, for each template column, (M, S)."""
    count, rows, columns = local.shape
    # diagonals of constant row + column depend on the two before them only: all pairs advance together
    last = np.full((count, rows), np.inf)
    before = np.full((count, rows), np.inf)
    end = np.full((count, columns), np.inf)
    for diagonal in range(rows + columns - 1):
        first, stop = max(0, diagonal - columns + 1), min(rows, diagonal + 1)
        index = np.arange(first, stop)
        here = local[:, index, diagonal - index]
        if diagonal == 0:
            reach = np.zeros((count, 1))
        else:
            up = last[:, np.maximum(index - 1, 0)] + np.where(index > 0, 0, np.inf)
            slant = before[:, np.maximum(index - 1, 0)] + np.where(index > 0, 0, np.inf)
            # a slanted step passes two cells' worth of time, so it costs twice
            reach = np.minimum(np.minimum(up, last[:, index]), slant + here)
        now = np.full((count, rows), np.inf)
        now[:, index] = here + reach
        if stop == rows:
            end[:, diagonal - rows + 1] = now[:, rows - 1]
        before, last = last, now
    return end
