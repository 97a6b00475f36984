"""Measure how long a cohort of ten thousand recordings takes to open, against the limit of one second.

    python benchmarks/open_manifest.py [RECORDINGS]

A cohort of empty sound files with labels (100 people) is written to a temporary folder. Each opening runs in a fresh
process; the time counts from ``open_cohort`` on (imports are given apart). Also printed: opening without the index,
that is reading every sidecar and writing the index again.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from personare.core.types import Recording
from personare.data.cohort import INDEX, CohortWriter, recording_id
from personare.data.labels import EMOTIONS

LIMIT_S = 1.0
RUNS = 5
PEOPLE = 100

OPEN = """
import sys, time
started = time.perf_counter()
from pathlib import Path
from personare.data.cohort import open_cohort
imported = time.perf_counter()
cohort = open_cohort(Path(sys.argv[1]))
print(imported - started, time.perf_counter() - imported, len(cohort.recordings))
"""


def main() -> None:
    """Write the cohort, open it in fresh processes, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", type=int, nargs="?", default=10_000)
    count = parser.parse_args().recordings
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "cohort"
        write(root, count)
        imports, opened = zip(*(open_once(root, count) for _ in range(RUNS)), strict=True)
        (root / INDEX).unlink()
        _, rebuilt = open_once(root, count)
    middle = statistics.median(opened)
    print(f"recordings             {count}")
    print(f"imports                {statistics.median(imports):.3f} s (median of {RUNS})")
    print(f"open                   {middle:.3f} s (median; best {min(opened):.3f}, worst {max(opened):.3f})")
    print(f"share of the {LIMIT_S:.0f} s limit {middle / LIMIT_S:.3f}")
    print(f"open without the index {rebuilt:.3f} s")


def write(root: Path, count: int) -> None:
    """Write a cohort of empty sound files with labels."""
    writer = CohortWriter(root, name="benchmark")
    for i in range(count):
        names = (f"{i % PEOPLE:03d}", "01", f"take{i:05d}")
        path = writer.path(names, "audio", ".wav")
        path.touch()
        writer.add(
            Recording(
                id=recording_id(*names),
                subject=names[0],
                session=names[1],
                tracks={"audio": path.relative_to(root).as_posix()},
                labels={"emotion": EMOTIONS[i % len(EMOTIONS)], "sentence": f"s{i % 12:02d}"},
            )
        )
    people = [f"{n:03d}" for n in range(PEOPLE)]
    writer.finish(pd.DataFrame({"sex": ["F", "M"] * (PEOPLE // 2)}, index=people))


def open_once(root: Path, count: int) -> tuple[float, float]:
    """Return the seconds of the imports and of one opening in a fresh process."""
    answer = subprocess.run(
        [sys.executable, "-c", OPEN, str(root)], capture_output=True, text=True, check=True
    ).stdout.split()
    assert int(answer[2]) == count
    return float(answer[0]), float(answer[1])


if __name__ == "__main__":
    main()
