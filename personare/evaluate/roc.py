"""How well scores tell members from others: the exact curve, its area, and what a privacy claim allows at most."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from personare.core.errors import DataError
from personare.core.types import Array
from personare.evaluate.metrics import clopper_pearson

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
        """Return the largest TPR of a threshold whose FPR is at most ``rate``, and its exact 95 % interval."""
        hits, members = int(self.hits[self.false_alarms <= rate * self.others + 1e-9].max()), int(self.hits[-1])
        return hits / members, *clopper_pearson(hits, members)

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
    """Return the curve of (N,) scores, higher = more likely a member, ties handled exactly."""
    if np.isnan(scores).any() or not 0 < inside.sum() < len(inside):
        raise DataError(
            f"An attack needs a score for everybody, and members and others: given {int(np.isnan(scores).sum())} "
            f"missing scores, {int(inside.sum())} members of {len(inside)}. Check the models' predictions."
        )
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)  # the last of each group of equals
    hits = np.append(0, np.cumsum(inside[order])[ends])
    return Roc(false_alarms=np.append(0, ends + 1) - hits, hits=hits)


def bound_tpr(fpr: Array, epsilon: float, delta: float) -> Array:
    """Return the highest true positive rate that differential privacy allows any attacker at each false positive rate.

    **Guarantee**: the ROC of every attack on an (epsilon, delta)-private model lies under it; a curve clearly above
    shows that the claim does not hold.

    **Source**: P. Kairouz, S. Oh, P. Viswanath, "The composition theorem for differential privacy", ICML 2015.
    """
    near = np.exp(min(epsilon, 700.0)) * fpr + delta
    far = 1 - np.exp(-epsilon) * (1 - delta - fpr)
    return np.asarray(np.clip(np.minimum(near, far), 0, 1))


def bound_auc(epsilon: float, delta: float) -> float:
    """Return the area under that line, exactly: it has two corners."""
    corner = (1 - delta) * float(expit(-epsilon))  # where both limits meet: TPR = 1 - FPR
    return float(np.trapezoid([delta, 1 - corner, 1, 1], [0, corner, 1 - delta, 1]))
