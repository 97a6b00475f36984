"""Leaves out, of every weight, the sites that lie furthest to either side, so that a few who lie do not lead."""

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from personare.core.options import Range, check_options
from personare.core.types import Array
from personare.learn.federation import ServerStep, averaged

__all__ = ["TrimmedMean"]

_Cut = Annotated[float, Range("above 0 and at most 0.5", lambda value: 0 < value <= 0.5)]


@dataclass(frozen=True, kw_only=True)
class TrimmedMean:
    """Take of each coordinate the mean of what is left when the same share is cut at both ends.

    Sites count the same, for how many people a site has is its own word. As long as no more sites lie than are cut at
    an end, each coordinate lies between those of honest sites; where sites differ honestly, what is rare is cut, too.

    **Source**: D. Yin, Y. Chen, K. Ramchandran, P. Bartlett, "Byzantine-Robust Distributed Learning: Towards Optimal
    Statistical Rates", ICML 2018, arXiv:1803.01498 (option II, of weights in place of gradients).
    """

    cut: _Cut = 0.25  # share of the sites at each end, at least one; 0.5 is the median

    def __post_init__(self) -> None:
        check_options(self)

    def start(self) -> ServerStep:
        """Return what moves the shared weights; see ``core.protocols.FederatedAlgorithm``."""
        return averaged

    def combine(self, values: Array, weights: Array) -> Array:
        """Return (D,), the trimmed mean of sites (S, D)."""
        cut = min(math.ceil(self.cut * len(values)), (len(values) - 1) // 2)
        return np.asarray(np.sort(values, axis=0)[cut : len(values) - cut].mean(axis=0))
