"""The training loop of the small networks: draw a batch, step, stop after a fixed budget."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from personare.core.errors import OptionError

__all__ = ["Budget", "one_core", "seeded", "train"]

Batch = Callable[[np.random.Generator], tuple[Tensor, Tensor]]
Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How long a network is trained; the same for originals and releases, so that attackers can be compared.

    Attributes:
        steps: Batches.
        learning_rate: Its highest value; it rises and falls once (one cycle).
        weight_decay: Of AdamW.
    """

    steps: int = 200
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2

    def __post_init__(self) -> None:
        """Check the options."""
        if self.steps < 2 or not self.learning_rate > 0:
            raise OptionError(
                f"Training needs steps of at least 2 and a learning_rate above 0, given {self.steps} and "
                f"{self.learning_rate}."
            )


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


def train(model: nn.Module, batch: Batch, loss: Loss, *, budget: Budget, rng: np.random.Generator) -> list[float]:
    """Train a model in place and leave it in evaluation mode.

    Args:
        model: Its parameters are trained.
        batch: Draws inputs and targets.
        loss: Of the model's output and the targets.
        budget: How long.
        rng: Draws the batches.

    Returns:
        The loss of every step.

    Example:
        >>> line = nn.Linear(1, 1)
        >>> x = torch.linspace(-1, 1, 32)[:, None]
        >>> losses = train(line, lambda rng: (x, 3 * x), nn.functional.mse_loss,
        ...     budget=Budget(steps=100, learning_rate=0.1), rng=np.random.default_rng(0))
        >>> losses[-1] < 0.1 * losses[0]
        True
    """
    trained = list(model.parameters())
    # foreach/fused kernels gain nothing on such small networks
    steps = torch.optim.AdamW(trained, lr=budget.learning_rate, weight_decay=budget.weight_decay)
    pace = torch.optim.lr_scheduler.OneCycleLR(steps, max_lr=budget.learning_rate, total_steps=budget.steps)
    losses = []
    model.train()
    for _ in range(budget.steps):
        x, target = batch(rng)
        steps.zero_grad()
        value = loss(model(x), target)
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(trained, 5.0)
        steps.step()
        pace.step()
        losses.append(float(value.detach()))
    model.eval()
    return losses
