"""Tells who was learned from by whose recordings a site's update helps, as a server of the rounds can."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from personare.core.types import Result
from personare.evaluate.membership import member_row, member_rows
from personare.evaluate.updates import Updates

__all__ = ["UpdateMembership"]


@dataclass(frozen=True, kw_only=True)
class UpdateMembership:
    """Scores a person by the loss that the update which helps them most takes from their recordings.

    The loss before a round is what the update is measured against, so that easy and hard recordings are scored alike.

    **Source**: M. Nasr, R. Shokri, A. Houmansadr, "Comprehensive privacy analysis of deep learning", IEEE S&P 2019,
    doi:10.1109/SP.2019.00065 (the server as a passive attacker); losses in place of their attack network are ours.
    """

    question: ClassVar = "member"
    kinds: ClassVar[tuple[str, ...]] = ("updates",)

    def __call__(self, updates: Updates, *, rng: np.random.Generator) -> list[Result]:
        """Measure ``person_auc`` of people at any site against strangers."""
        people, sites = updates.people
        row = member_row(kind="model", method="update_membership", attacker="server")
        scored = updates.gains.max(axis=0)[None], (sites >= 0)[None], people
        rows = member_rows(row, lambda: scored, figures=("auc",), rng=rng)
        return [replace(row, figure="person_auc") for row in rows]
