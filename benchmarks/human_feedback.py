"""Prints what simulated raters teach: how well comparisons recover a known ranking, and how many active choice saves.

    OMP_NUM_THREADS=1 python benchmarks/human_feedback.py [--seeds 6] [--items 150]

Items are voices of people who do not exist, described by acoustic numbers. Six raters compare recordings of one
emotion; they have a known taste, err in 15 % of their answers, and lean to one side. The figure is Kendall's tau
between reward and taste over all pairs of one emotion: mean over seeds, lowest and highest.
"""

import argparse
from collections.abc import Callable

import numpy as np

from personare.core.errors import DataError
from personare.core.randomness import generator
from personare.core.types import Array, Batch
from personare.features.functionals import functionals
from personare.learn.asking import CANDIDATES, choose_pair
from personare.learn.reward import drawn_scores, fit_reward
from personare.simulate.people import EMOTIONS, person
from personare.simulate.raters import Raters, Taste, random_pairs, taste_of, votes_of
from personare.simulate.take import perform

_NAMES = [f"rater-{n}" for n in range(6)]
_EVERY = 5  # answers, after which the next pairs are chosen anew
_TAUS = (0.7, 0.8, 0.85, 0.9, 0.94)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--items", type=int, default=150)
    parser.add_argument("--people", type=int, default=67, help="from whose recordings the items are drawn")
    parser.add_argument("--comparisons", type=int, default=700, help="the most that random choice may need")
    asked = parser.parse_args()
    everything = voices(asked.people)
    items = []
    for seed in range(asked.seeds):
        rows = np.sort(generator(seed, "items").choice(len(everything), asked.items, replace=False))
        items.append(everything.take(rows))
    ranking(items)
    active(items, asked.comparisons)


def ranking(items: list[Batch]) -> None:
    """Print how well a ranking is recovered from so many comparisons, for a simple taste and for an arbitrary one."""
    print("| taste | comparisons | tau | with doubt taken off |\n|---|---|---|---|")
    tastes: dict[str, Callable[[Batch], Taste]] = {
        "eight main qualities": lambda batch: taste_of("direction", batch),
        "all numbers, at random": _any_direction,
    }
    for name, taste in tastes.items():
        for count in (75, 150, 300, 600):
            taus = []
            for seed, batch in enumerate(items):
                rng, raters = generator(seed, name, str(count)), Raters(taste=taste(batch), names=_NAMES)
                votes = votes_of(raters.compare(batch, random_pairs(batch.labels, count, rng=rng), rng=rng))
                truth = raters.taste(batch)
                try:
                    reward = fit_reward(batch, votes, rng=rng)
                    taus.append(
                        [tau(r, truth, batch.labels) for r in (reward.scores(batch).mean(axis=0), reward(batch))]
                    )
                except DataError:
                    taus.append([np.nan, np.nan])
            print(f"| {name} | {count} | {_spread(taus, 0)} | {_spread(taus, 1)} |", flush=True)


def active(items: list[Batch], most: int) -> None:
    """Print after how many comparisons the mean tau is so high, with pairs chosen and at random."""
    curves = {
        choice: np.mean([_curve(b, s, most, choice) for s, b in enumerate(items)], axis=0) for choice in (True, False)
    }
    print("| tau | chosen | at random | ratio |\n|---|---|---|---|")
    for level in _TAUS:
        counts = [int(np.argmax(c >= level) + 1) * _EVERY if (c >= level).any() else None for c in curves.values()]
        ratio = f"{counts[0] / counts[1]:.2f}" if counts[0] and counts[1] else "-"
        print(f"| {level} | {counts[0] or 'never'} | {counts[1] or f'more than {most}'} | {ratio} |", flush=True)


def _curve(batch: Batch, seed: int, most: int, chosen: bool) -> Array:
    """Return tau after every few answers."""
    rng, raters = generator(seed, "active"), Raters(taste=taste_of("direction", batch), names=_NAMES)
    truth, votes, scores = raters.taste(batch), [], None
    curve = []
    for _ in range(0, most, _EVERY):
        pairs = []
        for _ in range(_EVERY):
            candidates = random_pairs(batch.labels, CANDIDATES, rng=rng)
            pairs.append(candidates[choose_pair(candidates, scores if chosen else None, rng=rng)])
        votes.append(raters.compare(batch, np.array(pairs), rng=rng))
        scores = drawn_scores(batch, votes_of(*votes), rng=rng)
        curve.append(tau(scores.mean(axis=0), truth, batch.labels))
    return np.array(curve)


def tau(reward: Array, truth: Array, labels: Array) -> float:
    """Return Kendall's tau over pairs of one class."""
    one, other = np.triu_indices(len(labels), 1)
    same = labels[one] == labels[other]
    one, other = one[same], other[same]
    return float((np.sign(reward[one] - reward[other]) * np.sign(truth[one] - truth[other])).mean())


def _any_direction(items: Batch) -> Taste:
    rows = items.arrays["acoustics"]
    center, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-9
    mix = generator(0, "taste").standard_normal(rows.shape[1])
    deviation = float(((rows - center) / spread @ mix).std())
    return lambda batch: np.asarray((batch.arrays["acoustics"] - center) / spread @ mix / deviation)


def voices(people: int) -> Batch:
    """Return acoustic statistics of the voices of people who do not exist, each in every emotion."""
    everybody = [person(0, n) for n in range(1, people + 1)]
    takes = [(who, emotion) for who in everybody for emotion in EMOTIONS]
    rows = [[*functionals(perform(who, e, "S1", seed=0).sound.values[:, 0]).values()] for who, e in takes]
    return Batch(
        ids=tuple(f"voices/{who.subject}-{emotion}" for who, emotion in takes),
        arrays={"acoustics": np.nan_to_num(np.array(rows, dtype=np.float32))},
        present={"acoustics": np.ones(len(rows), dtype=bool)},
        labels=np.array([EMOTIONS.index(emotion) for _, emotion in takes]),
        classes=EMOTIONS,
        subjects=np.array([who.subject for who, _ in takes]),
    )


def _spread(taus: list[list[float]], column: int) -> str:
    values = np.array(taus)[:, column]
    refused = int(np.isnan(values).sum())
    if refused == len(values):
        return "refused"
    words = f"{np.nanmean(values):.2f} ({np.nanmin(values):.2f} to {np.nanmax(values):.2f})"
    return f"{words}, {refused} refused" if refused else words


if __name__ == "__main__":
    main()
