"""A small residual network for spectrograms and pictures, with nothing in it that mixes recordings."""

import torch
from torch import Tensor, nn

__all__ = ["ResidualCnn", "standardize_each"]


def standardize_each(x: Tensor) -> Tensor:
    """Return every recording with mean 0 and deviation 1 of its own, so that no number about other people is needed."""
    axes = tuple(range(1, x.ndim))
    centered = x - x.mean(dim=axes, keepdim=True)
    return centered / (centered.square().mean(dim=axes, keepdim=True).sqrt() + 1e-3)


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(max(1, channels // 8), channels)


class _Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, before: int, after: int, *, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
            _norm(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            _norm(after),
        )
        self.shortcut = nn.Conv2d(before, after, 1, stride=stride, bias=False) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


class ResidualCnn(nn.Module):
    """Three residual blocks over a strided stem, mean and maximum over what is left, one linear layer.

    GroupNorm throughout: BatchNorm mixes recordings, and no private training allows that.

    Args:
        channels: 1 for spectrograms, 3 for pictures.
        width: Numbers that come out.
        dropout: Before the last layer.

    **Source:** He et al., CVPR 2016, doi:10.1109/CVPR.2016.90, made small; Wu and He, ECCV 2018, arXiv:1803.08494.

    Example:
        >>> ResidualCnn(channels=1, width=32)(torch.zeros(2, 1, 40, 51)).shape
        torch.Size([2, 32])
    """

    def __init__(self, *, channels: int, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, 16, 5, stride=2, padding=2, bias=False),
            _norm(16),
            nn.ReLU(),
            nn.MaxPool2d(2, ceil_mode=True),
            _Block(16, 24, stride=2),
            _Block(24, 48, stride=2),
            _Block(48, 64, stride=2),
        )
        self.out = nn.Sequential(nn.Dropout(dropout), nn.Linear(128, width), nn.LayerNorm(width), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, width) of (B, channels, H, W)."""
        found = self.body(standardize_each(x))  # (B, 64, H / 32, W / 32)
        pooled = torch.cat([found.mean(dim=(2, 3)), found.amax(dim=(2, 3))], dim=1)  # (B, 128)
        result: Tensor = self.out(pooled)
        return result
