"""Makes people up whose voice, face and body belong together: a class, a person and a moment in one latent space."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.stats import median_abs_deviation

from personare.core.errors import OptionError
from personare.core.options import Count, Delta, Epsilon, check_options
from personare.core.types import Array, Batch
from personare.learn.federation import Federation
from personare.learn.mixed_effects import MixedEffects, fit_privately, group_means
from personare.learn.sampling import Population, RecordingSampler, check_group, check_public, complete_rows

__all__ = ["Joint"]

_FEWEST = 6
_PUBLIC_FEWEST = 3
_FAR = 3.0  # robust deviations


@dataclass(frozen=True, kw_only=True)
class Joint:
    """Describe every modality by normal numbers, model them together as class + person + moment, and draw new ones.

    Each modality is coded alone (``learn.row_codes``); all codes together are one row, and one normal model of rows has
    the mean of each class, how people differ, and how one person's recordings differ. A made-up person is one draw of
    the person's part, kept over all recordings and all modalities.

    **Guarantee**: with ``epsilon``, what is made is (epsilon, delta)-differentially private for each person of the
    group: quantiles, directions, variances and class frequencies are those of ``public`` people, and the means of
    classes are paid for. Without, no recording and nobody's part is kept, but rare people shape the variances:
    ``hold_out`` leaves them out.

    **Source**: independent codes and one joint latent model follow M. Bounoua, G. Franzese, P. Michiardi, "Multi-modal
    latent diffusion", arXiv:2306.04445; with tens of people we put a mixed linear model in place of the diffusion.
    """

    makes_texts: ClassVar[bool] = False

    epsilon: Epsilon = None
    delta: Delta = 1e-5
    directions: Count = 16  # in which means are learned privately, at most; fewer cost less noise
    sites: Count = 1  # over which people are dealt out, with epsilon: each site adds up its own
    secure: bool = False  # whether sites share one noise, in a sum of which nobody sees what one site added
    hold_out: bool = False  # leave out people who are further from the others than is common; without epsilon only

    def __post_init__(self) -> None:
        check_options(self)
        if self.epsilon is not None and self.hold_out:
            raise OptionError("Who is rare must not be looked for under differential privacy, which bounds everybody.")
        if self.epsilon is None and self.sites > 1:
            raise OptionError("Over sites codes must be those of public people, as under an epsilon: give one.")

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> RecordingSampler[MixedEffects]:
        """Learn from the people of ``train``; see ``core.protocols.Generator``. Validation is not looked at."""
        check_group(train, fewest=_FEWEST)
        if self.epsilon is not None:
            public = check_public(train, public, fewest=_PUBLIC_FEWEST)
            codes, rows = complete_rows(public, rng=rng)
            effects, spend = fit_privately(
                codes.encode(train),
                train,
                rows,
                public,
                epsilon=self.epsilon,
                delta=self.delta,
                directions=self.directions,
                federation=Federation(sites=self.sites, secure=self.secure, noise="shared" if self.secure else "site"),
                rng=rng,
            )
            return RecordingSampler(codes=codes, model=effects, population=Population.of(public, (spend,)))
        codes, rows = complete_rows(train, rng=rng)
        if self.hold_out and len(far := _far(rows, train)):
            train = train.take(~np.isin(train.subjects, far))
            check_group(train, fewest=_FEWEST)
            codes, rows = complete_rows(train, rng=rng)  # the codes must not tell of those left out either
        return RecordingSampler(codes=codes, model=MixedEffects.of(rows, train), population=Population.of(train))


def _far(rows: Array, batch: Batch) -> Array:
    """Return people whose mean is further from the others' than is common (three robust deviations)."""
    people, whose = np.unique(batch.subjects, return_inverse=True)
    means = group_means(rows, whose, len(people))
    spread = np.maximum(means.std(axis=0), 1e-6)
    distance = np.sqrt((((means - np.median(means, axis=0)) / spread) ** 2).mean(axis=1))
    deviation = max(float(median_abs_deviation(distance, scale="normal")), 1e-6)
    return np.asarray(people[distance > np.median(distance) + _FAR * deviation])
