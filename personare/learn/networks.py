"""The networks: what reads a table, a signal, a picture, words or a voice, small enough for one core.

Where a network may be trained in private nothing in it mixes recordings: GroupNorm and LayerNorm, never BatchNorm.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from personare.core.types import Array


class SavedNetwork(nn.Module):
    """A network that ``core.state`` takes apart: ``settings`` are what it was built with, by name."""

    settings: dict[str, Any]

    def arrays(self) -> dict[str, Array]:
        """Return the weights by name."""
        return {name: tensor.numpy().copy() for name, tensor in self.state_dict().items()}

    @classmethod
    def built(cls, settings: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """Build it again, for use only."""
        with torch.random.fork_rng(devices=[]):  # fresh weights are overwritten: torch's own draws stay as they were
            net = cls(**settings)
        net.load_state_dict({name: torch.from_numpy(np.array(values)) for name, values in arrays.items()})
        return net.eval().requires_grad_(False)


def _dense(ins: int, outs: int) -> tuple[nn.Module, ...]:
    return nn.Linear(ins, outs), nn.LayerNorm(outs), nn.ReLU()


def layers(*sizes: int, dropout: float = 0.0) -> nn.Sequential:
    """Return linear layers of these sizes with a normalized ReLU between them."""
    parts: list[nn.Module] = [nn.Dropout(dropout / 2)]
    for ins, outs in pairwise(sizes[:-1]):
        parts += [*_dense(ins, outs), nn.Dropout(dropout)]
    return nn.Sequential(*parts, nn.Linear(sizes[-2], sizes[-1]))


class Scaling(nn.Module):
    """``asinh((x - center) / scale)``: a fixed part of a network, given from outside.

    It is nearly the standardized feature where that is small and its logarithm where it is large, so it also serves
    unscaled features.
    """

    center: Tensor
    scale: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("center", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))

    def forward(self, x: Tensor) -> Tensor:
        """Return the same shape, (..., features)."""
        return torch.asinh((x - self.center) / self.scale)


class TableMlp(nn.Sequential):
    """(B, features) to (B, width): scaled, through one hidden layer; a second one reads RAVDESS tables no better."""

    def __init__(self, *, features: int, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.scaling = Scaling(features)
        self.body = nn.Sequential(nn.Dropout(dropout / 2), *_dense(features, width), nn.Dropout(dropout))


class MeanAndMaximum(nn.Module):
    """(B, C, ...) to (B, 2 C): over time, or over height and width."""

    def forward(self, x: Tensor) -> Tensor:
        """Return both side by side."""
        flat = x.flatten(2)
        return torch.cat([flat.mean(dim=2), flat.amax(dim=2)], dim=1)


class SignalCnn(nn.Module):
    """Channels scaled, three strided convolutions, mean and maximum over time, one dense layer."""

    def __init__(self, *, channels: int, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.scaling = Scaling(channels)
        parts: list[nn.Module] = []
        for before, after in pairwise((channels, 32, 48, 64)):
            parts += [nn.Conv1d(before, after, 5, stride=2, padding=2), nn.GroupNorm(after // 8, after), nn.ReLU()]
        self.body = nn.Sequential(*parts, MeanAndMaximum())  # (B, 64, T / 8), then (B, 128)
        self.out = nn.Sequential(nn.Dropout(dropout), *_dense(128, width))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, width) of (B, T, channels)."""
        result: Tensor = self.out(self.body(self.scaling(x).transpose(1, 2)))
        return result


class StandardizeEach(nn.Module):
    """Gives every recording mean 0 and deviation 1 of its own, so that no number about other people is needed."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the same shape, (B, ...)."""
        axes = tuple(range(1, x.ndim))
        centered = x - x.mean(dim=axes, keepdim=True)
        return centered / (centered.square().mean(dim=axes, keepdim=True).sqrt() + 1e-3)


class _ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False),
            nn.GroupNorm(after // 8, after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.GroupNorm(after // 8, after),
        )
        self.shortcut = nn.Conv2d(before, after, 1, stride=2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


class ResidualCnn(nn.Sequential):
    """(B, channels, H, W) to (B, width): three residual blocks over a strided stem, mean and maximum, one dense layer.

    For spectrograms (1 channel) and pictures (3).

    **Source:** He et al., CVPR 2016, doi:10.1109/CVPR.2016.90, made small; Wu and He, ECCV 2018, arXiv:1803.08494.
    """

    def __init__(self, *, channels: int, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.body = nn.Sequential(
            StandardizeEach(),
            nn.Conv2d(channels, 16, 5, stride=2, padding=2, bias=False),
            nn.GroupNorm(2, 16),
            nn.ReLU(),
            nn.MaxPool2d(2, ceil_mode=True),
            _ResidualBlock(16, 24),
            _ResidualBlock(24, 48),
            _ResidualBlock(48, 64),  # (B, 64, H / 32, W / 32)
            MeanAndMaximum(),  # (B, 128)
        )
        self.out = nn.Sequential(nn.Dropout(dropout), *_dense(128, width))


class SmallTransformer(nn.Module):
    """(B, L) word buckets (0 is the end) to (B, width): two layers of attention over words and positions, their mean.

    **Source:** Vaswani et al., NeurIPS 2017, arXiv:1706.03762; LayerNorm first, as Xiong et al., ICML 2020,
    arXiv:2002.04745.
    """

    def __init__(self, *, buckets: int, length: int, width: int, size: int = 48) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(buckets + 1, size), nn.Embedding(length, size)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                size, 4, 2 * size, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(2)
        )
        self.out = nn.Sequential(nn.LayerNorm(size), nn.Linear(size, width), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, width) of (B, L) bucket numbers."""
        places = torch.arange(x.shape[1]).expand_as(x)
        mask = (x > 0) | (places == 0)  # (B, L): an empty text still has one place, or attention would divide by 0
        y = self.words(x) + self.places(places)  # (B, L, size)
        for layer in self.layers if len(x) else ():  # of nobody torch cannot make heads
            y = layer(y, src_key_padding_mask=~mask)
        mean = (y * mask[:, :, None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)  # (B, size)
        result: Tensor = self.out(mean)
        return result


class SmallCnn(nn.Module):
    """Four strided convolution blocks, mean and maximum over what is left, linear; with BatchNorm, for attackers."""

    def __init__(self, *, channels: int, outputs: int, width: int = 16, dropout: float = 0.2) -> None:
        super().__init__()
        blocks = (
            nn.Sequential(nn.Conv2d(a, b, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
            for a, b in pairwise((channels, width, 2 * width, 4 * width, 4 * width))
        )
        self.body = nn.Sequential(*blocks, MeanAndMaximum())  # (B, 4 width, H / 16, W / 16), then (B, 8 width)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(8 * width, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outputs) of (B, channels, H, W)."""
        result: Tensor = self.head(self.body(x))
        return result


def _tdnn(a: int, b: int, *, kernel: int, dilation: int) -> nn.Sequential:
    padding = dilation * (kernel - 1) // 2
    return nn.Sequential(nn.Conv1d(a, b, kernel, dilation=dilation, padding=padding), nn.ReLU(), nn.BatchNorm1d(b))


class _Res2Block(nn.Module):
    """Res2Net of four groups between two pointwise layers, squeeze and excitation, residual."""

    def __init__(self, channels: int, dilation: int, groups: int = 4) -> None:
        super().__init__()
        part = channels // groups
        self.before = _tdnn(channels, channels, kernel=1, dilation=1)
        self.parts = nn.ModuleList(_tdnn(part, part, kernel=3, dilation=dilation) for _ in range(groups - 1))
        self.after = _tdnn(channels, channels, kernel=1, dilation=1)
        self.gate = nn.Sequential(
            nn.Conv1d(channels, channels // 4, 1), nn.ReLU(), nn.Conv1d(channels // 4, channels, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the same shape, (B, C, T)."""
        pieces = torch.chunk(self.before(x), len(self.parts) + 1, dim=1)
        done = [pieces[0]]
        for part, piece in zip(self.parts, pieces[1:], strict=True):
            done.append(part(piece + done[-1] if len(done) > 1 else piece))
        y = self.after(torch.cat(done, dim=1))
        result: Tensor = x + y * self.gate(y.mean(dim=2, keepdim=True))
        return result


class Ecapa(nn.Module):
    """The field's speaker encoder, made small: three SE-Res2Net blocks of growing dilation, pooled by attention.

    **Source**: B. Desplanques, J. Thienpondt, K. Demuynck, "ECAPA-TDNN", INTERSPEECH 2020; written anew with fewer
    channels (the challenge's has 512) and no global context in the attention.
    """

    def __init__(self, *, bands: int, channels: int = 96, embedding: int = 96) -> None:
        super().__init__()
        self.first = _tdnn(bands, channels, kernel=5, dilation=1)
        self.blocks = nn.ModuleList(_Res2Block(channels, dilation) for dilation in (2, 3, 4))
        self.join = nn.Sequential(nn.Conv1d(3 * channels, 2 * channels, 1), nn.ReLU())
        self.attention = nn.Sequential(
            nn.Conv1d(2 * channels, channels // 2, 1), nn.Tanh(), nn.Conv1d(channels // 2, 2 * channels, 1)
        )
        self.norm = nn.BatchNorm1d(4 * channels)
        self.last = nn.Linear(4 * channels, embedding)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, embedding) of (B, bands, T)."""
        x = self.first(x)  # (B, C, T)
        outs = []
        for block in self.blocks:
            x = block(x)
            outs.append(x)
        x = self.join(torch.cat(outs, dim=1))  # (B, 2 C, T)
        weight = functional.softmax(self.attention(x), dim=2)
        mean = (weight * x).sum(dim=2)  # (B, 2 C)
        spread = ((weight * x**2).sum(dim=2) - mean**2).clamp_min(1e-4).sqrt()
        result: Tensor = self.last(self.norm(torch.cat([mean, spread], dim=1)))
        return result


class MarginHead(nn.Module):
    """Additive angular margin softmax: embeddings of one person are pulled together, others pushed away by an angle.

    **Source**: J. Deng, J. Guo, N. Xue, S. Zafeiriou, "ArcFace", CVPR 2019; margin 0.2 and scale 30 as in the
    VoicePrivacy 2024 attacker.
    """

    def __init__(self, *, embedding: int, people: int, margin: float = 0.2, scale: float = 30.0) -> None:
        super().__init__()
        self.directions = nn.Parameter(torch.randn(people, embedding) / embedding**0.5)
        self.margin, self.scale = margin, scale

    def loss(self, embeddings: Tensor, people: Tensor) -> Tensor:
        """Return the cross-entropy with the right person's angle made ``margin`` wider."""
        cosine = functional.linear(functional.normalize(embeddings), functional.normalize(self.directions))  # (B, P)
        angle = torch.arccos(cosine.clamp(-1 + 1e-6, 1 - 1e-6))
        wider = torch.cos(angle + self.margin * functional.one_hot(people, cosine.shape[1]))
        return functional.cross_entropy(self.scale * wider, people)
