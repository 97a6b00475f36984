"""Prints the ways to adapt a generator side by side: what fresh raters say, what it costs, and what attacks find after.

    OMP_NUM_THREADS=1 python benchmarks/adaptation.py COHORT --modality acoustics --method joint [--seeds 3]

COHORT is a folder that `personare import` wrote. A third of the people are kept for judging. Raters are simulated: a
known taste, 15 % errors, a side bias; 300 comparisons and 120 checks of six raters are heard, and six raters who were
never met judge 400 fresh pairs, and check as many fresh recordings of either side. `none` is the generator as it was
fitted. Rows are one split each; the last lines are means over splits.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from personare.core import registry
from personare.core.errors import DataError
from personare.core.protocols import Generator, Sampler
from personare.core.randomness import generator
from personare.core.types import Batch, Feedback, Result
from personare.data.cohort import open_cohort
from personare.evaluate.experts import failure_rows, win_rows
from personare.evaluate.synthetic import judge_synthetic_risk, judge_synthetic_use
from personare.evaluate.synthetic_case import together
from personare.govern.ledger import Ledger
from personare.learn.reward import feedback_of
from personare.simulate.raters import FAILING, Raters, Taste, simulated_votes, taste_of, votes_of
from personare.study.access import open_batch, part_people

_FRESH = 400
_COLUMNS = ("split", "method", "wins", "low", "high", "failures before", "failures after", "disliked before",
            "disliked after", "drift", "seconds",
            "learned", "membership AUC", "membership low", "membership high")  # fmt: skip


def main() -> None:
    """Adapt by every method on every split and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cohort", type=Path)
    parser.add_argument("--modality", action="append", default=[])
    parser.add_argument("--label", default="emotion")
    parser.add_argument("--method", default="joint")
    parser.add_argument("--taste", default="direction")
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--recordings", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    ledger = Ledger(given.cohort / "ledger.sqlite")
    batch = open_batch(open_cohort(given.cohort), given.label, given.modality, ledger, texts=False).batch
    maker: Generator = registry.create("personare.synthesize", given.method)
    size = (given.people, given.recordings)
    table: list[dict[str, object]] = []
    people = len(set(batch.subjects))
    print(f"{given.cohort.name}, {given.method}, taste {given.taste}: {len(batch)} recordings of {people} people")
    print("| " + " | ".join(_COLUMNS) + " |\n|" + "---|" * len(_COLUMNS))
    for seed in range(given.seeds):
        train, control = part_people(batch, 0.34, rng=generator(seed, "split"))
        fitted = maker.fit(train, validation=train, rng=generator(seed, "fit"))
        items = _named(fitted(*size, rng=generator(seed, "items")), "before")
        votes = simulated_votes(items, taste=given.taste, rng=generator(seed, "votes"))
        try:
            feedback = feedback_of(items, votes, rng=generator(seed, "feedback"))
        except DataError as error:
            print(f"split {seed}: {error}")
            continue
        taste = taste_of(given.taste, items)
        for name in ("none", *registry.find("personare.adapt")):
            table.append({"split": seed, "method": name, **_measured(name, fitted, feedback, taste, size, seed)})
            table[-1] |= _judged(name, fitted, feedback, train, control, size, seed)
            _print(table[-1])
    for name, rows in pd.DataFrame(table).groupby("method", sort=False):
        _print({**rows.mean(numeric_only=True), "split": "mean", "method": name})


def _named(batch: Batch, release: str) -> Batch:
    return replace(batch, ids=tuple(f"{release}/{i}" for i in batch.ids))


def _adapted(name: str, sampler: Sampler, feedback: Feedback, seed: int) -> Sampler:
    if name == "none":
        return sampler
    method = registry.create("personare.adapt", name)
    adapted: Sampler = method.fit(sampler, feedback, rng=generator(seed, name))
    return adapted


def _measured(
    name: str, fitted: Sampler, feedback: Feedback, taste: Taste, size: tuple[int, int], seed: int
) -> dict[str, float]:
    """Return what fresh raters say of fresh recordings before and after, how far it went, and how long that took."""
    begin = time.monotonic()
    try:
        sampler = _adapted(name, fitted, feedback, seed)
    except DataError as error:
        print(f"{name}: {error}")
        sampler = fitted
    seconds = time.monotonic() - begin
    before = _named(fitted(_FRESH, 1, rng=generator(seed, "before")), "before")
    after = _named(sampler(_FRESH, 1, rng=generator(seed, "after", name), labels=before.labels), "after")
    both, rng = together([before, after]), generator(seed, "fresh")
    pairs = np.stack([np.arange(_FRESH), _FRESH + np.arange(_FRESH)], axis=1)
    sides = rng.random(_FRESH) < 0.5
    pairs[sides] = pairs[sides, ::-1]
    raters = Raters(taste=taste, names=[f"fresh-{n}" for n in range(6)])
    votes = votes_of(raters.compare(both, pairs, rng=rng), raters.check(both, np.arange(len(both)), rng=rng))
    won = win_rows(votes, adapted="after", unadapted="before", rng=rng)[0]
    failed = failure_rows(votes, release="after", before="before", rng=rng)[0]
    values = {"wins": won.value, "low": won.low, "high": won.high}
    values |= {"failures before": failed.baseline, "failures after": failed.value}
    # what raters who make no errors would say
    values |= {
        f"disliked {when}": float((taste(b) < FAILING).mean())
        for when, b in zip(("before", "after"), (before, after), strict=True)
    }
    return {**values, "drift": float(getattr(sampler, "drift", 0.0)), "seconds": seconds}


def _judged(
    name: str, fitted: Sampler, feedback: Feedback, train: Batch, control: Batch, size: tuple[int, int], seed: int
) -> dict[str, float]:
    """Return what a reader learns from it, and how well the strongest attack tells who was learned from."""
    try:
        sampler = _adapted(name, fitted, feedback, seed)
    except DataError:
        sampler = fitted
    made = sampler(*size, rng=generator(seed, "made", name))
    use = judge_synthetic_use(made, train, control, rng=generator(seed, "use"))
    risk = judge_synthetic_risk(made, train, control, rng=generator(seed, "risk"))
    learned = max((r for r in use if r.figure in ("tstr_uar", "next_visit_auc")), key=lambda r: r.value)
    member = max((r for r in risk if (r.question, r.figure, r.subset) == ("member", "auc", "")), key=_value)
    return {"learned": learned.value, "membership AUC": member.value, "membership low": member.low,
            "membership high": member.high}  # fmt: skip


def _value(row: Result) -> float:
    return row.value if np.isfinite(row.value) else -1.0


def _print(row: dict[str, object]) -> None:
    cells = (row.get(name, "") for name in _COLUMNS)
    print("| " + " | ".join(f"{c:.3f}" if isinstance(c, float) else str(c) for c in cells) + " |", flush=True)


if __name__ == "__main__":
    main()
