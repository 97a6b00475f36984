"""Low-rank adapters of a language model: a few thousand to a few hundred thousand numbers beside frozen weights."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from personare.core.errors import OptionError

TARGET_MODULES = ("q_proj", "v_proj", "down_proj")
"""Linear layers that get an adapter: what is asked for, what is said of it, what is made of it."""

SCALING = 2.0
"""Alpha over rank, as is usual."""


class LoraLinear(nn.Module):
    """A frozen linear layer with a low-rank change beside it, or several of which each token takes one.

    **Source**: E. Hu et al., "LoRA", ICLR 2022, arXiv:2106.09685. ``experts``: as the mixture of LoRA experts of
    H. Rahimi et al., "User-VLM 360", arXiv:2502.10636, routed to one by token. Only B moves where A is
    frozen: Y. Sun et al., "FFA-LoRA", ICLR 2024, arXiv:2403.12313, whose sums over sites and whose noise
    stay exact.
    """

    def __init__(self, base: nn.Linear, *, rank: int, experts: int, freeze_a: bool) -> None:
        super().__init__()
        self.base = base
        lora_a = torch.randn(experts, rank, base.in_features) / base.in_features**0.5
        self.lora_a = nn.Parameter(lora_a, requires_grad=not freeze_a)
        self.lora_b = nn.Parameter(torch.zeros(experts, base.out_features, rank))
        self.router = nn.Linear(base.in_features, experts, bias=False) if experts > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        """Return what the layer makes of x, (..., out), changed."""
        y: Tensor = self.base(x)
        if self.router is None:
            return y + SCALING * nn.functional.linear(nn.functional.linear(x, self.lora_a[0]), self.lora_b[0])
        chances = self.router(x).softmax(dim=-1)  # (..., E)
        share, which = chances.max(dim=-1, keepdim=True)
        only = torch.zeros_like(chances).scatter(-1, which, share)
        changes = torch.einsum("...i,eri,eor->...eo", x, self.lora_a, self.lora_b)
        return y + SCALING * (only[..., None] * changes).sum(dim=-2)


def attach(
    net: nn.Module, *, from_share: float, rank: int, experts: int = 1, freeze_a: bool = False
) -> dict[str, LoraLinear]:
    """Put adapters into the layers of a Llama-like network from a share of them on, in place; return them by name."""
    made = {}
    layers: Sequence[nn.Module] = net.model.layers  # type: ignore[assignment, union-attr]
    for number in range(int(from_share * len(layers)), len(layers)):
        for name, module in list(layers[number].named_modules()):
            parent, _, leaf = name.rpartition(".")
            if leaf in TARGET_MODULES and isinstance(module, nn.Linear):
                adapter = LoraLinear(module, rank=rank, experts=experts, freeze_a=freeze_a)
                setattr(layers[number].get_submodule(parent), leaf, adapter)
                made[f"model.layers.{number}.{name}"] = adapter
    if not made:
        raise OptionError(f"This network has no layer with {', '.join(TARGET_MODULES)}.")
    return made


def detach(net: nn.Module, adapters: dict[str, LoraLinear]) -> None:
    """Take adapters out again: the network is as it was."""
    for name, adapter in adapters.items():
        parent, _, leaf = name.rpartition(".")
        setattr(net.get_submodule(parent), leaf, adapter.base)
