"""Model weights on disk as safetensors: numbers and text only, nothing that can run."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from personare.core.errors import DataError

__all__ = ["load_weights", "save_weights"]


def save_weights(path: Path, weights: Mapping[str, torch.Tensor], about: Mapping[str, str]) -> None:
    """Write weights and a description in one step: the file is whole or absent.

    Args:
        path: Where; its folder exists.
        weights: Tensors by name.
        about: What is needed to build the network again, as text.

    Raises:
        DataError: It cannot be written.
    """
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".weights") as folder:
            new = Path(folder) / path.name
            whole = {name: tensor.detach().contiguous() for name, tensor in weights.items()}
            save_file(whole, new, metadata=dict(about))
            new.replace(path)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path} cannot be written ({error}): free some space or choose another folder.") from error


def load_weights(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Read weights and their description.

    Returns:
        Tensors by name, and the text given to ``save_weights``.

    Raises:
        DataError: There is no such file, or it is not one of safetensors.

    Example:
        >>> load_weights(Path("absent.safetensors"))
        Traceback (most recent call last):
        personare.core.errors.DataError: absent.safetensors cannot be read ...
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise DataError(
            f"{path} cannot be read ({error}): it must be a safetensors file written by personare."
        ) from error
