"""Averages sites that are held near to where each round began, so that unlike ones do not drift apart."""

from dataclasses import dataclass

from personare.core.options import Positive, check_options
from personare.learn.federation import ServerStep, averaged

__all__ = ["FedProx"]


@dataclass(frozen=True, kw_only=True)
class FedProx:
    """Add to each site's loss how far it has gone from the start of the round; else as ``fedavg``.

    The pull looks at no data, so that under differential privacy it costs nothing.

    **Source**: T. Li et al., "Federated Optimization in Heterogeneous Networks", MLSys 2020, arXiv:1812.06127.
    """

    proximal: Positive = 0.1  # half of it is what a squared distance of one adds to the loss

    def __post_init__(self) -> None:
        check_options(self)

    def start(self) -> ServerStep:
        """Return what moves the shared weights; see ``core.protocols.FederatedAlgorithm``."""
        return averaged
