"""From how many private people on do made-up people teach more than the public people alone? A table and a picture.

    OMP_NUM_THREADS=1 python benchmarks/people_needed.py OUT.png --cohort COHORT --people 8 --people 16 --people 24
    OMP_NUM_THREADS=1 python benchmarks/people_needed.py OUT.png --made-up --people 50 --people 100 --people 400

A linear reader learns from made-up people and reads real people who are nobody's: shares of what it reaches above
chance when it learns from all private people themselves. Splits are of people; every row of one split has the same
readers and the same public people, so that what privacy buys is told by differences. The people of ``--made-up`` are
those of ``personare.simulate``: voices of nobody, for sizes that no real cohort here has.
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.stats import t as student
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from personare.core.randomness import generator
from personare.core.types import Array, Batch
from personare.data.cohort import open_cohort
from personare.features.batches import read_batch
from personare.features.functionals import functionals
from personare.simulate.people import EMOTIONS, person
from personare.simulate.take import perform
from personare.synthesize.joint import Joint

_SENTENCES = ("S1", "S3")
_DRAWS = 2


def main() -> None:
    """Print the table and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--cohort", type=Path)
    parser.add_argument("--made-up", action="store_true")
    parser.add_argument("--modality", default="acoustics")
    parser.add_argument("--label", default="emotion")
    parser.add_argument("--people", type=int, action="append", required=True)
    parser.add_argument("--epsilon", type=float, action="append")
    parser.add_argument("--delta", type=float, default=1e-3)
    parser.add_argument("--public", type=int, default=8)
    parser.add_argument("--held", type=int, default=8)
    parser.add_argument("--splits", type=int, default=10)
    asked = parser.parse_args()
    most = max(asked.people)
    if asked.made_up:
        batch = _voices(asked.public + asked.held + most)
    else:
        recordings = open_cohort(asked.cohort).recordings
        sources = {r.id: {asked.modality: asked.cohort / r.tracks[asked.modality]} for r in recordings}
        batch, _ = read_batch(recordings, sources, label=asked.label, modalities=(asked.modality,))
    methods: dict[str, Joint] = {
        **{f"epsilon {e:g}": Joint(epsilon=e, delta=asked.delta) for e in asked.epsilon or [8.0]},
        "without privacy": Joint(),
    }
    shares = np.stack([_shares(batch, seed, methods, asked) for seed in range(asked.splits)])  # (S, 1 + M, P)
    found = {"public people alone": shares[:, 0], **{m: shares[:, 1 + i] for i, m in enumerate(methods)}}
    print(f"{len(batch)} recordings, {asked.public} public people, {asked.held} to read, {asked.splits} splits")
    print("| | people | share | more than the public people alone |\n|---|---|---|---|")
    for name, values in found.items():
        for i, people in enumerate(asked.people):
            gain = _interval(values[:, i] - shares[:, 0, i])
            print(
                f"| {name} | {people} | {values[:, i].mean():.3f} | {gain[0]:+.3f} [{gain[1]:+.3f}, {gain[2]:+.3f}] |"
            )
    _draw(asked.out, asked.people, found, "people who are made up" if asked.made_up else asked.cohort.name)


def _shares(batch: Batch, seed: int, methods: dict[str, Joint], asked: argparse.Namespace) -> Array:
    """Return (1 + M, P) shares on one split; the public people's is the same for all P."""
    people = generator(seed, "split").permutation(np.unique(batch.subjects))
    cuts = np.cumsum([asked.held, asked.public, max(asked.people)])
    test, public, private = (batch.take(np.isin(batch.subjects, part)) for part in np.split(people, cuts)[:3])
    chance = 1 / len(batch.classes)
    best = _read(private, test) - chance

    def share(method: Joint, group: Batch) -> float:
        each = []
        for draw in range(_DRAWS):
            rng = generator(seed, f"draw {draw}")
            sampler = method.fit(group, validation=test, rng=rng, public=public)
            each.append(_read(sampler(400, 8, rng=rng), test) - chance)
        return float(np.mean(each)) / best

    groups = [private.take(np.isin(private.subjects, people[cuts[1] : cuts[1] + n])) for n in asked.people]
    alone = share(Joint(), public)
    print(f"split {seed}: the reader of real people {best + chance:.3f}, public people alone {alone:.3f}", flush=True)
    return np.array(
        [[alone] * len(groups), *([share(method, group) for group in groups] for method in methods.values())]
    )


def _read(learned: Batch, test: Batch) -> float:
    reader = make_pipeline(StandardScaler(), LogisticRegression(C=0.003, max_iter=300))
    rows, others = (np.concatenate([x.reshape(len(x), -1) for x in b.arrays.values()], axis=1) for b in (learned, test))
    return float(balanced_accuracy_score(test.labels, reader.fit(rows, learned.labels).predict(others)))


def _voices(count: int) -> Batch:
    """Return acoustic statistics of the voices of people who do not exist, every emotion in two sentences."""
    takes = [(person(0, n), e, sentence) for n in range(1, count + 1) for e in EMOTIONS for sentence in _SENTENCES]
    sounds = [perform(who, e, sentence, seed=0).sound.values[:, 0] for who, e, sentence in takes]
    rows = [[*functionals(sound).values()] for sound in sounds]
    return Batch(
        ids=tuple(f"{who.subject}-{e}-{sentence}" for who, e, sentence in takes),
        arrays={"acoustics": np.array(rows, dtype=np.float32)},
        present={"acoustics": np.ones(len(rows), dtype=bool)},
        labels=np.array([EMOTIONS.index(e) for _, e, _ in takes]),
        classes=EMOTIONS,
        subjects=np.array([who.subject for who, _, _ in takes]),
    )


def _interval(values: Array) -> tuple[float, float, float]:
    """Return mean and 95 % interval over splits; people are in several of them, so it is a little too narrow."""
    half = float(student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return float(values.mean()), float(values.mean() - half), float(values.mean() + half)


def _draw(out: Path, people: list[int], found: dict[str, Array], whose: str) -> None:
    figure = Figure(figsize=(7, 4.2), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for name, values in found.items():
        middle, low, high = np.array([_interval(column) for column in values.T]).T
        style = "--" if name.startswith("public") else "-o"
        (line,) = axes.plot(people, middle, style, label=name)
        axes.fill_between(people, low, high, color=line.get_color(), alpha=0.12, linewidth=0)
    axes.set(xlabel="private people learned from", ylabel="share of what real people teach", title=whose)
    axes.set_xscale("log")
    axes.set_xticks(people, [str(n) for n in people])
    axes.minorticks_off()
    axes.legend(frameon=False)
    figure.savefig(out)


if __name__ == "__main__":
    main()
