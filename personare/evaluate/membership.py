"""Were they in it: asks of models whether a recording, or a person, was in their training data.

Many models are trained, each on a random half of one pool. Each in turn is the target; the attacker holds the others
(shadows) and knows what those were trained on. Measured are the area, hits at few false alarms, and how they stand to
what a privacy claim allows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, Protocol

import numpy as np
from scipy.special import log_softmax, logsumexp

from personare.core.errors import DataError, OptionError
from personare.core.types import Array, Result, Spend
from personare.evaluate.metrics import Estimate, over_people
from personare.evaluate.roc import Bound, roc

_RATES: Final[Mapping[str, float]] = {"tpr_fpr10": 0.1, "tpr_fpr1": 0.01, "tpr_fpr0.1": 0.001}
_BLOCKS: Final = 150  # people are resampled in at most so many random groups


@dataclass(frozen=True, kw_only=True)
class Signals:
    """What models answered about one pool of recordings, and which of them each model had learned from."""

    logits: Array  # (M, N, C) of M models; logarithms of probabilities serve as well (see ``of_probabilities``)
    inside: Array  # (M, N) bool, whether a model was trained on a recording
    labels: Array  # (N,) int, the true classes
    subjects: Array  # (N,) whose recording it is
    population: Array | None = None  # (N,) bool, known to be in no model: looked at, never scored

    def __post_init__(self) -> None:
        shape, recordings = self.inside.shape, len(self.labels)
        about = self.logits.shape[:2] == shape and shape[1] == recordings == len(self.subjects)
        if not about or self.inside.dtype != bool or self.logits.shape[2] < 2:
            raise DataError(
                f"Signals need logits (models, recordings, classes), at least two classes, inside (models, recordings) "
                f"of bool, and as many labels and subjects; given {self.logits.shape}, {shape} {self.inside.dtype}, "
                f"{recordings} and {len(self.subjects)}."
            )
        if not np.isfinite(self.logits).all():
            raise DataError(
                "Signals need finite logits: NaN or infinite ones were given. Use Signals.of_probabilities."
            )
        if self.population is not None and self.inside[:, self.population].any():
            raise DataError("Recordings of the population must be in no model's training data.")

    @classmethod
    def of_probabilities(cls, probabilities: Array, inside: Array, labels: Array, subjects: Array) -> "Signals":
        """Return the signals of (M, N, C) probabilities; 0 counts as 1e-30."""
        logits = np.log(np.maximum(probabilities.astype(float), 1e-30))
        return cls(logits=logits, inside=inside, labels=labels, subjects=subjects)

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

    @property
    def asked(self) -> Array:
        """(N,) bool, the recordings whose membership is asked."""
        return ~self.population if self.population is not None else np.ones(len(self.labels), dtype=bool)

    def evened(self, used: Array) -> Array:
        """Return which shadow models to use for each recording so that their number is the same for all asked about.

        Where everybody is in exactly half of all models, whoever is in the target is in one fewer of the others: a
        score that depends on that number would answer from the audit's design, not from the model.

        Args:
            used: (K, N) bool, shadow models that qualify.
        """
        fewest = used[:, self.asked].sum(axis=0).min(initial=len(used))
        return np.asarray(used & (used.cumsum(axis=0) <= fewest))

    def shadows(self, target: int) -> Array:
        """Return the positions of the other models."""
        return np.delete(np.arange(len(self.inside)), target)

    def take(self, chosen: Array) -> "Signals":
        """Return the signals of some recordings."""
        labels, subjects = self.labels[chosen], self.subjects[chosen]
        return Signals(logits=self.logits[:, chosen], inside=self.inside[:, chosen], labels=labels, subjects=subjects)


class Membership(Protocol):
    """A membership attack. It never looks at ``signals.inside[target]``: that is what it must find out."""

    def __call__(self, signals: Signals, target: int) -> Array:
        """Return a finite score for each recording, (N,); higher = more likely in the target's training data."""
        ...


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What an attack said about many (model, recording) or (model, person) pairs."""

    scores: Array  # (K,) higher = more likely inside
    inside: Array  # (K,) bool, the truth
    person: Array  # (K,) whom it is about; resampled for intervals


def split_halves(units: Array, models: int, *, rng: np.random.Generator) -> Array:
    """Return which of M models (an even number) learns from which recording, (M, N) bool.

    Every unit is in exactly half of the models, and every model learns from half of the units, however few there are.
    Models do not come as complements of each other: a target's complement would tell what it knows. ``units`` (N,) are
    what stays together: recording ids, or subjects to keep each person's recordings together.

    Example:
        >>> split_halves(np.array(["a", "a", "b"]), 4, rng=np.random.default_rng(0)).sum(axis=0).tolist()
        [2, 2, 2]
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


def attack_recordings(attack: Membership, signals: Signals) -> Scores:
    """Return the attack's scores of every recording, with each model in turn as the target."""
    asked = signals.asked
    found = [np.asarray(attack(signals, m))[asked] for m in range(len(signals.inside))]
    return Scores(
        scores=np.concatenate(found),
        inside=signals.inside[:, asked].ravel(),
        person=np.tile(signals.subjects[asked], len(found)),
    )


def attack_people(attack: Membership, signals: Signals) -> Scores:
    """Return the attack's scores of every person: the mean over the person's recordings.

    **Source**: J. Tao, R. Shokri, "Range membership inference attacks", 2024 (arXiv 2408.05131), with all recordings of
    a person as the range.
    """
    asked = signals.asked
    people, index = np.unique(signals.subjects[asked], return_inverse=True)
    rows = [np.flatnonzero(index == p) for p in range(len(people))]
    inside = signals.inside[:, asked]
    mixed = sum((inside[:, own] != inside[:, own[:1]]).any() for own in rows)
    if mixed:
        raise DataError(
            f"a person is in a model or not, but {mixed} of {len(people)} people are in one with "
            "some of their recordings only. Draw the halves by subject."
        )
    found = []
    for m in range(len(inside)):
        scores = np.asarray(attack(signals, m))[asked]
        found.append(np.array([scores[own].mean() for own in rows]))
    first = np.array([own[0] for own in rows])
    return Scores(scores=np.concatenate(found), inside=inside[:, first].ravel(), person=np.tile(people, len(found)))


def judge_membership(
    signals: Signals, attacks: Mapping[str, Membership], *, claim: Spend | None = None, rng: np.random.Generator
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
        rng: Bootstrap.

    Returns:
        For each attack ``auc``, ``tpr_fpr10``, ``tpr_fpr1``, ``tpr_fpr0.1`` and the same of people with ``person_``
        before. The detail of an area has the points of ``roc`` and, with a claim, of ``bound``.
    """
    rows: list[Result] = []
    for name, attack in attacks.items():
        for prefix in ("", "person_"):
            bounded = claim is not None and (not prefix or claim.unit == "person")
            bound = Bound(epsilon=claim.epsilon, delta=claim.delta) if claim is not None and bounded else None
            try:
                found = attack_people(attack, signals) if prefix else attack_recordings(attack, signals)
                rows += _measured(name, prefix, found, bound, rng)
            except DataError as error:
                figures = (prefix + figure for figure in ("auc", *_RATES))
                rows += [_row(name, figure, value=float("nan"), reason=str(error)) for figure in figures]
    return rows


def _measured(name: str, prefix: str, found: Scores, bound: Bound | None, rng: np.random.Generator) -> list[Result]:
    curve = roc(found.scores, found.inside)
    area = auc_over_people(found, rng=rng)
    n = len(found.scores)
    detail: dict[str, Any] = {"roc": curve.points()}
    if bound is not None:
        detail["bound"] = bound.points()
    interval = {"value": area.value, "low": area.low, "high": area.high}
    rows = [_row(name, f"{prefix}auc", **interval, n=n, control=0.5, detail=detail)]
    for figure, rate in _RATES.items():
        columns: dict[str, Any] = {"n": n, "control": rate}
        if curve.resolves(rate):
            columns |= dict(zip(("value", "low", "high"), curve.tpr_at(rate), strict=True))
        else:
            reason = f"too few non-members to say: {curve.others}, a rate of {rate:.1%} needs {10 / rate:.0f}"
            columns |= {"value": float("nan"), "reason": reason}
        rows.append(_row(name, prefix + figure, **columns))
    if bound is None:
        return rows
    limits = [bound.auc, *(float(bound.tpr(np.array([rate]))[0]) for rate in _RATES.values())]
    return [row if np.isnan(row.value) else against(limit, row, bound) for limit, row in zip(limits, rows, strict=True)]


def against(limit: float, row: Result, bound: Bound) -> Result:
    """Hold a figure against the most that a privacy claim allows."""
    said = f"epsilon {bound.epsilon:.3g} at delta {bound.delta:.1e} allows {limit:.3f} at most"
    if not row.low > limit:
        return replace(row, reason=said, status="ok")
    return replace(row, reason=f"ABOVE THE BOUND, the privacy claim does not hold: {said}", status="claim_broken")


def _row(name: str, figure: str, **columns: Any) -> Result:
    return Result(
        kind="model", question="member", method=name, figure=figure, attacker="shadow", better="lower", **columns
    )


def auc_over_people(found: Scores, *, rng: np.random.Generator) -> Estimate:
    """Return the area under the curve, people resampled: a pair of two people counts as often as both were drawn."""
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
    return replace(estimate, n=len(found.scores))


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
