"""A fitted method as arrays and text, and back; on disk one safetensors file. Nothing that can run is kept."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from personare.core.errors import DataError
from personare.core.types import Array


def state_of(fitted: Any) -> tuple[Mapping[str, Array], dict[str, str]]:
    """Take what a method has fitted, a frozen dataclass, apart: its arrays by name, and all else as text.

    Its fields hold arrays, numbers, words, sequences and mappings of these, dataclasses, and networks: anything with
    ``settings``, ``arrays()`` and a class method ``built(settings, arrays)``. Fields with a leading underscore stay.
    A method may bring a ``state()`` of its own.
    """
    if hasattr(fitted, "state"):
        arrays, about = fitted.state()
        return arrays, dict(about)
    tensors: dict[str, Array] = {}
    return tensors, {"state": json.dumps(_split(fitted, "", tensors))}


def restored(method: Any, tensors: Mapping[str, Array], about: Mapping[str, str]) -> Any:
    """Build again what a method had fitted and ``state_of`` took apart.

    The file names no code: what is built follows from what the method's ``fit`` says it returns, and from the types of
    its fields; or a method has a ``restore`` of its own.
    """
    if hasattr(method, "restore"):
        return method.restore(tensors, about)
    try:
        return _joined(get_type_hints(method.fit)["return"], json.loads(about["state"]), tensors)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, RuntimeError) as error:
        name = type(method).__name__
        raise DataError(f"This is not the state of what {name} fits ({error}): fit it again.") from error


def _split(value: Any, name: str, tensors: dict[str, Array]) -> Any:
    """Return what JSON can hold of a value; arrays go to ``tensors`` and leave their name."""
    if isinstance(value, np.ndarray):
        tensors[name] = value
        return name
    if hasattr(value, "built"):
        return {"settings": _split(value.settings, name, tensors), "arrays": _split(value.arrays(), name, tensors)}
    inner = f"{name}." if name else ""
    if is_dataclass(value):
        values = {f.name: getattr(value, f.name) for f in fields(value) if not f.name.startswith("_")}
        return {"class": type(value).__name__, **_split(values, name, tensors)}
    if isinstance(value, Mapping):
        return {key: _split(part, f"{inner}{key}", tensors) for key, part in value.items()}
    if isinstance(value, (tuple, list)):
        return [_split(part, f"{inner}{i}", tensors) for i, part in enumerate(value)]
    return value.item() if isinstance(value, np.generic) else value


def _joined(kind: Any, node: Any, tensors: Mapping[str, Array]) -> Any:
    """Return the value of a type that ``_split`` took apart."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        if node is None:
            return None
        name = node.get("class") if isinstance(node, dict) else None
        matches = [p for p in parts if p is not NoneType and name in (None, getattr(p, "__name__", ""))]
        return _joined(matches[0], node, tensors)
    if is_dataclass(origin or kind):
        cls = origin or kind
        if node["class"] != cls.__name__:
            raise ValueError(f"it is of a {node['class']}")
        # of a class with a parameter, such as a sampler of some model, the parameter is the type of such fields
        hints = {name: parts[0] if isinstance(hint, TypeVar) else hint for name, hint in get_type_hints(cls).items()}
        return cls(**{name: _joined(hints[name], part, tensors) for name, part in node.items() if name != "class"})
    if hasattr(kind, "built"):
        hints = get_type_hints(kind.__init__)
        settings = {name: _joined(hints[name], part, tensors) for name, part in node["settings"].items()}
        return kind.built(settings, {name: tensors[at] for name, at in node["arrays"].items()})
    if origin is np.ndarray:
        return tensors[node]
    if isinstance(node, dict) and parts:
        return {key: _joined(parts[1], part, tensors) for key, part in node.items()}
    if isinstance(node, list) and parts:
        return tuple(_joined(parts[0], part, tensors) for part in node)
    return node


def save_weights(path: Path, weights: Mapping[str, Any], about: Mapping[str, str]) -> None:
    """Write arrays (or tensors of torch) and a description in one step: the file is whole or absent."""
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".weights") as folder:
            new = Path(folder) / path.name
            save_file({n: np.asarray(values, order="C") for n, values in weights.items()}, new, metadata=dict(about))
            new.replace(path)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path} cannot be written ({error}): free some space or choose another folder.") from error


def load_weights(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """Read the arrays and the description that ``save_weights`` wrote."""
    try:
        with safe_open(path, framework="np") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        message = f"{path} cannot be read ({error}): it must be a safetensors file written by personare."
        raise DataError(message) from error
