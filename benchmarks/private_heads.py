"""Measure private linear heads on one core, as ratios within one run: shadow heads together, privacy's cost, Opacus.

    OMP_NUM_THREADS=1 python benchmarks/private_heads.py

Nobody's recordings are involved. The goals: 64 shadow heads together at least 10 times faster than one after another,
a private step at most 1.3 times a step without privacy, and at least 5 times faster than the head under Opacus' hooks.
How much heads gain from being together depends on the batch: where one head alone keeps the core busy with arithmetic
(everybody in every step), there is less to gain. So several sizes are shown.
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

from personare.learn.heads import Examples, HeadTraining, fit_heads
from personare.learn.privacy import PrivacyPlan

_CLASSES, _SHADOWS, _STEPS = 6, 64, 60
_SIZES = ((6698, 512, 6698), (6698, 512, 1024), (6698, 128, 512), (1200, 64, 256))


def main() -> None:
    """Print a table."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print(
        f"{'recordings':>10} {'features':>8} {'batch':>6} {'step ms':>8} {'private/open':>12} {'Opacus/ours':>11} ",
        end="",
    )
    print(f"{'64 one by one/together':>22}")
    for size in _SIZES:
        step, *ratios = _measure(*size)
        print(f"{size[0]:10} {size[1]:8} {size[2]:6} {step:8.2f} {ratios[0]:12.2f} {ratios[1]:11.1f} {ratios[2]:22.1f}")


def _measure(n: int, width: int, batch: int) -> tuple[float, ...]:
    """Return milliseconds of a private step, and the three ratios."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((n, width)).astype(np.float32) / width**0.5
    labels = rng.integers(_CLASSES, size=n)
    one = Examples(features=features, labels=labels, classes=_CLASSES)
    many = Examples(features=features, labels=labels, classes=_CLASSES, inside=rng.random((_SHADOWS, n)) < 0.5)
    plan = PrivacyPlan(epsilon=1, delta=1e-5, unit="recording", units=n, expected_batch=batch, steps=_STEPS)
    plan.spend()  # the price is found once, and kept
    private = _milliseconds(lambda: _fit(one, plan, 0))
    plain = _milliseconds(lambda: _fit(one, None, 0 if batch == n else batch))
    shadows = _milliseconds(lambda: _fit(many, plan, 0))
    theirs = _milliseconds(lambda: _opacus(features, labels, plan))
    return private, private / plain, theirs / private, _SHADOWS * private / shadows


def _fit(examples: Examples, plan: PrivacyPlan | None, batch: int) -> Any:
    options = HeadTraining(steps=_STEPS, batch=batch)
    return fit_heads(examples, plan=plan, options=options, rng=np.random.default_rng(0))


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
