"""Tells from updates of which class a site's people show more: of what illness a hospital has more patients."""

from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import numpy as np

from personare.core.errors import DataError
from personare.core.types import Result
from personare.evaluate.metrics import mean_over_both, no_narrower
from personare.evaluate.updates import Updates, server_row

__all__ = ["UpdateAttribute"]


@dataclass(frozen=True, kw_only=True)
class UpdateAttribute:
    """Takes the site whose update raises a class's bias more to be the one with the larger share of it.

    The gradient of a class's bias is how often the class is expected less how often it is there.

    **Source**: A. Wainakh, F. Ventola, T. Müßig et al., "User-level label leakage from gradients in federated
    learning", PoPETs 2022(2), arXiv:2105.09369, for the bias; which of two sites has more is ours.
    """

    question: ClassVar = "infer"
    kinds: ClassVar[tuple[str, ...]] = ("updates",)

    def __call__(self, updates: Updates, *, rng: np.random.Generator) -> list[Result]:
        """Measure ``auc``: how often of two sites with other shares of a class the right one is told."""
        held, classes = updates.sites >= 0, len(updates.batch.classes)
        labels, sites = updates.batch.labels[held], updates.sites[held]
        counts = np.zeros((int(sites.max()) + 1, classes))
        np.add.at(counts, (sites, labels), 1)
        shares = counts / counts.sum(axis=1, keepdims=True)  # (S, C)
        raised = np.mean([[updates.predictor.at(w).last_layer[:, -1] for w in r.after] for r in updates.rounds], axis=0)
        raised = np.broadcast_to(raised, shares.shape)  # of one sum all sites are alike
        pairs = [(a, b, c) for a, b in combinations(range(len(shares)), 2) for c in range(classes)]
        asked = np.array([pair for pair in pairs if shares[pair[0], pair[2]] != shares[pair[1], pair[2]]])
        if not len(asked):
            raise DataError("all sites have the same share of each class")
        a, b, c = asked.T
        right = np.sign(raised[a, c] - raised[b, c]) * np.sign(shares[a, c] - shares[b, c])
        estimate = no_narrower(mean_over_both((1 + right) / 2, a, b, rng=rng), len(shares))
        return [server_row(self, "update_attribute", "auc", estimate, control=0.5)]
