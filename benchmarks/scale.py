"""What a study costs as recordings grow: seconds a recording, efficiency of more workers, memory of the parent.

    OMP_NUM_THREADS=1 python benchmarks/scale.py [--recordings 100 1000] [--workers 1 2] [--engine loky]

Hums of half a second, ten takes of each person, are hidden by one voice method, looked at and attacked, in a process of
its own for each row. Only the sums show what limits: the judging of a release is one process's work.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from personare.core.types import Recording, Signal
from personare.data.cohort import CohortWriter, open_cohort, recording_id
from personare.features import audio
from personare.govern.consent import consent_all

RATE_HZ, LENGTH_S, TAKES = 16_000, 0.5, 10
STUDY = """\
attacks = ["voice_prosody"]
utilities = ["prosody"]
[[releases]]
name = "mcadams"
voice = "voice_mcadams"
"""


def write(root: Path, count: int) -> None:
    """Write people who hum at a pitch of their own, louder when angry."""
    rng, writer, subjects = np.random.default_rng(1), CohortWriter(root, name="hums"), []
    t = np.arange(int(RATE_HZ * LENGTH_S)) / RATE_HZ
    for number in range(count):
        person, take = divmod(number, TAKES)
        subject, angry = f"{person + 1:05d}", take % 2
        subjects += [subject] if take == 0 else []
        name = (subject, "01", f"take{take}")
        path, pitch_hz = writer.path(name, "audio", ".wav"), rng.uniform(0.97, 1.03) * (90 + 160 * (person % 37) / 37)
        hum = sum(np.sin(2 * np.pi * k * pitch_hz * t) / k for k in range(1, 12))
        sound = 0.02 * (1 + 4 * angry) * hum + 0.001 * rng.standard_normal(len(t))
        audio.write(path, Signal(values=sound[:, None].astype(np.float32), rate_hz=RATE_HZ))
        labels = {"emotion": ("neutral", "anger")[angry], "sentence": f"S{take // 2}"}
        tracks = {"audio": path.relative_to(root).as_posix()}
        writer.add(Recording(id=recording_id(*name), subject=subject, session="01", tracks=tracks, labels=labels))
    table = pd.DataFrame({"sex": np.resize(["F", "M"], len(subjects)), "age": 30.0}, index=subjects)
    writer.finish(table, consent_all(subjects, ["evaluation"]))


def one(root: Path, out: Path, workers: int, engine: str) -> None:
    """Study a cohort in this process, and print what that cost."""
    import resource

    import personare
    from personare.study.plan import read_plan

    start = time.perf_counter()
    cohort, how = open_cohort(root), personare.Workers(jobs=workers, engine=engine, quiet=True)
    ledger = personare.open_ledger(str(out.with_suffix(".sqlite")), root)
    personare.run_study(cohort, read_plan(STUDY, "scale"), STUDY, out, workers=how, ledger=ledger)
    unit = 1 << (20 if sys.platform == "darwin" else 10)
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    print(json.dumps({"seconds": time.perf_counter() - start, "memory_mb": memory_mb}))


def measured(root: Path, out: Path, workers: int, engine: str) -> dict[str, Any]:
    """Run ``one`` in a process of its own."""
    words = [sys.executable, __file__, "--study", str(root), str(out), str(workers), engine]
    found: dict[str, Any] = json.loads(subprocess.run(words, check=True, capture_output=True).stdout.splitlines()[-1])
    return found


def main() -> None:
    """Print a row for each number of recordings and workers, and the slope of the cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--engine", default="loky")
    asked = parser.parse_args()
    print("recordings  workers  seconds  ms a recording  efficiency  parent MB")
    costs: dict[int, dict[int, float]] = {}
    for count in asked.recordings:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "cohort"
            write(root, count)
            for workers in asked.workers:
                row = measured(root, Path(folder) / f"run{workers}", workers, asked.engine)
                costs.setdefault(workers, {})[count] = seconds = row["seconds"]
                alone = costs[asked.workers[0]][count] * asked.workers[0]
                figures = f"{1000 * seconds / count:15.1f}  {alone / seconds / workers:10.2f}  {row['memory_mb']:9.0f}"
                print(f"{count:10d}  {workers:7d}  {seconds:7.1f} {figures}", flush=True)
    few, many = asked.recordings[0], asked.recordings[-1]
    if few != many:
        for workers, cost in costs.items():
            slope = math.log(cost[many] / cost[few]) / math.log(many / few)
            print(f"slope of the cost over recordings, {workers} workers: {slope:.2f} (1 is linear)")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--study"]:
        one(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
    else:
        main()
