"""Recordings of several modalities as rows of normal numbers, and back: what every generator of recordings models."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from personare.core.errors import DataError
from personare.core.types import Array, Batch
from personare.learn.marginals import Marginals
from personare.learn.multimodal import check_arrays
from personare.learn.texture import Basis, Texture

_WIDE = 256  # a table of more columns (a picture) is described by its main directions
_DIRECTIONS = 96
_FEWEST = 0.2  # share of recordings that must have a modality
_FEWEST_ROWS = 20


@dataclass(frozen=True, kw_only=True)
class ModalityCode:
    """One modality: an array of ``shape`` as numbers, and the numbers as normal ones."""

    shape: tuple[int, ...]
    front: Texture | Basis | None  # a texture of what runs in time, directions of what is wide; None of a plain table
    normal: Marginals

    @classmethod
    def of(cls, values: Array) -> "ModalityCode":
        """Learn from (N, ...) recordings, each of which has the modality."""
        shape, series = tuple(map(int, values.shape[1:])), _series(values)
        front: Texture | Basis | None = None
        if series is not None:
            front = Texture.of(series)
        elif np.prod(shape) > _WIDE:
            front = Basis.of(values.reshape(len(values), -1), most=_DIRECTIONS)
        return cls(shape=shape, front=front, normal=Marginals.of(_numbers(values, front)))

    def encode(self, values: Array) -> Array:
        """Return (N, K) normal numbers."""
        return self.normal.encode(_numbers(values, self.front))

    def decode(self, rows: Array, *, rng: np.random.Generator) -> Array:
        """Return (N, ...) float32; the texture of series is drawn."""
        numbers = self.normal.decode(rows)
        if isinstance(self.front, Texture):
            series = self.front.decode(numbers, rng=rng)
            return series if len(self.shape) == 2 else series.swapaxes(1, 2)[:, None]
        flat = numbers if self.front is None else self.front.decode(numbers)
        return flat.reshape(-1, *self.shape).astype(np.float32)


def _series(values: Array) -> Array | None:
    """Return (N, T, D) where an array runs in time: a signal or a spectrogram."""
    if values.ndim == 3:
        return values
    return values[:, 0].swapaxes(1, 2) if values.ndim == 4 and values.shape[1] == 1 else None


def _numbers(values: Array, front: Texture | Basis | None) -> Array:
    """Return (N, K) what the quantiles are taken of."""
    series = _series(values)
    rows = values.reshape(len(values), -1) if series is None else series
    return rows if front is None else front.encode(rows)


@dataclass(frozen=True, kw_only=True)
class RowCodes:
    """Turns recordings into rows of about normal numbers and rows into recordings.

    **Guarantee**: fitted to public recordings, it tells nothing of anybody else. Fitted to a group, it keeps quantiles,
    directions and spectra of the group, and no recording of it.
    """

    modalities: Mapping[str, ModalityCode]

    @classmethod
    def of(cls, batch: Batch) -> "RowCodes":
        """Learn from the recordings in which each modality is present; text, and what few have, is refused."""
        check_arrays(batch)
        if not batch.arrays:
            raise DataError("A generator needs at least one modality, none was given: name the tracks to learn from.")
        for modality, values in batch.arrays.items():
            count = int(batch.present[modality].sum())
            if values.dtype.kind != "f":
                raise DataError(f"{modality} is text, which no generator makes: leave it out.")
            if count < max(_FEWEST_ROWS, _FEWEST * len(batch)):
                raise DataError(
                    f"{modality} is in {count} of {len(batch)} recordings: a generator needs it in at least "
                    f"{_FEWEST:.0%} and in {_FEWEST_ROWS}. Leave this modality out, or add recordings that have it."
                )
        return cls(modalities={m: ModalityCode.of(_present(batch, m)) for m in batch.arrays})

    @property
    def widths(self) -> dict[str, int]:
        """How many numbers each modality has, in the order of the rows."""
        return {modality: code.normal.grid.shape[1] for modality, code in self.modalities.items()}

    def encode(self, batch: Batch) -> Array:
        """Return (N, K) rows; NaN where a modality is missing. Series of other lengths are cut, or end early."""
        parts = []
        for modality, code in self.modalities.items():
            if isinstance(code.front, Texture) and modality in batch.arrays:
                batch = replace(batch, arrays={**batch.arrays, modality: _timed(batch.arrays[modality], code.shape)})
            if modality not in batch.arrays or tuple(batch.arrays[modality].shape[1:]) != code.shape:
                shape = batch.arrays[modality].shape[1:] if modality in batch.arrays else "none"
                raise DataError(f"{modality} must have the shape {code.shape} that was learned, given {shape}.")
            rows = np.full((len(batch), self.widths[modality]), np.nan)
            if batch.present[modality].any():
                rows[batch.present[modality]] = code.encode(_present(batch, modality))
            parts.append(rows)
        return np.concatenate(parts, axis=1)

    def decode(self, rows: Array, *, rng: np.random.Generator) -> dict[str, Array]:
        """Return arrays by modality, float32; what rows do not tell (the texture of series) is drawn."""
        parts = np.split(rows, np.cumsum(list(self.widths.values()))[:-1], axis=1)
        return {m: code.decode(part, rng=rng) for (m, code), part in zip(self.modalities.items(), parts, strict=True)}


def _timed(values: Array, shape: tuple[int, ...]) -> Array:
    """Return series (N, T, D) or (N, 1, F, T) as long as those learned, filled with zeros."""
    axis = 0 if len(shape) == 2 else 2
    missing = [(0, max(0, shape[axis] - n) if at == axis + 1 else 0) for at, n in enumerate(values.shape)]
    return np.pad(values, missing)[(slice(None),) * (axis + 1) + (slice(shape[axis]),)]


def _present(batch: Batch, modality: str) -> Array:
    values, present = batch.arrays[modality], batch.present[modality]
    return values if present.all() else values[present]  # no copy of everything
