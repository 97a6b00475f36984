"""Where networks learn: the one place that decides between processor and graphics card for all learned methods."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from personare.core.errors import OptionError

VARIABLE = "PERSONARE_DEVICE"  # cpu (also where it is not set), cuda, mps, or auto for the first of these two there is


def device() -> torch.device:
    """Return where this process is to learn."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    name = os.environ.get(VARIABLE) or "cpu"
    if name == "auto":
        name = next(one for one, available in there.items() if available)
    if not there.get(name):
        raise OptionError(
            f"The device must be auto or one of {', '.join(k for k, v in there.items() if v)}, not {name}."
        )
    return torch.device(name)


@contextmanager
def on_device(net: nn.Module) -> Iterator[None]:
    """Have a network on the device while the block lasts, with all that its operations are given; then home again."""
    place = device()
    if place.type == "cpu":
        yield
        return
    home = next(net.parameters()).device
    net.to(place)
    try:
        with Together(place):
            yield
    finally:
        net.to(home)


class Together(TorchFunctionMode):
    """Moves all tensors of an operation to a device where one of them is."""

    def __init__(self, place: torch.device) -> None:
        super().__init__()
        self._place = place

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do an operation."""
        given = (args, kwargs or {})
        if func is not Tensor.to and any(
            isinstance(t, Tensor) and t.device.type == self._place.type for t in tree_leaves(given)
        ):
            given = tree_map(lambda t: t.to(self._place) if isinstance(t, Tensor) else t, given)
        return func(*given[0], **given[1])
