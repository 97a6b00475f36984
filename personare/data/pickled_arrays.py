"""Arrays out of a published pickle file, without running anything that is in it.

A pickle is a program. Of all that it may name, only four names that write down an array are understood, and those stand
for our own records here, not for numpy's functions: nothing of the file is ever called. Everything else is refused.
"""

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from personare.core.errors import DataError
from personare.core.types import Array

_PLAIN = (str, int, float, bool, type(None))


def read_pickled_arrays(path: Path) -> dict[str, Any]:
    """Return the nested dictionaries of arrays, texts and numbers that a pickle file holds.

    **Guarantee**: no code that the file names is imported or called, whatever the file says; arrays of Python objects
    are refused. A hostile file can still be large: its memory is not bounded.

    Files of Python 2 and 3 are read. What names anything but an array, or is no dictionary, is refused.
    """
    try:
        with path.open("rb") as file:
            found = _open(_Reader(file, encoding="bytes").load())
    except OSError as error:
        raise DataError(f"{path.name} cannot be read: {error}. Get it again.") from error
    except DataError as error:
        raise DataError(f"{path.name}: {error}") from error
    except Exception as error:  # a broken pickle may fail in any way it likes
        raise DataError(
            f"{path.name} is no pickle of arrays ({type(error).__name__}: {error}). Get it again."
        ) from error
    if not isinstance(found, dict):
        raise DataError(f"{path.name} must hold a dictionary, not a {type(found).__name__}. Get the published one.")
    return found


@dataclass(eq=False)
class _Type:
    """What the file says about a number's type."""

    code: Any = None
    order: Any = "|"

    def __setstate__(self, state: Any) -> None:
        self.order = state[1]

    @property
    def numpy(self) -> np.dtype[Any]:
        code, order = _text(self.code), _text(self.order)
        if not isinstance(code, str) or code[:1] not in "biuf" or order not in ("<", ">", "|", "="):
            raise DataError(f"It holds an array of {code!r}, which is no type of numbers. Get the published one.")
        return np.dtype(code).newbyteorder(cast(Any, order))


@dataclass(eq=False)
class _Numbers:
    """What the file says about an array."""

    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    @property
    def numpy(self) -> Array:
        _, shape, kind, by_columns, raw = self.state
        if not isinstance(kind, _Type) or not isinstance(raw, bytes):
            raise DataError("It holds an array whose numbers are not written as bytes. Get the published one.")
        values = np.frombuffer(raw, dtype=kind.numpy)
        return values.reshape(shape, order="F" if by_columns else "C")


def _scalar(kind: Any, raw: Any) -> Any:
    if not isinstance(kind, _Type) or not isinstance(raw, bytes):
        raise DataError("It holds a number that is not written as bytes. Get the published one.")
    return np.frombuffer(raw, dtype=kind.numpy)[0].item()


def _bytes(text: Any, encoding: Any) -> bytes:
    """Stand for ``_codecs.encode``, with which Python 3 writes bytes for Python 2."""
    if not isinstance(text, str) or _text(encoding) != "latin1":
        raise DataError("It writes bytes in a way that is not known. Get the published one.")
    return text.encode("latin1")


def _ndarray(*_: Any) -> None:
    """Stand for ``numpy.ndarray``, which the file only mentions."""
    raise DataError("It makes an array in a way that is not known. Get the published one.")


class _StandIn:
    """A function behind a wall: a file can call it, but reach neither the function nor what it is made of."""

    __slots__ = ("_does",)

    def __init__(self, does: Callable[..., Any]) -> None:
        self._does = does

    def __call__(self, *given: Any) -> Any:
        return self._does(*given)


def _names() -> dict[tuple[str, str], _StandIn]:
    """Return all that a file may name; new ones for each file, so that none can leave anything behind."""
    inside: dict[str, Callable[..., Any]] = {"_reconstruct": lambda *_: _Numbers(), "scalar": _scalar}
    known = {(f"numpy.{core}.multiarray", name): does for core in ("core", "_core") for name, does in inside.items()}
    known |= {("numpy", "dtype"): lambda code, *_: _Type(code=code)}
    known |= {("numpy", "ndarray"): _ndarray, ("_codecs", "encode"): _bytes}
    return {name: _StandIn(does) for name, does in known.items()}


class _Reader(pickle.Unpickler):
    """Knows the names above and no other."""

    def __init__(self, file: BinaryIO, *, encoding: str) -> None:
        super().__init__(file, encoding=encoding)
        self._known = _names()

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._known[module, name]
        except KeyError:
            raise DataError(
                f"It names {module}.{name}, which is no array of numbers: it may run code. Do not use this file."
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        raise DataError("It refers to something outside the file. Do not use it.")


def _text(value: Any) -> Any:
    return value.decode("latin1") if isinstance(value, bytes) else value


def _open(value: Any) -> Any:
    """Return records as arrays and bytes as text, all the way down."""
    if isinstance(value, dict):
        return {str(_open(key)): _open(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_open(part) for part in value]
    if isinstance(value, _Numbers):
        return value.numpy
    if isinstance(value, bytes):
        return _text(value)
    if not isinstance(value, _PLAIN):
        raise DataError(f"It holds a {type(value).__name__}, which is no array, text or number. Do not use it.")
    return value
