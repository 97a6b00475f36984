"""A small one-dimensional convolutional network for signals: physiology, movement, features by frame."""

from itertools import pairwise

import torch
from torch import Tensor, nn

__all__ = ["SignalCnn"]


class SignalCnn(nn.Module):
    """Scaled channels, three strided convolutions, mean and maximum over time, one linear layer.

    Args:
        channels: Of the signal.
        width: Numbers that come out.
        dropout: Before the last layer.

    Example:
        >>> SignalCnn(channels=4, width=32)(torch.zeros(2, 100, 4)).shape
        torch.Size([2, 32])
    """

    center: Tensor
    scale: Tensor

    def __init__(self, *, channels: int, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("center", torch.zeros(channels))
        self.register_buffer("scale", torch.ones(channels))
        layers: list[nn.Module] = []
        for before, after in pairwise((channels, 32, 48, 64)):
            layers += [nn.Conv1d(before, after, 5, stride=2, padding=2), nn.GroupNorm(after // 8, after), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.out = nn.Sequential(nn.Dropout(dropout), nn.Linear(128, width), nn.LayerNorm(width), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, width) of (B, T, channels)."""
        scaled = torch.asinh((x - self.center) / self.scale)
        found = self.body(scaled.transpose(1, 2))  # (B, 64, T / 8)
        pooled = torch.cat([found.mean(dim=2), found.amax(dim=2)], dim=1)  # (B, 128)
        result: Tensor = self.out(pooled)
        return result
