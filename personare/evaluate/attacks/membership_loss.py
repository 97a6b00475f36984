"""Takes recordings that a model reads without surprise for its training data."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from personare.core.types import Array
from personare.evaluate.membership import Signals

__all__ = ["LossThreshold"]


@dataclass(frozen=True, kw_only=True)
class LossThreshold:
    """Scores a recording by the target's likelihood of its true class; needs no shadow model.

    **Source**: S. Yeom, I. Giacomelli, M. Fredrikson, S. Jha, "Privacy risk in machine learning: analyzing the
    connection to overfitting", CSF 2018 (arXiv 1709.01604).
    """

    question: ClassVar = "member"
    kinds: ClassVar[tuple[str, ...]] = ("model",)

    def __call__(self, signals: Signals, target: int) -> Array:
        """Return minus the loss, (N,)."""
        return np.asarray(signals.log_likelihood[target])
