"""Tells how much of the routine of people's weeks is kept, and how much of the course of their group's days."""

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from personare.core.errors import DataError
from personare.core.types import Array, Batch, Result
from personare.evaluate.classifiers import column_moments
from personare.evaluate.clips import shown, usable_clips
from personare.evaluate.metrics import Estimate, over_people, resampled
from personare.evaluate.unmeasured import unmeasured
from personare.features.phone import ROUTINE, behavioral_features, coarse, seen

__all__ = ["PhoneConcordance"]

_DAY, _DAY_S = 24, 86400
_STILL = 1e-9  # what differs less than this among the originals is the same in all


@dataclass(frozen=True, kw_only=True)
class PhoneConcordance:
    """Compares the numbers of ``ROUTINE`` of each week before and after: the mean of all, and each alone (the subset).

    Subset ``group_days``: what people did on average on each day, the mean of all uses, which is all that a release of
    a group's days can keep.

    **Guarantee**: a number that a release does not tell counts as a guess, the originals' mean, and is not left out;
    what it tells of no week is not measured.

    **Source**: L. Lin, "A concordance correlation coefficient to evaluate reproducibility", Biometrics 45(1), 1989;
    the mean of several, and the days, are ours.
    """

    modality: ClassVar[str] = "phone"
    views: ClassVar[tuple[str, ...]] = ("phone",)

    def __call__(self, original: Batch, released: Batch, *, rng: np.random.Generator) -> list[Result]:
        """Measure ``ccc`` in the records of ``phone``."""
        before, after = (usable_clips(batch, "phone") for batch in (original, released))
        both = [(i, who) for i, who in shown(original, released) if i in before and i in after]
        if not both:
            raise DataError("no recording has a phone's log before and after")
        people = np.array([who for _, who in both])
        truth, told = (
            np.array([behavioral_features(clips[i])[-1] for i, _ in both]) for clips in (before, after)
        )  # (N, 5)
        days_before, days_after = (pd.DataFrame([_days(clips[i]) for i, _ in both]) for clips in (before, after))
        parts = {"": partial(_of_weeks, truth, told)}
        parts |= {name: partial(_of_weeks, truth[:, [k]], told[:, [k]]) for k, name in enumerate(ROUTINE)}
        parts["group_days"] = partial(_of_days, days_before, days_after)
        rows = []
        for subset, measure in parts.items():
            columns: dict[str, Any] = {"figure": "ccc", "subset": subset, "unit": "correlation"}
            try:
                estimate, reason = measure(people, rng=rng)
            except DataError as error:
                rows.append(unmeasured("phone_concordance", "read", error, **columns))
            else:
                columns |= {**estimate.columns, "n": len(both), "control": 0.0, "reason": reason}
                rows.append(Result(question="read", method="phone_concordance", **columns))
        return rows


def _of_weeks(truth: Array, told: Array, people: Array, *, rng: np.random.Generator) -> tuple[Estimate, str]:
    """Return the mean concordance of (N, K) numbers, and how many of them are guesses."""
    mean, spread = column_moments(truth)
    differs = spread > _STILL
    truth, told = ((rows - mean)[:, differs] for rows in (truth, told))
    asked, kept = np.isfinite(truth), np.isfinite(truth) & np.isfinite(told)
    if not kept.any():
        raise DataError("it is the same in all originals, or no week of the release tells it")
    x, y = np.nan_to_num(truth), np.where(kept, told, 0)
    sums = np.stack([asked, x, y, x * x, x * y, (x - y) ** 2], axis=2)  # (N, K, 6)

    def concordance(sums: Array) -> Array:
        count, sx, sy, xx, xy, gap = np.moveaxis(sums.reshape(len(sums), -1, 6), 2, 0)  # (draws, K) each
        count = np.maximum(count, 1)
        variance, covariance = xx / count - (sx / count) ** 2, xy / count - sx * sy / count**2
        return np.asarray(_concordance(variance, covariance, gap / count).mean(axis=1).filled(np.nan))

    estimate = over_people(sums.reshape(len(people), -1), people, concordance, rng=rng)
    guesses = int(asked.sum() - kept.sum())
    return estimate, f"{guesses} of {asked.sum()} numbers are not told and count as guesses" if guesses else ""


def _concordance(variance: Array, covariance: Array, gap: Array) -> Any:
    """Return Lin's correlation, masked where the originals do not differ; ``gap`` is the mean squared difference."""
    agreed = 2 * covariance / np.maximum(gap + 2 * covariance, _STILL)  # the divisor is both variances and the bias
    return np.ma.array(agreed, mask=np.ma.getmaskarray(variance) | (variance <= _STILL))


def _days(view: Array) -> "pd.Series[Any]":
    """Return the logarithm of each use of each day, by its first second and the number of the use."""
    rows, hours = seen(view)
    if _DAY % hours:  # no whole days
        return pd.Series(dtype=float)
    uses = np.log1p(coarse(rows, _DAY // hours)[:, :-2])
    days = view["time_s"][0] + np.arange(len(uses)) * _DAY_S
    return pd.Series(uses.ravel(), pd.MultiIndex.from_product([days, range(uses.shape[1])]))


def _of_days(
    before: pd.DataFrame, after: pd.DataFrame, people: Array, *, rng: np.random.Generator
) -> tuple[Estimate, str]:
    """Return the concordance over days of the means over people, as the mean over uses; (N, days and uses) each."""
    sides = [side.reindex(columns=before.columns).groupby(people).mean().to_numpy() for side in (before, after)]
    there = np.isfinite(sides[0]) & np.isfinite(sides[1])  # (P, days and uses)
    if not there.any():
        raise DataError("no day of the release can be compared with the originals'")
    use = before.columns.get_level_values(1).to_numpy()

    def concordance(weights: Array) -> Array:
        count = weights @ there
        x, y = (np.ma.array(weights @ np.where(there, side, 0), mask=count == 0) / count for side in sides)
        of_uses = []
        for one in (use == k for k in np.unique(use)):
            a, b = x[:, one], y[:, one]  # (draws, days)
            covariance = (a * b).mean(axis=1) - a.mean(axis=1) * b.mean(axis=1)
            of_uses.append(_concordance(a.var(axis=1), covariance, ((a - b) ** 2).mean(axis=1)))
        return np.asarray(np.ma.stack(of_uses).mean(axis=0).filled(np.nan))

    return resampled(concordance, len(there), len(people), rng=rng), ""
