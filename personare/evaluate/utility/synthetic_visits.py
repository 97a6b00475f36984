"""Judge made-up histories of visits: do they look like real ones, can one learn from them, do they repeat anybody.

Each figure stands between two anchors: other real people (``baseline``, the best to be hoped for), and real visits
whose columns were shuffled apart (``control``: every prevalence is right, nothing belongs together any more).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from scipy.stats import rankdata
from sklearn.linear_model import Ridge

from personare.core.errors import DataError
from personare.core.types import Array, Batch, Result
from personare.evaluate.metrics import interval
from personare.features.visits import VISITS, VisitColumns, histories

__all__ = ["SyntheticVisits"]

_DRAWS = 200
_FEWEST_POSITIVE = 5  # times a code must occur in the test visits for a curve to be drawn
_RIDGE = 30.0
_MOST_VISITS = 10_000  # told apart
_NEAR = 0.05  # share of other people who count as near their nearest training person


@dataclass(frozen=True, kw_only=True)
class SyntheticVisits:
    """Compares made-up histories with real ones, and looks for real people among the made-up.

    **Source**: see ``judge_histories``.
    """

    kinds: ClassVar[tuple[str, ...]] = ("synthetic",)
    tracks: ClassVar[tuple[str, ...]] = (VISITS,)

    def __call__(self, original: Batch, released: Batch, *, others: Batch, rng: np.random.Generator) -> list[Result]:
        """Measure what ``judge_histories`` and ``judge_copies`` do."""
        return [*judge_histories(original, others, released, rng=rng), *judge_copies(original, others, released)]


def judge_histories(train: Batch, test: Batch, made: Batch, *, rng: np.random.Generator) -> list[Result]:
    """Compare made-up histories with those of real people whom the generator never saw.

    ``prevalence`` (correlation of the share of visits with each code), ``prevalence_by_person`` (of people who ever
    have it), ``co_occurrence`` (correlation over pairs in one visit), ``transitions`` (maximum mean discrepancy of
    bigrams of visit types), ``visits`` and ``gaps`` (Kolmogorov-Smirnov distance), ``next_visit_auc`` (codes of the
    next visit foretold by a reader trained on made-up people; the baseline's reader was trained on real ones).

    ``train`` are the people the generator learned from, ``test`` others; all figures are about how well these are met,
    and their people are resampled for the intervals.

    **Source**: prevalence and co-occurrence after E. Choi et al. (medGAN), MLHC 2017, arXiv:1703.06490; maximum mean
    discrepancy after A. Gretton et al., JMLR 13, 2012.
    """
    (real, other, new), columns = _read(train, test, made)
    apart, people = shuffled(real, columns, rng=rng), len(other)
    ours, best, worst, theirs = (_counted(rows, columns) for rows in (new, real, apart, other))
    draws = []
    for _ in range(_DRAWS):
        drawn = _counted(other[rng.integers(people, size=people)], columns)
        draws.append([compare(ours[figure], drawn[figure]) for figure, compare in _FIGURES.items()])
    row = Result(
        kind="synthetic", modality="visits", question="resemble", method="synthetic_visits", figure="", value=np.nan
    )
    rows = []
    for (figure, compare), each in zip(_FIGURES.items(), np.array(draws).T, strict=True):
        value, baseline, control = (compare(counts[figure], theirs[figure]) for counts in (ours, best, worst))
        low, high = interval(each)
        measured = replace(row, figure=figure, value=value, low=low, high=high, n=people)
        measured = replace(measured, baseline=baseline, control=control, unit="distance", better="lower")
        rows.append(replace(measured, unit="correlation", better="higher") if compare is _correlation else measured)
    return [*rows, _next_visit((new, real, apart), other, columns, row, rng)]


def judge_copies(train: Batch, test: Batch, made: Batch) -> list[Result]:
    """Look for training people among the made-up ones. Few copies are no proof of safety; many are proof of harm.

    ``copies``, the share of made-up histories that are a training person's, visit by visit; and ``near_copies``, the
    share that is nearer to a training person than 95 % of the people of ``test`` are (its control: 5 %).
    """
    (real, other, new), _ = _read(train, test, made)
    ours, strangers = _nearest(new, real), _nearest(other, real)
    limit = float(np.quantile(strangers, _NEAR))
    row = Result(
        kind="synthetic",
        modality="visits",
        question="member",
        method="synthetic_visits",
        figure="copies",
        value=float((ours == 0).mean()),
        n=len(ours),
        better="lower",
        reason="memorization, not safety: a membership attack can succeed without any copy",
    )
    near, control = float((ours < limit).mean()), float((strangers < limit).mean())
    return [
        replace(row, baseline=float((strangers == 0).mean())),
        replace(row, figure="near_copies", value=near, control=control),
    ]


def shuffled(rows: Array, columns: VisitColumns, *, rng: np.random.Generator) -> Array:
    """Return histories whose types, codes, lengths and gaps were each mixed among all visits, one by one."""
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


def _read(*batches: Batch) -> tuple[list[Array], VisitColumns]:
    """Return the rows (N, T, D) of each, and the columns of all."""
    rows, columns = zip(*map(histories, batches), strict=True)
    if len(set(columns)) > 1:
        raise DataError("Histories can be compared only in the same columns. Import and make them with one vocabulary.")
    if set(batches[0].subjects.tolist()) & set(batches[1].subjects.tolist()):
        raise DataError("People of test must not be in train. Split by person.")
    return list(rows), columns[0]


def _counted(rows: Array, columns: VisitColumns) -> dict[str, Array]:
    """Return what each figure is about, of histories (N, T, D)."""
    visits, lengths = rows[rows[..., 0] == 1], rows[..., 0].sum(axis=1).astype(int)
    codes, kinds = visits[:, columns.part("code")], rows[..., columns.part("type")]
    together = codes.T @ codes / len(codes)
    gaps = visits[visits[:, columns.first] == 0, columns.part("gap")].sum(axis=0)  # a first visit has none
    # shares of pairs of successive types of each person; the start and the end are a type too
    kinds = np.pad(kinds, ((0, 0), (1, 1), (0, 0)))
    kinds = np.concatenate([kinds, 1 - kinds.sum(axis=2, keepdims=True)], axis=2)
    pairs = np.einsum("ntk,ntl->nkl", kinds[:, :-1], kinds[:, 1:])
    pairs[:, -1, -1] = 0  # after the end
    pairs = pairs.reshape(len(pairs), -1)
    return {
        "prevalence": codes.mean(axis=0),
        "prevalence_by_person": rows[..., columns.part("code")].any(axis=1).mean(axis=0),
        "co_occurrence": together[np.triu_indices(len(together), 1)],
        "transitions": pairs / pairs.sum(axis=1, keepdims=True),  # (N, types^2)
        "visits": np.cumsum(np.bincount(lengths, minlength=_MOST_VISITS)) / len(lengths),  # of people: at most so many
        "gaps": np.cumsum(gaps) / max(1, gaps.sum()),  # of later visits: at most so long after the one before
    }


def _correlation(a: Array, b: Array) -> float:
    """Return Pearson's correlation where either is not 0."""
    some = (a > 0) | (b > 0)
    if some.sum() < 3 or a[some].std() == 0 or b[some].std() == 0:
        return float("nan")
    return float(np.corrcoef(a[some], b[some])[0, 1])


def _largest_gap(a: Array, b: Array) -> float:
    return float(np.abs(a - b).max())


def _discrepancy(a: Array, b: Array) -> float:
    """Return the squared maximum mean discrepancy of rows, without bias."""

    def squares(x: Array, y: Array) -> Array:
        return np.asarray(np.maximum((x**2).sum(1)[:, None] + (y**2).sum(1) - 2 * x @ y.T, 0))

    width = float(np.median(squares(b, b)[np.triu_indices(len(b), 1)])) or 1.0
    kernels = [np.exp(-squares(x, y) / width) for x, y in ((a, a), (b, b), (a, b))]
    within = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in kernels[:2]]
    return float(sum(within) - 2 * kernels[2].mean())


# How what is counted in two sets of people is compared.
_FIGURES: dict[str, Callable[[Array, Array], float]] = {
    "prevalence": _correlation,
    "prevalence_by_person": _correlation,
    "co_occurrence": _correlation,
    "transitions": _discrepancy,
    "visits": _largest_gap,
    "gaps": _largest_gap,
}


def _next_visits(rows: Array, columns: VisitColumns) -> tuple[Array, Array, Array]:
    """Return what is known before all visits but the first, (V, 3 D + 1), their codes (V, C), and whose, (V,)."""
    past, codes, lengths = [], [], rows[..., 0].sum(axis=1).astype(int)
    for history, length in zip(rows, lengths, strict=True):
        before, count = history[: length - 1], np.arange(1, length)[:, None]
        ever, mean = np.maximum.accumulate(before, axis=0), np.cumsum(before, axis=0) / count
        past.append(np.concatenate([before, ever, mean, np.log1p(count) / 3], axis=1))
        codes.append(history[1:length, columns.part("code")])
    return np.concatenate(past), np.concatenate(codes), np.repeat(np.arange(len(rows)), lengths - 1)


def _next_visit(
    sets: tuple[Array, ...], test: Array, columns: VisitColumns, row: Result, rng: np.random.Generator
) -> Result:
    """Foretell codes of the next visit by ridge regression on what other people's pasts say."""
    row = replace(row, question="read", figure="next_visit_auc", unit="auc")
    history, truth, whose = _next_visits(test, columns)
    codes = np.flatnonzero((truth.sum(axis=0) >= _FEWEST_POSITIVE) & (truth.mean(axis=0) < 1))
    if not len(codes):
        return replace(row, reason=f"no code occurs {_FEWEST_POSITIVE} times in next visits")
    truth, people, scores = truth[:, codes], len(test), []
    for rows in sets:
        past, next_codes, _ = _next_visits(rows, columns)
        scores.append(np.asarray(Ridge(alpha=_RIDGE).fit(past, next_codes[:, codes]).predict(history)))

    def area(scores: Array, weight: Array) -> float:
        """Return the mean over codes of the chance that a visit with the code scores above one without; ties half."""
        repeated = np.repeat(np.arange(len(scores)), weight)
        ranks, y = rankdata(scores[repeated], axis=0), truth[repeated]
        ones, zeros = y.sum(axis=0), (1 - y).sum(axis=0)
        good = (ones > 0) & (zeros > 0)
        areas = ((ranks * y).sum(axis=0) - ones * (ones + 1) / 2)[good] / (ones * zeros)[good]
        return float(areas.mean()) if len(areas) else float("nan")

    drawn = (np.bincount(rng.integers(people, size=people), minlength=people)[whose] for _ in range(_DRAWS))
    low, high = interval(np.array([area(scores[0], weight) for weight in drawn]))
    value, best, worst = (area(s, np.ones(len(truth), dtype=int)) for s in scores)
    reason = f"mean over {len(codes)} codes, {len(truth)} visits"
    row = replace(row, value=value, low=low, high=high, n=people, baseline=best, control=worst, reason=reason)
    return replace(row, attacker="retrained_reader")


def _nearest(a: Array, b: Array) -> Array:
    """Return each history's distance to the nearest of others: the share of ones in which they differ, in [0, 1]."""
    steps = max(a.shape[1], b.shape[1])
    first, second = (np.pad(x, ((0, 0), (0, steps - x.shape[1]), (0, 0))).reshape(len(x), -1) for x in (a, b))
    total = first.sum(axis=1)[:, None] + second.sum(axis=1)
    return np.asarray((1 - 2 * (first @ second.T) / total).min(axis=1))
