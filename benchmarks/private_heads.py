"""Measure private linear heads on one core, as ratios within one run: privacy's cost, and Opacus.

    OMP_NUM_THREADS=1 python benchmarks/private_heads.py

Nobody's recordings are involved. The goals: a private step of everybody at most 1.3 times such a step without
privacy, and a private step at least 5 times faster than the head under Opacus' hooks.
"""

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from opacus.grad_sample import GradSampleModule
from opacus.optimizers import DPOptimizer
from torch import nn

from personare.learn.heads import HeadTraining, fit_head
from personare.learn.privacy import PrivacyPlan

_CLASSES, _STEPS = 6, 60
_SIZES = ((6698, 512, 6698), (6698, 512, 1024), (6698, 128, 512), (1200, 64, 256))


def main() -> None:
    """Print a table."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print(f"{'recordings':>10} {'features':>8} {'batch':>6} {'step ms':>8} {'private/open':>12} {'Opacus/ours':>11}")
    for size in _SIZES:
        step, plain, theirs = _measure(*size)
        whole = f"{step / plain:.2f}" if size[0] == size[2] else ""
        print(f"{size[0]:10} {size[1]:8} {size[2]:6} {step:8.2f} {whole:>12} {theirs / step:11.1f}")


def _measure(n: int, width: int, batch: int) -> tuple[float, ...]:
    """Return milliseconds of a private step, of an open one of everybody, and of Opacus'."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((n, width)).astype(np.float32) / width**0.5
    labels = rng.integers(_CLASSES, size=n)
    plan = PrivacyPlan(epsilon=1, delta=1e-5, unit="recording", units=n, expected_batch=batch, steps=_STEPS)
    plan.spend()  # the price is found once, and kept
    private = _milliseconds(lambda: _fit(features, labels, plan))
    plain = _milliseconds(lambda: _fit(features, labels, None))
    theirs = _milliseconds(lambda: _opacus(features, labels, plan))
    return private, plain, theirs


def _fit(features: np.ndarray, labels: np.ndarray, plan: PrivacyPlan | None) -> Any:
    training = HeadTraining(steps=_STEPS)
    return fit_head(features, labels, classes=_CLASSES, plan=plan, training=training, rng=np.random.default_rng(0))


def _opacus(features: np.ndarray, labels: np.ndarray, plan: PrivacyPlan) -> None:
    """Train the same head on the same kind of batches with per-sample gradients from hooks."""
    head = GradSampleModule(nn.Linear(features.shape[1], _CLASSES))
    optimizer = DPOptimizer(
        torch.optim.SGD(head.parameters(), lr=1.0, momentum=0.9),
        noise_multiplier=plan.noise_multiplier,
        max_grad_norm=1.0,
        expected_batch_size=int(plan.expected_batch),
    )
    x, y = torch.from_numpy(features), torch.from_numpy(labels)
    for batch in plan.batches(np.random.default_rng(0)):
        rows = torch.from_numpy(batch.units)
        optimizer.zero_grad()
        nn.functional.cross_entropy(head(x[rows]), y[rows]).backward()
        optimizer.step()


def _milliseconds(work: Callable[[], Any]) -> float:
    """Return processor milliseconds a step, the better of two: other work on the machine does not count."""
    spent = []
    for _ in range(2):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return 1000 * min(spent) / _STEPS


if __name__ == "__main__":
    main()
