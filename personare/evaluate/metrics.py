"""The numbers of the field, each with an interval found by resampling people.

Clips of one person are alike, so drawing clips again would make every interval too narrow: whole people are drawn.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import binomtest, norm

from personare.core.types import Array, Result

DRAWS = 1000
_Z = float(norm.ppf(0.975))
_GRID = 2000  # thresholds looked at; with fewer different scores, every score is one


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number on everybody, its 95 % interval (NaN with fewer than two people), and the recordings behind it."""

    value: float
    low: float = float("nan")
    high: float = float("nan")
    n: int

    @property
    def columns(self) -> dict[str, Any]:
        """What it is in a row of results."""
        return dict(vars(self))


def interval(draws: Array) -> tuple[float, float]:
    """Return the 95 % interval of the draws that have a figure; NaN if none has."""
    finite = draws[np.isfinite(draws)]
    low, high = np.percentile(finite, (2.5, 97.5)) if len(finite) else (np.nan, np.nan)
    return float(low), float(high)


def resampled(figure: Callable[[Array], Array], people: int, n: int, *, rng: np.random.Generator) -> Estimate:
    """Evaluate ``figure`` on weights (draws, people): once with everybody, then on people drawn with replacement."""
    value = float(figure(np.ones((1, people)))[0]) if people else float("nan")
    if people < 2:
        return Estimate(value=value, n=n)
    low, high = interval(figure(rng.multinomial(people, np.full(people, 1 / people), size=DRAWS).astype(float)))
    return Estimate(value=value, low=low, high=high, n=n)


def over_people(
    values: Array, person: Array, figure: Callable[[Array], Array], *, rng: np.random.Generator
) -> Estimate:
    """Return a figure that follows from sums over recordings, with people resampled.

    ``values`` (N, K) are added up; ``figure`` takes the sums (draws, K) and gives (draws,).
    """
    people, index = np.unique(person, return_inverse=True)
    sums = np.zeros((len(people), values.shape[1]))  # (P, K)
    np.add.at(sums, index, values)
    return resampled(lambda weights: figure(weights @ sums), len(people), len(values), rng=rng)


def mean_over_people(values: Array, person: Array, *, rng: np.random.Generator) -> Estimate:
    """Return the mean over clips, with people resampled; NaN is left out."""
    seen = np.isfinite(values)
    sums = np.stack([values[seen].astype(float), np.ones(seen.sum())], axis=1)
    return over_people(sums, person[seen], lambda s: s[:, 0] / np.maximum(s[:, 1], 1e-12), rng=rng)


def over_both(
    figure: Callable[[Array, Array], Array], people: int, items: int, n: int, *, rng: np.random.Generator
) -> Estimate:
    """Evaluate ``figure`` on weights (draws, people) and (draws, items): who answered and what, both resampled.

    **Source**: A. Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1(2), 2007, doi:10.1214/07-AOAS122.
    """
    drawn = [rng.multinomial(k, np.full(k, 1 / k), size=DRAWS).astype(float) for k in (people, items)]
    low, high = interval(figure(drawn[0], drawn[1]))
    return Estimate(value=float(figure(np.ones((1, people)), np.ones((1, items)))[0]), low=low, high=high, n=n)


def mean_over_both(values: Array, person: Array, item: Array, *, rng: np.random.Generator) -> Estimate:
    """Return the mean of answers (M,), with who answered and what was answered both resampled."""
    (people, who), (items, what) = (np.unique(of, return_inverse=True) for of in (person, item))

    def mean(of_people: Array, of_items: Array) -> Array:
        weights = of_people[:, who] * of_items[:, what]  # (draws, M)
        total = weights.sum(axis=1)
        return np.where(total > 0, weights @ values / np.maximum(total, 1e-12), np.nan)

    return over_both(mean, len(people), len(items), len(values), rng=rng)


def no_narrower(estimate: Estimate, people: int) -> Estimate:
    """Return a share or an area with Wilson's interval where resampling has none because all ``people`` were alike."""
    if np.isnan(estimate.value) or estimate.low < estimate.high:
        return estimate
    low, high = wilson_ends(estimate.value, people)
    return replace(estimate, low=low, high=high)


def means_by_person(values: Array, people: Array) -> Array:
    """Return the mean of (N,) numbers over the recordings of each person, (P,); ``people`` (N,) are whole numbers."""
    return np.asarray(np.bincount(people, weights=values) / np.bincount(people))


def top1_credit(scores: Array, truth: Array) -> Array:
    """Return how much of each trial (N, P) was named right: 1, 0, or a share where people tie for the best score.

    ``truth`` (N,) is the column of the right person; -1 if that person was not enrolled.
    """
    best = scores >= scores.max(axis=1, keepdims=True)
    right = best[np.arange(len(scores)), np.maximum(truth, 0)] & (truth >= 0)
    return np.asarray(right / best.sum(axis=1))


def rank_credit(scores: Array, truth: Array) -> Array:
    """Return the share of the other people who come after the right one in each trial (N, P): one half by chance."""
    right = scores[np.arange(len(scores)), truth][:, None]
    ties = (scores == right).sum(axis=1) - 1
    return np.asarray(((scores < right).sum(axis=1) + ties / 2) / (scores.shape[1] - 1))


def recall_and_accuracy(
    truth: Array, predicted: Array, person: Array, classes: Array, *, rng: np.random.Generator
) -> tuple[Estimate, Estimate, Array]:
    """Return unweighted average recall, accuracy, and the (K, K) confusion matrix, rows = truth.

    Recall is the mean over classes that occur; people drawn without one of them do not count. ``predicted`` are (N,)
    classes, or (N, K) shares, where a tie between two classes is half of each.
    """
    meant, k = truth[:, None] == classes, len(classes)
    shares = predicted if predicted.ndim == 2 else predicted[:, None] == classes
    hits = (meant[:, :, None] * shares[:, None, :].astype(float)).reshape(-1, k * k)
    occurs = meant.any(axis=0)

    def uar(sums: Array) -> Array:
        confusion = sums.reshape(-1, k, k)[:, occurs]
        with np.errstate(invalid="ignore"):  # nobody of a class was drawn: no recall
            recall = np.diagonal(confusion[:, :, occurs], axis1=1, axis2=2) / confusion.sum(axis=2)
        return np.asarray(recall.mean(axis=1))

    right = mean_over_people((meant * shares).sum(axis=1), person, rng=rng)
    return over_people(hits, person, uar, rng=rng), right, hits.sum(axis=0).reshape(k, k)


def agreement(truth: Array, told: Array, person: Array, *, rng: np.random.Generator) -> dict[str, Estimate]:
    """Return how well (N,) numbers are told, with people resampled.

    ``ccc``, the concordance correlation: 1 where every number is right, 0 where nothing is known; of whole numbers it
    is the kappa with quadratic weights. ``r2``, the share of the variance explained. ``mae``, the mean absolute error.

    **Source**: L. Lin, "A concordance correlation coefficient to evaluate reproducibility", Biometrics 45(1), 1989.
    """
    x, y = truth - truth.mean(), told - truth.mean()  # the same sums around any number; around the mean exactly
    sums = np.stack([np.ones(len(x)), x, y, x * x, x * y, (x - y) ** 2], axis=1)

    def moments(sums: Array) -> tuple[Array, Array, Array]:
        """Return the variance of the truth (NaN where it is constant), the covariance, the mean squared error."""
        sx, sy, sxx, sxy, squared = (sums[:, 1:] / np.maximum(sums[:, :1], 1e-12)).T
        variance = sxx - sx**2
        return np.where(variance > 1e-12, variance, np.nan), sxy - sx * sy, squared

    def ccc(sums: Array) -> Array:
        variance, covariance, squared = moments(sums)
        spread = squared + 2 * covariance  # both variances and the squared distance of the means
        return np.where(np.isnan(variance), np.nan, 2 * covariance / np.maximum(spread, 1e-12))

    def r2(sums: Array) -> Array:
        variance, _, squared = moments(sums)
        return np.asarray(1 - squared / variance)

    return {
        "ccc": over_people(sums, person, ccc, rng=rng),
        "r2": over_people(sums, person, r2, rng=rng),
        "mae": mean_over_people(np.abs(x - y), person, rng=rng),
    }


def verification(
    scores: Array, truth: Array, person: Array, *, rng: np.random.Generator
) -> tuple[dict[str, Estimate], dict[str, dict[str, list[float]]]]:
    """Return how well scores tell "same person" from "other person", over all (enrolled person, trial) pairs.

    ``eer`` (equal error rate), ``dsys`` (linkability: 0 where nothing can be linked, 1 where everything can; from
    histograms with a bin for every ten mated scores, 2 to 100) and ``tar_far1`` (true accepts at 1 % false accepts);
    and histograms ``mated`` and ``non_mated``, each with ``edges`` and ``counts``, for a picture. ``scores`` are (N, P)
    of trials and enrolled people, ``truth`` (N,) the column of the right person; trials with -1 have only non-mated
    pairs.

    **Source**: VoicePrivacy evaluation plans 2020 and 2022; M. Gomez-Barrero, J. Galbally, C. Rathgeb, C. Busch,
    "General framework to evaluate unlinkability in biometric template protection systems", IEEE TIFS 13(6), 2018.
    """
    same = truth[:, None] == np.arange(scores.shape[1])
    every = np.unique(scores)
    grid = every if len(every) <= _GRID else np.quantile(every, np.linspace(0, 1, _GRID))
    n_bins = int(np.clip(same.sum() // 10, 2, 100))
    edges = np.linspace(every[0], every[-1] if every[-1] > every[0] else every[0] + 1, n_bins + 1)
    people, index = np.unique(person, return_inverse=True)
    rows = [index == p for p in range(len(people))]

    def over(values: Array) -> Array:
        # the last threshold lies above every score: nobody is accepted
        return np.append(len(values) - np.searchsorted(np.sort(values), grid), 0).astype(float)

    # counts for each person, from which every figure follows for any weighting of people
    mated, other = [scores[r][same[r]] for r in rows], [scores[r][~same[r]] for r in rows]
    mated_over, other_over = (np.stack([over(v) for v in part]) for part in (mated, other))  # (P, G)
    bins = [np.stack([np.histogram(v, edges)[0].astype(float) for v in part]) for part in (mated, other)]  # (P, B)

    def rates(weights: Array) -> tuple[Array, Array]:
        """Return false accepts and false rejects, each (draws, thresholds)."""
        accepted, wrong = weights @ mated_over, weights @ other_over
        return wrong / np.maximum(wrong[:, :1], 1e-12), 1 - accepted / np.maximum(accepted[:, :1], 1e-12)

    def true_accepts(weights: Array) -> Array:
        far, frr = rates(weights)
        return np.asarray(np.where(far <= 0.01 + 1e-12, 1 - frr, 0).max(axis=1))

    figures: dict[str, Callable[[Array], Array]] = {
        "eer": lambda w: _eer(*rates(w)),
        "tar_far1": true_accepts,
        "dsys": lambda w: _linkability(w @ bins[0], w @ bins[1]),
    }
    estimates = {name: resampled(figure, len(people), len(scores), rng=rng) for name, figure in figures.items()}
    kinds = zip(("mated", "non_mated"), bins, strict=True)
    return estimates, {name: {"edges": edges.tolist(), "counts": b.sum(axis=0).tolist()} for name, b in kinds}


def _eer(far: Array, frr: Array) -> Array:
    gap = far - frr  # falls from 1 to -1
    after = np.argmax(gap <= 0, axis=1)
    rows, before = np.arange(len(gap)), np.maximum(after - 1, 0)
    step = gap[rows, before] - gap[rows, after]
    share = np.where(step > 0, gap[rows, before] / np.where(step > 0, step, 1), 0)
    return np.asarray(far[rows, before] + share * (far[rows, after] - far[rows, before]))


def _linkability(mated: Array, other: Array) -> Array:
    p_mated = mated / np.maximum(mated.sum(axis=1, keepdims=True), 1e-12)
    p_other = other / np.maximum(other.sum(axis=1, keepdims=True), 1e-12)
    # 2 LR / (1 + LR) - 1 = (mated - other) / (mated + other), and 1 where other = 0
    local = np.maximum(0, (p_mated - p_other) / np.maximum(p_mated + p_other, 1e-12))
    return np.asarray((local * p_mated).sum(axis=1))


def wilson(successes: Array) -> Estimate:
    """Return the mean of successes in [0, 1], one for each person, with Wilson's interval.

    Where a person's success is a share of several attempts, people differ less than by tossing a coin each: they count
    as many tosses as their mean varies like, never fewer than there are people.

    **Source**: E. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927,
    doi:10.1080/01621459.1927.10502953; the effective number as for clustered samples: E. Korn, B. Graubard,
    "Confidence intervals for proportions with small expected number of positive counts estimated from survey data",
    Survey Methodology 24, 1998.
    """
    people, value = len(successes), float(np.mean(successes))
    varies = float(np.var(successes, ddof=1)) / people if people > 1 else 0.0
    n = max(people, value * (1 - value) / varies) if varies > 0 else people
    low, high = wilson_ends(value, n)
    return Estimate(value=value, low=low, high=high, n=people)


def difference(one: Estimate | Result, other: Estimate | Result) -> tuple[float, float]:
    """Return the 95 % interval of a figure less an independent other one, from the intervals of both.

    **Source**: R. Newcombe, "Interval estimation for the difference between independent proportions", Statistics in
    Medicine 17, 1998 (method 10); G. Zou, A. Donner, "Construction of confidence limits about effect measures",
    Statistics in Medicine 27(10), 2008.
    """
    gap = one.value - other.value
    low = gap - float(np.hypot(one.value - one.low, other.high - other.value))
    return low, gap + float(np.hypot(one.high - one.value, other.value - other.low))


def widened(estimate: Estimate, luck: float) -> Estimate:
    """Return a share or an area whose interval also holds another, independent reason to vary, half as wide as this."""
    low = max(0.0, estimate.value - float(np.hypot(estimate.value - estimate.low, luck)))
    high = min(1.0, estimate.value + float(np.hypot(estimate.high - estimate.value, luck)))
    return replace(estimate, low=low, high=high)


def clopper_pearson(hits: int, n: int) -> tuple[float, float]:
    """Return the exact 95 % interval of a share of independent trials.

    **Source**: C. Clopper, E. Pearson, "The use of confidence or fiducial limits illustrated in the case of the
    binomial", Biometrika 26, 1934.
    """
    low, high = binomtest(hits, n).proportion_ci()
    return float(low), float(high)


def wilson_ends(value: float, n: float) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share found in n independent trials."""
    middle = (value + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * float(np.sqrt(value * (1 - value) / n + _Z**2 / (4 * n**2)))
    return max(0.0, middle - half), min(1.0, middle + half)
