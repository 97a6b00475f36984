"""Makes recordings up with a Gaussian copula: the right values in each column and the right ties, but no person."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from personare.core.options import Share, check_options
from personare.core.types import Batch
from personare.learn.mixed_effects import MixedEffects, moments_of, root
from personare.learn.sampling import Population, RecordingSampler, check_group, complete_rows

__all__ = ["Copula"]


@dataclass(frozen=True, kw_only=True)
class Copula:
    """Keep each column's quantiles, and the correlations of all columns in each class.

    The simple one, to compare others with: recordings of one made-up person have nothing in common, and there is no
    privacy. Series go through the same codes as for other generators (``learn.row_codes``).

    **Source**: R. Nelsen, "An introduction to copulas", Springer 2006, doi:10.1007/0-387-28678-0; as a synthesizer
    N. Patki, R. Wedge, K. Veeramachaneni, "The synthetic data vault", DSAA 2016, doi:10.1109/DSAA.2016.49 (the idea;
    no code).
    """

    makes_texts: ClassVar[bool] = False

    shrinkage: Share = 0.5  # share of the correlations of all classes in those of each

    def __post_init__(self) -> None:
        check_options(self)

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> RecordingSampler[MixedEffects]:
        """Learn from ``train``; see ``core.protocols.Generator``. Validation and ``public`` are not looked at."""
        check_group(train, fewest=2)
        codes, rows = complete_rows(train, rng=rng)
        parts = [train.labels == c for c in range(len(train.classes))]
        means = np.stack([(rows[part] if part.any() else rows).mean(axis=0) for part in parts])
        residuals = rows - means[train.labels]
        pooled, by_class = moments_of(residuals), [moments_of(residuals[part]) for part in parts]
        within = np.stack([root(self.shrinkage * pooled + (1 - self.shrinkage) * of_class) for of_class in by_class])
        nobody = np.zeros((rows.shape[1], 0))  # no part that one person's recordings share
        model = MixedEffects(means=means, between=nobody, within=within.swapaxes(1, 2))
        return RecordingSampler(codes=codes, model=model, population=Population.of(train))
