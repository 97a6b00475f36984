"""Takes a person for learned from where synthetic people crowd around their recordings more than real people do."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from personare.core.options import check_options
from personare.core.types import Array, Result, Spend
from personare.evaluate.membership import member_row, member_rows
from personare.evaluate.synthetic_case import SyntheticCase, nearest, normal_density

__all__ = ["DensityRatio"]

_TINY = 1e-6
_GROUPS = 40


@dataclass(frozen=True, kw_only=True)
class DensityRatio:
    """Scores a person by log p_S(x) / p_R(x), the mean over their recordings.

    p_S is the density of the synthetic recordings, p_R that of real people's. p_R leaves the person out and counts
    everybody else, learned from or not: an attacker who knows everybody's data but not who was learned from.

    **Guarantee**: scores treat people learned from and others alike; of a generator that ignores its data they tell
    nothing.

    Densities are estimated by the distance to the nearest recording (``neighbor``, finds copies) or by one normal
    distribution each (``normal``, finds what fitted averages give away).

    **Source**: B. van Breugel, H. Sun, Z. Qian, M. van der Schaar, "Membership inference attacks against synthetic
    data through overfitting detection", AISTATS 2023 (arXiv 2302.12580). Changed: people instead of records, nearest
    neighbors instead of kernels or flows, everybody else as the reference.
    """

    question: ClassVar = "member"
    kinds: ClassVar[tuple[str, ...]] = ("synthetic",)

    estimator: Literal["both", "neighbor", "normal"] = "both"

    def __post_init__(self) -> None:
        check_options(self)

    def __call__(self, case: SyntheticCase, *, rng: np.random.Generator, claim: Spend | None = None) -> list[Result]:
        """Measure ``auc`` and the like as ``synthetic_membership_<estimator>``, over everybody and the outliers."""
        scores: dict[str, Array] = {}
        if self.estimator != "normal":  # the constant of the dimension and of the set's size is the same for all
            near = nearest(case.real, case.synthetic)
            scores["neighbor"] = np.log(np.maximum(case.distance, _TINY)) - np.log(np.maximum(near, _TINY))
        if self.estimator != "neighbor":
            ratio = normal_density(case.synthetic)(case.real)
            count = len(case.inside)
            group = rng.permutation(count)[case.people] % min(count, _GROUPS)
            for g in np.unique(group):  # people are left out of p_R in groups where they are many
                ratio[group == g] -= normal_density(case.real[group != g])(case.real[group == g])
            scores["normal"] = ratio

        def judged(estimator: str, subset: str, people: Array) -> list[Result]:
            each = case.by_person(scores[estimator])
            return member_rows(
                member_row(kind="synthetic", method=f"synthetic_membership_{estimator}", subset=subset),
                lambda: (each[None, people], case.inside[None, people], np.flatnonzero(people)),
                figures=("auc",) if subset else ("auc", "tpr_fpr10"),  # so few people have no rates
                claim=None if subset else claim,  # and may lie above a bound by luck
                rng=rng,
            )

        return [row for name in scores for subset in case.subsets.items() for row in judged(name, *subset)]
