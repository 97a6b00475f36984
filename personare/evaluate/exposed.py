"""Who is the easiest to find: people unlike all others; and made-up ones, planted to see whether they are found."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from personare.core.errors import DataError, OptionError
from personare.core.types import Array, Batch
from personare.features.visits import VISITS, VisitColumns

__all__ = ["canary_people", "isolation", "most_exposed", "together"]


def isolation(alone: Array, people: Array) -> Array:
    """Return how far each person's recordings are from anybody else's, (P,): the median of the nearest distances.

    Args:
        alone: (N,) distance of each recording to the nearest one of anybody else.
        people: (N,) int, whose it is, from 0 to P - 1.

    Example:
        >>> isolation(np.array([1.0, 1.0, 8.0, 9.0]), np.array([0, 1, 2, 2])).tolist()
        [1.0, 1.0, 8.5]
    """
    return np.array([np.median(alone[people == p]) for p in range(int(people.max()) + 1)])


def most_exposed(alone: Array, share: float = 0.25) -> Array:
    """Return the positions of the most isolated people, at least two.

    Args:
        alone: (P,) how isolated each is.
        share: Of the people.

    Example:
        >>> most_exposed(np.array([1.0, 5.0, 2.0, 4.0]), 0.5).tolist()
        [1, 3]
    """
    if not 0 < share <= 1:
        raise OptionError(f"The share of people who count as exposed must be in (0, 1], it is {share}.")
    return np.argsort(-alone, kind="stable")[: max(2, round(share * len(alone)))]


def canary_people(batch: Batch, count: int, *, strength: float = 0.7, rng: np.random.Generator) -> Batch:
    """Return a batch with people planted in it who are extreme, and yet no number of theirs is out of range.

    Each takes over the recordings of a real person, and every channel of theirs is moved a part of the way to the
    cohort's largest or smallest value of that channel, drawn once for each canary: only together are the numbers
    unusual. Histories of visits stay histories: codes drawn once are put into, or left out of, that part of the visits.

    Args:
        batch: The cohort; no text.
        count: How many people are added, ``canary-0001`` and so on.
        strength: The part of the way, in (0, 1].
        rng: Draws whose recordings they take over and where they are moved.

    Returns:
        The batch with the canaries' recordings after the others.

    Raises:
        DataError: Text, which has no range.

    Example:
        >>> rows = np.arange(6, dtype=np.float32).reshape(3, 2)
        >>> some = Batch(ids=("a", "b", "c"), arrays={"x": rows}, present={"x": np.ones(3, bool)},
        ...     labels=np.array([0, 1, 0]), classes=("n", "y"), subjects=np.array(["1", "2", "3"]))
        >>> canary_people(some, 2, rng=np.random.default_rng(0)).subjects.tolist()
        ['1', '2', '3', 'canary-0001', 'canary-0002']
    """
    if count < 1 or not 0 < strength <= 1:
        raise OptionError(f"Canaries need a count of at least 1 and a strength in (0, 1], given {count}, {strength}.")
    if text := [m for m, values in batch.arrays.items() if values.dtype.kind == "U"]:
        raise DataError(f"{', '.join(text)} is text and has no range to be extreme in: plant canaries without it.")
    parts = [batch]
    names = np.unique(batch.subjects)
    for number in range(1, count + 1):
        rows = np.flatnonzero(batch.subjects == rng.choice(names))
        taken = batch.take(rows)
        arrays = {m: _moved(taken.arrays[m], batch, m, strength, rng) for m in batch.arrays}
        name = f"canary-{number:04d}"
        ids = tuple(f"{name}_{k}" for k in range(len(rows)))
        parts.append(replace(taken, ids=ids, arrays=arrays, subjects=np.full(len(rows), name)))
    return together(parts)


def _moved(values: Array, batch: Batch, modality: str, strength: float, rng: np.random.Generator) -> Array:
    if modality == VISITS:
        return _recoded(values, VisitColumns(names=tuple(batch.columns[VISITS])), strength, rng)
    known = batch.arrays[modality][batch.present[modality]]
    # the axis whose entries mean different things: columns of a table or signal, bands, colors
    axis = {2: 1, 3: 2}.get(values.ndim, 2 if values.shape[1] == 1 else 1)
    others = tuple(k for k in range(values.ndim) if k != axis)
    low, high = known.min(axis=others, keepdims=True), known.max(axis=others, keepdims=True)
    corner = np.where(rng.random(low.shape) < 0.5, low, high)
    return np.asarray((1 - strength) * values + strength * corner, dtype=values.dtype)


def _recoded(values: Array, columns: VisitColumns, strength: float, rng: np.random.Generator) -> Array:
    """Return histories in which each code has the same drawn value at a part of the visits."""
    moved, there = values.copy(), values[..., :1] == 1
    codes = moved[..., columns.part("code")]
    corner = rng.integers(2, size=codes.shape[-1])
    taken = there & (rng.random(codes.shape) < strength)
    moved[..., columns.part("code")] = np.where(taken, corner, codes)
    return np.asarray(moved)


def together(parts: Sequence[Batch]) -> Batch:
    """Return the recordings of several batches of the same modalities and classes as one."""
    return replace(
        parts[0],
        ids=tuple(i for part in parts for i in part.ids),
        arrays={m: np.concatenate([part.arrays[m] for part in parts]) for m in parts[0].arrays},
        present={m: np.concatenate([part.present[m] for part in parts]) for m in parts[0].present},
        labels=np.concatenate([part.labels for part in parts]),
        subjects=np.concatenate([part.subjects for part in parts]),
    )
