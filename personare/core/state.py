"""What was fitted, as arrays and text: nothing that can run, and read back as the types the reader names only."""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from personare.core.errors import DataError
from personare.core.types import Array

__all__ = ["from_state", "to_state"]


def to_state(value: Any) -> tuple[dict[str, Array], dict[str, str]]:
    """Return a frozen dataclass, however nested, as arrays by name and one JSON text of all the rest.

    Example:
        >>> from personare.core.types import Signal
        >>> arrays, about = to_state(Signal(values=np.zeros((2, 1)), rate_hz=4.0))
        >>> list(arrays), from_state(arrays, about, Signal).rate_hz
        (['values'], 4.0)
    """
    arrays: dict[str, Array] = {}

    def tree(part: Any, path: str) -> Any:
        if isinstance(part, np.ndarray):
            arrays[path] = part.astype(np.int8) if part.dtype == bool else part
            return {"array": path, "bool": part.dtype == bool}
        below = f"{path}." if path else ""
        if is_dataclass(part):
            found = {f.name: tree(getattr(part, f.name), below + f.name) for f in fields(part) if f.init}
            return {"type": type(part).__name__, "fields": found}
        if isinstance(part, Mapping):
            return {"mapping": {name: tree(inner, below + name) for name, inner in part.items()}}
        if isinstance(part, tuple):
            return {"tuple": [tree(inner, f"{below}{i}") for i, inner in enumerate(part)]}
        return part

    return arrays, {"state": json.dumps(tree(value, ""))}


def from_state(arrays: Mapping[str, Array], about: Mapping[str, str], *types: type) -> Any:
    """Build again what ``to_state`` took apart; ``types`` are the dataclasses that may occur in it.

    Raises:
        DataError: The arrays or the text belong to something else.
    """
    known = {kind.__name__: kind for kind in types}

    def build(node: Any) -> Any:
        match node:
            case {"array": path, "bool": flags}:
                return arrays[path] > 0 if flags else np.asarray(arrays[path])
            case {"type": name, "fields": found}:
                return known[name](**{field: build(inner) for field, inner in found.items()})
            case {"mapping": found}:
                return {name: build(inner) for name, inner in found.items()}
            case {"tuple": found}:
                return tuple(build(inner) for inner in found)
        return node

    try:
        return build(json.loads(about["state"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"This is not the state of a {types[0].__name__} ({error}): fit it again.") from error
