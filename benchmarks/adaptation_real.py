"""Prints whether adapting a generator of real people moves what can be checked on other real people.

    OMP_NUM_THREADS=1 python benchmarks/adaptation_real.py RAVDESS SYNTHEA [--seeds 5]

RAVDESS and SYNTHEA are folders that `personare import` wrote. Six in fourteen of the people teach the generator, four
give the raters' taste and the last four the check: no reader or order of the one is of the other. Of RAVDESS pairs the
taste is that voice and face agree on the emotion asked for: the log of how surely a reader of voices sees it, plus that
of a reader of faces. Of Synthea it is that no kind of visit follows another which it never followed among those people.
300 comparisons of six simulated raters, 15 % of them wrong. Figures are means over splits, with the standard error of
the mean.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from personare.core import registry
from personare.core.errors import DataError
from personare.core.randomness import generator
from personare.core.types import Array, Batch
from personare.data.cohort import open_cohort
from personare.features.visits import VISITS, VisitColumns
from personare.govern.ledger import Ledger
from personare.learn.reward import feedback_of
from personare.simulate.raters import Raters, Taste, random_pairs, votes_of
from personare.study.access import open_batch

_MADE = (300, 1)
_CASES = {
    "RAVDESS, voice and face agree": ("emotion", ("acoustics", "face"), ("joint", "mvtcae"), (40, 8)),
    "Synthea, share of impossible orders": ("mortality", (VISITS,), ("trajectories", "visit_chain"), (200, 1)),
}


def agreement(people: Batch) -> Taste:
    """Return how surely readers of voice and of face, which these people taught, both see the emotion asked for."""
    readers = {}
    for name in ("acoustics", "face"):
        reader = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
        readers[name] = reader.fit(people.arrays[name], people.labels)

    def score(batch: Batch) -> Array:
        asked = np.arange(len(batch)), batch.labels
        return sum(np.log(reader.predict_proba(batch.arrays[name])[asked]) for name, reader in readers.items())

    return score


def possible_order(people: Batch) -> Taste:
    """Return minus the share of visits that follow one which they never followed among these people."""
    part = VisitColumns(names=people.columns[VISITS]).part("type")

    def follows(batch: Batch) -> Array:
        kinds = batch.arrays[VISITS][..., part].astype(float)
        return np.einsum("nta,ntb->nab", kinds[:, :-1], kinds[:, 1:])  # (N, A, A)

    never = follows(people).sum(axis=0) == 0

    def score(batch: Batch) -> Array:
        pairs = follows(batch)
        return np.asarray(-(pairs * never).sum(axis=(1, 2)) / np.maximum(pairs.sum(axis=(1, 2)), 1))

    return score


def main() -> None:
    """Adapt on every split and print the figure before and after."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cohorts", type=Path, nargs=2)
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    for root, (title, case), make in zip(given.cohorts, _CASES.items(), (agreement, possible_order), strict=True):
        label, modalities, methods, size = case
        batch = open_batch(open_cohort(root), label, modalities, Ledger(root / "ledger.sqlite")).batch
        print(f"{title}: {len(batch)} recordings of {len(set(batch.subjects))} people, {given.seeds} splits")
        print("| generator | adaptation | splits adapted | before | after | gain | real people |\n|" + "---|" * 7)
        for method in methods:
            for name in registry.find("personare.adapt"):
                rows = [_gain(batch, make, method, name, size, seed) for seed in range(given.seeds)]
                values = np.array([row for row in rows if row is not None]).reshape(-1, 3)
                gain = values[:, 1] - values[:, 0]
                cells = [_mean(values[:, 0]), _mean(values[:, 1]), _mean(gain), _mean(values[:, 2])]
                print(f"| {method} | {name} | {len(values)} | {' | '.join(cells)} |", flush=True)


def _gain(
    batch: Batch, make: Callable[[Batch], Taste], method: str, name: str, size: tuple[int, int], seed: int
) -> tuple[float, float, float] | None:
    """Return the check before, after, and of the real people who gave neither taste nor check; None: not adapted."""
    people = generator(seed, "people").permutation(np.unique(batch.subjects))
    parts = np.split(people, [round(0.43 * len(people)), round(0.72 * len(people))])
    train, tasters, judges = (batch.take(np.isin(batch.subjects, part)) for part in parts)
    maker = registry.create("personare.synthesize", method)
    try:
        fitted = maker.fit(train, validation=train.take(np.zeros(0, int)), rng=generator(seed, method))
        items = fitted(*size, rng=generator(seed, method, "items"))
        taste, rng = make(tasters), generator(seed, method, "votes")
        liked = taste(items)
        raters = Raters(taste=lambda b: (taste(b) - liked.mean()) / max(liked.std(), 1e-9), names=[*"abcdef"])
        votes = votes_of(raters.compare(items, random_pairs(items.labels, 300, rng=rng), rng=rng))
        feedback = feedback_of(items, votes, rng=rng)
        adapted = registry.create("personare.adapt", name).fit(fitted, feedback, rng=rng)
    except DataError as error:
        print(f"{method}, {name}, split {seed}: {str(error)[:150]}", flush=True)
        return None
    before = fitted(*_MADE, rng=generator(seed, method, "before"))
    after = adapted(*_MADE, rng=generator(seed, method, "after"), labels=before.labels)
    check = make(judges)
    return tuple(float(check(b).mean()) for b in (before, after, train))  # type: ignore[return-value]


def _mean(values: Array) -> str:
    return f"{values.mean():.3f} ± {values.std(ddof=1) / np.sqrt(len(values)):.3f}" if len(values) > 1 else "–"


if __name__ == "__main__":
    main()
