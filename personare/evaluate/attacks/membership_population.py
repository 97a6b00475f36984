"""Compares how well a model reads a recording with other recordings, or with other models that never met it."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from personare.core.errors import DataError
from personare.core.options import check_options
from personare.core.types import Array
from personare.evaluate.membership import Signals, evened

__all__ = ["LossQuantile"]


@dataclass(frozen=True, kw_only=True)
class LossQuantile:
    """Scores a recording by the share of comparisons whose loss is larger.

    ``population`` (attack P) compares with recordings of the same class under the target model, ``reference``
    (attack R) with the same recording under the shadow models that never met it. Shares are few where comparisons are
    few: the mean difference of the losses orders recordings of the same share.

    **Source**: J. Ye, A. Maddi, S. K. Murakonda, V. Bindschaedler, R. Shokri, "Enhanced membership inference attacks
    against machine learning models", CCS 2022 (arXiv 2111.09679). Changed: equal shares are ordered by the calibrated
    loss of Watson et al. (ICLR 2022); the pool itself, half of it members, stands in for a known population.
    """

    question: ClassVar = "member"
    kinds: ClassVar[tuple[str, ...]] = ("model",)

    compare: Literal["population", "reference"] = "reference"

    def __post_init__(self) -> None:
        check_options(self)

    def __call__(self, signals: Signals, target: int) -> Array:
        """Return the shares, (N,)."""
        scored, others = signals.log_likelihood[target], signals.shadows(target)
        if self.compare == "reference":
            outside = ~signals.inside[others]
            if not outside.any(axis=0).all():
                raise DataError(
                    "The reference attack needs, for each recording, a shadow model that never met it: train more."
                )
            return _share(scored, signals.log_likelihood[others], evened(outside))
        scores = np.zeros(len(scored))
        for label in np.unique(signals.labels):
            rows = signals.labels == label
            peers = np.repeat(scored[rows, None], rows.sum(), axis=1)
            scores[rows] = _share(scored[rows], peers, np.ones(peers.shape, dtype=bool))
        return scores


def _share(scored: Array, peers: Array, counted: Array) -> Array:
    """Return the share of ``peers`` (K, N) below ``scored`` (N,), ties one half; a little more for a wide margin."""
    n = counted.sum(axis=0)
    below = ((peers < scored) + 0.5 * (peers == scored)) * counted
    margin = scored - np.where(counted, peers, 0).sum(axis=0) / n
    return np.asarray((below.sum(axis=0) + 0.4 * np.tanh(margin)) / n)  # the margin never outweighs one comparison
