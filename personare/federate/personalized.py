"""Averages all layers but the last, which every site learns and keeps for its own people."""

from dataclasses import dataclass
from typing import ClassVar

from personare.learn.federation import ServerStep, averaged

__all__ = ["Personalized"]


@dataclass(frozen=True, kw_only=True)
class Personalized:
    """Share what describes recordings, and keep at each site what reads classes from it.

    For people of no site, the mean of all last layers answers: they leave their sites once, in one sum, at the end.

    **Source**: M. G. Arivazhagan et al., "Federated Learning with Personalization Layers", 2019, arXiv:1912.00818; the
    mean at the end is ours.
    """

    keeps_head: ClassVar[bool] = True

    def start(self) -> ServerStep:
        """Return what moves the shared weights; see ``core.protocols.FederatedAlgorithm``."""
        return averaged
