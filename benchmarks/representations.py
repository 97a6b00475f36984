"""Prints what representations keep and hide on an imported cohort of real people: a frontier over every dial.

    python benchmarks/representations.py COHORT --track logmel --track acoustics --seeds 3 [--only NAME] [--keep CSV]

Each seed parts the people in two halves: one is fitted to and the other attacked, later the other way round. A fifth
of the people fitted to choose settings. Spectrograms are described by fixed statistics first. Figures are means over
all parts with t-intervals.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import t as student

from personare.core.protocols import Representation
from personare.core.randomness import generator
from personare.core.types import Array, Batch, Result
from personare.data.cohort import open_cohort
from personare.data.splits import person_folds
from personare.evaluate.representations import judge_representation, measure_rows, raw_sides
from personare.features.batches import read_batch
from personare.features.mel_statistics import mel_statistics
from personare.govern.ledger import Ledger
from personare.learn.chaining import Chain
from personare.represent.adversarial import Adversarial
from personare.represent.bottleneck import Bottleneck
from personare.represent.leace import Leace
from personare.represent.noise import Noise
from personare.study.access import admit
from personare.study.access import table as table_of

FIGURES = (
    "reader.uar",
    "strongest.top1",
    "strongest.person_top1",
    "strongest.eer",
    "attributes.uar.sex",
    "attributes.uar.age",
)


def methods() -> dict[str, Representation]:
    """Return every method over its dial."""
    code = Adversarial(strength=0)
    return {
        "bottleneck vq 32": Bottleneck(codes=32),
        "adversarial 1": Adversarial(strength=1),
        "leace": Leace(),
        "bottleneck vib 0.01": Bottleneck(kind="vib", beta=0.01),
        "bottleneck vq 8": Bottleneck(codes=8),
        "bottleneck vq 64": Bottleneck(codes=64),
        "adversarial 0": code,
        "adversarial 5": Adversarial(strength=5),
        "adversarial 1 reversal": Adversarial(strength=1, kind="reversal"),
        "bottleneck vib 0.1": Bottleneck(kind="vib", beta=0.1),
        "noise 64": Noise(epsilon=64),
        "adversarial 0 + noise 32": Chain(links=(code, Noise(epsilon=32))),
        "leace 5": Leace(directions=5),
        "noise 8": Noise(epsilon=8),
    }


def main() -> None:
    """Fit, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cohort", type=Path)
    parser.add_argument("--track", action="append", required=True)
    parser.add_argument("--label", default="emotion")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--keep", type=Path, help="where the rows of every part are written as they come")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    batch, table = read(asked.cohort, asked.track, asked.label)
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for part, (known, validation, new) in enumerate(parts(batch, asked.seeds)):
        everybody = _joined(known, validation, batch)
        raw = measure_rows(*raw_sides(everybody, new), table, rng=generator(part, "judge"))
        plain = [row for row in raw if row.method.startswith("naming_")]
        _note(found, "raw features", raw)
        strongest = {f: [r.value for r in plain if r.figure == f] for f in ("top1", "person_top1", "eer")}
        for figure, values in strongest.items():
            found["raw features"][f"strongest.{figure}"].append(min(values) if figure == "eer" else max(values))
        for name, method in methods().items():
            if asked.only and name not in asked.only:
                continue
            start = time.perf_counter()
            fitted = method.fit(known, validation=validation, rng=generator(part, name))
            seconds = time.perf_counter() - start
            rows = judge_representation(fitted, everybody, new, table, rng=generator(part, "judge", name), baseline=raw)
            _note(found, name, rows)
            found[name]["fit_s"].append(seconds)
            if asked.keep:
                _keep(asked.keep, found)
    print(markdown(found, f"{len(set(batch.subjects))} people, {len(batch)} recordings"))


def read(folder: Path, tracks: list[str], label: str) -> tuple[Batch, pd.DataFrame]:
    """Return the recordings that may be used for training, spectrograms described, and their table."""
    cohort = open_cohort(folder)
    with tempfile.TemporaryDirectory() as scratch:
        recordings, sources, _ = admit(cohort, tracks, "training", Ledger(Path(scratch) / "ledger.sqlite"))
        batch, _ = read_batch(
            recordings,
            sources,
            label=label,
            modalities=tracks,
            participants=cohort.participants,
            gaps="indicate",
        )
    arrays = {m: mel_statistics(x) if x.ndim == 4 and x.shape[1] == 1 else x for m, x in batch.arrays.items()}
    ids = set(batch.ids)
    return replace(batch, arrays=arrays), table_of(cohort, [r for r in cohort.recordings if r.id in ids])


def parts(batch: Batch, seeds: int) -> Iterator[tuple[Batch, Batch, Batch]]:
    """Yield people to fit to, people who choose settings, and people who are attacked."""
    row = {name: i for i, name in enumerate(batch.ids)}
    subjects = dict(zip(batch.ids, map(str, batch.subjects), strict=True))
    for half in (0, 1):
        for seed in range(seeds):
            rng = generator(seed, "halves")
            fitted, tested = person_folds(subjects, 2, rng=rng)[half]
            known, new = (batch.take(np.array([row[i] for i in ids])) for ids in (fitted, tested))
            people = np.unique(known.subjects)
            watch = np.isin(known.subjects, rng.permutation(people)[: max(2, len(people) // 5)])
            yield known.take(~watch), known.take(watch), new


def _joined(known: Batch, validation: Batch, batch: Batch) -> Batch:
    row = {name: i for i, name in enumerate(batch.ids)}
    return batch.take(np.array([row[i] for i in (*known.ids, *validation.ids)]))


def _note(found: dict[str, dict[str, list[float]]], name: str, rows: list[Result]) -> None:
    for row in rows:
        found[name][".".join(filter(None, (row.method, row.figure, row.subset)))].append(row.value)


def _keep(at: Path, found: dict[str, dict[str, list[float]]]) -> None:
    rows = [(name, m, i, v) for name, ms in found.items() for m, vs in ms.items() for i, v in enumerate(vs)]
    pd.DataFrame(rows, columns=["method", "measure", "part", "value"]).to_csv(at, index=False)


def markdown(found: dict[str, dict[str, list[float]]], title: str) -> str:
    """Return a table of means and t-intervals."""
    lines = [title, "", "| method | " + " | ".join(FIGURES) + " | fit s |", "|---" * (len(FIGURES) + 2) + "|"]
    for name, measures in found.items():
        cells = [_interval(np.array(measures.get(figure, []))) for figure in FIGURES]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {np.mean(measures.get('fit_s', [0])):.1f} |")
    return "\n".join(lines)


def _interval(values: Array) -> str:
    values = values[np.isfinite(values)] if len(values) else values
    if len(values) < 2:
        return f"{values.mean():.3f}" if len(values) else "–"
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.3f} ±{half:.3f}"


if __name__ == "__main__":
    main()
