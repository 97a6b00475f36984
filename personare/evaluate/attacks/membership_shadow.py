"""Learns from shadow models how predictions about training data differ from others, class by class."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from personare.core.errors import DataError
from personare.core.options import check_options
from personare.core.types import Array
from personare.evaluate.membership import Signals

__all__ = ["ShadowModels"]


@dataclass(frozen=True, kw_only=True)
class ShadowModels:
    """Trains one attack classifier for each class on the predictions of the shadow models.

    It sees the logarithms of the probabilities: the true class first, the others sorted.

    **Source**: R. Shokri, M. Stronati, C. Song, V. Shmatikov, "Membership inference attacks against machine learning
    models", IEEE S&P 2017 (arXiv 1610.05820). Changed: the shadows are the other models of the audit; logistic
    regression on logarithms instead of a network on probabilities.
    """

    question: ClassVar = "member"
    kinds: ClassVar[tuple[str, ...]] = ("model",)

    most: int = 20_000  # predictions a class's classifier is trained on at most, evenly taken

    def __post_init__(self) -> None:
        check_options(self, most=10)

    def __call__(self, signals: Signals, target: int) -> Array:
        """Return the logit of membership, (N,)."""
        others = signals.shadows(target)
        scores = np.zeros(len(signals.labels))
        for label in np.unique(signals.labels):
            rows = signals.labels == label
            likely = signals.log_probabilities[:, rows]  # (M, n, C)
            rest = np.sort(np.delete(likely, label, axis=2), axis=2)[:, :, ::-1]
            seen = np.concatenate([likely[:, :, label : label + 1], rest], axis=2)
            shown, inside = seen[others].reshape(-1, seen.shape[2]), signals.inside[np.ix_(others, rows)]
            # Where every recording is in exactly half of all models, those that the target knows are in fewer of the
            # others: each counts the same inside and outside, or the classifier would learn that, backwards.
            n = inside.sum(axis=0)
            share = np.where(inside, 1 / np.maximum(n, 1), 1 / np.maximum(len(inside) - n, 1))
            weight = (share * ((n > 0) & (n < len(inside))) * len(inside) / 2).ravel()
            # an odd step, or it could meet the same models again and again
            step = -(-len(weight) // self.most) | 1
            if not weight[::step].any():
                raise DataError(f"The shadow models need recordings of class {label} inside and outside: train more.")
            space = StandardScaler().fit(shown[::step])
            learned = LogisticRegression().fit(space.transform(shown[::step]), inside.ravel()[::step], weight[::step])
            scores[rows] = learned.decision_function(space.transform(seen[target]))
        return scores
