"""One private step of a deep network: the gradient of each unit by itself, cut, added up, noised.

The loss is written for a batch, but each call sees one unit alone: one recording (``torch.func``), or all of a person.
So nothing can mix units; a term that compares recordings compares a recording with itself, or a person's own.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.batchnorm import _BatchNorm

from personare.core.errors import OptionError
from personare.learn.privacy import PaidBatch

Rows = Mapping[str, Tensor]
"""Inputs, masks and labels by name, each with the recordings in its first dimension."""

Loss = Callable[[nn.Module, Rows], Tensor]
"""Network and recordings in; (R,) loss of each recording out."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PrivateSteps:
    """Sets clipped, noised gradients of a network, for any optimizer to use.

    **Guarantee**: with batches of a plan, the weights that an optimizer makes of these gradients are as private as the
    plan says, if nothing else about the people reaches them (no schedule or stopping that looks at their loss).
    Non-finite gradients of a unit are dropped before clipping. An empty batch still releases noise. A modality that a
    recording lacks must be masked in the loss: its gradient is then zero, and nobody is drawn again for it.

    **Source**: M. Abadi et al., "Deep Learning with Differential Privacy", CCS 2016, doi:10.1145/2976749.2978318.
    """

    network: nn.Module  # trained; must be without BatchNorm
    loss: Loss
    clip_norm: float = 1.0  # largest gradient of one unit (L2) in each release
    parameters: Sequence[nn.Parameter] | None = None  # to move; the others get no gradient. None: all that require one
    chunk: int = 32  # recordings whose gradients are held at a time, where each is a unit; people are done one by one

    def __post_init__(self) -> None:
        if not self.clip_norm > 0 or self.chunk < 1:
            raise OptionError(f"clip_norm must be above 0 and chunk at least 1: {self.clip_norm} and {self.chunk}.")
        for name, layer in self.network.named_modules():
            if isinstance(layer, _BatchNorm) or getattr(layer, "track_running_stats", False):
                raise OptionError(
                    f"{name or 'The network'} is {type(layer).__name__}, which mixes people: no private training is "
                    "possible with it. Use GroupNorm or LayerNorm."
                )
        if not self.moved or (self.parameters is not None and len(self.moved) != len(self.parameters)):
            raise OptionError("Parameters to move must be of this network, require gradients, and be at least one.")

    @property
    def moved(self) -> dict[str, nn.Parameter]:
        """The parameters that get a gradient, by name."""
        wanted = {id(p) for p in self.parameters or self.network.parameters()}
        return {name: p for name, p in self.network.named_parameters() if p.requires_grad and id(p) in wanted}

    def release(self, batch: PaidBatch, rows: Rows, *, whose: Tensor | None = None) -> None:
        """Set ``.grad`` of the parameters from one released sum; one of those the batch has paid for.

        ``rows`` are the recordings drawn: one for each unit, or any number with ``whose`` (R,), to which unit of the
        batch each belongs (``privacy.gather``); a person counts as the mean of the recordings.
        """
        moved, units = self.moved, len(batch.units)
        owner = torch.arange(units) if whose is None else whose
        given = {len(values) for values in rows.values()}
        if given != {len(owner)} or (len(owner) and int(owner.max()) >= units):
            raise OptionError(
                f"{units} units were drawn with {len(owner)} recordings, which need one row everywhere and a unit they "
                f"belong to; the rows given are {sorted(given)}."
            )
        total = [torch.zeros_like(p) for p in moved.values()]
        for each in self._gradients(rows, whose, moved):
            # one unit's gradient is cut over all parameters together, and dropped where it is not finite
            square = torch.stack([g.flatten(1).square().sum(dim=1) for g in each]).sum(dim=0)  # (U,)
            good = torch.isfinite(square)
            scale = torch.where(good, self.clip_norm / square.sqrt().clamp_min(self.clip_norm), 0.0)
            for into, g in zip(total, each, strict=True):
                finite = g if good.all() else torch.where(good.reshape(-1, *(1 for _ in g.shape[1:])), g, 0.0)
                into += torch.tensordot(scale.to(g), finite, dims=1)
        flat = batch.add_noise(torch.cat([values.flatten() for values in total]), self.clip_norm)
        self.network.zero_grad()
        pieces = torch.split(flat, [p.numel() for p in moved.values()])  # type: ignore[no-untyped-call]
        for p, values in zip(moved.values(), pieces, strict=True):
            p.grad = values.reshape(p.shape)

    def _gradients(self, rows: Rows, whose: Tensor | None, moved: Mapping[str, nn.Parameter]) -> Iterator[list[Tensor]]:
        """Yield gradients (U, ...) of some units at a time, each computed from itself alone."""
        if whose is not None:  # one person at a time: the mean loss of the recordings needs no more than that
            for unit in torch.unique(whose):  # type: ignore[no-untyped-call]
                loss = self.loss(self.network, {name: values[whose == unit] for name, values in rows.items()}).mean()
                each = torch.autograd.grad(loss, list(moved.values()), allow_unused=True, materialize_grads=True)
                yield [g[None] for g in each]
            return
        weights = {f"network.{name}": p.detach() for name, p in moved.items()}
        one = _One(self.network, self.loss)
        gradients = vmap(grad(lambda p, row: functional_call(one, p, (row,))), (None, 0), randomness="different")
        for first in range(0, len(next(iter(rows.values()))), self.chunk):
            part = {name: values[first : first + self.chunk] for name, values in rows.items()}
            with sdpa_kernel(SDPBackend.MATH):  # the fused attentions cannot be vectorized over recordings
                of_each = gradients(weights, part)
            yield [of_each[name] for name in weights]


class _One(nn.Module):
    """The loss of one recording, as a module whose parameters can be exchanged."""

    def __init__(self, network: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.network, self._loss = network, loss

    def forward(self, row: Rows) -> Tensor:
        return self._loss(self.network, {name: values[None] for name, values in row.items()}).squeeze(0)
