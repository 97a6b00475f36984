"""Joins two nameless recordings of one person, say a voice and a face, because a synthetic person has both."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.spatial.distance import cdist

from personare.core.errors import DataError
from personare.core.options import check_options
from personare.core.types import Result, Spend
from personare.evaluate.metrics import top1_credit
from personare.evaluate.synthetic_case import SyntheticCase, risk_rows

__all__ = ["Linkability"]


@dataclass(frozen=True, kw_only=True)
class Linkability:
    """Of several people's second halves, takes the one that some synthetic recording joins best to the first half.

    The halves are two modalities; with one modality alone, two random halves of its columns. How well halves of people
    who were not learned from are joined is what the synthetic people teach about people in general.

    **Source**: the second criterion of WP216; the attack is ours.
    """

    question: ClassVar = "link"
    kinds: ClassVar[tuple[str, ...]] = ("synthetic",)

    among: int = 10  # most people to choose from
    draws: int = 30  # how often one recording of each is drawn

    def __post_init__(self) -> None:
        check_options(self, among=2, draws=1)

    def __call__(self, case: SyntheticCase, *, rng: np.random.Generator, claim: Spend | None = None) -> list[Result]:
        """Measure the ``risk``; the naive guess takes anybody."""
        columns, width = np.arange(case.real.shape[1]), next(iter(case.original.arrays.values())).shape[1]
        if len(columns) < 2:
            raise DataError("Linking needs two halves of a recording, but it has one column.")
        if len(case.original.arrays) == 1:
            columns, width = rng.permutation(columns), len(columns) // 2
        halves = columns[:width], columns[width:]
        among = min(self.among, int(case.inside.sum()), int((~case.inside).sum()))
        right, tried = np.zeros(len(case.inside)), np.zeros(len(case.inside))
        for _ in range(self.draws):
            for side in (True, False):
                mixed = rng.permutation(np.flatnonzero(case.inside == side))
                for k in range(0, len(mixed) - among + 1, among):  # those left over sit out this time
                    group = mixed[k : k + among]
                    rows = np.array([rng.choice(np.flatnonzero(case.people == p)) for p in group])
                    first, second = (cdist(case.real[rows][:, h], case.synthetic[:, h], "sqeuclidean") for h in halves)
                    gaps = np.stack([(row + second).min(axis=1) for row in first])  # (M, M), over synthetic recordings
                    right[group] += top1_credit(-gaps, np.arange(len(group)))
                    tried[group] += 1
        successes = np.where(tried > 0, right / np.maximum(tried, 1), np.nan)
        return risk_rows("link", "synthetic_linkability", successes, np.full(len(successes), 1 / among), case)
