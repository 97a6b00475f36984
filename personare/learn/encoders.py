"""Which network reads a modality: chosen by the shape of its array, or named."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from personare.core.errors import DataError, OptionError
from personare.core.types import Array
from personare.learn.pretrained import describe
from personare.learn.residual import ResidualCnn
from personare.learn.signals import SignalCnn
from personare.learn.text import ngrams, tokens
from personare.learn.transformer import SmallTransformer

__all__ = ["Encoding", "TableMlp", "choose"]

Kind = Literal["table", "signal", "picture", "ngrams", "transformer", "pretrained"]
NGRAM_BUCKETS = 4096
WORD_BUCKETS = 4096
WORDS = 64


class TableMlp(nn.Module):
    """Scaled features through one hidden layer; a second one reads RAVDESS tables no better.

    The scaling is a fixed part of the network, given from outside: ``asinh((x - center) / scale)`` is nearly the
    standardized feature where it is small and its logarithm where it is large, so it also serves unscaled features.

    Args:
        features: Numbers that come in.
        width: Numbers that come out.
        dropout: After the layer; half of it before.

    Example:
        >>> TableMlp(features=10, width=32)(torch.zeros(2, 10)).shape
        torch.Size([2, 32])
    """

    center: Tensor
    scale: Tensor

    def __init__(self, *, features: int, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("center", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.body = nn.Sequential(
            nn.Dropout(dropout / 2),
            nn.Linear(features, width),
            nn.LayerNorm(width),
            nn.ReLU(),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, width) of (B, features)."""
        result: Tensor = self.body(torch.asinh((x - self.center) / self.scale))
        return result


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How one modality is read: a fixed public description first, then a network that learns.

    Attributes:
        kind: ``table``, ``signal``, ``picture`` (spectrograms too), ``ngrams``, ``transformer`` or ``pretrained``.
        shape: Of one recording's array; empty for text.
        folder: Of a pretrained model.
        described: How many numbers a pretrained model describes a recording with.
    """

    kind: Kind
    shape: tuple[int, ...]
    folder: str = ""
    described: int = 0

    def prepare(self, values: Array) -> Tensor:
        """Return what the network takes of N recordings' arrays; nothing in here is learned.

        Raises:
            DataError: The arrays have another shape than those learned from.
        """
        if tuple(values.shape[1:]) != self.shape:
            raise DataError(
                f"Recordings must have the shape {self.shape} that the model has learned from, they have "
                f"{tuple(values.shape[1:])}: describe them as the recordings of training."
            )
        if self.kind == "ngrams":
            return torch.from_numpy(ngrams(values.tolist(), buckets=NGRAM_BUCKETS))
        if self.kind == "transformer":
            return torch.from_numpy(tokens(values.tolist(), buckets=WORD_BUCKETS, length=WORDS))
        if self.kind == "pretrained":
            return torch.from_numpy(describe(values, self.folder))
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))

    def network(self, *, width: int, dropout: float) -> nn.Module:
        """Return a fresh network that makes ``width`` numbers of what ``prepare`` returns."""
        if self.kind == "signal":
            return SignalCnn(channels=self.shape[1], width=width, dropout=dropout)
        if self.kind == "picture":
            return ResidualCnn(channels=self.shape[0], width=width, dropout=dropout)
        if self.kind == "transformer":
            return SmallTransformer(buckets=WORD_BUCKETS, length=WORDS, width=width)
        features = {"table": self.shape[0] if self.shape else 0, "ngrams": NGRAM_BUCKETS, "pretrained": self.described}
        return TableMlp(features=features[self.kind], width=width, dropout=dropout)


def choose(modality: str, values: Array, named: Mapping[str, str]) -> Encoding:
    """Return how a modality is read.

    Args:
        modality: Its name.
        values: Its (N, ...) array.
        named: Choices by modality: a kind, or ``pretrained:FOLDER``; where there is none the shape decides.

    Raises:
        OptionError: The kind does not exist or does not suit the array.
        DataError: The array has a shape that means nothing to personare.

    Example:
        >>> choose("face", np.zeros((5, 3, 32, 32), dtype=np.float32), {}).kind
        'picture'
    """
    natural = _natural(modality, values)
    kind, _, folder = named.get(modality, natural).partition(":")
    fitting = (natural, "pretrained") + (("transformer",) if natural == "ngrams" else ())
    if kind not in get_args(Kind) or kind not in fitting or (kind == "pretrained") != bool(folder):
        raise OptionError(
            f"The encoder of {modality} must be one of {', '.join(fitting)} for its arrays (with a folder, as in "
            f"pretrained:FOLDER), it is {named.get(modality)!r}."
        )
    shape = tuple(int(n) for n in values.shape[1:])
    described = describe(values[:1], folder).shape[1] if folder else 0
    return Encoding(kind=kind, shape=shape, folder=folder, described=described)  # type: ignore[arg-type]


def _natural(modality: str, values: Array) -> Kind:
    if values.dtype.kind == "U" and values.ndim == 1:
        return "ngrams"
    if values.dtype.kind == "f" and values.ndim in (2, 3, 4) and (values.ndim < 4 or values.shape[1] in (1, 3)):
        kinds: dict[int, Kind] = {2: "table", 3: "signal", 4: "picture"}
        return kinds[values.ndim]
    raise DataError(
        f"{modality} must be a float array (N, features), (N, time, channels), (N, 1, frequency, time) or "
        f"(N, 3, height, width), or text (N,), it is {values.dtype} {values.shape}."
    )
