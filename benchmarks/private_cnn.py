"""Measure a private step of a residual network on one core against every mode that Opacus offers, in one run.

    OMP_NUM_THREADS=1 python benchmarks/private_cnn.py

Nobody's recordings are involved. The goal: our step is not slower than Opacus' own best mode.
"""

import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from opacus.grad_sample import GradSampleModule, GradSampleModuleExpandedWeights, GradSampleModuleFastGradientClipping
from opacus.optimizers import DPOptimizer, DPOptimizerFastGradientClipping
from opacus.utils.fast_gradient_clipping_utils import DPLossFastGradientClipping
from torch import Tensor, nn

from personare.learn.networks import ResidualCnn
from personare.learn.privacy import PrivacyPlan
from personare.learn.private_nets import PrivateSteps, Rows

_BATCH, _CLASSES, _ROUNDS = 32, 6, 20


def main() -> None:
    """Print milliseconds a step and their ratio to ours."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    x, y = torch.randn(_BATCH, 1, 64, 128), torch.randint(_CLASSES, (_BATCH,))
    modes = {"without privacy": _plain(x, y), "ours": _ours(x, y), "ours, people of 4": _ours(x, y, people=8)}
    modes |= {f"Opacus {name}": _opacus(x, y, name) for name in ("hooks", "functorch", "ew", "fast", "ghost")}
    spent: dict[str, list[float]] = {name: [] for name in modes}
    for _ in range(_ROUNDS):  # in turn, so that other work on the machine meets all alike
        for name, step in modes.items():
            start = time.process_time()
            step()
            spent[name].append(time.process_time() - start)
    ours = min(spent["ours"])
    for name, seconds in spent.items():
        print(f"{name:18} {1000 * min(seconds):7.1f} ms  {min(seconds) / ours:5.2f}")


def _network() -> nn.Module:
    return ResidualCnn(channels=1, width=_CLASSES)


def _plain(x: Tensor, y: Tensor) -> Callable[[], None]:
    network = _network()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(x), y).backward()
        optimizer.step()

    return step


def _ours(x: Tensor, y: Tensor, people: int = 0) -> Callable[[], None]:
    def loss(network: nn.Module, rows: Rows) -> Tensor:
        return nn.functional.cross_entropy(network(rows["x"]), rows["y"], reduction="none")

    private = PrivateSteps(network=_network(), loss=loss)
    optimizer = torch.optim.SGD(private.network.parameters(), lr=0.1)
    units = people or _BATCH
    plan = PrivacyPlan(epsilon=1, delta=1e-3, unit="recording", units=units, expected_batch=units, steps=_ROUNDS)
    batches = plan.batches(np.random.default_rng(0))
    whose = torch.arange(_BATCH) % people if people else None

    def step() -> None:
        private.release(next(batches), {"x": x, "y": y}, whose=whose)
        optimizer.step()

    return step


def _opacus(x: Tensor, y: Tensor, mode: str) -> Callable[[], None]:
    noise = {"noise_multiplier": 1.0, "max_grad_norm": 1.0, "expected_batch_size": _BATCH}
    network = _network()
    if mode in ("fast", "ghost"):
        wrapped = GradSampleModuleFastGradientClipping(network, max_grad_norm=1.0, use_ghost_clipping=mode == "ghost")
        optimizer = DPOptimizerFastGradientClipping(torch.optim.SGD(wrapped.parameters(), lr=0.1), **noise)
        criterion = DPLossFastGradientClipping(wrapped, optimizer, nn.CrossEntropyLoss())
    else:
        kinds = {"ew": GradSampleModuleExpandedWeights}
        wrapped = (
            kinds[mode](network) if mode in kinds else GradSampleModule(network, force_functorch=mode == "functorch")
        )
        optimizer = DPOptimizer(torch.optim.SGD(wrapped.parameters(), lr=0.1), **noise)
        criterion = nn.CrossEntropyLoss()
    wrapped.train()

    def step() -> None:
        optimizer.zero_grad()
        criterion(wrapped(x), y).backward()
        optimizer.step()

    return step


if __name__ == "__main__":
    main()
