"""Measure made-up histories of visits on real ones: a table of figures, mean and range over splits by person.

Run: python benchmarks/trajectories.py COHORT [--seeds 3] [--people 300] [--epsilon 8 --longest 100]
COHORT is a folder that `personare import ... --reader synthea` (or mimic_demo) wrote.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np

from personare.core.protocols import Generator
from personare.core.types import Array, Batch
from personare.data.cohort import open_cohort
from personare.evaluate.utility.synthetic_visits import judge_copies, judge_histories
from personare.features.batches import read_batch
from personare.features.visits import VISITS
from personare.synthesize.trajectories import Trajectories
from personare.synthesize.visit_chain import VisitChain


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("cohort", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--people", type=int, default=300)
    parser.add_argument("--steps", type=int, default=Trajectories.steps)
    parser.add_argument("--batch-size", type=int, default=Trajectories.batch_size)
    parser.add_argument("--epsilon", type=float)
    parser.add_argument("--longest", type=int)
    options = parser.parse_args()
    recordings = open_cohort(options.cohort).recordings
    sources = {r.id: {VISITS: options.cohort / r.tracks[VISITS]} for r in recordings}
    batch, _ = read_batch(recordings, sources, label="mortality", modalities=(VISITS,))
    makers: dict[str, Generator] = {
        "trajectories": Trajectories(
            steps=options.steps, batch_size=options.batch_size, epsilon=options.epsilon, longest=options.longest
        ),
        "visit_chain": VisitChain(),
    }
    found: dict[tuple[str, str], list[tuple[float, float, float]]] = defaultdict(list)
    for seed in range(options.seeds):
        for name, maker in makers.items():
            for measure, figures in _measure(batch, maker, options.people, seed).items():
                found[name, measure].append(figures)
            made, real, _ = found[name, "next_visit_auc"][-1]
            print(f"split {seed}, {name}: next-visit AUC {made:.3f} ({made / real:.1%} of real)", flush=True)
    print("| method | figure | value | low | high | other real people | shuffled |\n|---|---|---|---|---|---|---|")
    for (name, measure), rows in found.items():
        values, best, worst = np.array(rows).T
        middle, left, right = (_over(np.mean, column) for column in (values, best, worst))
        low, high = _over(np.min, values), _over(np.max, values)
        print(f"| {name} | {measure} | {middle:.3f} | {low:.3f} | {high:.3f} | {left:.3f} | {right:.3f} |")


def _over(figure: Callable[[Array], float], values: Array) -> float:
    """Return a figure over the splits that have it."""
    there = values[np.isfinite(values)]
    return float(figure(there)) if len(there) else float("nan")


def _measure(batch: Batch, maker: Generator, people: int, seed: int) -> dict[str, tuple[float, float, float]]:
    """Return value, best and worst anchor by figure, for one split: half learns, an eighth stops, the rest tests."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(batch))
    train, validation, test = (
        batch.take(part) for part in np.split(order, [round(0.5 * len(batch)), round(0.65 * len(batch))])
    )
    start = time.perf_counter()
    sampler = maker.fit(train, validation=validation, rng=rng)
    fitted = time.perf_counter()
    made = sampler(people, 1, rng=rng)
    drawn = time.perf_counter()
    visits = float(made.arrays[VISITS][..., 0].sum())
    results = [*judge_histories(train, test, made, rng=rng), *judge_copies(train, test, made)]
    # the field also gives the correlation with those learned from: what is left is what the method itself loses
    learned = judge_histories(test, train, made, rng=rng)[0]
    figures = {r.figure: (r.value, r.baseline, r.control) for r in results}
    nan = float("nan")
    return figures | {
        "prevalence against training": (learned.value, nan, nan),
        "fit, s": (fitted - start, nan, nan),
        "10,000 visits, s": ((drawn - fitted) / visits * 10_000, nan, nan),
    }


if __name__ == "__main__":
    main()
