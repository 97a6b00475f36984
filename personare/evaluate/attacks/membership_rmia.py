"""Asks how often a model prefers a recording to others more than models in general do."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import log_softmax

from personare.core.errors import DataError, OptionError
from personare.core.types import Array
from personare.evaluate.membership import Signals

__all__ = ["RobustMembership"]


@dataclass(frozen=True, kw_only=True)
class RobustMembership:
    """RMIA: the share of recordings z with (p(x|target) / p(x)) / (p(z|target) / p(z)) of at least gamma.

    Works with few shadow models, offline with one. z runs over the known population, or over the pool where there is
    none.

    Offline, p = ((1 + a) p_out + (1 - a)) / 2 guesses what models with the recording would say.

    **Source**: S. Zarifzadeh, P. Liu, R. Shokri, "Low-cost high-power membership inference attacks", ICML 2024
    (arXiv 2312.03262).

    Example:
        >>> s = Signals(logits=np.array([[[2.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]]),
        ...     inside=np.array([[True, False], [False, False]]), labels=np.zeros(2, int), subjects=np.arange(2))
        >>> RobustMembership(online=False, gamma=1.2)(s, 0).tolist()
        [0.5, 0.0]
    """

    question: ClassVar = "member"
    kinds: ClassVar[tuple[str, ...]] = ("model",)

    online: bool = True  # p is the mean over shadow models with and without the recording; False: only without
    gamma: float = 1.0  # at least 1
    offline_a: float = 0.3  # in [0, 1]
    temperature: float = 1.0  # of the softmax

    def __post_init__(self) -> None:
        if self.gamma < 1 or not 0 <= self.offline_a <= 1 or not self.temperature > 0:
            raise OptionError(
                "RMIA needs gamma of at least 1, offline_a in [0, 1] and a temperature above 0, given "
                f"{self.gamma}, {self.offline_a} and {self.temperature}."
            )

    def __call__(self, signals: Signals, target: int) -> Array:
        """Return the shares, (N,)."""
        scaled = log_softmax(signals.logits / self.temperature, axis=2)
        likely = np.exp(scaled[:, np.arange(len(signals.labels)), signals.labels])  # (M, N)
        others = signals.shadows(target)
        ratio = likely[target] / np.maximum(self._usual(likely[others], signals.inside[others]), 1e-30)
        known = np.sort(ratio if signals.population is None else ratio[signals.population])
        # LR >= gamma where ratio(z) <= ratio(x) / gamma
        return np.asarray(np.searchsorted(known, ratio / self.gamma, side="right") / len(known))

    def _usual(self, likely: Array, inside: Array) -> Array:
        """Return p(x), (N,): how well models in general read each recording."""
        outside = (~inside).sum(axis=0)
        if not outside.all():
            raise DataError("RMIA needs, for each recording, a shadow model that never met it: train more models.")
        out = np.where(inside, 0, likely).sum(axis=0) / outside
        guessed = ((1 + self.offline_a) * out + (1 - self.offline_a)) / 2
        n = inside.sum(axis=0)
        if not self.online:
            return np.asarray(guessed)
        known = np.where(inside, likely, 0).sum(axis=0) / np.maximum(n, 1)
        return np.asarray(np.where(n > 0, (out + known) / 2, guessed))
