"""The training loop of every network: a batch, a loss, a gradient, a step; in private, gradients that a plan pays."""

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler, OneCycleLR

from personare.core.errors import OptionError
from personare.learn.device import on_device
from personare.learn.private_nets import PrivateSteps


@contextmanager
def seeded(rng: np.random.Generator) -> Iterator[None]:
    """Draw torch's random numbers (weights, dropout) from ``rng``, and leave torch's own state as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**31)))
        yield


@contextmanager
def one_core() -> Iterator[None]:
    """Work on one core: small networks are slower on several, and sums come out the same on every machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def descend(
    net: nn.Module,
    epochs: Iterable[Iterable[Any]],
    losses: Sequence[Callable[[Any], Tensor] | PrivateSteps],
    *,
    optimizer: Optimizer,
    schedule: LRScheduler | None = None,
    adjust: Callable[[Any, int], None] | None = None,
    longest: float = 5.0,
    judge: Callable[[], float] | None = None,
    patience: float = math.inf,
) -> tuple[list[float], list[float]]:
    """Train a network in place, leave it in evaluation mode; return the losses of open steps, and the judgments.

    Every batch is stepped on in every turn, one for each of ``losses``: of a batch one number; or ``PrivateSteps``, and
    then a batch is what their ``release`` takes, a paid batch, its rows, and whose each is. ``adjust`` changes the
    gradients of a batch and a turn, which are cut to the norm ``longest``. ``judge`` is asked after every epoch, lower
    is better: the best weights are kept, and training stops after ``patience`` epochs without better ones.

    **Guarantee**: where losses are ``PrivateSteps``, gradients are cut for each unit and noised, and nothing else looks
    at the people: whoever would stop by their loss, or change a gradient by their numbers, is refused.
    """
    if any(isinstance(loss, PrivateSteps) for loss in losses) and (judge or adjust):
        raise OptionError("Under differential privacy nothing may look at people beside the plan's own batches.")
    step_losses: list[float] = []
    judgments: list[float] = []
    with on_device(net):
        best = net.state_dict()  # the weights themselves: without a judge the last ones stay
        for batches in epochs:
            net.train()
            for batch in batches:
                for turn, loss in enumerate(losses):
                    if isinstance(loss, PrivateSteps):
                        paid_batch, rows, whose = batch
                        loss.release(paid_batch, rows, whose=whose)
                    else:
                        optimizer.zero_grad()
                        value = loss(batch)
                        value.backward()  # type: ignore[no-untyped-call]
                        if adjust:
                            adjust(batch, turn)
                        nn.utils.clip_grad_norm_(net.parameters(), longest)
                        step_losses.append(float(value.detach()))
                    optimizer.step()
                if schedule:
                    schedule.step()
            net.eval()
            if judge:
                judgments.append(judge())
                best = copy.deepcopy(net.state_dict()) if judgments[-1] <= min(judgments) else best
                if len(judgments) - int(np.argmin(judgments)) > patience:
                    break
        net.load_state_dict(best)
    return step_losses, judgments


def shuffled(count: int, size: int, rng: np.random.Generator) -> Iterator[Tensor]:
    """Yield the positions of ``count`` recordings in a new order, ``size`` at a time."""
    return iter(torch.split(torch.from_numpy(rng.permutation(count)), size))


def warm_cosine(optimizer: Optimizer, total: int) -> LRScheduler:
    """Let the rate rise over the first tenth of all steps and fall as a cosine."""
    warm = max(1, total // 10)
    return LambdaLR(
        optimizer,
        lambda step: min(1.0, (step + 1) / warm) * 0.5 * (1 + math.cos(math.pi * min(1.0, step / total))),
    )


def train(
    model: nn.Module,
    batch: Callable[[np.random.Generator], tuple[Tensor, Tensor]],
    loss: Callable[[Tensor, Tensor], Tensor],
    *,
    steps: int,
    rng: np.random.Generator,
    learning_rate: float = 3e-3,
) -> list[float]:
    """Train a model in place on drawn inputs and targets, the rate rising and falling once; return the losses."""
    optimizer = AdamW(model.parameters(), lr=learning_rate, weight_decay=1e-2)
    schedule = OneCycleLR(optimizer, max_lr=learning_rate, total_steps=steps)
    draws = (batch(rng) for _ in range(steps))
    return descend(
        model, [draws], [lambda pair: loss(model(pair[0]), pair[1])], optimizer=optimizer, schedule=schedule
    )[0]


def train_rows(
    net: nn.Module,
    count: int,
    loss: Callable[[Tensor, float], Tensor],
    *,
    epochs: int,
    rng: np.random.Generator,
    learning_rate: float = 1e-3,
    judge: Callable[[], float] | None = None,
) -> None:
    """Train a network in place on ``count`` recordings, 64 a step, the rate falling as a cosine; see ``descend``.

    ``loss`` is of the positions of a step's recordings, and of how much of the training has gone, in [0, 1).
    """
    optimizer = AdamW(net.parameters(), lr=learning_rate, weight_decay=1e-2)
    schedule = CosineAnnealingLR(optimizer, epochs)

    def batches() -> Iterator[Iterator[tuple[Tensor, float]]]:
        for epoch in range(epochs):
            yield ((rows, epoch / epochs) for rows in shuffled(count, 64, rng) if len(rows) > 1)
            schedule.step()

    with seeded(rng):
        descend(net, batches(), [lambda batch: loss(*batch)], optimizer=optimizer, judge=judge)
