"""What learners of several modalities share: checked tensors with a mask of what is missing, and networks over them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from personare.core.errors import DataError
from personare.core.types import Array, Batch
from personare.learn.encoders import Encoding, TableMlp
from personare.learn.signals import SignalCnn

__all__ = [
    "Joined",
    "Network",
    "Separate",
    "Tensors",
    "build",
    "check",
    "check_arrays",
    "opinions",
    "prepare",
    "set_scaling",
]


def check(train: Batch, validation: Batch) -> None:
    """Refuse recordings from which nothing sound can be learned.

    Raises:
        DataError: One class or one person alone, a modality that nobody has, features that are not numbers, other
            modalities or classes in validation, or the same recordings in both.
    """
    check_arrays(train)
    check_arrays(validation)
    if len(np.unique(train.labels)) < 2:
        raise DataError(
            f"A learner needs recordings of at least two classes, {len(train)} recordings of "
            f"{len(np.unique(train.labels))} were given: add recordings or choose another label."
        )
    if len(np.unique(train.subjects)) < 2:
        raise DataError("A learner needs recordings of at least two people, or it learns one person: add people.")
    if not train.arrays:
        raise DataError("A learner needs at least one modality, none was given: name the tracks to learn from.")
    for modality, present in train.present.items():
        if not present.any():
            raise DataError(f"{modality} is absent from all {len(train)} recordings: leave this modality out.")
    if validation.classes != train.classes or set(validation.arrays) != set(train.arrays):
        raise DataError(
            f"Training and validation must have the same classes and modalities: {train.classes} and "
            f"{sorted(train.arrays)} against {validation.classes} and {sorted(validation.arrays)}."
        )
    if shared := sorted(set(train.ids) & set(validation.ids)):
        raise DataError(
            f"{len(shared)} recordings are in training and in validation, e.g. {shared[0]}: split the cohort again."
        )


def check_arrays(batch: Batch) -> None:
    """Refuse arrays that do not belong together, or hold what is not a number.

    Raises:
        DataError: Which modality, and what to do.
    """
    n = len(batch.ids)
    if len(batch.labels) != n or len(batch.subjects) != n or set(batch.present) != set(batch.arrays):
        raise DataError(f"Labels, subjects and masks must be given for all {n} recordings and every modality.")
    if n and not (batch.labels.min() >= 0 and batch.labels.max() < len(batch.classes)):
        raise DataError(f"Labels must be positions in the {len(batch.classes)} classes {batch.classes}.")
    for modality, values in batch.arrays.items():
        present = batch.present[modality]
        if len(values) != n or present.shape != (n,) or present.dtype != bool:
            raise DataError(f"{modality} must have one row and one bool mask for each of the {n} recordings.")
        if values.dtype.kind != "f":
            continue
        broken = ~np.isfinite(values).reshape(n, -1).all(axis=1) if values.size else np.zeros(n, dtype=bool)
        if (broken & present).any():
            first = batch.ids[int(np.flatnonzero(broken & present)[0])]
            raise DataError(
                f"{modality} holds NaN or infinite values in {int((broken & present).sum())} recordings, e.g. {first}: "
                "describe them again, or mark the modality as missing there."
            )


@dataclass(frozen=True, kw_only=True)
class Tensors:
    """Recordings as the networks take them.

    Attributes:
        inputs: By modality, (N, ...).
        present: (N, M) bool.
        labels: (N,) int64.
    """

    inputs: tuple[Tensor, ...]
    present: Tensor
    labels: Tensor

    def __len__(self) -> int:
        """Return how many recordings there are."""
        return len(self.labels)

    def take(self, rows: Tensor) -> "Tensors":
        """Return these rows."""
        return Tensors(inputs=tuple(x[rows] for x in self.inputs), present=self.present[rows], labels=self.labels[rows])


def prepare(batch: Batch, encodings: Mapping[str, Encoding]) -> Tensors:
    """Describe a batch; the order of modalities is that of ``encodings``.

    Raises:
        DataError: A modality the model was trained with is not in the batch, or has another shape.
    """
    if absent := sorted(set(encodings) - set(batch.arrays)):
        raise DataError(
            f"The model was trained with {', '.join(encodings)}, and the batch has no {', '.join(absent)}: give it "
            "with a mask of False where it is missing."
        )
    masks = [torch.from_numpy(np.ascontiguousarray(batch.present[m])) for m in encodings]
    return Tensors(
        inputs=tuple(
            _blank(encoding.prepare(batch.arrays[m]), mask)
            for (m, encoding), mask in zip(encodings.items(), masks, strict=True)
        ),
        present=torch.stack(masks, dim=1),  # (N, M)
        labels=torch.from_numpy(np.ascontiguousarray(batch.labels, dtype=np.int64)),
    )


def _blank(x: Tensor, present: Tensor) -> Tensor:
    """Put zeros where the modality is missing, whatever the file held there."""
    mask = present.view(-1, *([1] * (x.ndim - 1)))
    return torch.where(mask, x, torch.zeros((), dtype=x.dtype))


class Separate(nn.Module):
    """One opinion for each modality: an encoder each, and a head each or one head that all share.

    Args:
        encoders: One for each modality, all of the same width.
        width: Numbers an encoder makes.
        classes: How many.
        shared: One head for all.
    """

    def __init__(self, encoders: list[nn.Module], *, width: int, classes: int, shared: bool) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(encoders)
        self.heads = nn.ModuleList(nn.Linear(width, classes) for _ in range(1 if shared else len(encoders)))
        self.turns = len(encoders)

    def head(self, turn: int) -> nn.Linear:
        """Return the head that reads modality ``turn``."""
        found = self.heads[turn if len(self.heads) > 1 else 0]
        assert isinstance(found, nn.Linear)
        return found

    def counted(self, present: Tensor) -> Tensor:
        """Return (B, turns): where there is an opinion."""
        return present

    def represent(self, data: Tensors) -> Tensor:
        """Return (B, M * width): what the heads read, zeros where a modality is missing."""
        found = [e(x) * p[:, None] for e, x, p in zip(self.encoders, data.inputs, data.present.T, strict=True)]
        return torch.cat(found, dim=1)

    def forward(self, inputs: tuple[Tensor, ...], present: Tensor, turn: int) -> Tensor:
        """Return the logits (B, C) of one modality."""
        result: Tensor = self.head(turn)(self.encoders[turn](inputs[turn]))
        return result


class Joined(nn.Module):
    """One opinion of all modalities: their encodings side by side, zeros and a mask bit where one is missing.

    Args:
        encoders: One for each modality, all of the same width.
        width: Numbers an encoder makes.
        classes: How many.
    """

    turns = 1

    def __init__(self, encoders: list[nn.Module], *, width: int, classes: int) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(encoders)
        self.head = nn.Linear(len(encoders) * (width + 1), classes)

    def counted(self, present: Tensor) -> Tensor:
        """Return (B, 1): where anything is present."""
        return present.any(dim=1, keepdim=True)

    def represent(self, data: Tensors) -> Tensor:
        """Return (B, M * (width + 1)): what the head reads."""
        found = [e(x) * p[:, None] for e, x, p in zip(self.encoders, data.inputs, data.present.T, strict=True)]
        return torch.cat([*found, data.present.float()], dim=1)

    def forward(self, inputs: tuple[Tensor, ...], present: Tensor, turn: int) -> Tensor:
        """Return the logits (B, C)."""
        data = Tensors(inputs=inputs, present=present, labels=present[:, 0])
        result: Tensor = self.head(self.represent(data))
        return result


Network = Separate | Joined
Shape = Literal["separate", "shared", "joined"]


def build(shape: Shape, encodings: Mapping[str, Encoding], *, width: int, dropout: float, classes: int) -> Network:
    """Return a fresh network; its weights come from torch's own randomness (see ``loop.seeded``)."""
    encoders = [encoding.network(width=width, dropout=dropout) for encoding in encodings.values()]
    if shape == "joined":
        return Joined(encoders, width=width, classes=classes)
    return Separate(encoders, width=width, classes=classes, shared=shape == "shared")


def set_scaling(net: Network, data: Tensors) -> None:
    """Give every encoder that scales features the mean and deviation of ``data``, where the modality is present.

    Under differential privacy ``data`` must be public: these numbers stay in the model.
    """
    for encoder, x, present in zip(net.encoders, data.inputs, data.present.T, strict=True):
        if isinstance(encoder, (TableMlp, SignalCnn)) and present.any():
            seen = x[present].flatten(end_dim=-2)  # (rows, features)
            encoder.center.copy_(seen.mean(dim=0))
            spread = seen.std(dim=0, correction=0)
            encoder.scale.copy_(torch.where(spread > 1e-6, spread, 1.0))


@torch.inference_mode()
def opinions(net: Network, data: Tensors) -> tuple[Array, Array]:
    """Return logits (N, turns, C) and where they count (N, turns)."""
    net.eval()
    found = torch.stack([net(data.inputs, data.present, turn) for turn in range(net.turns)], dim=1)
    return found.numpy(), net.counted(data.present).numpy()
