"""Asks whether a model's answer fits better to models that learned from the recording, or to models that did not."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.stats import norm

from personare.core.errors import DataError
from personare.core.options import check_options
from personare.core.types import Array
from personare.evaluate.membership import Signals, evened

__all__ = ["LikelihoodRatio"]


@dataclass(frozen=True, kw_only=True)
class LikelihoodRatio:
    """LiRA: a Gaussian over shadow models with the recording, another over those without; score by their ratio.

    Offline (``online`` false) only the Gaussian without is used (z-score), as an attacker must who cannot train shadows
    on the recordings asked about.

    **Source**: N. Carlini, S. Chien, M. Nasr, S. Song, A. Terzis, F. Tramèr, "Membership inference attacks from first
    principles", IEEE S&P 2022 (arXiv 2112.03570). The pooled variance is divided by its degrees of freedom.
    """

    question: ClassVar = "member"
    kinds: ClassVar[tuple[str, ...]] = ("model",)

    online: bool = True
    pooled_below: int = 32  # with fewer shadow models than this on a side, one variance serves all recordings

    def __post_init__(self) -> None:
        check_options(self, pooled_below=2)

    def __call__(self, signals: Signals, target: int) -> Array:
        """Return the logarithm of the ratio, or the z-score, (N,)."""
        others = signals.shadows(target)
        answer, shadows, inside = signals.confidence[target], signals.confidence[others], signals.inside[others]
        mean_out, sd_out = self._fitted(shadows, ~inside, "without it")
        if not self.online:
            return np.asarray((answer - mean_out) / sd_out)
        mean_in, sd_in = self._fitted(shadows, inside, "with it")
        return np.asarray(norm.logpdf(answer, mean_in, sd_in) - norm.logpdf(answer, mean_out, sd_out))

    def _fitted(self, confidence: Array, used: Array, side: str) -> tuple[Array, Array]:
        """Return mean and deviation of the models used for each recording, (N,)."""
        n = used.sum(axis=0)
        if n.min() < 1 or n.max() < 2:
            raise DataError(f"LiRA needs shadow models {side} for every recording, two for some: train more models.")
        even = evened(used)
        mean, squares = _moments(confidence, even)
        n_even = even.sum(axis=0)
        if n_even.min() >= self.pooled_below:
            return mean, np.sqrt(np.maximum(squares / n_even, 1e-12))
        pooled = _moments(confidence, used)[1].sum() / (n - 1).sum()
        return mean, np.full(len(n), np.sqrt(max(pooled, 1e-12)))


def _moments(confidence: Array, used: Array) -> tuple[Array, Array]:
    """Return mean and sum of squared deviations of the models used for each recording, (N,)."""
    mean = np.where(used, confidence, 0).sum(axis=0) / used.sum(axis=0)
    return mean, (np.where(used, confidence - mean, 0) ** 2).sum(axis=0)
