"""Prints what generators of people reach on an imported cohort of real people: mean and range over splits of people.

    OMP_NUM_THREADS=1 python benchmarks/synthesis.py COHORT --modality acoustics --modality face --method joint
        --method copula --seeds 3 [--epsilon 8 --public-people 8] [-o NAME=VALUE]

A third of the people are kept for judging. With ``--epsilon``, some of the others count as public; the row ``public``
is the joint model of these few alone, which costs nothing: what privacy buys is the difference to it.
"""

import argparse
import tempfile
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from personare.cli.terminal import method_options
from personare.core import registry
from personare.core.randomness import generator
from personare.core.types import Batch
from personare.data.cohort import open_cohort
from personare.evaluate.synthetic import judge_synthetic_use
from personare.govern.ledger import Ledger
from personare.study.access import open_batch

_FIGURES = (
    "linear.tstr_uar",
    "linear.share_learned",
    "forest.share_learned",
    "linear.augmented_uar",
    "correlation_within",
    "correlation_across",
    "precision",
    "coverage",
    "mmd2",
    "ks",
    "c2st_linear",
    "c2st_trees",
)
_PACKAGE = "personare.synthesize"


def main() -> None:
    """Fit every method on every split and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cohort", type=Path)
    parser.add_argument("--method", action="append", required=True)
    parser.add_argument("--modality", action="append", default=[])
    parser.add_argument("--label", default="emotion")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("--epsilon", type=float)
    parser.add_argument("--public-people", type=int, default=0)
    parser.add_argument("--option", "-o", action="append", default=[])
    asked = parser.parse_args()
    batch = _read(asked.cohort, asked.modality, asked.label)
    each = len(batch) // len(set(batch.subjects))
    print(f"{asked.cohort.name}: {len(batch)} recordings, {len(set(batch.subjects))} people, {asked.seeds} splits")
    print("| method | fit s | draw s | " + " | ".join(_FIGURES) + " |\n|---|---|---|" + "---|" * len(_FIGURES))
    methods = [*asked.method, *(["public"] if asked.public_people else [])]
    found: dict[str, list[list[float]]] = {name: [] for name in [*methods, "real people", "shuffled"]}
    for seed in range(asked.seeds):
        parts = _split(batch, seed, asked.public_people)
        options = dict(method_options(tuple(asked.option))) | {"epsilon": asked.epsilon}
        for name in methods:
            values, best, worst = _measure(name, options, parts, (asked.people, each), generator(seed, name))
            found[name].append(values)
        found["real people"].append(best)
        found["shuffled"].append(worst)
    for name, several in found.items():
        told = " | ".join(_interval(np.array(column)) for column in zip(*several, strict=True))
        print(f"| {name} | {told} |", flush=True)


def _measure(
    name: str,
    options: dict[str, object],
    parts: tuple[Batch, Batch | None, Batch],
    size: tuple[int, int],
    rng: np.random.Generator,
) -> tuple[list[float], ...]:
    """Return the figures of one generator, of other real people and of shuffled recordings."""
    test, public, train = parts
    group = public if name == "public" and public else train
    method = _create("joint" if name == "public" else name, {} if name == "public" else options)
    start = time.perf_counter()
    sampler = method.fit(group, validation=test, rng=rng, public=public)
    fitted = time.perf_counter()
    made = sampler(*size, rng=rng)
    seconds = [fitted - start, time.perf_counter() - fitted]
    found = judge_synthetic_use(made, train, test, rng=rng)
    rows = {row.figure if row.method == "synthetic" else f"{row.method}.{row.figure}": row for row in found}
    print(name, *(f"{figure} {rows[figure].value:.3f}" for figure in _FIGURES), flush=True)
    unknown = [float("nan")] * 2
    best, worst = ([*unknown, *(getattr(rows[f], side) for f in _FIGURES)] for side in ("baseline", "control"))
    return [*seconds, *(rows[figure].value for figure in _FIGURES)], best, worst


def _read(root: Path, modalities: list[str], label: str) -> Batch:
    cohort = open_cohort(root)
    with tempfile.TemporaryDirectory() as folder:
        return open_batch(cohort, label, modalities, Ledger(Path(folder) / "ledger.sqlite")).batch


def _split(batch: Batch, seed: int, public: int) -> tuple[Batch, Batch | None, Batch]:
    people = generator(seed, "split").permutation(np.unique(batch.subjects))
    held = max(2, len(people) // 3)
    parts = (people[:held], people[held : held + public], people[held + public :])
    test, known, train = (batch.take(np.isin(batch.subjects, part)) for part in parts)
    return test, known if public else None, train


def _create(name: str, options: dict[str, object]) -> Any:
    known = {f.name for f in fields(registry.load(_PACKAGE, name))}
    return registry.create(_PACKAGE, name, {key: value for key, value in options.items() if key in known})


def _interval(values: np.ndarray) -> str:
    values = values[np.isfinite(values)]
    return f"{values.mean():.3f} ({values.min():.2f}–{values.max():.2f})" if len(values) else "–"


if __name__ == "__main__":
    main()
