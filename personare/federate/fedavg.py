"""Averages what the sites came to, by how many people each has."""

from dataclasses import dataclass

from personare.learn.federation import ServerStep, averaged

__all__ = ["FedAvg"]


@dataclass(frozen=True, kw_only=True)
class FedAvg:
    """Train at every site from where the server is, and go on from the mean.

    **Source**: B. McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data", AISTATS
    2017, arXiv:1602.05629. Ours: weights are the people of a site, not its recordings, and every site takes part in
    every round, its optimizer going on where it stopped.
    """

    def start(self) -> ServerStep:
        """Return what moves the shared weights; see ``core.protocols.FederatedAlgorithm``."""
        return averaged
