"""Rows of membership attacks: area, hits at few false alarms, and how they stand to what a privacy claim allows."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np

from personare.core.errors import DataError
from personare.core.types import Array, Result, Spend
from personare.evaluate.membership import Membership, Scores, Signals, attack_people, attack_recordings
from personare.evaluate.metrics import Estimate, over_people
from personare.evaluate.roc import Bound, Roc, roc

__all__ = ["against", "auc_over_people", "judge_membership"]

_RATES: Final[Mapping[str, float]] = {"tpr_fpr10": 0.1, "tpr_fpr1": 0.01, "tpr_fpr0.1": 0.001}
_BLOCKS: Final = 150  # people are resampled in at most so many random groups


def judge_membership(
    signals: Signals,
    attacks: Mapping[str, Membership],
    *,
    claim: Spend | None = None,
    trim: float = 0.0,
    rng: np.random.Generator,
) -> list[Result]:
    """Measure how well each attack tells what the models learned from, by recording and by person.

    The (model, recording) pairs of all targets make one curve. Intervals of TPR are exact (Clopper-Pearson) and take
    pairs as independent; intervals of the area resample people. A rate that the non-members cannot resolve (fewer than
    ten expected) is NaN with the reason.

    Args:
        signals: What the models answered.
        attacks: By name, e.g. ``{"membership_lira": LikelihoodRatio()}``.
        claim: The privacy each model was trained with; draws the bound. A claim for recordings says nothing about
            people, one for people holds for recordings too.
        trim: Share of a person's recordings left out at either end of their scores.
        rng: Bootstrap.

    Returns:
        For each attack ``auc``, ``tpr_fpr10``, ``tpr_fpr1``, ``tpr_fpr0.1`` and the same of people with ``person_``
        before. The detail of an area has the points of ``roc`` and, with a claim, of ``bound``.

    Example:
        >>> s = Signals(logits=np.zeros((2, 2, 2)), inside=np.array([[True, False], [False, True]]),
        ...     labels=np.array([0, 0]), subjects=np.array(["a", "b"]))
        >>> judge_membership(s, {"none": lambda s, m: np.zeros(2)}, rng=np.random.default_rng(0))[0].value
        0.5
    """
    rows: list[Result] = []
    for name, attack in attacks.items():
        level: tuple[tuple[str, Callable[[Membership, Signals], Scores], bool], ...] = (
            ("", attack_recordings, claim is not None),
            (
                "person_",
                lambda a, s: attack_people(a, s, trim=trim),
                claim is not None and claim.unit == "person",
            ),
        )
        for prefix, run, bounded in level:
            bound = Bound(epsilon=claim.epsilon, delta=claim.delta) if claim is not None and bounded else None
            try:
                rows += _measured(name, prefix, run(attack, signals), bound, rng)
            except DataError as error:
                rows += [_row(name, prefix + figure, float("nan"), reason=str(error)) for figure in ("auc", *_RATES)]
    return rows


def _measured(name: str, prefix: str, found: Scores, bound: Bound | None, rng: np.random.Generator) -> list[Result]:
    curve = roc(found.scores, found.inside)
    area = auc_over_people(found, rng=rng)
    detail: dict[str, Any] = {"roc": curve.points()}
    if bound is not None:
        detail["bound"] = bound.points()
    n = len(found.scores)
    row = _row(name, f"{prefix}auc", area.value, (area.low, area.high), n=n, control=0.5, detail=detail)
    rows = [against(bound.auc, row, bound) if bound is not None else row]
    return rows + [_rate(name, prefix + figure, rate, curve, bound) for figure, rate in _RATES.items()]


def _rate(name: str, figure: str, rate: float, curve: Roc, bound: Bound | None) -> Result:
    n = curve.others + curve.members
    if not curve.resolves(rate):
        reason = f"too few non-members to say: {curve.others}, a rate of {rate:.1%} needs {10 / rate:.0f}"
        return _row(name, figure, float("nan"), n=n, control=rate, reason=reason)
    value, low, high = curve.tpr_at(rate)
    row = _row(name, figure, value, (low, high), n=n, control=rate)
    return against(float(bound.tpr(np.array([rate]))[0]), row, bound) if bound is not None else row


def against(limit: float, row: Result, bound: Bound) -> Result:
    """Hold a figure against the most that a privacy claim allows."""
    said = f"epsilon {bound.epsilon:.3g} at delta {bound.delta:.1e} allows {limit:.3f} at most"
    if not row.low > limit:
        return replace(row, reason=said, status="ok")
    return replace(row, reason=f"ABOVE THE BOUND, the privacy claim does not hold: {said}", status="claim_broken")


def _row(
    name: str,
    figure: str,
    value: float,
    ends: tuple[float, float] = (float("nan"), float("nan")),
    *,
    n: int = 0,
    control: float = float("nan"),
    reason: str = "",
    detail: Mapping[str, Any] | None = None,
) -> Result:
    return Result(
        kind="model",
        question="member",
        method=name,
        figure=figure,
        attacker="shadow",
        value=value,
        low=ends[0],
        high=ends[1],
        n=n,
        control=control,
        better="lower",
        reason=reason,
        detail=detail or {},
    )


def auc_over_people(found: Scores, *, rng: np.random.Generator) -> Estimate:
    """Return the area under the curve, people resampled: a pair of two people counts as often as both were drawn.

    Args:
        found: Scores, truth, and whom each is about.
        rng: Groups people (at most 150 groups) and draws them.
    """
    people, index = np.unique(found.person, return_inverse=True)
    block = rng.permutation(len(people))[index] % _BLOCKS
    wins = _wins(found.scores, found.inside, block)  # (G, G)
    groups = len(wins)
    members = np.bincount(block[found.inside], minlength=groups)
    others = np.bincount(block[~found.inside], minlength=groups)

    def area(drawn: Array) -> Array:
        pairs = np.maximum((drawn @ members) * (drawn @ others), 1e-12)
        return np.asarray(np.einsum("dg,gh,dh->d", drawn, wins, drawn, optimize=True) / pairs)

    estimate = over_people(np.eye(groups), np.arange(groups), area, rng=rng)
    return Estimate(value=estimate.value, low=estimate.low, high=estimate.high, n=len(found.scores))


def _wins(scores: Array, inside: Array, block: Array) -> Array:
    """Return how often members of each group outscore others of each group; ties count one half."""
    groups = int(block.max()) + 1
    wins = np.zeros((groups, groups))
    other = scores[~inside]
    for g in range(groups):
        own = np.sort(scores[inside & (block == g)])
        above = len(own) - (np.searchsorted(own, other, "left") + np.searchsorted(own, other, "right")) / 2
        wins[g] = np.bincount(block[~inside], weights=above, minlength=groups)
    return wins
