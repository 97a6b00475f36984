"""How networks of several modalities are trained: in turns, and stopped by people who were not trained on."""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from personare.core.errors import OptionError
from personare.learn.multimodal import Network, Tensors

__all__ = ["Adjust", "Training", "descend"]

Adjust = Callable[[Network, Tensors, int, float], None]
"""Called after the gradients of a turn are known and before they are used: network, mini-batch, turn, and how
much of the epoch has gone, in [0, 1)."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """The options that all networks share.

    Attributes:
        epochs: Most passes over the recordings; under differential privacy, exactly so many on average.
        batch_size: Recordings a step; under differential privacy, the expected number of units.
        learning_rate: Its highest value; it rises over the first tenth and falls as a cosine.
        weight_decay: Of the optimizer.
        width: Numbers that describe a modality.
        dropout: Share of them left out; 0 under differential privacy, where noise does that.
        modality_dropout: Chance of each modality to be hidden in a step, where another one remains.
        masking: Longest share of the frequencies, and of the time, that is blanked in spectrograms.
        class_weights: Rare classes count more, each as much in total.
        patience: Epochs without a better validation loss before training stops; the best weights are kept.
        optimizer: ``adamw``, or ``sgd`` with momentum 0.9.
    """

    epochs: int = 60
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    width: int = 128
    dropout: float = 0.3
    modality_dropout: float = 0.1
    masking: float = 0.2
    class_weights: bool = False
    patience: int = 12
    optimizer: Literal["adamw", "sgd"] = "adamw"

    def __post_init__(self) -> None:
        """Check the options."""
        for name in ("epochs", "batch_size", "width", "patience"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} must be at least 1, it is {getattr(self, name)}.")
        for name in ("dropout", "modality_dropout", "masking"):
            if not 0 <= getattr(self, name) < 1:
                raise OptionError(f"{name} must be a share from 0 to below 1, it is {getattr(self, name)}.")
        if not self.learning_rate > 0 or self.weight_decay < 0:
            raise OptionError(
                f"learning_rate must be above 0 and weight_decay not negative, they are {self.learning_rate} and "
                f"{self.weight_decay}."
            )
        if self.optimizer not in ("adamw", "sgd"):
            raise OptionError(f"optimizer must be adamw or sgd, it is {self.optimizer!r}.")

    @classmethod
    def of(cls, learner: Any) -> "Training":
        """Return the options of these names that a learner has, checked."""
        return cls(**{f.name: getattr(learner, f.name) for f in fields(cls) if hasattr(learner, f.name)})

    def steps(self, net: nn.Module, total: int) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        """Return what moves the weights, and its pace over ``total`` steps."""
        weights, rate, decay = list(net.parameters()), self.learning_rate, self.weight_decay
        optimizer: torch.optim.Optimizer = (
            torch.optim.AdamW(weights, lr=rate, weight_decay=decay)
            if self.optimizer == "adamw"
            else torch.optim.SGD(weights, lr=rate, momentum=0.9, weight_decay=decay)
        )
        warm = max(1, total // 10)
        return optimizer, torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: min(1.0, (step + 1) / warm) * 0.5 * (1 + math.cos(math.pi * min(1.0, step / total))),
        )


def class_weights(labels: Tensor, classes: int) -> Tensor:
    """Return a weight for each class, (C,), under which all classes that occur count the same."""
    counts = torch.bincount(labels, minlength=classes).float()
    weights = torch.where(counts > 0, 1 / counts.clamp(min=1), 0.0)
    return weights * len(labels) / (counts * weights).sum()


def losses(net: Network, data: Tensors, turn: int, weights: Tensor) -> Tensor:
    """Return what each recording loses in one turn, (B,): weighted cross-entropy, 0 where there is no opinion."""
    logits = net(data.inputs, data.present, turn)
    lost = nn.functional.cross_entropy(logits, data.labels, weight=weights, reduction="none")
    return lost * net.counted(data.present)[:, turn]


def descend(
    net: Network,
    data: Tensors,
    validation: Tensors,
    *,
    training: Training,
    rng: np.random.Generator,
    adjust: Adjust | None = None,
) -> list[float]:
    """Train a network in place: for every batch each turn steps once; end with the weights that validation liked best.

    Args:
        net: Its parameters are trained.
        data: Of the people to learn from.
        validation: Of other people; may be empty, and then the last weights stay.
        training: The options.
        rng: Draws batches and what is hidden.
        adjust: Changes gradients before a step.

    Returns:
        The validation loss of every epoch, mean over turns; empty without validation.
    """
    weights = class_weights(data.labels, _classes(net)) if training.class_weights else torch.ones(_classes(net))
    batches = math.ceil(len(data) / training.batch_size)
    optimizer, pace = training.steps(net, training.epochs * batches)
    seen: list[float] = []
    best = copy.deepcopy(net.state_dict())
    for _ in range(training.epochs):
        net.train()
        for number, rows in enumerate(_batches(len(data), training.batch_size, rng)):
            part = vary(data.take(rows), training, rng)
            for turn in range(net.turns):
                optimizer.zero_grad()
                lost = losses(net, part, turn, weights)
                (lost.sum() / max(1, int(net.counted(part.present)[:, turn].sum()))).backward()  # type: ignore[no-untyped-call]
                if adjust:
                    adjust(net, part, turn, number / batches)
                nn.utils.clip_grad_norm_(net.parameters(), 5.0)
                optimizer.step()
            pace.step()
        if not len(validation):
            continue
        seen.append(_loss(net, validation, weights))
        if seen[-1] <= min(seen):
            best = copy.deepcopy(net.state_dict())
        elif len(seen) - int(np.argmin(seen)) > training.patience:
            break
    if seen:
        net.load_state_dict(best)
    net.eval()
    return seen


def _classes(net: Network) -> int:
    return next(m.out_features for m in reversed(list(net.modules())) if isinstance(m, nn.Linear))


def _batches(count: int, size: int, rng: np.random.Generator) -> Iterator[Tensor]:
    order = torch.from_numpy(rng.permutation(count))
    return (order[start : start + size] for start in range(0, count, size))


@torch.inference_mode()
def _loss(net: Network, data: Tensors, weights: Tensor) -> float:
    net.eval()
    parts = [torch.arange(start, min(start + 256, len(data))) for start in range(0, len(data), 256)]
    total = sum(float(losses(net, data.take(rows), turn, weights).sum()) for rows in parts for turn in range(net.turns))
    return total / max(1, int(net.counted(data.present).sum()))


def vary(data: Tensors, training: Training, rng: np.random.Generator) -> Tensors:
    """Hide modalities and blank stripes of spectrograms, so that no recording looks the same twice.

    **Source:** Neverova et al., ModDrop, TPAMI 2016, doi:10.1109/TPAMI.2015.2461544 (whole modalities); Park et al.,
    SpecAugment, Interspeech 2019, doi:10.21437/Interspeech.2019-2680 (stripes, blanked with the recording's mean).
    """
    hidden = torch.from_numpy(rng.random(tuple(data.present.shape)) < training.modality_dropout)
    left = data.present & ~hidden
    left = torch.where(left.any(dim=1, keepdim=True), left, data.present)
    inputs = tuple(_striped(x, training.masking, rng) if x.ndim == 4 and x.shape[1] == 1 else x for x in data.inputs)
    return Tensors(inputs=inputs, present=left, labels=data.labels)


def _striped(x: Tensor, share: float, rng: np.random.Generator) -> Tensor:
    for axis in (2, 3):
        size = x.shape[axis]
        wide = rng.uniform(0, share * size, (len(x), 1))
        start = rng.uniform(0, size - wide)
        place = np.arange(size)[None]
        blank = torch.from_numpy((place >= start) & (place < start + wide))
        blank = blank[:, None, :, None] if axis == 2 else blank[:, None, None, :]
        x = torch.where(blank, x.mean(dim=(2, 3), keepdim=True), x)
    return x
