"""From a long description to few numbers of length 1, learned from public people alone."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from personare.core.errors import DataError
from personare.core.types import Array

__all__ = ["PublicMap", "unit_rows"]

_FAR = 6.0  # standard deviations at which a description is cut
_SHRINKAGE = 0.3  # added to the variances before they are inverted; descriptions are scaled to variance 1
_WEIGHT = 0.3  # of the directions that part classes, beside the principal ones


@dataclass(frozen=True, kw_only=True)
class PublicMap:
    """Scales a description, turns it into few directions and gives it length 1.

    **Guarantee**: applied to somebody, it tells nothing of anybody but the public people it was fitted to.

    Attributes:
        center: (K,) subtracted.
        spread: (K,) divided by.
        matrix: (K, D) directions.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> rows = rng.standard_normal((60, 5))
        >>> learned = PublicMap.of(rows, labels=np.arange(60) % 2, subjects=np.arange(60) % 3, components=3)
        >>> learned(rows).shape, round(float(np.linalg.norm(learned(rows)[0])), 3)
        ((60, 4), 1.0)
    """

    center: Array
    spread: Array
    matrix: Array

    @classmethod
    def of(
        cls, rows: Array, *, labels: Array, subjects: Array, components: int, discriminants: int = 14
    ) -> "PublicMap":
        """Fit scaling, principal directions and those that part classes to public people.

        Args:
            rows: (N, K) descriptions of public people.
            labels: (N,) what they do; any classes, not only those to be learned later.
            subjects: (N,) who they are: a person's own mean is taken out before classes are told apart.
            components: Principal directions, half whitened; as many as there are if there are fewer.
            discriminants: Directions that part classes; at most one less than there are classes.

        Raises:
            DataError: Fewer than 10 rows.

        **Source**: linear discriminants with shrinkage, R. A. Fisher 1936, J. H. Friedman 1989,
        doi:10.1080/01621459.1989.10478752; half whitening is ours.
        """
        if len(rows) < 10:
            raise DataError(f"Scaling needs at least 10 public recordings, given {len(rows)}: add some, or give none.")
        center, spread = rows.mean(axis=0), rows.std(axis=0)
        spread = np.where(spread > 1e-6, spread, 1.0)
        scaled = _cut((rows - center) / spread)
        values, vectors = np.linalg.eigh(np.cov(scaled.T).reshape(scaled.shape[1], -1))
        kept = np.flatnonzero(values > 1e-6 * values[-1])[::-1][:components]
        matrix = _even(vectors[:, kept] * values[kept] ** -0.25, scaled)
        means = _class_means(scaled, labels, subjects)
        if count := min(discriminants, len(means) - 1):
            root = vectors * np.sqrt(1 / (np.maximum(values, 0) + _SHRINKAGE))
            parting = _even(root @ np.linalg.svd(means @ root, full_matrices=False)[2][:count].T, scaled)
            matrix = np.concatenate([_WEIGHT * np.sqrt(len(kept) / count) * parting, matrix], axis=1)
        return cls(center=center, spread=spread, matrix=matrix)

    @classmethod
    def fixed(cls, size: int) -> "PublicMap":
        """Return the map of constants that is used where nobody is public: every number counts as it is."""
        return cls(center=np.zeros(size), spread=np.ones(size), matrix=np.eye(size))

    def __call__(self, rows: Array) -> Array:
        """Return (N, D) float32 rows of length 1 for (N, K) descriptions.

        Raises:
            DataError: Descriptions of another size.
        """
        if rows.shape[1] != len(self.center):
            raise DataError(
                f"The model was made for descriptions of {len(self.center)} numbers, given {rows.shape[1]}: describe "
                "the recordings as in training."
            )
        return unit_rows(_cut((rows - self.center) / self.spread) @ self.matrix)

    def state(self) -> dict[str, Array]:
        """Return the arrays it is made of."""
        return {"center": self.center, "spread": self.spread, "matrix": self.matrix}

    @classmethod
    def restore(cls, tensors: Mapping[str, Array]) -> "PublicMap":
        """Build again what ``state`` returned."""
        return cls(center=tensors["center"], spread=tensors["spread"], matrix=tensors["matrix"])


def unit_rows(rows: Array) -> Array:
    """Give each row length 1, float32; a row of zeros stays."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(length, 1e-9), np.float32)


def _cut(rows: Array) -> Array:
    return np.asarray(np.clip(rows, -_FAR, _FAR))


def _even(matrix: Array, rows: Array) -> Array:
    """Scale directions together so that projections have variance 1 on average."""
    return np.asarray(matrix / max(float((rows @ matrix).std()), 1e-9))


def _class_means(rows: Array, labels: Array, subjects: Array) -> Array:
    """Return the mean of each class after each person's own mean was taken out, (C, K)."""
    own = rows.astype(float)
    for person in np.unique(subjects):
        own[subjects == person] -= rows[subjects == person].mean(axis=0)
    return np.stack([own[labels == c].mean(axis=0) for c in np.unique(labels)])
