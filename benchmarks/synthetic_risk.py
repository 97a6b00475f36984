"""What made-up voices give away of real ones, a table: benchmarks/synthetic_risk.py DATA [NAME ...].

DATA has ``crema-d``: acoustic statistics of 40 actors. 16 are learned from, 16 are the control people, 8 are public.
Every generator is fitted once and judged, then sixteen times on halves of the 32, then sixteen times with 8 canaries.
"""

import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from personare.core import registry
from personare.core.types import Array, Batch, Result, Spend
from personare.evaluate.exposed import together
from personare.evaluate.shadow_generators import judge_canaries
from personare.evaluate.synthetic_risk import judge_synthetic_risk

PRIVATE = {"epsilon": 8.0, "delta": 1e-3}
GENERATORS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "copula": ("copula", {}),
    "mvtcae": ("mvtcae", {"epochs": 60}),
    "joint": ("joint", {}),
    "joint, epsilon 8": ("joint", PRIVATE),
    "joint, epsilon 1": ("joint", {"epsilon": 1.0, "delta": 1e-3, "directions": 4}),
    "private_evolution, epsilon 8": ("private_evolution", PRIVATE),
}
SHOWN = (
    "synthetic_membership.neighbor_auc",
    "synthetic_membership.normal_auc",
    "synthetic_shadow.neighbor_auc",
    "synthetic_shadow.normal_auc",
    "synthetic_shadow.normal_exposed_auc",
    "synthetic_canaries.neighbor_auc",
    "synthetic_canaries.normal_auc",
    "synthetic_singling_out.people_risk",
    "synthetic_linkability.halves_risk",
    "synthetic_inference.label_risk",
    "synthetic_inference.values_risk",
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
    return found + judge_canaries(
        together([train, control]), make, strength=0.5, claim=claim, rng=np.random.default_rng(0)
    )


def _cell(row: Result) -> str:
    return f"{row.value:.2f} [{row.low:.2f}, {row.high:.2f}]" + (" (!)" if "ABOVE" in row.note else "")


def main(data: Path, names: list[str]) -> None:
    """Print the table."""
    every = voices(data)
    people: Array = np.random.default_rng(0).permutation(np.unique(every.subjects))
    groups = tuple(every.take(np.isin(every.subjects, part)) for part in (people[:16], people[16:32], people[32:]))
    for name in names or ["copies of public people", "copies with noise 0.5", *GENERATORS]:
        start = time.perf_counter()
        found = {row.measure: row for row in measured(name, (groups[0], groups[1], groups[2]))}
        print(f"\n{name} ({time.perf_counter() - start:.0f} s)")
        for measure in SHOWN:
            print(f"| {measure} | {_cell(found[measure])} | {found[measure].control:.2f} |", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
