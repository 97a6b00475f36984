"""Recordings of several modalities as rows of normal numbers, and back: what every generator models."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from personare.core.errors import DataError
from personare.core.types import Array, Batch
from personare.learn.marginals import Marginals
from personare.learn.multimodal import check_arrays
from personare.learn.texture import Basis, Texture

__all__ = ["Latents"]

_WIDE = 256  # a table of more columns (a picture) is described by its main directions
_DIRECTIONS = 96
_FEWEST = 0.2  # share of recordings that must have a modality
_FEWEST_ROWS = 20


@dataclass(frozen=True, kw_only=True)
class _Coder:
    """One modality: an array as numbers, and the numbers as normal ones.

    Attributes:
        shape: Of one recording's array.
        front: Texture for what runs in time, directions for what is wide, None for a plain table.
        normal: Quantiles of each number.
    """

    shape: tuple[int, ...]
    front: Texture | Basis | None
    normal: Marginals

    @classmethod
    def of(cls, values: Array) -> "_Coder":
        shape, series = tuple(int(n) for n in values.shape[1:]), _series(values)
        front: Texture | Basis | None = None
        if series is not None:
            front = Texture.of(series)
        elif np.prod(shape) > _WIDE:
            front = Basis.of(values.reshape(len(values), -1), most=_DIRECTIONS)
        unfinished = cls(shape=shape, front=front, normal=Marginals(grid=np.zeros((2, 0)), levels=np.zeros(0, bool)))
        return cls(shape=shape, front=front, normal=Marginals.of(unfinished.numbers(values)))

    def numbers(self, values: Array) -> Array:
        series = _series(values)
        if isinstance(self.front, Texture):
            assert series is not None
            return self.front.encode(series)
        flat = values.reshape(len(values), -1)
        return flat if self.front is None else self.front.encode(flat)

    def decode(self, rows: Array, *, rng: np.random.Generator) -> Array:
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


def _only(values: Array, present: Array) -> Array:
    return values if present.all() else values[present]  # no copy of everything


@dataclass(frozen=True, kw_only=True)
class Latents:
    """Turns recordings into rows of about normal numbers and rows into recordings.

    **Guarantee**: fitted to public recordings, it tells nothing of anybody else. Fitted to a group, it keeps quantiles,
    directions and spectra of the group, and no recording of it.

    Attributes:
        coders: By modality.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> batch = Batch(ids=tuple("abcdefghij" * 5), arrays={"x": rng.exponential(size=(50, 3)).astype(np.float32)},
        ...     present={"x": np.ones(50, dtype=bool)}, labels=np.zeros(50, dtype=int), classes=("one",),
        ...     subjects=np.repeat(["p", "q"], 25))
        >>> latents = Latents.of(batch)
        >>> rows = latents.encode(batch)
        >>> rows.shape, latents.decode(rows, rng=rng)["x"].shape
        ((50, 3), (50, 3))
    """

    coders: Mapping[str, _Coder]

    @classmethod
    def of(cls, batch: Batch) -> "Latents":
        """Learn from the recordings in which each modality is present.

        Raises:
            DataError: Text, or a modality that too few recordings have.
        """
        check_arrays(batch)
        if not batch.arrays:
            raise DataError("A generator needs at least one modality, none was given: name the tracks to learn from.")
        coders = {}
        for modality, values in batch.arrays.items():
            present = batch.present[modality]
            if values.dtype.kind != "f":
                raise DataError(f"{modality} is text, which no generator makes: leave it out.")
            if present.sum() < max(_FEWEST_ROWS, _FEWEST * len(batch)):
                raise DataError(
                    f"{modality} is in {present.sum()} of {len(batch)} recordings: a generator needs it in at least "
                    f"{_FEWEST:.0%} and in {_FEWEST_ROWS}. Leave this modality out, or add recordings that have it."
                )
            coders[modality] = _Coder.of(_only(values, present))
        return cls(coders=coders)

    @property
    def widths(self) -> dict[str, int]:
        """How many numbers each modality has, in the order of the rows."""
        return {modality: coder.normal.grid.shape[1] for modality, coder in self.coders.items()}

    def encode(self, batch: Batch) -> Array:
        """Return (N, K) rows; NaN where a modality is missing.

        Raises:
            DataError: A modality that was learned from is not in the batch, or has another shape.
        """
        parts = []
        for modality, coder in self.coders.items():
            if modality not in batch.arrays or tuple(batch.arrays[modality].shape[1:]) != coder.shape:
                given = batch.arrays[modality].shape[1:] if modality in batch.arrays else "none"
                raise DataError(f"{modality} must have the shape {coder.shape} that was learned, given {given}.")
            present = batch.present[modality]
            rows = np.full((len(batch), self.widths[modality]), np.nan)
            if present.any():
                rows[present] = coder.normal.encode(coder.numbers(_only(batch.arrays[modality], present)))
            parts.append(rows)
        return np.concatenate(parts, axis=1)

    def decode(self, rows: Array, *, rng: np.random.Generator) -> dict[str, Array]:
        """Return arrays by modality, float32; what rows do not tell (the texture of series) is drawn."""
        parts = np.split(rows, np.cumsum(list(self.widths.values()))[:-1], axis=1)
        return {m: coder.decode(part, rng=rng) for (m, coder), part in zip(self.coders.items(), parts, strict=True)}

    def state(self) -> tuple[dict[str, Array], dict[str, str]]:
        """Return the numbers as arrays, and what they are as text."""
        tensors: dict[str, Array] = {}
        for m, coder in self.coders.items():
            tensors |= coder.normal.state(f"{m}.normal")
            tensors |= coder.front.state(f"{m}.front") if coder.front else {}
        kinds = {m: type(coder.front).__name__ for m, coder in self.coders.items()}
        return tensors, {"shapes": json.dumps({m: c.shape for m, c in self.coders.items()}), "kinds": json.dumps(kinds)}

    @classmethod
    def restore(cls, tensors: Mapping[str, Array], about: Mapping[str, str]) -> "Latents":
        """Build again what ``state`` returned.

        Raises:
            DataError: The arrays or the text belong to something else.
        """
        fronts: dict[str, type[Texture] | type[Basis]] = {"Texture": Texture, "Basis": Basis}
        try:
            kinds = json.loads(about["kinds"])
            coders = {
                m: _Coder(
                    shape=tuple(shape),
                    front=fronts[kinds[m]].restore(tensors, f"{m}.front") if kinds[m] in fronts else None,
                    normal=Marginals.restore(tensors, f"{m}.normal"),
                )
                for m, shape in json.loads(about["shapes"]).items()
            }
        except (KeyError, ValueError, AttributeError, TypeError) as error:
            raise DataError(f"This is not the state of a generator ({error}): fit it again.") from error
        return cls(coders=coders)
