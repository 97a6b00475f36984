"""Recordings of any modalities as one row of numbers each, made without anybody's help but public people's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from weakref import ref

import numpy as np

from personare.core.errors import DataError
from personare.core.types import Array, Batch
from personare.features.mel_statistics import mel_statistics, vary_mel
from personare.learn.describing import describe_rows
from personare.learn.public_map import PublicMap

__all__ = ["PublicRows", "describe_public"]

_LOUDEST = 1.0 + 1e-6
_FEWEST_BANDS, _FEWEST_FRAMES = 32, 8


@dataclass(frozen=True, kw_only=True)
class PublicRows:
    """How each modality becomes a row of length 1.

    Attributes:
        maps: By modality, in the order of the rows.
        shapes: What each modality's arrays must look like; None where length may differ.
    """

    maps: Mapping[str, PublicMap]
    shapes: Mapping[str, str]
    # Shadow models are asked about the same batch one after another: it is described once
    _last: "list[tuple[ref[Batch], tuple[list[Array], Array]]]" = field(default_factory=list, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        train: Batch,
        public: Batch | None,
        *,
        components: int,
        discriminants: int,
        copies: int,
        rng: np.random.Generator,
    ) -> "PublicRows":
        """Fit the maps to public people; constants where there are none, or they lack a modality.

        Args:
            train: Only the shapes of its arrays are looked at.
            public: People whose data need no protection.
            components: See ``PublicMap.of``.
            discriminants: See ``PublicMap.of``.
            copies: How often public spectrograms are varied, beside as they are.
            rng: Varies them.
        """
        maps = {}
        for modality, values in train.arrays.items():
            there = public.present[modality] if public and modality in public.arrays else np.zeros(0, dtype=bool)
            if public is None or not there.any():
                maps[modality] = PublicMap.fixed(describe_public(values[:1]).shape[1])
                continue
            kept = public.take(there)
            rows = _with_copies(kept.arrays[modality], copies, rng)
            again = len(rows) // len(kept)
            maps[modality] = PublicMap.of(
                rows,
                labels=np.tile(kept.labels, again),
                subjects=np.tile(kept.subjects, again),
                components=components,
                discriminants=discriminants,
            )
        return cls(maps=maps, shapes={m: _shape(values) for m, values in train.arrays.items()})

    def __call__(self, batch: Batch) -> tuple[list[Array], Array]:
        """Return rows of length 1 by modality, (N, D) each, zeros where it is missing, and the mask (N, M).

        Raises:
            DataError: A modality is not in the batch, or has another shape than the model learned from.
        """
        if self._last and self._last[0][0]() is batch:
            return self._last[0][1]
        found = [self._rows(batch, modality) for modality in self.maps], self._mask(batch)
        self._last[:] = [(ref(batch), found)]
        return found

    def _mask(self, batch: Batch) -> Array:
        return np.stack([batch.present[m] for m in self.maps], axis=1)

    def _rows(self, batch: Batch, modality: str) -> Array:
        if modality not in batch.arrays:
            raise DataError(f"The model learned from {modality}, and the batch has none: give it with a mask.")
        values, present, learned = batch.arrays[modality], batch.present[modality], self.maps[modality]
        if _shape(values) != self.shapes[modality]:
            raise DataError(
                f"{modality} must be as learned from, {self.shapes[modality]}, given {_shape(values)}: read the "
                "recordings as in training."
            )
        rows = np.zeros((len(values), learned.matrix.shape[1]), np.float32)
        if present.any():
            rows[present] = learned(describe_public(values[present]))
        return rows


def describe_public(values: Array) -> Array:
    """Describe arrays of a modality by fixed arithmetic: ``mel_statistics`` of spectrograms, else ``describe_rows``."""
    large = values.ndim == 4 and values.shape[2] >= _FEWEST_BANDS and values.shape[3] >= _FEWEST_FRAMES
    return mel_statistics(values) if large and values.shape[1] == 1 else describe_rows(values)


def _with_copies(values: Array, copies: int, rng: np.random.Generator) -> Array:
    """Describe arrays, and spectrograms from 0 to 1 also as they might have been."""
    rows = [describe_public(values)]
    if values.ndim == 4 and values.shape[1] == 1 and values.min() >= 0 and values.max() <= _LOUDEST:
        rows += [describe_public(vary_mel(values, rng=rng)) for _ in range(copies)]
    return np.concatenate(rows)


def _shape(values: Array) -> str:
    """Say what arrays look like; signals and spectrograms may differ in length."""
    if values.dtype.kind == "U":
        return "text"
    sizes: Sequence[int | str] = values.shape[1:]
    if values.ndim == 3:
        sizes = ["time", values.shape[2]]
    if values.ndim == 4 and values.shape[1] == 1:
        sizes = [1, values.shape[2], "time"]
    return " x ".join(map(str, sizes))
