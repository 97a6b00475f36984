"""How networks that squeeze recordings into a few numbers are built and trained."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from personare.core.errors import DataError, OptionError
from personare.core.types import Array
from personare.learn.loop import seeded

__all__ = ["Descent", "layers", "load_arrays", "tell_apart"]

Loss = Callable[[Tensor, float], Tensor]
"""Of the rows of a step, and how much of the training has gone, in [0, 1); lower is better."""


@dataclass(frozen=True, kw_only=True)
class Descent:
    """How long and how fast such a network learns.

    Attributes:
        epochs: Passes over the recordings.
        batch_size: Recordings a step.
        learning_rate: Of AdamW; falls as a cosine.
        weight_decay: Of AdamW.

    Example:
        >>> Descent(epochs=3).batch_size
        64
    """

    epochs: int = 40
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2

    def __post_init__(self) -> None:
        """Check the options."""
        if self.epochs < 1 or self.batch_size < 2 or not self.learning_rate > 0 or self.weight_decay < 0:
            raise OptionError(
                "epochs must be at least 1, batch_size at least 2, learning_rate above 0 and weight_decay not "
                f"negative; they are {self.epochs}, {self.batch_size}, {self.learning_rate} and {self.weight_decay}."
            )

    def __call__(
        self,
        net: nn.Module,
        rows: int,
        loss: Loss,
        *,
        rng: np.random.Generator,
        judge: Callable[[], float] | None = None,
        since: int = 0,
    ) -> None:
        """Train in place and leave the network in evaluation mode.

        Args:
            net: Its parameters are trained.
            rows: How many recordings there are.
            loss: Of the positions of the recordings in a step.
            rng: Order, dropout and noise follow from it.
            judge: After every epoch, lower is better, and the best weights are kept. None: the last.
            since: First epoch that may be kept.
        """
        steps = torch.optim.AdamW(net.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)
        pace = torch.optim.lr_scheduler.CosineAnnealingLR(steps, self.epochs)
        best, kept = float("inf"), net.state_dict()
        with seeded(rng):
            for epoch in range(self.epochs):
                net.train()
                for chosen in torch.split(torch.from_numpy(rng.permutation(rows)), self.batch_size):
                    if len(chosen) < 2:
                        continue
                    steps.zero_grad()
                    loss(chosen, epoch / self.epochs).backward()  # type: ignore[no-untyped-call]
                    nn.utils.clip_grad_norm_(net.parameters(), 5.0)
                    steps.step()
                pace.step()
                net.eval()
                value = judge() if judge else -float(epoch)
                if value < best and epoch >= min(since, self.epochs - 1):
                    best, kept = value, copy.deepcopy(net.state_dict())
        net.load_state_dict(kept)
        net.eval()


def layers(*sizes: int, dropout: float = 0.0) -> nn.Sequential:
    """Return linear layers of these sizes with a normalized ReLU between them.

    Example:
        >>> layers(10, 32, 4)(torch.zeros(2, 10)).shape
        torch.Size([2, 4])
    """
    parts: list[nn.Module] = [nn.Dropout(dropout / 2)]
    for ins, outs in pairwise(sizes[:-1]):
        parts += [nn.Linear(ins, outs), nn.LayerNorm(outs), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*parts, nn.Linear(sizes[-2], sizes[-1]))


def load_arrays(net: nn.Module, tensors: Mapping[str, Array]) -> nn.Module:
    """Give a network the weights of ``state_dict`` arrays named ``net.*``, for use only.

    Raises:
        DataError: They belong to another network.
    """
    own = {n.removeprefix("net."): torch.from_numpy(np.array(v)) for n, v in tensors.items() if n.startswith("net.")}
    try:
        net.load_state_dict(own)
    except RuntimeError as error:
        raise DataError(f"These are not the weights of this network ({error}): fit it again.") from error
    return net.eval().requires_grad_(False)


def tell_apart(train_labels: Array, classes: int) -> Tensor:
    """Return weights under which all classes that occur count the same in total, (C,).

    Example:
        >>> tell_apart(np.array([0, 0, 0, 1]), 3).tolist()
        [0.6666666865348816, 2.0, 0.0]
    """
    counts = np.bincount(train_labels, minlength=classes)
    there = counts > 0
    weights = np.where(there, len(train_labels) / np.maximum(counts, 1) / max(1, there.sum()), 0)
    return torch.from_numpy(weights.astype(np.float32))
