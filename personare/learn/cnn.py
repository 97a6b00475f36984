"""A small convolutional network for pictures and spectrograms, cheap enough for one core."""

from itertools import pairwise

import torch
from torch import Tensor, nn

__all__ = ["SmallCnn"]


class SmallCnn(nn.Module):
    """Four strided convolution blocks, mean and maximum over what is left, one linear layer.

    Example:
        >>> SmallCnn(channels=3, outputs=7)(torch.zeros(2, 3, 48, 48)).shape
        torch.Size([2, 7])
    """

    def __init__(self, *, channels: int, outputs: int, width: int = 16, dropout: float = 0.2) -> None:
        super().__init__()
        sizes = (channels, width, 2 * width, 4 * width, 4 * width)
        blocks = [_block(a, b) for a, b in pairwise(sizes)]
        self.body = nn.Sequential(*blocks)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(8 * width, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outputs) of (B, channels, H, W)."""
        found = self.body(x)  # (B, 4 width, H / 16, W / 16)
        pooled = torch.cat([found.mean(dim=(2, 3)), found.amax(dim=(2, 3))], dim=1)  # (B, 8 width)
        result: Tensor = self.head(pooled)
        return result


def _block(a: int, b: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(a, b, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(b),
        nn.ReLU(),
    )
