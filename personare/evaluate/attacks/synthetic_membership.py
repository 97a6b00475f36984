"""Takes a person for learned from where synthetic people crowd around their recordings more than real people do."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from personare.core.errors import OptionError
from personare.core.types import Array, Result, Spend
from personare.evaluate.synthetic import judge_people, normal_density
from personare.evaluate.synthetic_case import SyntheticCase, nearest

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

    estimator: Literal["neighbor", "normal"] = "neighbor"

    def __post_init__(self) -> None:
        if self.estimator not in ("neighbor", "normal"):
            raise OptionError(f"estimator must be 'neighbor' or 'normal', given {self.estimator!r}.")

    def __call__(self, case: SyntheticCase, *, rng: np.random.Generator, claim: Spend | None = None) -> list[Result]:
        """Measure ``auc`` and the like as ``synthetic_membership_<estimator>``, over everybody and the most exposed."""
        if self.estimator == "neighbor":  # the constant of the dimension and of the set's size is the same for all
            own = nearest(case.real, case.synthetic)
            ratio = np.log(np.maximum(case.alone, _TINY)) - np.log(np.maximum(own, _TINY))
        else:
            ratio = _normal(case, rng)
        name = f"synthetic_membership_{self.estimator}"
        return judge_people(name, case.by_person(ratio), case.inside, case.exposed, claim=claim, rng=rng)


def _normal(case: SyntheticCase, rng: np.random.Generator) -> Array:
    """Return (N,) log ratios; people are left out of p_R in groups where they are many."""
    rows = case.real.values
    found = normal_density(case.synthetic.values)(rows)
    people = len(case.inside)
    group = rng.permutation(people)[case.real.people] % min(people, _GROUPS)
    for g in np.unique(group):
        found[group == g] -= normal_density(rows[group != g])(rows[group == g])
    return found
