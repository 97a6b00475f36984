"""How well scores tell members from others: the exact curve, its area, and what a privacy claim allows at most."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from scipy.stats import binomtest

from personare.core.errors import DataError, OptionError
from personare.core.types import Array

_SHOWN = 200
_EXPECTED = 10  # false alarms that a rate must let expect before it can be told from others


@dataclass(frozen=True, kw_only=True)
class Roc:
    """Members and others whose score reaches each threshold; scores that are equal pass together."""

    false_alarms: Array  # (K,) others accepted, a count, rising from 0 to all of them
    hits: Array  # (K,) members accepted, alike

    @property
    def others(self) -> int:
        """How many are no members."""
        return int(self.false_alarms[-1])

    @property
    def auc(self) -> float:
        """The area: how often a member outscores another; a tie counts one half."""
        return float(np.trapezoid(self.hits / self.hits[-1], self.false_alarms / self.others))

    def tpr_at(self, rate: float) -> tuple[float, float, float]:
        """Return the largest TPR of a threshold whose FPR is at most ``rate``, and its exact 95 % interval.

        **Source**: C. Clopper, E. Pearson, "The use of confidence or fiducial limits illustrated in the case of the
        binomial", Biometrika 26, 1934.
        """
        hits, members = int(self.hits[self.false_alarms <= rate * self.others + 1e-9].max()), int(self.hits[-1])
        low, high = binomtest(hits, members).proportion_ci()
        return hits / members, float(low), float(high)

    def resolves(self, rate: float) -> bool:
        """Whether there are others enough to speak of this false positive rate: at least ten are expected."""
        return self.others * rate >= _EXPECTED - 1e-9

    def points(self) -> dict[str, list[float]]:
        """Return ``fpr`` and ``tpr`` for a picture: at most 200 points, dense where few are accepted."""
        last = len(self.hits) - 1
        kept = np.unique([0, *np.geomspace(1, last, min(_SHOWN - 1, last)).astype(int), last])
        rates = {"fpr": self.false_alarms / self.others, "tpr": self.hits / self.hits[-1]}
        return {name: rate[kept].tolist() for name, rate in rates.items()}


def roc(scores: Array, inside: Array) -> Roc:
    """Return the curve of (N,) scores, higher = more likely a member, ties handled exactly.

    Example:
        >>> roc(np.array([2.0, 1.0, 1.0, 0.0]), np.array([True, True, False, False])).auc
        0.875
    """
    if np.isnan(scores).any() or not 0 < inside.sum() < len(inside):
        raise DataError(
            f"An attack needs a score for everybody, and members and others: given {int(np.isnan(scores).sum())} "
            f"missing scores, {int(inside.sum())} members of {len(inside)}. Check the models' predictions."
        )
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)  # the last of each group of equals
    hits = np.append(0, np.cumsum(inside[order])[ends])
    return Roc(false_alarms=np.append(0, ends + 1) - hits, hits=hits)


@dataclass(frozen=True, kw_only=True)
class Bound:
    """What differential privacy allows any attacker: a line above every ROC.

    **Guarantee**: an (epsilon, delta)-private model lies under it, for every attack and every threshold; a curve
    clearly above shows that the claim does not hold.

    **Source**: P. Kairouz, S. Oh, P. Viswanath, "The composition theorem for differential privacy", ICML 2015.

    Example:
        >>> round(float(Bound(epsilon=1.0, delta=0.0).tpr(np.array([0.01]))[0]), 4)
        0.0272
    """

    epsilon: float  # the claim
    delta: float  # the chance that it fails

    def __post_init__(self) -> None:
        if not self.epsilon >= 0 or not 0 <= self.delta < 1:
            raise OptionError(
                f"A claim needs epsilon of at least 0 and delta in [0, 1), given {self.epsilon} and {self.delta}."
            )

    def tpr(self, fpr: Array) -> Array:
        """Return the highest true positive rate at each false positive rate."""
        near = np.exp(min(self.epsilon, 700.0)) * fpr + self.delta
        far = 1 - np.exp(-self.epsilon) * (1 - self.delta - fpr)
        return np.asarray(np.clip(np.minimum(near, far), 0, 1))

    @property
    def auc(self) -> float:
        """The area under the line, exactly: it has two corners."""
        corner = (1 - self.delta) * float(expit(-self.epsilon))  # where both limits meet: TPR = 1 - FPR
        return float(np.trapezoid([self.delta, 1 - corner, 1, 1], [0, corner, 1 - self.delta, 1]))

    def points(self) -> dict[str, list[float]]:
        """Return ``fpr`` and ``tpr`` for a picture, dense where few are accepted."""
        fpr = np.append(0, np.geomspace(1e-4, 1, 100))
        return {"fpr": fpr.tolist(), "tpr": self.tpr(fpr).tolist()}
