"""Were they in it: the one judge of scores that should tell who was learned from, whoever learned and whoever scored.

Many models are trained, each on a random half of one pool. Each in turn is the target; the attacker holds the others
(shadows) and knows what those were trained on. Measured are the area, hits at few false alarms, and how they stand to
what a privacy claim allows. Generators are attacked in the same way; a single release is one target without shadows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from typing import Any, Final, Literal

import numpy as np
from scipy.special import log_softmax, logsumexp

from personare.core.errors import DataError, OptionError
from personare.core.types import Array, Result, Spend
from personare.evaluate.metrics import Estimate, means_by_person, no_narrower, resampled, widened
from personare.evaluate.roc import bound_auc, bound_tpr, roc

_RATES: Final[Mapping[str, float]] = {"tpr_fpr10": 0.1, "tpr_fpr1": 0.01, "tpr_fpr0.1": 0.001}
_BLOCKS: Final = 150  # people are resampled in at most so many random groups


@dataclass(frozen=True, kw_only=True)
class Signals:
    """What models answered about one pool of recordings, and which of them each model had learned from."""

    logits: Array  # (M, N, C) of M models; logarithms of probabilities serve as well (see ``of_probabilities``)
    inside: Array  # (M, N) bool, whether a model was trained on a recording
    labels: Array  # (N,) int, the true classes
    subjects: Array  # (N,) whose recording it is

    def __post_init__(self) -> None:
        shape, counts = self.inside.shape, (len(self.labels), len(self.subjects))
        if self.logits.shape[:2] != shape or counts != (shape[1], shape[1]) or self.logits.shape[2] < 2:
            raise DataError(
                "Signals need logits (models, recordings, classes) of at least two classes, inside (models, "
                f"recordings), and as many labels and subjects; given {self.logits.shape}, {shape} and {counts}."
            )
        if not np.isfinite(self.logits).all():
            raise DataError("Signals need finite logits, but some are NaN or infinite. Use Signals.of_probabilities.")

    @classmethod
    def of_probabilities(cls, probabilities: Array, inside: Array, labels: Array, subjects: Array) -> "Signals":
        """Return the signals of (M, N, C) probabilities; 0 counts as 1e-30."""
        logits = np.log(np.maximum(probabilities.astype(float), 1e-30))
        return cls(logits=logits, inside=inside, labels=labels, subjects=subjects)

    @classmethod
    def of_scores(cls, scores: Array, inside: Array, subjects: Array) -> "Signals":
        """Return signals whose confidence is exactly the (M, N) scores: a logit beside a zero."""
        logits = np.stack([scores, np.zeros_like(scores)], axis=2)
        return cls(logits=logits, inside=inside, labels=np.zeros(len(subjects), dtype=np.int64), subjects=subjects)

    @cached_property
    def log_probabilities(self) -> Array:
        """(M, N, C) logarithms."""
        return np.asarray(log_softmax(self.logits.astype(float), axis=2))

    @cached_property
    def log_likelihood(self) -> Array:
        """(M, N) logarithm of the true class's probability: minus the loss."""
        return np.asarray(self.log_probabilities[:, np.arange(len(self.labels)), self.labels])

    @cached_property
    def confidence(self) -> Array:
        """(M, N) log p_y - log of the sum of the others: the loss stretched until it looks Gaussian."""
        others = self.log_probabilities.copy()
        others[:, np.arange(len(self.labels)), self.labels] = -np.inf
        return np.asarray(self.log_likelihood - logsumexp(others, axis=2))

    def shadows(self, target: int) -> Array:
        """Return the positions of the other models."""
        return np.delete(np.arange(len(self.inside)), target)


def evened(used: Array) -> Array:
    """Return which of (K, N) shadow models to use for each recording so that their number is the same for all.

    Where everybody is in exactly half of all models, whoever is in the target is in one fewer of the others: a score
    that depends on that number would answer from the audit's design, not from the model.
    """
    fewest = used.sum(axis=0).min(initial=len(used))
    return np.asarray(used & (used.cumsum(axis=0) <= fewest))


Membership = Callable[[Signals, int], Array]
"""An attack: signals and a target in; a finite score for each recording out, (N,), higher = more likely a member.

It never looks at ``signals.inside[target]``: that is what it must find out.
"""


def split_halves(units: Array, models: int, *, rng: np.random.Generator) -> Array:
    """Return which of M models (an even number) learns from which recording, (M, N) bool.

    Every unit is in exactly half of the models, and every model learns from half of the units, however few there are.
    Models do not come as complements of each other: a target's complement would tell what it knows. ``units`` (N,) are
    what stays together: recording ids, or subjects to keep each person's recordings together.
    """
    if models < 2 or models % 2:
        raise OptionError(f"Halves need an even number of models, at least 2; given {models}.")
    _, index = np.unique(units, return_inverse=True)
    rank = rng.random((models, index.max(initial=-1) + 1)).argsort(axis=0).argsort(axis=0)
    inside = rank < models // 2
    sizes = inside.sum(axis=1)
    while np.ptp(sizes) > 1:  # the fullest gives some of what the emptiest lacks: units stay in as many models
        full, empty = int(sizes.argmax()), int(sizes.argmin())
        moved = rng.choice(np.flatnonzero(inside[full] & ~inside[empty]), (sizes[full] - sizes[empty]) // 2, False)
        inside[full, moved], inside[empty, moved] = False, True
        sizes = inside.sum(axis=1)
    return np.asarray(inside[:, index])


def attack_scores(attack: Membership, signals: Signals) -> tuple[Array, Array, Array]:
    """Return scores with each model in turn as the target (M, N), the truth (M, N), and whom they are about (N,)."""
    scores = np.stack([attack(signals, target) for target in range(len(signals.inside))])
    return scores, signals.inside, signals.subjects


def of_people(scores: Array, inside: Array, subjects: Array) -> tuple[Array, Array, Array]:
    """Return (M, P) scores of people, each the mean over the person's recordings, who is inside, and their names (P,).

    **Source**: J. Tao, R. Shokri, "Range membership inference attacks", 2024 (arXiv 2408.05131), with all recordings of
    a person as the range.
    """
    people, index = np.unique(subjects, return_inverse=True)
    means, shares = (np.stack([means_by_person(row, index) for row in part]) for part in (scores, inside))
    if mixed := int(((shares > 0) & (shares < 1)).any(axis=0).sum()):
        raise DataError(
            f"a person is in a model or not, but {mixed} of {len(people)} people are in one with "
            "some of their recordings only. Draw the halves by subject."
        )
    return means, shares > 0, people


def judge_membership(
    signals: Signals, attacks: Mapping[str, Membership], *, claim: Spend | None = None, rng: np.random.Generator
) -> list[Result]:
    """Measure how well each attack tells what the models learned from, by recording and by person.

    Figures of people have ``person_`` before; see ``member_rows``. ``claim`` is the privacy of every model.
    """

    def judged(name: str, attack: Membership) -> list[Result]:
        row = member_row(kind="model", method=name, attacker="shadow")
        scores = cache(partial(attack_scores, attack, signals))
        rows = member_rows(row, scores, unit="recording", claim=claim, rng=rng)
        people = member_rows(row, lambda: of_people(*scores()), claim=claim, rng=rng)
        return rows + [replace(row, figure=f"person_{row.figure}") for row in people]

    return [row for name, attack in attacks.items() for row in judged(name, attack)]


def member_row(**columns: Any) -> Result:
    """Return a row without a figure that asks who was learned from."""
    return Result(question="member", figure="", value=np.nan, better="lower", **columns)


def member_rows(
    row: Result,
    scored: Callable[[], tuple[Array, Array, Array]],
    *,
    unit: Literal["person", "recording"] = "person",
    figures: Sequence[str] = ("auc", *_RATES),
    claim: Spend | None = None,
    targets_drawn: bool = False,
    rng: np.random.Generator,
) -> list[Result]:
    """Measure how well scores tell members from others, and hold each figure against what a claim allows.

    The pairs of all targets and recordings make one curve. Intervals of TPR are exact (Clopper-Pearson) and take pairs
    as independent; intervals of the area (``auc``) resample people. A rate that the non-members cannot resolve (fewer
    than ten expected) is NaN with the reason. The detail of the area has the points of ``roc`` and of ``bound``.

    Args:
        row: The columns that all rows have.
        scored: Gives (M, N) scores of N people or recordings by M targets, higher = more likely inside; (M, N) bool,
            the truth; (N,) whom they are about. If it cannot, that is every row's reason.
        unit: What is scored. A claim for recordings says nothing about people; one for people holds for recordings too.
        figures: Which, in this order.
        claim: The privacy of every target.
        targets_drawn: Whether the interval of the area also holds the luck of the targets drawn, not only of people.
        rng: Resamples people.
    """
    try:
        scores, inside, subjects = scored()
        curve = roc(scores.ravel(), inside.ravel())
    except DataError as error:
        return [replace(row, figure=figure, reason=str(error)) for figure in figures]
    if claim is not None and unit == "person" and claim.unit != "person":
        claim = None
    rows = []
    for figure in figures:
        if (rate := _RATES.get(figure)) is None:
            area = auc_over_people(scores, inside, subjects, targets_drawn=targets_drawn, rng=rng)
            detail = {"roc": curve.points()}
            if claim is not None:  # dense where few are accepted
                fpr = np.append(0, np.geomspace(1e-4, 1, 100))
                bound = bound_tpr(fpr, claim.epsilon, claim.delta)
                detail["bound"] = {"fpr": fpr.tolist(), "tpr": bound.tolist()}
            measured = replace(row, figure=figure, **area.columns, control=0.5, detail=detail)
        elif curve.resolves(rate):
            value, low, high = curve.tpr_at(rate)
            measured = replace(row, figure=figure, value=value, low=low, high=high, n=scores.size, control=rate)
        else:
            few = f"too few non-members to say: {curve.others}, a rate of {rate:.1%} needs {10 / rate:.0f}"
            rows.append(replace(row, figure=figure, n=scores.size, control=rate, reason=few))
            continue
        if claim is not None:
            limit = bound_auc(claim.epsilon, claim.delta)
            if rate is not None:
                limit = float(bound_tpr(np.array([rate]), claim.epsilon, claim.delta)[0])
            reason = f"epsilon {claim.epsilon:.3g} at delta {claim.delta:.1e} allows {limit:.3f} at most"
            if broken := measured.low > limit:
                reason = f"ABOVE THE BOUND, the privacy claim does not hold: {reason}"
            measured = replace(measured, reason=reason, status="claim_broken" if broken else "ok")
        rows.append(measured)
    return rows


def auc_over_people(
    scores: Array, inside: Array, subjects: Array, *, targets_drawn: bool = False, rng: np.random.Generator
) -> Estimate:
    """Return the area under the curve of (M, N) scores, people resampled; see ``member_rows``.

    A pair of two people counts as often as both were drawn; ties count one half.
    """
    people, index = np.unique(subjects, return_inverse=True)
    block = np.tile(rng.permutation(len(people))[index] % _BLOCKS, len(scores))
    groups, flat, members = int(block.max()) + 1, scores.ravel(), inside.ravel()
    wins = np.zeros((groups, groups))  # how often members of each group outscore others of each group
    others = flat[~members]
    for g in range(groups):
        group = np.sort(flat[members & (block == g)])
        above = len(group) - (np.searchsorted(group, others, "left") + np.searchsorted(group, others, "right")) / 2
        wins[g] = np.bincount(block[~members], weights=above, minlength=groups)
    counts = [np.bincount(block[side], minlength=groups) for side in (members, ~members)]

    def area(drawn: Array) -> Array:
        pairs = np.maximum((drawn @ counts[0]) * (drawn @ counts[1]), 1e-12)
        return np.asarray(np.einsum("dg,gh,dh->d", drawn, wins, drawn, optimize=True) / pairs)

    fewest = min(len(np.unique(index[side.any(axis=0)])) for side in (inside, ~inside))
    estimate = no_narrower(resampled(area, groups, len(flat), rng=rng), fewest)
    if not targets_drawn:
        return estimate
    each = [roc(row, half).auc for row, half in zip(scores, inside, strict=True) if 0 < half.sum() < len(half)]
    return widened(estimate, 2 * float(np.std(each, ddof=1)) / np.sqrt(len(each)) if len(each) > 1 else 0.5)
