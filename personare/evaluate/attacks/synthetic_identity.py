"""Enrolls real people by voice, face or body, and sees whom it takes synthetic people for."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from personare.core.errors import DataError
from personare.core.options import check_options
from personare.core.types import Result, Spend
from personare.evaluate.classifiers import learn_classes
from personare.evaluate.synthetic_case import SyntheticCase, closest_rows, thinned

__all__ = ["SyntheticIdentity"]


@dataclass(frozen=True, kw_only=True)
class SyntheticIdentity:
    """Names everybody in a synthetic recording; somebody learned from should not be named more often than others.

    The recognizer is the one that names people by prosody in real recordings. It enrolls people learned from and
    others alike.

    **Source**: ours; kernel classifiers on standardized vectors, as for prosody.
    """

    question: ClassVar = "identify"
    kinds: ClassVar[tuple[str, ...]] = ("synthetic",)

    enrolled: int = 1200  # most real recordings enrolled, in all; as many of each person
    most: int = 2000  # synthetic recordings looked at

    def __post_init__(self) -> None:
        check_options(self, enrolled=2, most=1)

    def __call__(self, case: SyntheticCase, *, rng: np.random.Generator, claim: Spend | None = None) -> list[Result]:
        """Measure ``named``: synthetic recordings taken for somebody who was learned from."""
        people = len(case.inside)
        enrolled = thinned(case.people, max(2, self.enrolled // people), rng)
        classifier = learn_classes(case.real[enrolled], [f"{p:08d}" for p in case.people[enrolled]])
        if classifier.loo_accuracy <= 2 / people:
            raise DataError(
                f"the recognizer names {classifier.loo_accuracy:.3f} of real recordings right, guessing does "
                f"{1 / people:.3f}"
            )
        rows = rng.permutation(len(case.synthetic))[: self.most]
        scores = classifier(case.synthetic[rows])  # (S, P); people in sorted order
        reason = f"the recognizer names {classifier.loo_accuracy:.2f} of real recordings right"
        row = Result(question="identify", method="synthetic_identity", figure="named", value=np.nan, reason=reason)
        return closest_rows(row, scores, case, rng=rng)
