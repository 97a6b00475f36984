"""Low-rank adapters of a language model: a few thousand to a few hundred thousand numbers beside frozen weights."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from personare.core.errors import OptionError

PLACES = ("q_proj", "v_proj", "down_proj")
"""Linear layers that get an adapter: what is asked for, what is said of it, what is made of it."""

SCALE = 2.0
"""Alpha over rank, as is usual."""


class Adapter(nn.Module):
    """A frozen linear layer with a low-rank change beside it, or several of which each token takes one.

    **Source**: E. Hu et al., "LoRA", ICLR 2022, arXiv:2106.09685. ``experts``: as the mixture of LoRA experts of
    H. Rahimi et al., "User-VLM 360", arXiv:2502.10636, routed to one by token. Only the second factor moves where the
    first is frozen: Y. Sun et al., "FFA-LoRA", ICLR 2024, arXiv:2403.12313, whose sums over sites and whose noise
    stay exact.
    """

    def __init__(self, base: nn.Linear, *, rank: int, experts: int, freeze_first: bool) -> None:
        super().__init__()
        self.base = base
        first = torch.randn(experts, rank, base.in_features) / base.in_features**0.5
        self.first = nn.Parameter(first, requires_grad=not freeze_first)
        self.second = nn.Parameter(torch.zeros(experts, base.out_features, rank))
        self.route = nn.Linear(base.in_features, experts, bias=False) if experts > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        """Return what the layer makes of x, (..., out), changed."""
        y: Tensor = self.base(x)
        if self.route is None:
            return y + SCALE * nn.functional.linear(nn.functional.linear(x, self.first[0]), self.second[0])
        chances = self.route(x).softmax(dim=-1)  # (..., E)
        share, which = chances.max(dim=-1, keepdim=True)
        only = torch.zeros_like(chances).scatter(-1, which, share)
        changes = torch.einsum("...i,eri,eor->...eo", x, self.first, self.second)
        return y + SCALE * (only[..., None] * changes).sum(dim=-2)


def attach(
    net: nn.Module, *, first: float, rank: int, experts: int = 1, freeze_first: bool = False
) -> dict[str, Adapter]:
    """Put adapters into the layers of a Llama-like network from a share of them on, in place; return them by name."""
    made = {}
    layers: Sequence[nn.Module] = net.model.layers  # type: ignore[assignment, union-attr]
    for number in range(int(first * len(layers)), len(layers)):
        for name, module in list(layers[number].named_modules()):
            parent, _, leaf = name.rpartition(".")
            if leaf in PLACES and isinstance(module, nn.Linear):
                adapter = Adapter(module, rank=rank, experts=experts, freeze_first=freeze_first)
                setattr(layers[number].get_submodule(parent), leaf, adapter)
                made[f"model.layers.{number}.{name}"] = adapter
    if not made:
        raise OptionError(f"This network has no layer with {', '.join(PLACES)}.")
    return made


def detach(net: nn.Module, adapters: dict[str, Adapter]) -> None:
    """Take adapters out again: the network is as it was."""
    for name, adapter in adapters.items():
        parent, _, leaf = name.rpartition(".")
        setattr(net.get_submodule(parent), leaf, adapter.base)
