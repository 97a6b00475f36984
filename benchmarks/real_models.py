"""Prints what the learners reach on imported cohorts of real people: mean and 95 % interval over seeds.

    python benchmarks/real_models.py COHORT --label sentiment --protocol published --method late_fusion --method joint
        --modality text --modality words --seeds 5 [-o epochs=20] [--sites 4 --rounds 8]

Each seed is another split (another fold of people, or another tenth of the clips) and another draw of everything else.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from scipy.stats import t

from personare.cli.terminal import method_options
from personare.core import registry
from personare.core.randomness import generator
from personare.data.cohort import open_cohort
from personare.evaluate.classification import judge_model
from personare.govern.ledger import Ledger
from personare.learn.federation import Federation
from personare.study.access import open_batch, table
from personare.study.kinds.models import split_people

_FIGURES = ("accuracy", "uar", "ece", "confacc_low")


def main() -> None:
    """Train every method on every choice of modalities and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cohort", type=Path)
    parser.add_argument("--method", action="append", required=True)
    parser.add_argument("--modality", action="append", default=[])
    parser.add_argument("--label", default="emotion")
    parser.add_argument("--protocol", default="person_folds")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sites", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--option", "-o", action="append", default=[])
    asked = parser.parse_args()
    cohort = open_cohort(asked.cohort)
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder) / "ledger.sqlite")
        batch = open_batch(cohort, asked.label, asked.modality, ledger).batch
    rows = table(cohort, [r for r in cohort.recordings if r.id in set(batch.ids)])
    people = len(set(batch.subjects))
    print(f"{cohort.name}: {len(batch)} recordings, {people} people, {asked.protocol}, {asked.seeds} seeds")
    print("| method | modalities | " + " | ".join(_FIGURES) + " |\n|---|---|" + "---|" * len(_FIGURES))
    for method in asked.method:
        found = []
        for seed in range(asked.seeds):
            rng = generator(seed, "real_models")
            parts = split_people(batch, asked.protocol, rows, rng=rng)
            options = {"federation": Federation(sites=asked.sites, rounds=asked.rounds, tell=print)}
            options = options if asked.sites > 1 else {}
            learner = registry.create("personare.train", method, method_options(tuple(asked.option)) | options)
            fitted = learner.fit(parts.train, validation=parts.validation, rng=rng)
            judged = judge_model(fitted(parts.test), parts.test, rows.loc[list(parts.test.ids)], rng=rng)
            values = {row.figure: row.value for row in judged if not row.subset}
            found.append([values[name] for name in _FIGURES])
        told = " | ".join(_interval(np.array(column, float)) for column in zip(*found, strict=True))
        print(f"| {method} | {' + '.join(batch.arrays)} | {told} |", flush=True)


def _interval(values: np.ndarray) -> str:
    values = values[np.isfinite(values)]
    half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return f"{values.mean():.3f} ±{half:.3f}" if len(values) else "–"


if __name__ == "__main__":
    main()
