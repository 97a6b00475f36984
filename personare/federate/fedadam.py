"""Takes the mean of the sites for a gradient, and follows it with Adam at the server."""

from dataclasses import dataclass

import numpy as np

from personare.core.options import PartShare, Positive, check_options
from personare.core.types import Array
from personare.learn.federation import ServerStep

__all__ = ["FedAdam"]


@dataclass(frozen=True, kw_only=True)
class FedAdam:
    """Follow the mean update with momentum, each weight at a rate of its own.

    **Source**: S. Reddi et al., "Adaptive Federated Optimization", ICLR 2021, arXiv:2003.00295, Algorithm 2.
    """

    learning_rate: Positive = 0.1  # of the server
    momentum: PartShare = 0.9
    second_momentum: PartShare = 0.99
    floor: Positive = 1e-3  # added to the root of the mean square: the larger, the less each weight has its own rate

    def __post_init__(self) -> None:
        check_options(self)

    def start(self) -> ServerStep:
        """Return what moves the shared weights; see ``core.protocols.FederatedAlgorithm``."""
        speed = square = np.zeros(1)

        def step(weights: Array, mean: Array) -> Array:
            nonlocal speed, square
            update = mean - weights
            speed = self.momentum * speed + (1 - self.momentum) * update
            square = self.second_momentum * square + (1 - self.second_momentum) * update**2
            return np.asarray(weights + self.learning_rate * speed / (np.sqrt(square) + self.floor))

        return step
