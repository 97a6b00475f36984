"""Judge made-up histories of visits: do they look like real ones, can one learn from them, do they repeat anybody.

Each figure stands between two anchors: other real people (``baseline``, the best to be hoped for), and real visits
whose columns were shuffled apart (``control``: every prevalence is right, nothing belongs together any more).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
from scipy.stats import rankdata
from sklearn.linear_model import Ridge

from personare.core.errors import DataError
from personare.core.types import Array, Batch, Result
from personare.features.visits import VISITS, VisitColumns, histories

__all__ = ["Visits"]

_DRAWS = 200
_FEWEST_POSITIVE = 5  # times a code must occur in the test visits for a curve to be drawn
_RIDGE = 30.0
_MOST_VISITS = 10_000  # told apart
_NEAR = 0.05  # share of other people who count as near their nearest training person


@dataclass(frozen=True, kw_only=True)
class Visits:
    """Compares made-up histories with real ones, and looks for real people among the made-up.

    **Source**: see ``judge_histories``.
    """

    kinds: ClassVar[tuple[str, ...]] = ("synthetic",)
    tracks: ClassVar[tuple[str, ...]] = (VISITS,)

    def __call__(self, original: Batch, released: Batch, *, others: Batch, rng: np.random.Generator) -> list[Result]:
        """Measure what ``judge_histories`` and ``judge_copies`` do."""
        return [*judge_histories(original, others, released, rng=rng), *judge_copies(original, others, released)]


@dataclass(frozen=True, kw_only=True)
class _Histories:
    """Some people's visits, and what the columns are."""

    rows: Array  # (N, T, D)
    columns: VisitColumns

    @cached_property
    def lengths(self) -> Array:
        return np.asarray(self.rows[..., 0].sum(axis=1), dtype=np.int64)

    @cached_property
    def visits(self) -> Array:
        """All visits of all people one under another, (V, D)."""
        return np.asarray(self.rows[self.rows[..., 0] == 1])

    def part(self, kind: str) -> Array:
        return np.asarray(self.visits[:, self.columns.part(kind)])

    def take(self, people: Array) -> "_Histories":
        return _Histories(rows=self.rows[people], columns=self.columns)


def judge_histories(train: Batch, test: Batch, made: Batch, *, rng: np.random.Generator) -> list[Result]:
    """Compare made-up histories with those of real people whom the generator never saw.

    ``prevalence`` (correlation of the share of visits with each code), ``prevalence_by_person`` (of people who ever
    have it), ``co_occurrence`` (correlation over pairs in one visit), ``transitions`` (maximum mean discrepancy of
    bigrams of visit types), ``visits`` and ``gaps`` (Kolmogorov-Smirnov distance), ``next_visit_auc`` (codes of the
    next visit foretold by a reader trained on made-up people; the baseline's reader was trained on real ones).

    Args:
        train: People the generator learned from: the best anchor, and what a reader trained on real people learns from.
        test: Other people; all figures are about how well they are met.
        made: The made-up people.
        rng: Shuffles, and resamples the people of ``test`` for the intervals.

    **Source**: prevalence and co-occurrence after E. Choi et al. (medGAN), MLHC 2017, arXiv:1703.06490; maximum mean
    discrepancy after A. Gretton et al., JMLR 13, 2012.
    """
    real, other, new = _read(train, test, made)
    apart = _Histories(rows=shuffled(real.rows, real.columns, rng=rng), columns=real.columns)
    sets, people, rows = (new, real, apart), len(other.rows), []
    row = Result(kind="synthetic", modality="visits", question="resemble", method="visits", figure="", value=np.nan)
    for figure, (of, compare) in _FIGURES.items():
        value, best, worst = (compare(of(part), of(other)) for part in sets)
        ours = of(new)
        resampled = (of(other.take(rng.integers(people, size=people))) for _ in range(_DRAWS))
        low, high = _interval([compare(ours, drawn) for drawn in resampled])
        better, unit = ("higher", "correlation") if compare is _correlation else ("lower", "distance")
        found = replace(row, figure=figure, value=value, low=low, high=high, n=people, baseline=best, control=worst)
        rows.append(replace(found, unit=unit, better=better))  # type: ignore[arg-type]
    return [*rows, _next_visit(sets, other, row, rng)]


def judge_copies(train: Batch, test: Batch, made: Batch) -> list[Result]:
    """Look for training people among the made-up ones. Few copies are no proof of safety; many are proof of harm.

    ``copies``, the share of made-up histories that are a training person's, visit by visit; and ``near_copies``, the
    share that is nearer to a training person than 95 % of the people of ``test`` are (its control: 5 %).
    """
    real, other, new = _read(train, test, made)
    mine, strangers = _nearest(new, real), _nearest(other, real)
    limit, nan = float(np.quantile(strangers, _NEAR)), float("nan")
    exact = Result(
        kind="synthetic",
        modality="visits",
        question="member",
        method="visits",
        figure="copies",
        value=float((mine == 0).mean()),
        baseline=float((strangers == 0).mean()),
        n=len(mine),
        better="lower",
        reason="memorization, not safety: a membership attack can succeed without any copy",
    )
    near, control = float((mine < limit).mean()), float((strangers < limit).mean())
    return [exact, replace(exact, figure="near_copies", value=near, baseline=nan, control=control)]


def shuffled(rows: Array, columns: VisitColumns, *, rng: np.random.Generator) -> Array:
    """Return histories whose types, codes, lengths and gaps were each mixed among all visits, one by one.

    Example:
        >>> names = ("visit", "type=a", "code=x", "length=l", "gap=first", "gap=g")
        >>> rows = np.array([[[1, 1, 1, 1, 1, 0], [1, 1, 0, 1, 0, 1]]], np.float32)
        >>> shuffled(rows, VisitColumns(names=names), rng=np.random.default_rng(0)).sum(axis=(0, 1)).tolist()
        [2.0, 2.0, 1.0, 2.0, 1.0, 1.0]
    """
    mixed = rows.copy()
    there = rows[..., 0] == 1
    visits = rows[there]
    later = visits[:, columns.first] == 0
    for part in ("type", "length"):
        visits[:, columns.part(part)] = rng.permutation(visits[:, columns.part(part)])
    for code in range(columns.width)[columns.part("code")]:
        visits[:, code] = rng.permutation(visits[:, code])
    gap = columns.part("gap")
    visits[later, gap] = rng.permutation(visits[later, gap])  # a first visit stays one
    mixed[there] = visits
    return mixed


def _read(*batches: Batch) -> list[_Histories]:
    found = [_Histories(rows=rows, columns=columns) for rows, columns in map(histories, batches)]
    if len({part.columns.names for part in found}) > 1:
        raise DataError("Histories can be compared only in the same columns. Import and make them with one vocabulary.")
    if set(batches[0].subjects.tolist()) & set(batches[1].subjects.tolist()):
        raise DataError("People of test must not be in train. Split by person.")
    return found


def _interval(draws: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of the draws that have a figure; NaN if none has."""
    there = np.array(draws)[np.isfinite(draws)]
    return (float(np.quantile(there, 0.025)), float(np.quantile(there, 0.975))) if len(there) else (np.nan, np.nan)


def _correlation(a: Array, b: Array) -> float:
    """Return Pearson's correlation where either is not 0."""
    some = (a > 0) | (b > 0)
    if some.sum() < 3 or a[some].std() == 0 or b[some].std() == 0:
        return float("nan")
    return float(np.corrcoef(a[some], b[some])[0, 1])


def _apart(a: Array, b: Array) -> float:
    return float(np.abs(a - b).max())


def _co_occurrence(part: _Histories) -> Array:
    codes = part.part("code")
    together = codes.T @ codes / len(codes)
    return np.asarray(together[np.triu_indices(len(together), 1)])


def _bigrams(part: _Histories) -> Array:
    """Return each person's shares of pairs of successive visit types, (N, types^2); start and end are types too."""
    kinds = part.rows[..., part.columns.part("type")]
    edge = np.zeros((len(kinds), 1, kinds.shape[2]), kinds.dtype)
    inside = np.concatenate([edge, kinds, edge], axis=1)
    none = 1 - inside.sum(axis=2, keepdims=True)  # 1 before the first visit and after the last one
    every = np.concatenate([inside, none], axis=2)
    pairs = np.einsum("ntk,ntl->nkl", every[:, :-1], every[:, 1:])
    pairs[:, -1, -1] = 0  # after the end
    flat = pairs.reshape(len(pairs), -1)
    return np.asarray(flat / flat.sum(axis=1, keepdims=True))


def _discrepancy(a: Array, b: Array) -> float:
    """Return the squared maximum mean discrepancy of rows, without bias."""

    def squares(a: Array, b: Array) -> Array:
        return np.asarray(np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T, 0))

    width = float(np.median(squares(b, b)[np.triu_indices(len(b), 1)])) or 1.0
    kernel = [np.exp(-squares(x, y) / width) for x, y in ((a, a), (b, b), (a, b))]
    own = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in kernel[:2]]
    return float(sum(own) - 2 * kernel[2].mean())


def _lengths(part: _Histories) -> Array:
    """Return the share of people with at most 1, 2, ... visits."""
    counts = np.bincount(part.lengths, minlength=_MOST_VISITS + 1)[: _MOST_VISITS + 1]
    return np.asarray(np.cumsum(counts) / len(part.lengths))


def _gaps(part: _Histories) -> Array:
    """Return the share of later visits with at most each gap."""
    later = part.visits[part.visits[:, part.columns.first] == 0]
    counts = later[:, part.columns.part("gap")].sum(axis=0)
    return np.asarray(np.cumsum(counts) / max(1, counts.sum()))


# What is counted in either set of people, once, and how the two are compared.
_FIGURES: dict[str, tuple[Callable[[_Histories], Array], Callable[[Array, Array], float]]] = {
    "prevalence": (lambda h: np.asarray(h.part("code").mean(axis=0)), _correlation),
    "prevalence_by_person": (lambda h: h.rows[..., h.columns.part("code")].any(axis=1).mean(axis=0), _correlation),
    "co_occurrence": (_co_occurrence, _correlation),
    "transitions": (_bigrams, _discrepancy),
    "visits": (_lengths, _apart),
    "gaps": (_gaps, _apart),
}


def _questions(part: _Histories) -> tuple[Array, Array, Array]:
    """Return what is known before every visit but the first, (V, 3 D + 1), its codes (V, C), and whose it is, (V,)."""
    known, asked, whose = [], [], []
    for person, (rows, length) in enumerate(zip(part.rows, part.lengths, strict=True)):
        before, after = rows[: length - 1], rows[1:length]
        count = np.arange(1, length)[:, None]
        ever, mean = np.maximum.accumulate(before, axis=0), np.cumsum(before, axis=0) / count
        known.append(np.concatenate([before, ever, mean, np.log1p(count) / 3], axis=1))
        asked.append(after[:, part.columns.part("code")])
        whose.append(np.full(length - 1, person))
    return np.concatenate(known), np.concatenate(asked), np.concatenate(whose)


def _next_visit(sets: Sequence[_Histories], test: _Histories, row: Result, rng: np.random.Generator) -> Result:
    """Foretell codes of the next visit by ridge regression on what other people's pasts say."""
    row = replace(row, question="read", figure="next_visit_auc", unit="auc")
    known, asked, whose = _questions(test)
    codes = np.flatnonzero((asked.sum(axis=0) >= _FEWEST_POSITIVE) & (asked.mean(axis=0) < 1))
    if not len(codes):
        return replace(row, reason=f"no code occurs {_FEWEST_POSITIVE} times in next visits")
    asked, people, scores = asked[:, codes], len(test.rows), []
    for part in sets:
        past, next_codes, _ = _questions(part)
        scores.append(np.asarray(Ridge(alpha=_RIDGE).fit(past, next_codes[:, codes]).predict(known)))
    draws = [
        _auc(scores[0], asked, np.bincount(rng.integers(people, size=people), minlength=people)[whose])
        for _ in range(_DRAWS)
    ]
    low, high = _interval(draws)
    value, best, worst = (_auc(s, asked, np.ones(len(asked))) for s in scores)
    said = f"mean over {len(codes)} codes, {len(asked)} visits"
    found = replace(row, value=value, low=low, high=high, n=people, baseline=best, control=worst, reason=said)
    return replace(found, attacker="retrained_reader")


def _auc(scores: Array, asked: Array, weight: Array) -> float:
    """Return the mean over codes of the chance that a visit with the code scores above one without, by weight.

    Visits are repeated as their weight says; ties count half.
    """
    repeated = np.repeat(np.arange(len(scores)), weight.astype(int))
    s, y = scores[repeated], asked[repeated]
    ranks = rankdata(s, axis=0)
    ones, zeros = y.sum(axis=0), (1 - y).sum(axis=0)
    good = (ones > 0) & (zeros > 0)
    area = ((ranks * y).sum(axis=0) - ones * (ones + 1) / 2)[good] / (ones * zeros)[good]
    return float(area.mean()) if len(area) else float("nan")


def _nearest(a: _Histories, b: _Histories) -> Array:
    """Return each history's distance to the nearest of others: the share of ones in which they differ, in [0, 1]."""
    steps = max(a.rows.shape[1], b.rows.shape[1])
    flat = [np.pad(p.rows, ((0, 0), (0, steps - p.rows.shape[1]), (0, 0))).reshape(len(p.rows), -1) for p in (a, b)]
    shared = flat[0] @ flat[1].T
    total = flat[0].sum(axis=1)[:, None] + flat[1].sum(axis=1)
    return np.asarray((1 - 2 * shared / total).min(axis=1))
