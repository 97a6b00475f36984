"""Asks how often a model prefers a recording to others more than models in general do."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import log_softmax

from personare.core.errors import DataError
from personare.core.options import Positive, Share, check_options
from personare.core.types import Array
from personare.evaluate.membership import Signals

__all__ = ["RobustMembership"]


@dataclass(frozen=True, kw_only=True)
class RobustMembership:
    """RMIA: the share of recordings z with (p(x|target) / p(x)) / (p(z|target) / p(z)) of at least gamma.

    Works with few shadow models, offline with one. z runs over the pool. Offline,
    p = ((1 + a) p_out + (1 - a)) / 2 guesses what models with the recording would say.

    **Source**: S. Zarifzadeh, P. Liu, R. Shokri, "Low-cost high-power membership inference attacks", ICML 2024
    (arXiv 2312.03262).
    """

    question: ClassVar = "member"
    kinds: ClassVar[tuple[str, ...]] = ("model",)

    online: bool = True  # p is the mean over shadow models with and without the recording; False: only without
    gamma: float = 1.0  # at least 1
    offline_a: Share = 0.3
    temperature: Positive = 1.0  # of the softmax

    def __post_init__(self) -> None:
        check_options(self, gamma=1)

    def __call__(self, signals: Signals, target: int) -> Array:
        """Return the shares, (N,)."""
        scaled = log_softmax(signals.logits / self.temperature, axis=2)
        likely = np.exp(scaled[:, np.arange(len(signals.labels)), signals.labels])  # (M, N)
        others = signals.shadows(target)
        inside, shadows = signals.inside[others], likely[others]
        n, outside = inside.sum(axis=0), (~inside).sum(axis=0)
        if not outside.all():
            raise DataError("RMIA needs, for each recording, a shadow model that never met it: train more models.")
        out = np.where(inside, 0, shadows).sum(axis=0) / outside
        usual = ((1 + self.offline_a) * out + (1 - self.offline_a)) / 2  # p(x): how models in general read it
        if self.online:
            with_it = np.where(inside, shadows, 0).sum(axis=0) / np.maximum(n, 1)
            usual = np.where(n > 0, (out + with_it) / 2, usual)
        ratio = likely[target] / np.maximum(usual, 1e-30)
        # LR >= gamma where ratio(z) <= ratio(x) / gamma
        return np.asarray(np.searchsorted(np.sort(ratio), ratio / self.gamma, side="right") / len(ratio))
