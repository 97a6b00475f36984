"""A small transformer over hashed words, made of plain linear layers so that gradients can be had person by person."""

import torch
from torch import Tensor, nn

__all__ = ["SmallTransformer"]


class _Layer(nn.Module):
    """Attention, then two linear layers, each beside a shortcut."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_rest = nn.LayerNorm(size), nn.LayerNorm(size)
        self.ask, self.key, self.value, self.out = (nn.Linear(size, size) for _ in range(4))
        self.rest = nn.Sequential(nn.Linear(size, 2 * size), nn.GELU(), nn.Linear(2 * size, size))

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        b, length, size = x.shape
        y = self.before_attention(x)
        ask, key, value = (
            part(y).view(b, length, self.heads, -1).transpose(1, 2) for part in (self.ask, self.key, self.value)
        )  # (B, heads, L, size / heads)
        found = nn.functional.scaled_dot_product_attention(ask, key, value, attn_mask=seen[:, None, None, :])
        x = x + self.out(found.transpose(1, 2).reshape(b, length, size))
        result: Tensor = x + self.rest(self.before_rest(x))
        return result


class SmallTransformer(nn.Module):
    """Two layers of attention over word buckets and positions, mean over the words.

    Args:
        buckets: Of the hash; bucket 0 is the end.
        length: Most words.
        width: Numbers that come out.

    **Source:** Vaswani et al., NeurIPS 2017, arXiv:1706.03762; LayerNorm first, as Xiong et al., ICML 2020,
    arXiv:2002.04745.

    Example:
        >>> SmallTransformer(buckets=50, length=8, width=32)(torch.ones(2, 8, dtype=torch.long)).shape
        torch.Size([2, 32])
    """

    def __init__(self, *, buckets: int, length: int, width: int, size: int = 48) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(buckets + 1, size), nn.Embedding(length, size)
        self.layers = nn.ModuleList(_Layer(size, heads=4) for _ in range(2))
        self.out = nn.Sequential(nn.LayerNorm(size), nn.Linear(size, width), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, width) of (B, L) bucket numbers."""
        places = torch.arange(x.shape[1]).expand_as(x)
        first = torch.zeros_like(x, dtype=torch.bool)
        first[:, 0] = True
        seen = (x > 0) | first  # (B, L): an empty text still has one place, or attention would divide by 0
        found = self.words(x) + self.places(places)  # (B, L, size)
        for layer in self.layers:
            found = layer(found, seen)
        mean = (found * seen[:, :, None]).sum(dim=1) / seen.sum(dim=1, keepdim=True)  # (B, size)
        result: Tensor = self.out(mean)
        return result
