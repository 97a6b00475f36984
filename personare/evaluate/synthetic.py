"""Judges synthetic people: can anybody whom they were learned from be found, and what are they good for.

The strongest test of membership fits many generators on halves of the people, and each is the target once.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from sklearn.covariance import ledoit_wolf

from personare.core.errors import DataError, OptionError
from personare.core.randomness import generator
from personare.core.registry import create, find, load
from personare.core.types import Array, Batch, Result, Spend
from personare.evaluate.membership import Membership, Signals, against, judge_membership, split_halves
from personare.evaluate.roc import Bound, roc
from personare.evaluate.selftest import beside, marked
from personare.evaluate.synthetic_case import Scaling, SyntheticCase, isolation, most_exposed, nearest, no_narrower
from personare.evaluate.unmeasured import answers, unmeasured
from personare.features.visits import VISITS, VisitColumns

FitAndSample = Callable[[Batch, np.random.Generator], Batch]
"""Recordings of some of the people, and randomness in; a generator learned from them, and synthetic people out."""

_ATTACKS: Final = "personare.evaluate.attacks"
_UTILITIES: Final = "personare.evaluate.utility"
# The order is that of the draws; what is not named here comes after, by name.
_RUN: Final[Sequence[tuple[str, Mapping[str, Any]]]] = (
    ("synthetic_membership", {"estimator": "neighbor"}),
    ("synthetic_membership", {"estimator": "normal"}),
    ("synthetic_singling_out", {}),
    ("synthetic_linkability", {}),
    ("synthetic_inference", {}),
    ("synthetic_copies", {}),
    ("synthetic_identity", {}),
)
_FEWEST: Final = (6, 3)  # recordings with a fifth neighbor, and people for three folds
_TINY: Final = 1e-6
_EACH: Final = 60  # recordings looked at of one person
_SHOWN: Final = ("auc", "tpr_fpr10")  # finer rates need more people than such cohorts have
_FLOOR: Final = 1e-6  # of the variance, against columns that are constant


def judge_synthetic_use(made: Batch, train: Batch, test: Batch, *, rng: np.random.Generator) -> list[Result]:
    """Run every measure of ``evaluate/utility`` that can be made of synthetic people.

    A measure that names its ``tracks`` is asked where they are there, and then instead of those for any track.

    Args:
        made: The release.
        train: The real people learned from.
        test: Other real people.
        rng: Draws, bootstrap.
    """
    if both := sorted(set(train.subjects) & set(test.subjects)):
        raise DataError(f"{len(both)} people are in training and in test, e.g. {both[0]}: split the cohort by person.")
    if made.classes != train.classes or set(made.arrays) != set(train.arrays):
        raise DataError("Made-up recordings must have the classes and modalities of the real ones.")
    for name, batch in {"made": made, "train": train, "test": test}.items():
        if len(batch) < _FEWEST[0] or len(np.unique(batch.subjects)) < _FEWEST[1]:
            raise DataError(
                f"Likeness needs at least {_FEWEST[0]} recordings of {_FEWEST[1]} people on each side, but {name} "
                f"has {len(batch)} of {len(np.unique(batch.subjects))}. Make or keep out more people."
            )
    measures = {name: load(_UTILITIES, name) for name in find(_UTILITIES)}
    measures = {name: m for name, m in measures.items() if answers(m, "synthetic")}
    own = [name for name, m in measures.items() if hasattr(m, "tracks") and {*m.tracks} <= {*train.arrays}]
    rows: list[Result] = []
    seed = int(rng.integers(2**31))  # a measure that a package adds shifts no other's draws
    for name in own or [name for name, m in measures.items() if not hasattr(m, "tracks")]:
        try:
            rows += measures[name]()(train, made, others=test, rng=generator(seed, "utility", name))
        except Exception as error:  # a measure or an attack that fails stops no other
            rows.append(unmeasured(name, "resemble", error))
    return [replace(row, kind="synthetic") for row in rows]


def judge_synthetic_risk(
    synthetic: Batch,
    train: Batch,
    control: Batch,
    *,
    rng: np.random.Generator,
    claim: Spend | None = None,
    make: FitAndSample | None = None,
    models: int = 16,
) -> list[Result]:
    """Run every attack of ``evaluate/attacks`` on synthetic people, on average and on the most exposed real ones.

    **Guarantee**: people learned from and others are treated alike, so that of a generator that ignores its data every
    attack finds nothing but luck. An attack that does not find people in the worst release, the recordings learned
    from as they are, is marked ``not informative``; its figure there is each row's baseline.

    Args:
        synthetic: The release.
        train: Everybody whom the generator learned from.
        control: Other people of the same cohort, never seen by it. As many as in ``train`` make the sharpest test.
        rng: Draws, bootstrap.
        claim: The privacy the generator was trained with; draws the bound of membership.
        make: Fits a generator on some of the people of both groups and samples; None: no shadows.
        models: How many shadow generators, even.
    """
    case = SyntheticCase.of(synthetic, train, control, rng=rng)
    known = {name for name, _ in _RUN}
    others = [name for name in find(_ATTACKS) if name not in known and answers(load(_ATTACKS, name), "synthetic")]
    rows: list[Result] = []
    for name, options in (*_RUN, *((name, {}) for name in others)):
        seed = int(rng.integers(2**31))  # the same draws on the release and on the worst one
        attack = create(_ATTACKS, name, options)
        found = _run(attack, name, case, claim, seed)
        worst = _run(attack, name, case.unprotected, None, seed)
        before = {row.key: row.value for row in worst}
        for row in (replace(row, baseline=before.get(row.key, row.baseline)) for row in found):
            rows += [row] if math.isnan(row.value) else marked([row], worst)  # what is missing has its own reason
    if make is not None:
        pool = together([train, control])
        open_rng = np.random.default_rng(int(rng.integers(2**31)))
        open_rows = judge_shadows(*shadow_signals(pool, as_they_are, models=models, rng=open_rng), rng=open_rng)
        worst_of = {row.key: row for row in open_rows}
        found = judge_shadows(*shadow_signals(pool, make, models=models, rng=rng), claim=claim, rng=rng)
        rows += [beside(row, worst_of[row.key], "the recordings themselves") for row in found]
    return [replace(row, kind="synthetic") for row in rows]


def _run(attack: Any, name: str, case: SyntheticCase, claim: Spend | None, seed: int) -> list[Result]:
    try:
        found: list[Result] = attack(case, rng=np.random.default_rng(seed), claim=claim)
        return found
    except Exception as error:  # a measure or an attack that fails stops no other
        return [unmeasured(name, attack.question, error)]


def as_they_are(some: Batch, _rng: np.random.Generator) -> Batch:
    """Release the recordings themselves: what every attack must see through before it may say anything."""
    return some


def shadow_signals(
    pool: Batch, make: FitAndSample, *, models: int = 16, rng: np.random.Generator
) -> tuple[dict[str, Signals], Array]:
    """Fit a generator on each of many halves of the people, and describe everybody by how near its samples come.

    Everybody is in exactly half of the generators, whose number is even.

    Returns:
        Signals of whole people, by what is looked at: ``neighbor``, minus the logarithm of the distance to the nearest
        synthetic recording, and ``normal``, the log-density under a normal distribution of the synthetic recordings;
        both are the mean over a person's recordings. And how isolated each person is, (P,).

    **Source**: T. Stadler, B. Oprisanu, C. Troncoso, "Synthetic data - anonymisation groundhog day", USENIX Security
    2022 (arXiv 2011.07018), with densities of the person's own recordings as features.
    """
    names, people = np.unique(pool.subjects, return_inverse=True)
    scale = Scaling.of((pool,))
    real = scale(pool).thinned(_EACH, rng)
    inside = split_halves(names, models, rng=rng)
    found: dict[str, list[Array]] = {"neighbor": [], "normal": []}
    for half in inside:
        made = scale(make(pool.take(half[people]), rng))
        near = -np.log(np.maximum(nearest(real, made), _TINY))
        for what, values in (("neighbor", near), ("normal", normal_density(made.values)(real.values))):
            found[what].append(np.bincount(real.people, weights=values) / np.bincount(real.people))
    signals = {}
    for what, each in found.items():
        values = np.stack(each)
        # What a generator's samples have in common for everybody is luck of the draw, not membership: every generator
        # learned from half of the people, so it says nothing of who is in which half.
        signals[what] = _signals(values - np.median(values, axis=1, keepdims=True), inside, names)
    return signals, isolation(nearest(real, real), real.people)


def judge_shadows(
    signals: Mapping[str, Signals], alone: Array, *, claim: Spend | None = None, rng: np.random.Generator
) -> list[Result]:
    """Measure ``auc`` and ``tpr_fpr10`` of LiRA as ``synthetic_shadow_<what>``, over everybody and the most exposed.

    ``signals`` and ``alone`` are those of ``shadow_signals``; the privacy of every generator, ``claim``, bounds them.
    """
    exposed = np.isin(np.arange(len(alone)), most_exposed(alone))
    rows = []
    for what, known in signals.items():
        name = f"synthetic_shadow_{what}"
        rows += _by_lira(name, "", known, claim, rng)
        rows += _by_lira(name, "exposed", known.take(exposed), claim, rng)
    return rows


def _by_lira(name: str, subset: str, signals: Signals, claim: Spend | None, rng: np.random.Generator) -> list[Result]:
    lira: Membership = create("personare.evaluate.attacks", "membership_lira")
    found = _judged(name, subset, signals, lira, claim, rng)
    return [_widened(found[0], signals, lira, claim), *found[1:]]


def _widened(area: Result, signals: Signals, attack: Membership, claim: Spend | None) -> Result:
    """Return an area whose interval also holds the luck of the generators drawn, not only of the people."""
    if np.isnan(area.value):
        return area
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

    Rows are of ``synthetic_canaries_<what>``, as of ``judge_shadows``; the baseline is the same attack where the
    recordings are released as they are.

    Args:
        pool: Real people, all of whom are learned from as well, each in half of the generators.
        make: Fits and samples.
        count: Canaries.
        strength: How extreme they are, in (0, 1]; see ``canary_people``.
        models: How many generators, even.
        claim: The privacy every generator was trained with; draws the bound.
        rng: Canaries, halves, generators.
    """
    planted = canary_people(pool, count, strength=strength, rng=rng)
    chosen = np.isin(np.unique(planted.subjects), np.setdiff1d(planted.subjects, pool.subjects))

    def found(of: FitAndSample, claim: Spend | None, rng: np.random.Generator) -> list[Result]:
        signals, _ = shadow_signals(planted, of, models=models, rng=rng)
        parts = {what: known.take(chosen) for what, known in signals.items()}
        return [r for what, own in parts.items() for r in _by_lira(f"synthetic_canaries_{what}", "", own, claim, rng)]

    worst = {row.key: row for row in found(as_they_are, None, np.random.default_rng(0))}
    return [beside(row, worst[row.key], "the recordings themselves") for row in found(make, claim, rng)]


def judge_people(
    name: str, scores: Array, inside: Array, exposed: Array, *, claim: Spend | None, rng: np.random.Generator
) -> list[Result]:
    """Measure how well scores of people tell who one generator learned from, over everybody and the most exposed.

    ``scores`` (P,) are higher where somebody was more likely learned from, ``inside`` is the truth; the generator's
    privacy, ``claim``, draws the bound.
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


def _signals(values: Array, inside: Array, names: Array) -> Signals:
    """Return signals whose confidence is exactly the value, (M, P): a logit beside a zero."""
    logits = np.stack([values, np.zeros_like(values)], axis=2)
    return Signals(logits=logits, inside=inside, labels=np.zeros(len(names), dtype=np.int64), subjects=names)


def normal_density(rows: Array) -> Callable[[Array], Array]:
    """Return what gives the log-density of (N, D) rows, (N,), under the normal distribution of these.

    **Source**: O. Ledoit, M. Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", Journal
    of Multivariate Analysis 88(2), 2004, doi:10.1016/S0047-259X(03)00096-4 (scikit-learn's), up to a constant.

    Example:
        >>> rows = np.random.default_rng(0).standard_normal((500, 2))
        >>> normal_density(rows)(np.array([[0.0, 0.0], [3.0, 3.0]])).round().tolist()
        [0.0, -10.0]
    """
    if len(rows) < 2:
        raise DataError(f"A normal distribution needs at least two recordings, given {len(rows)}.")
    center = rows.mean(axis=0)
    covariance = ledoit_wolf(rows - center, assume_centered=True)[0]
    lower = cholesky(covariance + _FLOOR * np.eye(rows.shape[1]), lower=True)
    volume = 2 * np.log(np.diag(lower)).sum()

    def density(asked: Array) -> Array:
        apart = solve_triangular(lower, (asked - center).T, lower=True)  # (D, N)
        return np.asarray(-((apart**2).sum(axis=0) + volume) / 2)

    return density


def canary_people(batch: Batch, count: int, *, strength: float = 0.7, rng: np.random.Generator) -> Batch:
    """Return a batch with people planted in it who are extreme, and yet no number of theirs is out of range.

    Each takes over the recordings of a real person, and every channel of theirs is moved a part (``strength``, up to 1)
    of the way to the cohort's largest or smallest value of that channel, drawn once for each canary: only together are
    the numbers unusual. Histories of visits stay histories: codes drawn once are put into, or left out of, that part of
    the visits.

    Example:
        >>> rows = np.arange(6, dtype=np.float32).reshape(3, 2)
        >>> some = Batch(ids=("a", "b", "c"), arrays={"x": rows}, present={"x": np.ones(3, bool)},
        ...     labels=np.array([0, 1, 0]), classes=("n", "y"), subjects=np.array(["1", "2", "3"]))
        >>> canary_people(some, 2, rng=np.random.default_rng(0)).subjects.tolist()
        ['1', '2', '3', 'canary-0001', 'canary-0002']
    """
    if count < 1 or not 0 < strength <= 1:
        raise OptionError(f"Canaries need a count of at least 1 and a strength in (0, 1], given {count}, {strength}.")
    if text := [m for m, values in batch.arrays.items() if values.dtype.kind == "U"]:
        raise DataError(f"{', '.join(text)} is text and has no range to be extreme in: plant canaries without it.")
    parts = [batch]
    names = np.unique(batch.subjects)
    for number in range(1, count + 1):
        rows = np.flatnonzero(batch.subjects == rng.choice(names))
        taken = batch.take(rows)
        arrays = {m: _moved(taken.arrays[m], batch, m, strength, rng) for m in batch.arrays}
        name = f"canary-{number:04d}"
        ids = tuple(f"{name}_{k}" for k in range(len(rows)))
        parts.append(replace(taken, ids=ids, arrays=arrays, subjects=np.full(len(rows), name)))
    return together(parts)


def _moved(values: Array, batch: Batch, modality: str, strength: float, rng: np.random.Generator) -> Array:
    if modality == VISITS:
        return _recoded(values, VisitColumns(names=tuple(batch.columns[VISITS])), strength, rng)
    known = batch.arrays[modality][batch.present[modality]]
    # the axis whose entries mean different things: columns of a table or signal, bands, colors
    axis = {2: 1, 3: 2}.get(values.ndim, 2 if values.shape[1] == 1 else 1)
    others = tuple(k for k in range(values.ndim) if k != axis)
    low, high = known.min(axis=others, keepdims=True), known.max(axis=others, keepdims=True)
    corner = np.where(rng.random(low.shape) < 0.5, low, high)
    return np.asarray((1 - strength) * values + strength * corner, dtype=values.dtype)


def _recoded(values: Array, columns: VisitColumns, strength: float, rng: np.random.Generator) -> Array:
    """Return histories in which each code has the same drawn value at a part of the visits."""
    moved, there = values.copy(), values[..., :1] == 1
    codes = moved[..., columns.part("code")]
    corner = rng.integers(2, size=codes.shape[-1])
    taken = there & (rng.random(codes.shape) < strength)
    moved[..., columns.part("code")] = np.where(taken, corner, codes)
    return np.asarray(moved)


def together(parts: Sequence[Batch]) -> Batch:
    """Return the recordings of several batches of the same modalities and classes as one."""
    return replace(
        parts[0],
        ids=tuple(i for part in parts for i in part.ids),
        arrays={m: np.concatenate([part.arrays[m] for part in parts]) for m in parts[0].arrays},
        present={m: np.concatenate([part.present[m] for part in parts]) for m in parts[0].present},
        labels=np.concatenate([part.labels for part in parts]),
        subjects=np.concatenate([part.subjects for part in parts]),
        table=None,
    )
