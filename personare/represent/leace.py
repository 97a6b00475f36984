"""Erases who speaks from every linear reader's reach, with the least change to the rest."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from scipy.linalg import eigh

from personare.core.errors import DataError
from personare.core.options import Range, Share, check_options
from personare.core.types import Array, Batch, Spend
from personare.learn.standardizing import Standardized, represented

__all__ = ["Leace"]


@dataclass(frozen=True, kw_only=True)
class Leace:
    """Project out every direction in which the people of training differ on average.

    What is erased is whatever ``subjects`` of the training batch holds: people, and with them every attribute that a
    person keeps (sex, age), since groups of people whose means are equal have equal means. To erase one attribute
    alone, put it in place of the subjects (``replace(batch, subjects=sex)``).

    **Guarantee**: on the recordings fitted to, no linear reader under a convex loss tells people (or attributes of
    people) better than one that sees nothing. It ends there: a reader that is not linear may still tell them, and new
    people differ in directions that these people did not show. Fewer ``directions`` than people less one guarantee
    nothing.

    **Source**: N. Belrose, D. Schneider-Joseph, S. Ravfogel, R. Cotterell, E. Raff, S. Biderman, "LEACE: Perfect
    linear concept erasure in closed form", NeurIPS 2023, arXiv:2306.03819. Shrinkage and the choice of the strongest
    directions are ours.
    """

    # share of a round covariance that is mixed in where there are few recordings: changes how much else is lost, and
    # not what is erased
    shrinkage: Share = 0.05
    # erase the strongest so many only, the dial
    directions: Annotated[int | None, Range("at least 1, or None for all", lambda n: n is None or n >= 1)] = None

    def __post_init__(self) -> None:
        check_options(self)

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> "Eraser":
        """Find the directions; see ``core.protocols.Representation``. Validation and ``public`` are not looked at."""
        front = Standardized.of(train)
        rows = front(train).astype(float)
        people, whose = np.unique(train.subjects, return_inverse=True)
        mean = rows.mean(axis=0)
        concept = (whose[:, None] == np.arange(len(people))) - np.bincount(whose) / len(whose)  # (N, P)
        covariance = np.cov(rows, rowvar=False, bias=True).reshape(len(mean), -1)  # (D, D)
        round_one = np.eye(len(mean)) * np.trace(covariance) / len(mean)
        values, vectors = eigh((1 - self.shrinkage) * covariance + self.shrinkage * round_one)
        mask = values > 1e-10 * max(values[-1], 1e-300)
        root = np.sqrt(np.where(mask, values, 1))
        # what makes the (shrunk) covariance round, and its inverse, (D, D)
        whiten, color = (vectors * (mask / root)) @ vectors.T, (vectors * (mask * root)) @ vectors.T
        # an orthonormal basis of the directions in which people differ, the strongest first
        left, strength, _ = np.linalg.svd(whiten @ (rows - mean).T @ concept / len(rows), full_matrices=False)
        size = int((strength > 1e-8 * max(float(strength[0]), 1e-300)).sum())
        basis = left[:, :size][:, : self.directions]
        if basis.shape[1] >= (rank := int(np.linalg.matrix_rank(rows - mean))):
            raise DataError(
                f"{len(people)} people differ in {size} directions, and the recordings have only {rank}: nothing "
                "would be left. Describe recordings by more numbers, or set directions lower."
            )
        return Eraser(front=front, mean=mean, out=color @ basis, into=basis.T @ whiten, complete=basis.shape[1] == size)


@dataclass(frozen=True, kw_only=True)
class Eraser:
    """The fitted projection ``x - out @ into @ (x - mean)``: of R directions, all of them where it is ``complete``."""

    front: Standardized
    mean: Array
    out: Array
    into: Array
    complete: bool
    spends: tuple[Spend, ...] = ()

    @property
    def guarantee(self) -> str:
        """What holds, against whom; and what does not."""
        if not self.complete:
            return f"none: the {len(self.into)} strongest directions of identity are erased, others are left"
        return (
            "no linear reader tells the people of training apart on the recordings fitted to; nothing is guaranteed "
            "against other readers or for new people"
        )

    def __call__(self, batch: Batch, *, rng: np.random.Generator) -> Batch:
        """Return the recordings with one modality ``representation``, (N, D)."""
        rows = self.front(batch)
        return represented(batch, rows - (rows - self.mean) @ self.into.T @ self.out.T)
