"""Names the person from everything at once: voice, picture and motion attacks joined at the level of their scores."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

from personare.core.errors import DataError
from personare.core.options import check_options
from personare.core.types import Array, Batch
from personare.data.splits import person_folds
from personare.evaluate.classifiers import standardized
from personare.evaluate.identification import ATTACKERS, Trials

__all__ = ["Fusion"]


@dataclass(frozen=True, kw_only=True)
class Fusion:
    """Adds the standardized scores of all attacks, each as far as it can be trusted.

    How far is learned by logistic regression on trials of *other* people (an attacker has people to practice on), with
    weights that cannot be negative.

    **Guarantee**: no trial of a person has a part in the weights with which that person is named.

    **Source**: score-level fusion by logistic regression as usual in speaker verification (N. Brümmer et al., IEEE
    TASLP 15(7), 2007); the split by person and the sign constraint are ours.
    """

    question: ClassVar = "identify"
    modality: ClassVar[str] = "any"

    folds: int = 5  # in how many groups the people are left out

    def __post_init__(self) -> None:
        check_options(self, folds=2)

    def __call__(
        self, original: Batch, released: Batch, *, trials: Sequence[Trials], rng: np.random.Generator
    ) -> list[Trials]:
        """Join the trials of each attacker; nothing else is looked at."""
        groups = [[t for t in trials if t.attacker == attacker] for attacker in ATTACKERS]
        if min(len(group) for group in groups) < 2:
            raise DataError("fusion needs at least two attacks that name people and could be run")
        subjects = dict(zip(groups[0][0].ids, groups[0][0].subjects.tolist(), strict=True))
        folds = person_folds(subjects, self.folds, rng=rng)
        joined = []
        for first, *rest in groups:
            scores = np.stack([t.scores for t in (first, *rest)])  # (K, N, P)
            joint = np.zeros_like(first.scores)
            for train, test in folds:
                practice, asked = np.isin(first.ids, train), np.isin(first.ids, test)
                weights = _weights(scores[:, practice], first.truth[practice])
                joint[asked] = np.tensordot(weights, scores[:, asked], axes=1)
            joined.append(replace(first, attack="fusion", scores=standardized(joint)))
        return joined


def _weights(scores: Array, truth: Array) -> Array:
    """Return weights (K,) >= 0 under which the right people are most likely."""
    rows = np.arange(len(truth))

    def cost(weights: Array) -> tuple[float, Array]:
        likely = log_softmax(np.tensordot(weights, scores, axes=1), axis=1)
        gap = np.exp(likely)
        gap[rows, truth] -= 1
        slope = (scores * gap).sum(axis=(1, 2)) / len(rows) + 0.02 * weights
        return float(-likely[rows, truth].mean() + 0.01 * weights @ weights), slope

    start = np.ones(len(scores))
    return np.asarray(minimize(cost, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(scores)).x) + 1e-6
