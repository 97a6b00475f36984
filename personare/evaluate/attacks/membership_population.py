"""Compares how well a model reads a recording with other recordings, or with other models that never met it."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from personare.core.errors import DataError, OptionError
from personare.core.types import Array
from personare.evaluate.membership import Signals

__all__ = ["LossQuantile"]


@dataclass(frozen=True, kw_only=True)
class LossQuantile:
    """Scores a recording by the share of comparisons whose loss is larger.

    ``population`` (attack P) compares with recordings of the same class under the target model, ``reference``
    (attack R) with the same recording under the shadow models that never met it. Shares are few where comparisons are
    few: the mean difference of the losses orders recordings of the same share.

    **Source**: J. Ye, A. Maddi, S. K. Murakonda, V. Bindschaedler, R. Shokri, "Enhanced membership inference attacks
    against machine learning models", CCS 2022 (arXiv 2111.09679). Changed: equal shares are ordered by the calibrated
    loss of Watson et al. (ICLR 2022); without a known population, the pool itself, half of it members, stands in.
    """

    question: ClassVar = "member"
    kinds: ClassVar[tuple[str, ...]] = ("model",)

    compare: Literal["population", "reference"] = "reference"  # ``population`` or ``reference``

    def __post_init__(self) -> None:
        if self.compare not in ("population", "reference"):
            raise OptionError(f"compare must be 'population' or 'reference', given {self.compare!r}.")

    def __call__(self, signals: Signals, target: int) -> Array:
        """Return the shares, (N,)."""
        return _among_classes(signals, target) if self.compare == "population" else _among_models(signals, target)


def _among_classes(signals: Signals, target: int) -> Array:
    own = signals.log_likelihood[target]
    known = np.ones(len(own), dtype=bool) if signals.population is None else signals.population
    scores = np.zeros(len(own))
    for label in np.unique(signals.labels):
        rows = signals.labels == label
        peers = own[rows & known]
        if not len(peers):
            raise DataError(f"The population has no recording of class {label}: add some, or compare='reference'.")
        scores[rows] = _share(own[rows], np.repeat(peers[:, None], rows.sum(), axis=1), np.ones(1, dtype=bool))
    return scores


def _among_models(signals: Signals, target: int) -> Array:
    others = signals.shadows(target)
    outside = ~signals.inside[others]
    if not outside.any(axis=0).all():
        raise DataError("The reference attack needs, for each recording, a shadow model that never met it: train more.")
    return _share(signals.log_likelihood[target], signals.log_likelihood[others], signals.evened(outside))


def _share(own: Array, peers: Array, counted: Array) -> Array:
    """Return the share of ``peers`` (K, N) below ``own`` (N,), ties one half; a little more for a wide margin."""
    counted = np.broadcast_to(counted, peers.shape)
    n = counted.sum(axis=0)
    below = ((peers < own) + 0.5 * (peers == own)) * counted
    margin = own - np.where(counted, peers, 0).sum(axis=0) / n
    return np.asarray((below.sum(axis=0) + 0.4 * np.tanh(margin)) / n)  # the margin never outweighs one comparison
