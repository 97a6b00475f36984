"""Recordings of any modalities as one row of numbers each, made without anybody's help but public people's."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from weakref import ref

import numpy as np

from personare.core.errors import DataError
from personare.core.types import Array, Batch
from personare.features.mel_statistics import mel_statistics, vary_mel
from personare.learn.describing import describe_rows
from personare.learn.multimodal import check_arrays

_FAR = 6.0  # standard deviations at which a description is cut
_SHRINKAGE = 0.3  # added to the variances before they are inverted; descriptions are scaled to variance 1
_WEIGHT = 0.3  # of the directions that part classes, beside the principal ones
_LOUDEST = 1.0 + 1e-6
_FEWEST_BANDS, _FEWEST_FRAMES = 32, 8


def unit_rows(rows: Array) -> Array:
    """Give each row length 1, float32; a row of zeros stays."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(length, 1e-9), np.float32)


@dataclass(frozen=True, kw_only=True)
class PublicMap:
    """Scales a description, turns it into few directions and gives it length 1.

    **Guarantee**: applied to somebody, it tells nothing of anybody but the public people it was fitted to.
    """

    center: Array  # (K,) subtracted
    spread: Array  # (K,) divided by
    matrix: Array  # (K, D) directions

    @classmethod
    def of(cls, rows: Array, *, labels: Array, subjects: Array, components: int, discriminants: int) -> "PublicMap":
        """Fit scaling, principal directions and those that part classes to descriptions (N, K) of public people.

        Labels (N,) may be any classes, not only those to be learned later; a person's own mean is taken out before they
        are told apart. ``components`` principal directions are half whitened, ``discriminants`` part classes: at most
        as many as there are, and one less than there are classes.

        **Source**: linear discriminants with shrinkage, R. A. Fisher 1936, J. H. Friedman 1989,
        doi:10.1080/01621459.1989.10478752; half whitening is ours.
        """
        if len(rows) < 10:
            raise DataError(f"Scaling needs at least 10 public recordings, given {len(rows)}: add some, or give none.")
        center, spread = rows.mean(axis=0), rows.std(axis=0)
        spread = np.where(spread > 1e-6, spread, 1.0)
        scaled = np.clip((rows - center) / spread, -_FAR, _FAR)

        def even(matrix: Array) -> Array:
            """Scale directions together so that projections have variance 1 on average."""
            return np.asarray(matrix / max(float((scaled @ matrix).std()), 1e-9))

        values, vectors = np.linalg.eigh(np.cov(scaled.T).reshape(scaled.shape[1], -1))
        principal = np.flatnonzero(values > 1e-6 * values[-1])[::-1][:components]
        matrix = even(vectors[:, principal] * values[principal] ** -0.25)
        centered = scaled.astype(float)
        for person in np.unique(subjects):
            centered[subjects == person] -= scaled[subjects == person].mean(axis=0)
        means = np.stack([centered[labels == c].mean(axis=0) for c in np.unique(labels)])  # (C, K)
        if count := min(discriminants, len(means) - 1):
            root = vectors * np.sqrt(1 / (np.maximum(values, 0) + _SHRINKAGE))
            discriminant = even(root @ np.linalg.svd(means @ root, full_matrices=False)[2][:count].T)
            matrix = np.concatenate([_WEIGHT * np.sqrt(len(principal) / count) * discriminant, matrix], axis=1)
        return cls(center=center, spread=spread, matrix=matrix)

    def __call__(self, rows: Array) -> Array:
        """Return (N, D) float32 rows of length 1 for (N, K) descriptions."""
        return unit_rows(np.clip((rows - self.center) / self.spread, -_FAR, _FAR) @ self.matrix)


@dataclass(frozen=True, kw_only=True)
class PublicRows:
    """How each modality becomes a row of length 1: ``maps`` in the order of the rows, of arrays of such ``shapes``."""

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

        Of ``train`` only the shapes of its arrays are looked at. Public spectrograms (from 0 to 1) are also taken in
        ``copies`` variations, which ``rng`` draws.
        """
        maps = {}
        for modality, values in train.arrays.items():
            mask = public.present[modality] if public and modality in public.arrays else np.zeros(0, dtype=bool)
            if public is None or not mask.any():
                size = describe_public(values[:1]).shape[1]  # every number counts as it is
                maps[modality] = PublicMap(center=np.zeros(size), spread=np.ones(size), matrix=np.eye(size))
                continue
            people = public.take(mask)
            spectra = people.arrays[modality]
            rows = [describe_public(spectra)]
            if spectra.ndim == 4 and spectra.shape[1] == 1 and spectra.min() >= 0 and spectra.max() <= _LOUDEST:
                rows += [describe_public(vary_mel(spectra, rng=rng)) for _ in range(copies)]
            maps[modality] = PublicMap.of(
                np.concatenate(rows),
                labels=np.tile(people.labels, len(rows)),
                subjects=np.tile(people.subjects, len(rows)),
                components=components,
                discriminants=discriminants,
            )
        return cls(maps=maps, shapes={m: _shape(values) for m, values in train.arrays.items()})

    def __call__(self, batch: Batch) -> tuple[list[Array], Array]:
        """Return rows of length 1 by modality, (N, D) each, zeros where it is missing, and the mask (N, M)."""
        if self._last and self._last[0][0]() is batch:
            return self._last[0][1]
        parts = []
        check_arrays(batch, self.maps)
        for modality, transform in self.maps.items():
            values, present = batch.arrays[modality], batch.present[modality]
            if _shape(values) != self.shapes[modality]:
                raise DataError(
                    f"{modality} must be as learned from, {self.shapes[modality]}, given {_shape(values)}: read the "
                    "recordings as in training."
                )
            rows = np.zeros((len(values), transform.matrix.shape[1]), np.float32)
            if present.any():
                rows[present] = transform(describe_public(values[present]))
            parts.append(rows)
        described = parts, np.stack([batch.present[m] for m in self.maps], axis=1)
        self._last[:] = [(ref(batch), described)]
        return described


def describe_public(values: Array) -> Array:
    """Describe arrays of a modality by fixed arithmetic: ``mel_statistics`` of spectrograms, else ``describe_rows``."""
    large = values.ndim == 4 and values.shape[2] >= _FEWEST_BANDS and values.shape[3] >= _FEWEST_FRAMES
    return mel_statistics(values) if large and values.shape[1] == 1 else describe_rows(values)


def _shape(values: Array) -> str:
    """Say what arrays look like; signals and spectrograms may differ in length."""
    if values.dtype.kind == "U":
        return "text"
    sizes = [*map(str, values.shape[1:])]
    if values.ndim == 3:
        sizes[0] = "time"
    if values.ndim == 4 and values.shape[1] == 1:
        sizes[2] = "time"
    return " x ".join(sizes)
