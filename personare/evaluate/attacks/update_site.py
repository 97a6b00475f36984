"""Names the site at which a person's recordings are: the one whose update helps them most."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from personare.core.types import Result
from personare.evaluate.metrics import mean_over_people, no_narrower, top1_credit
from personare.evaluate.updates import Updates, server_row

__all__ = ["UpdateSite"]


@dataclass(frozen=True, kw_only=True)
class UpdateSite:
    """Takes a person to be where the update takes most loss from their recordings.

    Where the server sees one sum, all sites are alike to it.

    **Source**: H. Hu, Z. Salcic, L. Sun, G. Dobbie, X. Zhang, "Source inference attacks in federated learning", ICDM
    2021, arXiv:2109.05659. Ours: the loss taken in a round, in place of the loss after it.
    """

    question: ClassVar = "link"
    kinds: ClassVar[tuple[str, ...]] = ("updates",)

    def __call__(self, updates: Updates, *, rng: np.random.Generator) -> list[Result]:
        """Measure ``top1`` over the people of all sites; guessing names the largest site."""
        people, sites = updates.people
        counts = np.bincount(sites[sites >= 0])
        scores = np.broadcast_to(updates.gains.T, (len(people), len(counts)))  # (P, S); of one sum all alike
        credit = top1_credit(scores, sites)[sites >= 0]
        estimate = no_narrower(mean_over_people(credit, people[sites >= 0], rng=rng), len(credit))
        return [server_row(self, "update_site", "top1", estimate, control=float(counts.max() / counts.sum()))]
