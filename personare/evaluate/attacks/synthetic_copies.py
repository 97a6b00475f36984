"""Looks for synthetic recordings that are copies: closer to somebody who was learned from than to anybody else."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from scipy.spatial.distance import cdist

from personare.core.options import check_options
from personare.core.types import Result, Spend
from personare.evaluate.synthetic_case import SyntheticCase, closest_rows

__all__ = ["NearestCopy"]

_SAME = 1e-6  # standard deviations: rounding


@dataclass(frozen=True, kw_only=True)
class NearestCopy:
    """Measures memorization. It is no test of safety: much can be given away without a copy.

    **Source**: distance to the closest record, as in use; why it must not be read as privacy: Z. Yao, N. Krčo,
    G. Ganev, Y.-A. de Montjoye, "The DCR delusion", 2025 (arXiv 2505.01524). Changed: people are resampled, as many
    recordings of each are looked at on both sides, and ties count one half.
    """

    question: ClassVar = "member"
    kinds: ClassVar[tuple[str, ...]] = ("synthetic",)

    most: int = 2000  # synthetic recordings looked at

    def __post_init__(self) -> None:
        check_options(self, most=1)

    def __call__(self, case: SyntheticCase, *, rng: np.random.Generator, claim: Spend | None = None) -> list[Result]:
        """Measure ``nearer`` and ``exact``, the share that is a real recording unchanged."""
        rows = rng.permutation(len(case.synthetic))[: self.most]
        order = np.argsort(case.people, kind="stable")
        firsts = np.searchsorted(case.people[order], np.arange(len(case.inside)))
        parts = np.array_split(case.synthetic[rows], max(1, len(rows) // 256))
        apart = [np.minimum.reduceat(cdist(part, case.real[order]), firsts, axis=1) for part in parts]
        distance = np.concatenate(apart)  # (S, P) to the nearest recording of each real person
        reason = "memorization, never safety: an even share does not say that nobody can be found"
        row = Result(question="member", method="synthetic_copies", figure="nearer", value=np.nan, reason=reason)
        exact, other = (distance[:, side].min(axis=1) <= _SAME for side in (case.inside, ~case.inside))
        copied = replace(
            row,
            figure="exact",
            value=float(exact.mean()),
            n=len(rows),
            better="lower",
            control=float(other.mean()),
            reason=f"memorization: {int(exact.sum())} of {len(rows)} synthetic recordings are real ones, unchanged",
        )
        return [*closest_rows(row, -distance, case, rng=rng), copied]
