"""Prints the ways to adapt a generator side by side: what fresh raters say, what it costs, and what attacks find after.

    OMP_NUM_THREADS=1 python benchmarks/adaptation.py COHORT --modality acoustics --method joint [--seeds 3]

COHORT is a folder that `personare import` wrote. A third of the people are kept for judging. Raters are simulated: a
known taste, 15 % errors, a side bias; 300 comparisons and 120 checks of six raters are heard, and six raters who were
never met judge 300 fresh pairs and check 200 fresh recordings of each side. `none` is the generator as it was fitted.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from personare.core import registry
from personare.core.protocols import Sampler
from personare.core.randomness import generator
from personare.core.types import Batch, Result
from personare.data.cohort import open_cohort
from personare.evaluate.experts import failure_rows, win_rows
from personare.evaluate.synthetic import judge_synthetic_risk, judge_synthetic_use
from personare.govern.ledger import Ledger
from personare.learn.reward import feedback_of
from personare.simulate.raters import simulated_votes
from personare.study.access import open_batch, part_people


def main() -> None:
    """Adapt by every method on every split and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cohort", type=Path)
    parser.add_argument("--modality", action="append", default=[])
    parser.add_argument("--label", default="emotion")
    parser.add_argument("--method", default="joint")
    parser.add_argument("--taste", default="direction")
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--recordings", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    ledger = Ledger(given.cohort / "ledger.sqlite")
    batch = open_batch(open_cohort(given.cohort), given.label, given.modality, ledger, texts=False).batch
    for name in ("none", *registry.find("personare.adapt")):
        for seed in range(given.seeds):
            print(name, seed, *measured(batch, given, name, seed), sep=" | ", flush=True)
