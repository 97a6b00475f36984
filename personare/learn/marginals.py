"""Columns of any shape as normal numbers and back: what each column's values are is kept apart from how they belong."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import ndtri

from personare.core.types import Array

_EDGE = 0.004  # the outermost quantiles: the very largest and smallest value are one person's, and are not kept
_FEW = 10  # a column of fewer different values has levels, and nothing between them
_SHARES = np.linspace(_EDGE, 1 - _EDGE, 65)
_KNOTS = ndtri(_SHARES)
_CELLS = 4096  # of a table that stands for a curve
_OFF = 0.02  # of a normal number: where a table would be further off, it is not used


@dataclass(frozen=True, kw_only=True)
class Marginals:
    """Maps each column to a normal one through its quantiles (normal scores), and back.

    Values beyond the outermost quantiles kept are cut to them, so that nobody's extreme comes out again. A constant
    column gives zeros, and comes back as the constant. ``grid`` (Q, D) are the quantiles kept; ``levels`` (D,) is 1
    where a column has a few levels only.

    Example:
        >>> rows = np.random.default_rng(0).exponential(size=(500, 1))
        >>> marginals = Marginals.of(rows)
        >>> normal = marginals.encode(rows)
        >>> bool(abs(normal.mean()) < 0.05), bool(abs(marginals.decode(normal) - rows)[rows < 4].max() < 0.1)
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
        return cls(grid=grid, levels=levels.astype(np.int8))

    def encode(self, rows: Array) -> Array:
        """Return (N, D) normal numbers; a value that many share stands for the middle of its share."""
        normal = np.empty(rows.shape, dtype=rows.dtype if rows.dtype.kind == "f" else float)
        for i, (column, grid) in enumerate(zip(rows.T, self.grid.T, strict=True)):
            if not (np.diff(grid) <= 0).any():
                normal[:, i] = np.interp(column, grid, _KNOTS)
                continue
            # several quantiles are one value: interpolation from either side tells its share
            right = np.interp(column, grid, _SHARES)
            left = 1 - np.interp(-column, -grid[::-1], 1 - _SHARES[::-1])
            low, high = np.minimum(left, right), np.maximum(left, right)
            low, high = np.where(low <= _EDGE, 0, low), np.where(high >= 1 - _EDGE, 1, high)
            shared = high - low > _EDGE
            normal[:, i] = ndtri(np.where(shared, (low + high) / 2, np.clip(right, _EDGE, 1 - _EDGE)))
        return normal

    def decode(self, normal: Array) -> Array:
        """Return (N, D) values for normal numbers."""
        rows = np.empty_like(normal)
        for i, (column, grid) in enumerate(zip(normal.T, self.grid.T, strict=True)):
            if self.levels[i]:
                rows[:, i] = grid[np.rint(np.interp(column, _KNOTS, np.arange(len(_KNOTS)))).astype(int)]
            else:
                rows[:, i] = np.interp(column, _KNOTS, grid)
        return rows

    def encode_many(self, rows: Array) -> Array:
        """Return what ``encode`` does, off by about 0.02 at most, many times faster; for very many (N, D) float32."""
        look_up, steep = self._encoding
        normal = look_up(rows)
        if len(steep):
            normal[:, steep] = self._only(steep).encode(rows[:, steep])
        return normal

    def decode_many(self, normal: Array) -> Array:
        """Return what ``decode`` does for very many (N, D) float32, as if they were off by 0.001 at most."""
        rows, few = self._decoding(normal), np.flatnonzero(self.levels)
        if len(few):
            rows[:, few] = self._only(few).decode(normal[:, few])
        return rows

    def _only(self, columns: Array) -> "Marginals":
        return Marginals(grid=self.grid[:, columns], levels=self.levels[columns])

    @cached_property
    def _encoding(self) -> tuple[Callable[[Array], Array], Array]:
        """The table, and the columns that are so steep that it does not serve."""
        look_up = _tabulated(self.grid[[0, -1]], self.encode)
        off = np.abs(look_up(self.grid.astype(np.float32)) - _KNOTS[:, None]) > _OFF
        return look_up, np.flatnonzero((off | (np.diff(self.grid, axis=0, append=np.inf) <= 0)).any(axis=0))

    @cached_property
    def _decoding(self) -> Callable[[Array], Array]:
        return _tabulated(np.broadcast_to(_KNOTS[[0, -1], None], self.grid[[0, -1]].shape), self.decode)


def _tabulated(ends: Array, curve: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """Return a curve by column between ends, (2, D), as a table at even distances: finding a place takes no search."""
    width = ends[1] - ends[0]
    table = curve(ends[0] + width * np.linspace(0, 1, _CELLS + 1)[:, None]).T.ravel()  # column by column
    low, cells, table = (x.astype(np.float32) for x in (ends[0], _CELLS / np.maximum(width, 1e-12), table))

    def look_up(rows: Array) -> Array:
        place = (rows - low).astype(np.float32, copy=False)
        place *= cells
        place += 0.5
        np.clip(place, 0, _CELLS, out=place)
        cell = place.astype(np.intp)
        cell += np.arange(len(low)) * (_CELLS + 1)
        return np.asarray(table.take(cell, mode="clip", out=place))

    return look_up
