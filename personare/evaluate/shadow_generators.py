"""Membership of people in a generator: many are fitted on halves of the people, and each is the target once."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from personare.core.registry import create
from personare.core.types import Array, Batch, Result, Spend
from personare.evaluate.control import no_narrower
from personare.evaluate.densities import normal_density
from personare.evaluate.described import Described, Scaling, nearest
from personare.evaluate.exposed import canary_people, isolation, most_exposed
from personare.evaluate.exposure import against, judge_membership
from personare.evaluate.membership import Membership, Signals, split_halves
from personare.evaluate.roc import Bound, roc
from personare.evaluate.selftest import beside

__all__ = ["FitAndSample", "as_they_are", "judge_canaries", "judge_people", "judge_shadows", "shadow_signals"]

FitAndSample = Callable[[Batch, np.random.Generator], Batch]
"""Recordings of some of the people, and randomness in; a generator learned from them, and synthetic people out."""

_TINY: Final = 1e-6
_EACH: Final = 60  # recordings looked at of one person
_SHOWN: Final = ("auc", "tpr_fpr10")  # finer rates need more people than such cohorts have


def as_they_are(some: Batch, _rng: np.random.Generator) -> Batch:
    """Release the recordings themselves: what every attack must see through before it may say anything."""
    return some


def shadow_signals(
    pool: Batch, make: FitAndSample, *, models: int = 16, rng: np.random.Generator
) -> tuple[dict[str, Signals], Array]:
    """Fit a generator on each of many halves of the people, and describe everybody by how near its samples come.

    Args:
        pool: Everybody; each is in exactly half of the generators.
        make: Fits and samples.
        models: How many generators, even.
        rng: Halves, and the randomness of each generator.

    Returns:
        Signals of whole people, by what is looked at: ``neighbor``, minus the logarithm of the distance to the nearest
        synthetic recording, and ``normal``, the log-density under a normal distribution of the synthetic recordings;
        both are the mean over a person's recordings. And how isolated each person is, (P,).

    Raises:
        OptionError: An odd number of models.

    **Source**: T. Stadler, B. Oprisanu, C. Troncoso, "Synthetic data - anonymisation groundhog day", USENIX Security
    2022 (arXiv 2011.07018), with densities of the person's own recordings as features.
    """
    names, people = np.unique(pool.subjects, return_inverse=True)
    scale = Scaling.of((pool,))
    real = Described(values=scale(pool), people=people, labels=pool.labels).thinned(_EACH, rng)
    inside = split_halves(names, models, rng=rng)
    found: dict[str, list[Array]] = {"neighbor": [], "normal": []}
    for half in inside:
        made = _described(make(pool.take(half[people]), rng), scale)
        near = -np.log(np.maximum(nearest(real, made), _TINY))
        for what, values in (("neighbor", near), ("normal", normal_density(made.values)(real.values))):
            found[what].append(np.bincount(real.people, weights=values) / np.bincount(real.people))
    signals = {what: _signals(_levelled(np.stack(values)), inside, names) for what, values in found.items()}
    return signals, isolation(nearest(real, real), real.people)


def judge_shadows(
    signals: Mapping[str, Signals], alone: Array, *, claim: Spend | None = None, rng: np.random.Generator
) -> list[Result]:
    """Measure ``auc`` and ``tpr_fpr10`` of LiRA as ``synthetic_shadow_<what>``, over everybody and the most exposed.

    Args:
        signals: Of ``shadow_signals``.
        alone: (P,) how isolated each person is.
        claim: The privacy every generator was trained with; draws the bound.
        rng: Bootstrap.
    """
    exposed = np.isin(np.arange(len(alone)), most_exposed(alone))
    rows = []
    for what, known in signals.items():
        name = f"synthetic_shadow_{what}"
        rows += _by_lira(name, "", known, claim, rng)
        rows += _by_lira(name, "exposed", _of_people(known, exposed), claim, rng)
    return rows


def _of_people(signals: Signals, chosen: Array) -> Signals:
    return Signals(
        logits=signals.logits[:, chosen],
        inside=signals.inside[:, chosen],
        labels=signals.labels[chosen],
        subjects=signals.subjects[chosen],
    )


def _by_lira(name: str, subset: str, signals: Signals, claim: Spend | None, rng: np.random.Generator) -> list[Result]:
    lira: Membership = create("personare.evaluate.attacks", "membership_lira")
    found = _judged(name, subset, signals, lira, claim, rng)
    return [_widened(found[0], signals, lira, claim), *found[1:]]


def _widened(area: Result, signals: Signals, attack: Membership, claim: Spend | None) -> Result:
    """Return an area whose interval also holds the luck of the generators drawn, not only of the people."""
    if not np.isfinite(area.value):
        return area  # it was not measured, and its reason says why
    each = [roc(attack(signals, m), half).auc for m, half in enumerate(signals.inside) if 0 < half.sum() < len(half)]
    luck = 2 * float(np.std(each, ddof=1)) / np.sqrt(len(each)) if len(each) > 1 else 0.5
    low = max(0.0, area.value - float(np.hypot(area.value - area.low, luck)))
    high = min(1.0, area.value + float(np.hypot(area.high - area.value, luck)))
    wide = replace(area, low=low, high=high)
    if claim is None or claim.unit != "person":
        return wide
    bound = Bound(epsilon=claim.epsilon, delta=claim.delta)
    return against(bound.auc, wide, bound)


def judge_canaries(
    pool: Batch,
    make: FitAndSample,
    *,
    count: int = 8,
    strength: float = 0.7,
    models: int = 16,
    claim: Spend | None = None,
    rng: np.random.Generator,
) -> list[Result]:
    """Plant extreme people, each in half of the generators, and measure how well they are found.

    A generator that remembers must show them, or the test says nothing; a private one may show no more than its claim
    allows, and these are the people for whom that is hardest.

    Args:
        pool: Real people, all of whom are learned from as well, each in half of the generators.
        make: Fits and samples.
        count: Canaries.
        strength: How extreme they are, in (0, 1]; see ``canary_people``.
        models: How many generators, even.
        claim: The privacy every generator was trained with; draws the bound.
        rng: Canaries, halves, generators.

    Returns:
        ``auc`` and ``tpr_fpr10`` of ``synthetic_canaries_<what>``, as of ``judge_shadows``; the baseline is the same
        attack where the recordings are released as they are.
    """
    planted = canary_people(pool, count, strength=strength, rng=rng)
    chosen = np.isin(np.unique(planted.subjects), np.setdiff1d(planted.subjects, pool.subjects))

    def found(of: FitAndSample, claim: Spend | None, rng: np.random.Generator) -> list[Result]:
        signals, _ = shadow_signals(planted, of, models=models, rng=rng)
        parts = {what: _of_people(known, chosen) for what, known in signals.items()}
        return [r for what, own in parts.items() for r in _by_lira(f"synthetic_canaries_{what}", "", own, claim, rng)]

    worst = {row.key: row for row in found(as_they_are, None, np.random.default_rng(0))}
    return [beside(row, worst[row.key], "the recordings themselves") for row in found(make, claim, rng)]


def judge_people(
    name: str, scores: Array, inside: Array, exposed: Array, *, claim: Spend | None, rng: np.random.Generator
) -> list[Result]:
    """Measure how well scores of people tell who one generator learned from, over everybody and the most exposed.

    Args:
        name: Of the attack.
        scores: (P,) higher = more likely learned from.
        inside: (P,) bool, the truth.
        exposed: (P,) bool.
        claim: The generator's privacy; draws the bound.
        rng: Bootstrap.
    """
    rows = []
    for subset, chosen in (("", np.ones(len(inside), dtype=bool)), ("exposed", exposed)):
        known = _signals(scores[None, chosen], inside[None, chosen], np.flatnonzero(chosen))
        bound = claim if chosen.all() else None  # so few people may lie above it by luck
        found = _judged(name, subset, known, lambda s, target: s.confidence[target], bound, rng)
        rows += [replace(row, attacker="") for row in found]
    return rows


def _judged(
    name: str, subset: str, signals: Signals, attack: Membership, claim: Spend | None, rng: np.random.Generator
) -> list[Result]:
    bounded = claim if claim is not None and claim.unit == "person" else None  # one of recordings bounds no person
    rows = judge_membership(signals, {name: attack}, claim=bounded, rng=rng)
    # a row is a person here, so the figures by recording and by person are the same
    shown = _SHOWN[:1] if subset else _SHOWN  # so few people have no rates
    rows = [replace(r, kind="synthetic", subset=subset) for figure in shown for r in rows if r.figure == figure]
    # a share found once for each person and model, but people are what may be like each other
    fewest = int(min(signals.inside.any(axis=0).sum(), (~signals.inside).any(axis=0).sum()))
    return [no_narrower(row, fewest) for row in rows]


def _levelled(values: Array) -> Array:
    """Take off what a generator's samples have in common for everybody, (M, P): it is luck of the draw, not membership.

    Every generator learned from half of the people, so it says nothing of who is in which half.
    """
    return np.asarray(values - np.median(values, axis=1, keepdims=True))


def _signals(values: Array, inside: Array, names: Array) -> Signals:
    """Return signals whose confidence is exactly the value, (M, P): a logit beside a zero."""
    logits = np.stack([values, np.zeros_like(values)], axis=2)
    return Signals(logits=logits, inside=inside, labels=np.zeros(len(names), dtype=np.int64), subjects=names)


def _described(batch: Batch, scale: Scaling) -> Described:
    people = np.unique(batch.subjects, return_inverse=True)[1]
    return Described(values=scale(batch), people=people, labels=batch.labels)
