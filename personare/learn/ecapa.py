"""A small ECAPA-TDNN: the network that names speakers in the field's privacy challenges, sized for one core."""

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Ecapa"]


class Ecapa(nn.Module):
    """Three SE-Res2Net blocks of growing dilation, aggregated, pooled by attention to mean and spread.

    **Source**: B. Desplanques, J. Thienpondt, K. Demuynck, "ECAPA-TDNN", INTERSPEECH 2020; written anew with fewer
    channels (the challenge's has 512) and no global context in the attention.

    Example:
        >>> Ecapa(bands=64, channels=32)(torch.zeros(2, 64, 100)).shape
        torch.Size([2, 96])
    """

    def __init__(self, *, bands: int, channels: int = 96, embedding: int = 96) -> None:
        super().__init__()
        self.first = _tdnn(bands, channels, kernel=5, dilation=1)
        self.blocks = nn.ModuleList(_Block(channels, dilation) for dilation in (2, 3, 4))
        self.join = nn.Sequential(nn.Conv1d(3 * channels, 2 * channels, 1), nn.ReLU())
        self.attention = nn.Sequential(
            nn.Conv1d(2 * channels, channels // 2, 1), nn.Tanh(), nn.Conv1d(channels // 2, 2 * channels, 1)
        )
        self.norm = nn.BatchNorm1d(4 * channels)
        self.last = nn.Linear(4 * channels, embedding)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, embedding) of (B, bands, T)."""
        x = self.first(x)  # (B, C, T)
        found = []
        for block in self.blocks:
            x = block(x)
            found.append(x)
        x = self.join(torch.cat(found, dim=1))  # (B, 2 C, T)
        weight = functional.softmax(self.attention(x), dim=2)
        mean = (weight * x).sum(dim=2)  # (B, 2 C)
        spread = ((weight * x**2).sum(dim=2) - mean**2).clamp_min(1e-4).sqrt()
        result: Tensor = self.last(self.norm(torch.cat([mean, spread], dim=1)))
        return result


def _tdnn(a: int, b: int, *, kernel: int, dilation: int) -> nn.Sequential:
    padding = dilation * (kernel - 1) // 2
    return nn.Sequential(nn.Conv1d(a, b, kernel, dilation=dilation, padding=padding), nn.ReLU(), nn.BatchNorm1d(b))


class _Block(nn.Module):
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
