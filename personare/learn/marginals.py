"""Columns of any shape as normal numbers and back: what each column's values are is kept apart from how they belong."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import ndtri

from personare.core.types import Array

__all__ = ["Marginals"]

_EDGE = 0.004  # the outermost quantiles: the very largest and smallest value are one person's, and are not kept
_FEW = 10  # a column of fewer different values has levels, and nothing between them
_SHARES = np.linspace(_EDGE, 1 - _EDGE, 65)
_KNOTS = ndtri(_SHARES)
_CELLS = 4096  # of a table that stands for a curve
_OFF = 0.02  # of a normal number: where a table would be further off, it is not used


@dataclass(frozen=True, kw_only=True)
class Marginals:
    """Maps each column to a normal one through its quantiles, and back.

    Values beyond the outermost quantiles kept are cut to them, so that nobody's extreme comes out again. A constant
    column gives zeros, and comes back as the constant.

    Attributes:
        grid: (Q, D) the quantiles kept.
        levels: (D,) bool, True where a column has a few levels only.

    Example:
        >>> rows = np.random.default_rng(0).exponential(size=(500, 1))
        >>> found = Marginals.of(rows)
        >>> normal = found.encode(rows)
        >>> bool(abs(normal.mean()) < 0.05), bool(abs(found.decode(normal) - rows)[rows < 4].max() < 0.1)
        (True, True)
    """

    grid: Array
    levels: Array

    @classmethod
    def of(cls, rows: Array) -> "Marginals":
        """Learn the quantiles of (N, D) rows."""
        grid = np.quantile(rows.astype(float), _SHARES, axis=0)  # (Q, D)
        levels = np.array([len(np.unique(column)) < _FEW for column in rows.T], dtype=bool)
        grid[:, levels] = np.quantile(rows[:, levels].astype(float), _SHARES, axis=0, method="nearest")
        return cls(grid=grid, levels=levels)

    def encode(self, rows: Array) -> Array:
        """Return (N, D) normal numbers; a value that many share stands for the middle of its share."""
        found = np.empty(rows.shape, dtype=rows.dtype if rows.dtype.kind == "f" else float)
        for i, (column, grid) in enumerate(zip(rows.T, self.grid.T, strict=True)):
            shared = (np.diff(grid) <= 0).any()
            found[:, i] = _middle(column, grid) if shared else np.interp(column, grid, _KNOTS)
        return found

    def decode(self, normal: Array) -> Array:
        """Return (N, D) values for normal numbers."""
        found = np.empty_like(normal)
        for i, (column, grid) in enumerate(zip(normal.T, self.grid.T, strict=True)):
            if self.levels[i]:
                found[:, i] = grid[np.rint(np.interp(column, _KNOTS, np.arange(len(_KNOTS)))).astype(int)]
            else:
                found[:, i] = np.interp(column, _KNOTS, grid)
        return found

    def encode_many(self, rows: Array) -> Array:
        """Return what ``encode`` does, off by about 0.02 at most, many times faster; for very many (N, D) float32."""
        table, steep = self._forth
        found = table(rows)
        if len(steep):
            found[:, steep] = self._only(steep).encode(rows[:, steep])
        return found

    def decode_many(self, normal: Array) -> Array:
        """Return what ``decode`` does for very many (N, D) float32, as if they were off by 0.001 at most."""
        found, few = self._back(normal), np.flatnonzero(self.levels)
        if len(few):
            found[:, few] = self._only(few).decode(normal[:, few])
        return found

    def _only(self, columns: Array) -> "Marginals":
        return Marginals(grid=self.grid[:, columns], levels=self.levels[columns])

    @cached_property
    def _forth(self) -> tuple["_Table", Array]:
        """The table, and the columns that are so steep that it does not serve."""
        table = _Table.of(self.grid[[0, -1]], self.encode)
        off = np.abs(table(self.grid.astype(np.float32)) - _KNOTS[:, None]) > _OFF
        return table, np.flatnonzero((off | (np.diff(self.grid, axis=0, append=np.inf) <= 0)).any(axis=0))

    @cached_property
    def _back(self) -> "_Table":
        return _Table.of(np.broadcast_to(_KNOTS[[0, -1], None], self.grid[[0, -1]].shape), self.decode)

    def state(self, name: str) -> dict[str, Array]:
        """Return the arrays, each under a name that begins with ``name``."""
        return {f"{name}.grid": self.grid, f"{name}.levels": self.levels.astype(np.float64)}

    @classmethod
    def restore(cls, tensors: Mapping[str, Array], name: str) -> "Marginals":
        """Build again what ``state`` returned."""
        return cls(grid=np.asarray(tensors[f"{name}.grid"]), levels=np.asarray(tensors[f"{name}.levels"]) > 0.5)


@dataclass(frozen=True, kw_only=True)
class _Table:
    """A curve for each column, by its values at evenly spaced places: finding the place takes no search.

    Attributes:
        low: (D,) the first place.
        per: (D,) cells by unit.
        values: (D * (cells + 1),) column by column.
    """

    low: Array
    per: Array
    values: Array

    @classmethod
    def of(cls, ends: Array, curve: Callable[[Array], Array]) -> "_Table":
        """Tabulate a curve between ends, (2, D)."""
        width = ends[1] - ends[0]
        values = curve(ends[0] + width * np.linspace(0, 1, _CELLS + 1)[:, None]).T.ravel()
        low, per, values = (x.astype(np.float32) for x in (ends[0], _CELLS / np.maximum(width, 1e-12), values))
        return cls(low=low, per=per, values=values)

    def __call__(self, rows: Array) -> Array:
        place = (rows - self.low).astype(np.float32, copy=False)
        place *= self.per
        place += 0.5
        np.clip(place, 0, _CELLS, out=place)
        cell = place.astype(np.intp)
        cell += np.arange(len(self.low)) * (_CELLS + 1)
        return np.asarray(self.values.take(cell, mode="clip", out=place))


def _middle(column: Array, grid: Array) -> Array:
    """Return normal numbers where several quantiles are one value: interpolation from either side tells its share."""
    right = np.interp(column, grid, _SHARES)
    left = 1 - np.interp(-column, -grid[::-1], 1 - _SHARES[::-1])
    low, high = np.minimum(left, right), np.maximum(left, right)
    low, high = np.where(low <= _EDGE, 0, low), np.where(high >= 1 - _EDGE, 1, high)
    return np.asarray(ndtri(np.where(high - low > _EDGE, (low + high) / 2, np.clip(right, _EDGE, 1 - _EDGE))))
