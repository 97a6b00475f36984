"""What experts' answers amount to: how far they agree, what they prefer, what fails, and whom they recognize."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from personare.core.types import Array, Result
from personare.evaluate.metrics import Estimate, mean_over_both, no_narrower, over_both, wilson

METHOD: Final = "experts"
HUMAN: Final = "human"
_ANSWERS: Mapping[str, tuple[str, ...]] = {
    "compare": ("a", "tie", "b"),
    "check": ("plausible", "implausible"),
    "same": ("a", "b"),
}
"""The answers to each task that say something, in order."""
_SWAPPED: Final = {"a": "b", "b": "a"}


def krippendorff(coincidences: Array) -> Array:
    """Return Krippendorff's alpha, (draws,), of how often ordered answers come together, (draws, V, V).

    1 where raters agree, 0 where they answer as by chance, below where they contradict each other; NaN where all
    answers are the same. Of two answers it is the nominal alpha as well.

    **Source**: K. Krippendorff, "Computing Krippendorff's alpha-reliability", University of Pennsylvania, 2011.
    """
    counts = coincidences.sum(axis=2)  # (draws, V)
    ranks = counts.cumsum(axis=1) - counts / 2
    distances = (ranks[:, :, None] - ranks[:, None, :]) ** 2  # (draws, V, V)
    expected = (counts[:, :, None] * counts[:, None, :] * distances).sum(axis=(1, 2))
    observed = (coincidences * distances).sum(axis=(1, 2)) * (counts.sum(axis=1) - 1)
    return np.asarray(1 - observed / np.where(expected > 0, expected, np.nan))


def agreement_rows(votes: pd.DataFrame, *, rng: np.random.Generator) -> list[Result]:
    """Return by task how far raters agree with each other, and how far with their own earlier answers."""
    asked = _whatever_side(votes)
    rows = [_agreement(task, asked[asked["task"] == task], rng) for task in _ANSWERS if (asked["task"] == task).any()]
    first = asked[~asked["repeat"]].drop_duplicates(["rater", "task", "unit"], keep="last")
    both = asked[asked["repeat"]].merge(first, on=["rater", "task", "unit"], suffixes=("", "_before"))
    if len(both):
        same = (both["answer"] == both["answer_before"]).to_numpy(dtype=float)
        by_rater = both.assign(same=same).groupby("rater")["same"].mean().to_dict()
        reason = f"of {len(by_rater)} raters; the least consistent one: {min(by_rater.values()):.2f}"
        estimate = _mean(same, both["rater"], both["unit"], rng)
        rows.append(_row("consistency", estimate, reason=reason, detail={"by_rater": by_rater}))
    return rows


def _row(figure: str, estimate: Estimate, **columns: Any) -> Result:
    return Result(**{"question": "resemble", "method": METHOD, "figure": figure, **estimate.columns, **columns})


def _mean(values: Array, rater: pd.Series, item: pd.Series, rng: np.random.Generator) -> Estimate:
    """Return a share of answers; raters and what they answered are resampled."""
    return no_narrower(mean_over_both(values, rater.to_numpy(), item.to_numpy(), rng=rng), len(values))


def _whatever_side(votes: pd.DataFrame) -> pd.DataFrame:
    """Return votes with ``unit``, what was asked, and an answer to it, as if the first by name had been shown left."""
    swapped = votes["b"].ne("") & votes["a"].gt(votes["b"])
    left, right = votes["a"].mask(swapped, votes["b"]), votes["b"].mask(swapped, votes["a"])
    return votes.assign(
        a=left,
        b=right,
        unit=left + "\n" + right + "\n" + votes["x"],
        answer=votes["answer"].mask(swapped, votes["answer"].replace(_SWAPPED)),
        repeat=votes["repeat"].astype(bool),
    )


def _agreement(task: str, asked: pd.DataFrame, rng: np.random.Generator) -> Result:
    words = _ANSWERS[task]
    asked = asked[~asked["repeat"] & asked["answer"].isin(words)].drop_duplicates(["rater", "unit"])
    shared = asked[asked.duplicated("unit", keep=False)]  # a question that one rater answered says nothing
    raters, rater = np.unique(shared["rater"].to_numpy(dtype=str), return_inverse=True)
    units, unit = np.unique(shared["unit"].to_numpy(dtype=str), return_inverse=True)
    given = np.zeros((len(raters), len(units), len(words)))
    given[rater, unit, shared["answer"].map(words.index)] = 1

    def alpha(of_raters: Array, of_units: Array) -> Array:
        counts = np.einsum("dr,ruv->duv", of_raters, given)  # (draws, U, V)
        own = np.einsum("dr,ruv->duv", of_raters**2, given)  # a rater drawn twice does not agree with the same rater
        total = counts.sum(axis=2)
        pairs = total**2 - own.sum(axis=2)
        weights = of_units * np.where(pairs > 0, total / np.maximum(pairs, 1), 0)  # (draws, U)
        together = np.einsum("du,duv,duw->dvw", weights, counts, counts)
        return krippendorff(together - np.einsum("du,duv->dv", weights, own)[:, :, None] * np.eye(len(words)))

    estimate = Estimate(value=float("nan"), n=0)
    if len(shared):
        estimate = over_both(alpha, len(raters), len(units), len(shared), rng=rng)
    reason = f"{len(units)} of {asked['unit'].nunique()} questions were answered by two raters or more"
    return _row("alpha", estimate, subset=task, unit="correlation", control=0.0, reason=reason)


def win_rows(votes: pd.DataFrame, *, adapted: str, unadapted: str, rng: np.random.Generator) -> list[Result]:
    """Return how often a recording of the adapted release is preferred to one of the unadapted; a tie is half a win."""
    asked = _whatever_side(votes)
    ends = [asked[side].str.split("/").str[0] for side in ("a", "b")]
    between = (ends[0] != ends[1]) & ends[0].isin([adapted, unadapted]) & ends[1].isin([adapted, unadapted])
    counts = between & asked["answer"].isin(_ANSWERS["compare"]) & ~asked["repeat"] & asked["task"].eq("compare")
    asked, left = asked[counts], ends[0][counts]
    if not len(asked):
        return []
    won = np.where(asked["answer"] == "tie", 0.5, (left == adapted) == (asked["answer"] == "a"))
    reason = f"of {asked['rater'].nunique()} raters; {int((won == 0.5).sum())} ties"
    return [_row("win_rate", _mean(won, asked["rater"], asked["unit"], rng), control=0.5, reason=reason)]


def failure_rows(votes: pd.DataFrame, *, release: str, before: str, rng: np.random.Generator) -> list[Result]:
    """Return in what share of checks recordings were found implausible, and each failure; baseline is ``before``."""
    asked = votes[votes["task"].eq("check") & votes["answer"].isin(_ANSWERS["check"]) & ~votes["repeat"].astype(bool)]
    of = asked["a"].str.split("/").str[0]
    after, earlier = asked[of == release], asked[of == before]
    if not len(after):
        return []
    kinds = {kind for part in (after, earlier) for row in part["failures"] for kind in row.split(";") if kind}

    def fails(part: pd.DataFrame, kind: str) -> Array:
        has = part["failures"].str.split(";").map(lambda row: kind in row) if kind else part["answer"] == "implausible"
        return has.to_numpy(dtype=float)

    return [
        _row(
            "failures",
            _mean(fails(after, kind), after["rater"], after["a"], rng),
            subset=kind,
            better="lower",
            baseline=float(fails(earlier, kind).mean()) if len(earlier) else float("nan"),
        )
        for kind in ("", *sorted(kinds))
    ]


def human_attack_rows(
    votes: pd.DataFrame, truth: Mapping[str, str], *, release: str, rng: np.random.Generator
) -> list[Result]:
    """Return how often raters tell which of two recordings is of the same person as one of the release.

    ``truth`` are people by item. To say that one cannot tell is to be right half of the time. People and raters are
    resampled.
    """
    asked = votes[votes["task"].eq("same") & votes["x"].str.startswith(f"{release}/") & ~votes["repeat"].astype(bool)]
    person, of_a, of_b = (asked[side].map(truth) for side in ("x", "a", "b"))
    fair = person.notna() & ((of_a == person) != (of_b == person))
    asked, person, of_a = asked[fair], person[fair], of_a[fair]
    if not len(asked):
        return []
    right = np.where(asked["answer"] == "cannot_tell", 0.5, (of_a == person) == (asked["answer"] == "a"))
    row = _row(
        "accuracy",
        mean_over_both(right, asked["rater"].to_numpy(), person.to_numpy(), rng=rng),
        release=release,
        question="link",
        method=HUMAN,
        attacker=HUMAN,
        better="lower",
        control=0.5,
        reason=f"{asked['rater'].nunique()} raters, {person.nunique()} people; not tried on originals",
    )
    return [row]


def alarm_rows(votes: pd.DataFrame, alarms: pd.DataFrame, *, release: str) -> list[Result]:
    """Return what share of the recordings that raters saw looked to one of them like somebody known."""
    items = {*votes["a"], *votes["b"], *votes["x"], *alarms["item"]}
    seen = [item for item in items if item.startswith(f"{release}/")]
    if not seen:
        return []
    alarmed = wilson(np.isin(seen, alarms["item"]).astype(float))
    columns = {"release": release, "question": "identify", "method": f"{HUMAN}_alarm", "attacker": HUMAN}
    return [_row("alarms", alarmed, better="lower", reason="they were taken out of the release", **columns)]
