"""Recordings of any modality as rows of standardized numbers, to be compared with each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from personare.core.errors import DataError
from personare.core.types import Array, Batch
from personare.features.visits import VISITS, history_rows
from personare.learn.describing import describe_rows

__all__ = ["Described", "Scaling", "nearest", "rows_of"]

_CHUNK: Final = 256
_NARROW: Final = 4096  # numbers of a recording; of wider ones fewer at a time
_CONSTANT: Final = 1e-6  # relative spread under which a column says nothing


@dataclass(frozen=True, kw_only=True)
class Described:
    """Recordings as rows.

    Attributes:
        values: (N, D) numbers, standardized; 0 where a modality is missing.
        people: (N,) int, whose recording it is.
        labels: (N,) int, index into the real people's classes; -1 for a class they do not have.
    """

    values: Array
    people: Array
    labels: Array

    def __len__(self) -> int:
        """Return how many recordings there are."""
        return len(self.people)

    def take(self, rows: Array) -> "Described":
        """Return these recordings."""
        return Described(values=self.values[rows], people=self.people[rows], labels=self.labels[rows])

    def thinned(self, each: int, rng: np.random.Generator) -> "Described":
        """Return at most ``each`` recordings of each person, at random."""
        order = rng.permutation(len(self))
        order = order[np.argsort(self.people[order], kind="stable")]
        _, first = np.unique(self.people[order], return_index=True)
        place = np.arange(len(order)) - np.repeat(first, np.diff(np.append(first, len(order))))
        return self.take(np.sort(order[place < each]))


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """Means and deviations that bring recordings of several sets to one scale.

    Attributes:
        center: Means of the columns, by modality.
        factor: One over the deviations; 0 for a constant column.
    """

    center: Mapping[str, Array]
    factor: Mapping[str, Array]

    @classmethod
    def of(cls, batches: Sequence[Batch]) -> "Scaling":
        """Learn the scale from the recordings in which each modality is present, all sets together."""
        center, factor = {}, {}
        for modality in batches[0].arrays:
            # everybody counts, learned from or not: a scale that only one group made would tell the groups apart
            rows = np.concatenate([_rows(modality, b.arrays[modality])[b.present[modality]] for b in batches])
            if not len(rows):
                raise DataError(f"Nobody has {modality}: leave this modality out.")
            mean, spread = rows.mean(axis=0, dtype=float), rows.std(axis=0, dtype=float)
            told = spread > _CONSTANT * (np.abs(mean) + 1e-3)
            center[modality], factor[modality] = mean, np.where(told, 1 / np.where(told, spread, 1), 0)
        return cls(center=center, factor=factor)

    def __call__(self, batch: Batch) -> Array:
        """Return (N, D), 0 where a modality is missing.

        Raises:
            DataError: Other columns than those learned, or numbers that are none.
        """
        found = []
        for modality, mean in self.center.items():
            described = _rows(modality, batch.arrays[modality])
            if described.shape[1] != len(mean):
                raise DataError(f"{modality} must have {len(mean)} columns everywhere, it has {described.shape[1]}.")
            rows = (described - mean) * self.factor[modality]
            found.append(np.where(batch.present[modality][:, None], rows, 0))
        values = np.concatenate(found, axis=1)
        if not np.isfinite(values).all():
            raise DataError("Recordings must be finite numbers, but some are NaN or infinite: leave these out.")
        return values

    @property
    def parts(self) -> dict[str, slice]:
        """Columns by modality."""
        ends = np.cumsum([0, *(len(mean) for mean in self.center.values())])
        return {name: slice(int(a), int(b)) for name, a, b in zip(self.center, ends[:-1], ends[1:], strict=True)}


def rows_of(values: Array) -> Array:
    """Return what ``describe_rows`` does, a few recordings at a time: wide ones are not copied as a whole.

    Example:
        >>> rows_of(np.zeros((300, 50, 3), dtype=np.float32)).shape
        (300, 15)
    """
    if values.dtype.kind == "U" or not len(values):
        return describe_rows(values)
    few = max(1, _CHUNK * _NARROW // max(_NARROW, values[0].size))
    return np.concatenate([describe_rows(values[at : at + few]) for at in range(0, len(values), few)])


def _rows(modality: str, values: Array) -> Array:
    """Return the fixed description: of histories by shares of visits, since rows of zeros are none."""
    return history_rows(values) if modality == VISITS else rows_of(values)


def nearest(rows: Described, others: Described) -> Array:
    """Return each recording's distance to the nearest of others, (N,); never to the same person's of one set.

    Args:
        rows: Whose distances.
        others: To whom; the very same object leaves each person's own recordings out.
    """
    found, squares = np.empty(len(rows)), np.einsum("nd,nd->n", others.values, others.values)
    for start in range(0, len(rows), _CHUNK):
        part = slice(start, start + _CHUNK)
        apart = squares - 2 * rows.values[part] @ others.values.T  # (chunk, M), but for what all of a row have
        if rows is others:
            apart[rows.people[part, None] == others.people] = np.inf
        who = apart.argmin(axis=1)
        exact = np.linalg.norm(rows.values[part] - others.values[who], axis=1)  # so that copies are at 0
        found[part] = np.where(np.isinf(apart[np.arange(len(who)), who]), np.inf, exact)
    return found
