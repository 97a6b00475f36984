"""Knows all but one number of a person's recording, and reads that one off the most similar synthetic recording."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.spatial.distance import cdist

from personare.core.options import Positive, check_options
from personare.core.types import Result, Spend
from personare.evaluate.synthetic_case import SyntheticCase, risk_rows

__all__ = ["AttributeInference"]

_CHUNK = 128


@dataclass(frozen=True, kw_only=True)
class AttributeInference:
    """Guesses the label, and single columns, from the nearest synthetic recording on everything else.

    What is true of people in general is guessed of people who were not learned from as well; only what is guessed
    better counts. The naive guess is always the same: the value that is most frequent among the synthetic recordings.

    **Source**: the third criterion of WP216; the attack is ours.
    """

    question: ClassVar = "infer"
    kinds: ClassVar[tuple[str, ...]] = ("synthetic",)

    secrets: int = 12  # most columns that are guessed, drawn at random
    tolerance: Positive = 0.1  # A number is guessed if it is off by at most so many of the cohort's standard deviations

    def __post_init__(self) -> None:
        check_options(self, secrets=1)

    def __call__(self, case: SyntheticCase, *, rng: np.random.Generator, claim: Spend | None = None) -> list[Result]:
        """Measure ``risk`` as ``synthetic_inference_label`` (where there are two classes) and ``_values``."""
        real, made = case.real, case.synthetic
        truth, labels_made = case.original.labels, case.released.labels
        varies = np.flatnonzero(real.std(axis=0) > 0)
        columns = rng.choice(varies, min(self.secrets, len(varies)), replace=False)
        # whether each real recording's label was guessed, and the share of its columns
        labels, values = np.zeros(len(real)), np.zeros(len(real))
        for start in range(0, len(real), _CHUNK):
            part = slice(start, start + _CHUNK)
            apart = cdist(real[part], made, "sqeuclidean")  # (chunk, S)
            labels[part] = labels_made[apart.argmin(axis=1)] == truth[part]
            for c in columns:
                gap = real[part, c, None] - made[:, c]  # (chunk, S)
                off = np.take_along_axis(gap, (apart - gap**2).argmin(axis=1)[:, None], axis=1)[:, 0]
                values[part] += (np.abs(off) <= self.tolerance) / len(columns)
        rows: list[Result] = []
        if len(np.unique(truth)) > 1:
            naive = truth == np.bincount(np.maximum(labels_made, 0)).argmax()
            rows += risk_rows("infer", "synthetic_inference_label", case.by_person(labels), case.by_person(naive), case)
        if len(columns) and real.shape[1] > 1:
            usual = []  # the value around which most of a column lies
            for column in np.sort(made[:, columns], axis=0).T:
                within = np.searchsorted(column, column + 2 * self.tolerance, "right") - np.arange(len(column))
                usual.append(column[within.argmax()] + self.tolerance)
            naive = (np.abs(real[:, columns] - usual) <= self.tolerance).mean(axis=1)
            rows += risk_rows(
                "infer", "synthetic_inference_values", case.by_person(values), case.by_person(naive), case
            )
        return rows
