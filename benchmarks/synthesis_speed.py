"""Prints what making people up costs: seconds to learn and to draw, and memory beyond the recordings given.

    OMP_NUM_THREADS=1 python benchmarks/synthesis_speed.py COHORT --modality logmel --plot speed.png

Each figure is taken at several sizes, so that a cost that grows faster than the cohort is seen. Seconds are those of
the clock and, beside them, of the processor (all cores together), which do not suffer from what else runs.
"""

import argparse
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from personare.core import registry
from personare.core.protocols import Generator, Sampler
from personare.core.types import Batch
from personare.data.cohort import open_cohort
from personare.govern.ledger import Ledger
from personare.report.plots import COLORS, drawing
from personare.study.access import open_batch

_FIT_LIMIT_S = 30 * 60
_DRAW_LIMIT_S = 30
_DRAWN = 10_000


@dataclass(frozen=True)
class Cost:
    """What one size costs."""

    size: int
    clock_s: float
    processor_s: float
    memory_mb: float


def main() -> None:
    """Measure, print two tables and draw them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cohort", type=Path)
    parser.add_argument("--method", default="joint")
    parser.add_argument("--modality", action="append", default=[])
    parser.add_argument("--label", default="emotion")
    parser.add_argument("--sizes", type=int, nargs="+", default=[800, 1600, 3200])
    parser.add_argument("--draw", type=int, nargs="+", default=[2500, 5000, _DRAWN])
    parser.add_argument("--plot", type=Path)
    asked = parser.parse_args()
    batch = _read(asked.cohort, asked.modality, asked.label)
    method: Generator = registry.create("personare.synthesize", asked.method, {})
    fits = [_cost(size, partial(_fit, method, _part(batch, size))) for size in asked.sizes]
    sampler = _fit(method, batch)
    draws = [_cost(size, partial(_draw, sampler, size)) for size in asked.draw]
    shapes = ", ".join(f"{name} {' x '.join(map(str, x.shape[1:]))}" for name, x in batch.arrays.items())
    print(f"\n{asked.cohort.name}: {len(batch)} recordings of {len(set(batch.subjects))} people; {shapes}")
    _table("learned from", fits, _FIT_LIMIT_S, max(asked.sizes))
    _table("drawn", draws, _DRAW_LIMIT_S, _DRAWN)
    if asked.plot:
        _plot(fits, draws, asked.plot)


def _read(root: Path, modalities: list[str], label: str) -> Batch:
    with tempfile.TemporaryDirectory() as folder:
        return open_batch(open_cohort(root), label, modalities, Ledger(Path(folder) / "ledger.sqlite")).batch


def _part(batch: Batch, size: int) -> Batch:
    """Return so many recordings, evenly of everybody."""
    return batch.take(np.linspace(0, len(batch) - 1, min(size, len(batch))).astype(int))


def _fit(method: Generator, part: Batch) -> Sampler:
    return method.fit(part, validation=part, rng=np.random.default_rng(0))


def _draw(sampler: Sampler, size: int) -> Batch:
    return sampler(max(1, size // 10), 10, rng=np.random.default_rng(1))


def _cost(size: int, work: Callable[[], object]) -> Cost:
    """Run twice: once for the clock, once for memory, whose measurement takes time."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    seconds = time.perf_counter() - clock, time.process_time() - processor
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return Cost(size, *seconds, peak)


def _table(what: str, costs: list[Cost], limit: float, count: int) -> None:
    print(f"\n| {what} | seconds | of processors | to linear | of the limit | MB allocated |")
    print("|---|---|---|---|---|---|")
    least = costs[0]
    for cost in costs:
        linear = cost.processor_s / least.processor_s / (cost.size / least.size)
        share = cost.clock_s * count / cost.size / limit
        print(
            f"| {cost.size} | {cost.clock_s:.2f} | {cost.processor_s:.2f} | {linear:.2f} | {share:.1%} | "
            f"{cost.memory_mb:.0f} |"
        )


def _plot(fits: list[Cost], draws: list[Cost], path: Path) -> None:
    with drawing():
        figure = Figure(figsize=(9.6, 3.2), layout="constrained", facecolor="white")
        panels = figure.subplots(1, 3)
        kinds = (
            ("Learning", fits, "processor_s", "Seconds of processors"),
            ("Drawing", draws, "processor_s", "Seconds of processors"),
            ("Memory of learning", fits, "memory_mb", "MB beside the recordings"),
        )
        for axes, (title, costs, part, label) in zip(panels, kinds, strict=True):
            sizes, values = [c.size for c in costs], [getattr(c, part) for c in costs]
            axes.plot(sizes, values, "o-", color=COLORS["risk"], label="measured")
            axes.plot([0, sizes[-1]], [0, values[-1]], "--", color=COLORS["muted"], label="in proportion")
            axes.set(title=title, xlabel="Recordings", ylabel=label, xlim=(0, None), ylim=(0, 1.25 * max(values)))
            axes.legend(loc="upper left", frameon=False)
        figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
