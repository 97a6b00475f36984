"""Makes recordings up with a Gaussian copula: the right values in each column and the right ties, but no person."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from personare.core.types import Array, Batch, Spend
from personare.learn.casting import Cast, check_group
from personare.learn.effects import complete, root
from personare.learn.latents import Latents

__all__ = ["Copula"]

_FEWEST = 2


@dataclass(frozen=True, kw_only=True)
class Copula:
    """Keep each column's quantiles, and the correlations of all columns in each class.

    The simple one, to compare others with: recordings of one made-up person have nothing in common, and there is no
    privacy. Series go through the same codes as for other generators (``learn.latents``).

    Attributes:
        shrinkage: Share of the correlations of all classes in those of each, in [0, 1].

    **Source**: R. Nelsen, "An introduction to copulas", Springer 2006, doi:10.1007/0-387-28678-0; as a synthesizer
    N. Patki, R. Wedge, K. Veeramachaneni, "The synthetic data vault", DSAA 2016, doi:10.1109/DSAA.2016.49 (the idea;
    no code).

    Example:
        >>> Copula().shrinkage
        0.5
    """

    makes_texts: ClassVar[bool] = False

    shrinkage: float = 0.5

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> "CopulaSampler":
        """Learn from ``train``; see ``core.protocols.Generator``. Validation and ``public`` are not looked at."""
        check_group(train, fewest=_FEWEST)
        latents = Latents.of(train)
        rows = complete(latents.encode(train), train.labels, rng=rng)
        classes = range(len(train.classes))
        means = np.stack(
            [rows[train.labels == c].mean(axis=0) if (train.labels == c).any() else rows.mean(axis=0) for c in classes]
        )
        left = rows - means[train.labels]
        pooled = left.T @ left / len(left)
        roots = []
        for c in classes:
            part = left[train.labels == c]
            own = part.T @ part / max(1, len(part))
            roots.append(root(self.shrinkage * pooled + (1 - self.shrinkage) * own))
        return CopulaSampler(latents=latents, means=means, roots=np.stack(roots), cast=Cast.of(train))

    def restore(self, tensors: Mapping[str, Array], about: Mapping[str, str]) -> "CopulaSampler":
        """Build again what ``state`` of the sampler returned."""
        cast, latents = Cast.restore(tensors, about), Latents.restore(tensors, about)
        return CopulaSampler(latents=latents, means=tensors["means"], roots=tensors["roots"], cast=cast)


@dataclass(frozen=True, kw_only=True)
class CopulaSampler:
    """A fitted copula.

    Attributes:
        latents: Codes of the modalities.
        means: (C, K).
        roots: (C, K, K) roots of covariances.
        cast: Classes.
    """

    latents: Latents
    means: Array
    roots: Array
    cast: Cast

    @property
    def spends(self) -> tuple[Spend, ...]:
        """Nothing is protected."""
        return self.cast.spends

    def __call__(self, people: int, recordings: int, *, rng: np.random.Generator, labels: Array | None = None) -> Batch:
        """Return made-up recordings; see ``core.protocols.Sampler``."""
        chosen, whose = self.cast.labels(people, recordings, labels, rng=rng)
        rows = self.means[chosen]
        for c in np.unique(chosen):
            here = chosen == c
            rows[here] += rng.standard_normal((here.sum(), rows.shape[1])) @ self.roots[c]
        return self.cast.batch(self.latents.decode(rows, rng=rng), chosen, whose)

    def state(self) -> tuple[dict[str, Array], dict[str, str]]:
        """Return everything as arrays and text."""
        codes, about = self.latents.state()
        shares, told = self.cast.state()
        return {**codes, **shares, "means": self.means, "roots": self.roots}, {**about, **told}
