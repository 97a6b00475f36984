"""What made-up voices give away of real ones, a table: benchmarks/synthetic_risk.py DATA [NAME ...] [--frontier].

DATA has ``crema-d``: acoustic statistics of 40 actors. 16 are learned from, 16 are the control people, 8 are public.
Every generator is fitted once and judged, then sixteen times on halves of the 32, then sixteen times with 8 canaries.
With ``--frontier``, over several splits and privacy bounds: what readers learn from the made-up people (share of what
they learn from the real ones, above chance, on the 16 control people) beside how well people and canaries are found.
"""

import argparse
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from personare.core import registry
from personare.core.types import Array, Batch, Result, Spend
from personare.evaluate.synthetic import judge_shadows, judge_synthetic_risk
from personare.evaluate.synthetic_case import together

PRIVATE = {"epsilon": 8.0, "delta": 1e-3}
GENERATORS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "copula": ("copula", {}),
    "mvtcae": ("mvtcae", {"epochs": 60}),
    "joint": ("joint", {}),
    "joint, epsilon 8": ("joint", PRIVATE),
    "joint, epsilon 1": ("joint", {"epsilon": 1.0, "delta": 1e-3}),
    "private_evolution, epsilon 8": ("private_evolution", PRIVATE),
}
FRONTIER: Mapping[str, tuple[str, Mapping[str, Any], bool]] = {  # and whether it learns from public people alone
    **{f"joint, epsilon {e}": ("joint", {"epsilon": float(e), "delta": 1e-3}, False) for e in (1, 2, 4, 8, 16, 32)},
    "joint": ("joint", {}, False),
    "joint, public people": ("joint", {}, True),
    "copula": ("copula", {}, False),
    "copula, public people": ("copula", {}, True),
    "private_evolution, epsilon 8": ("private_evolution", PRIVATE, False),
    "mvtcae, epsilon 8": ("mvtcae", {**PRIVATE, "epochs": 60}, False),
    "mvtcae": ("mvtcae", {"epochs": 60}, False),
}
SHOWN = (
    "synthetic_membership_neighbor.auc",
    "synthetic_membership_normal.auc",
    "synthetic_shadow_neighbor.auc",
    "synthetic_shadow_normal.auc",
    "synthetic_shadow_normal.auc.outliers",
    "synthetic_canaries_neighbor.auc",
    "synthetic_canaries_normal.auc",
    "synthetic_singling_out.risk",
    "synthetic_linkability.risk",
    "synthetic_inference_label.risk",
    "synthetic_inference_values.risk",
    "synthetic_copies.nearer",
    "synthetic_identity.named",
)


def voices(data: Path) -> Batch:
    """Read the statistics."""
    clips = pd.read_csv(data / "crema-d" / "acoustic_features.csv.gz", index_col=0)
    values = clips.select_dtypes("number").drop(columns=["actor_id", "sample_rate"]).to_numpy(dtype=np.float32)
    kinds = pd.Categorical(clips["emotion"])
    return Batch(
        ids=tuple(f"r{k}" for k in range(len(clips))),
        arrays={"acoustics": values},
        present={"acoustics": np.ones(len(clips), dtype=bool)},
        labels=kinds.codes.astype(np.int64),
        classes=tuple(kinds.categories),
        subjects=clips["actor_id"].astype(str).to_numpy(),
    )


def copied(train: Batch, rng: np.random.Generator, noise: float) -> Batch:
    """Return real recordings with noise: what no generator may do."""
    made = train.take(rng.integers(len(train), size=1000))
    spread = noise * train.arrays["acoustics"].std(axis=0)
    values = made.arrays["acoustics"] + spread * rng.standard_normal((1000, len(spread))).astype(np.float32)
    return replace(made, arrays={"acoustics": values}, subjects=np.array([f"s{k % 20}" for k in range(1000)]))


def measured(name: str, groups: tuple[Batch, Batch, Batch]) -> list[Result]:
    """Return every risk of one generator."""
    train, control, public = groups
    spends: list[Spend] = []

    def make(some: Batch, rng: np.random.Generator) -> Batch:
        if name.startswith("copies"):
            return copied(public if "public" in name else some, rng, 0.05 if "public" in name else 0.5)
        method, options = GENERATORS[name]
        fitted = registry.create("personare.synthesize", method, options).fit(
            some, validation=public, rng=rng, public=public if "epsilon" in options else None
        )
        spends.extend(fitted.spends[:1])
        return fitted(20, 50, rng=rng)

    made = make(train, np.random.default_rng(1))
    claim = spends[0] if spends else None
    found = judge_synthetic_risk(made, train, control, rng=np.random.default_rng(1), claim=claim, make=make)
    pool, rng = together([train, control]), np.random.default_rng(0)
    return found + judge_shadows(pool, make, canaries=8, strength=0.5, claim=claim, rng=rng)


def _cell(row: Result) -> str:
    return f"{row.value:.2f} [{row.low:.2f}, {row.high:.2f}]" + (" (!)" if row.status == "claim_broken" else "")


def placed(name: str, groups: tuple[Batch, Batch, Batch], seed: int) -> list[float]:
    """Return shares of a linear reader and a forest, and AUCs of people, the outliers, and canaries, of one split."""
    train, control, public = groups
    method, options, alone = FRONTIER[name]

    def make(some: Batch, rng: np.random.Generator, people: int = 50) -> Batch:
        known = public if "epsilon" in options else None
        learned = public if alone else some
        generate = registry.create("personare.synthesize", method, options)
        made: Batch = generate.fit(learned, validation=public, rng=rng, public=known)(people, 20, rng=rng)
        return made

    rng = np.random.default_rng(seed)
    shares = np.mean([share(a, make(a, rng, 200), z) for a, z in ((train, control), (control, train))], axis=0)
    pool = together([train, control])
    shadows = judge_shadows(pool, make, rng=rng)
    planted = judge_shadows(pool, make, canaries=8, strength=0.5, rng=rng)
    risk = {
        ".".join(filter(None, (row.method, row.subset))): row.value for row in shadows + planted if row.figure == "auc"
    }
    kinds = ("shadow_neighbor", "shadow_normal", "shadow_normal.outliers", "canaries_neighbor", "canaries_normal")
    return [*map(float, shares), *(risk[f"synthetic_{kind}"] for kind in kinds)]


def share(real: Batch, made: Batch, others: Batch) -> list[float]:
    """Return what readers reach on others from made-up people, above chance, over what they reach from real ones."""
    found, chance = [], 1 / len(real.classes)
    linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.003, max_iter=300))
    for reader in (linear, RandomForestClassifier(200, min_samples_leaf=2, random_state=0)):
        told = [reader.fit(b.arrays["acoustics"], b.labels).predict(others.arrays["acoustics"]) for b in (made, real)]
        synthetic, best = (balanced_accuracy_score(others.labels, each) - chance for each in told)
        found.append(float(synthetic / best))
    return found


def parted(every: Batch, seed: int) -> tuple[Batch, Batch, Batch]:
    """Return who is learned from, controls, public people."""
    people: Array = np.random.default_rng(seed).permutation(np.unique(every.subjects))
    first, second, third = (every.take(np.isin(every.subjects, p)) for p in (people[:16], people[16:32], people[32:]))
    return first, second, third


def frontier(every: Batch, names: list[str], splits: int) -> None:
    """Print mean and range over splits."""
    print("| | linear | forest | people, nearest | people, normal | outliers | canaries, nearest | canaries, normal |")
    for name in names or FRONTIER:
        values = np.array([placed(name, parted(every, seed), seed) for seed in range(splits)])
        told = (f"{v.mean():.2f} ({v.min():.2f}–{v.max():.2f})" for v in values.T)
        print(f"| {name} | {' | '.join(told)} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--frontier", action="store_true")
    parser.add_argument("--splits", type=int, default=3)
    asked = parser.parse_args()
    every = voices(asked.data)
    if asked.frontier:
        frontier(every, asked.names, asked.splits)
        return
    for name in asked.names or ["copies of public people", "copies with noise 0.5", *GENERATORS]:
        start = time.perf_counter()
        found = {
            ".".join(filter(None, (row.method, row.figure, row.subset))): row
            for row in measured(name, parted(every, 0))
        }
        print(f"\n{name} ({time.perf_counter() - start:.0f} s)")
        for measure in SHOWN:
            print(f"| {measure} | {_cell(found[measure])} | {found[measure].control:.2f} |", flush=True)


if __name__ == "__main__":
    main()
