"""Arrays out of a published pickle file, without running anything that is in it.

A pickle is a program. Of all that it may name, only four names that write down an array are understood, and those stand
for our own records here, not for numpy's functions: nothing of the file is ever called. Everything else is refused.
"""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from personare.core.errors import DataError


def read_pickled_arrays(path: Path) -> dict[str, Any]:
    """Return the nested dictionaries of arrays, texts and numbers that a pickle file holds.

    **Guarantee**: no code that the file names is imported or called, whatever the file says; arrays of Python objects
    are refused. A hostile file can still be large: its memory is not bounded.

    Files of Python 2 and 3 are read. What names anything but an array, or is no dictionary, is refused.
    """
    try:
        with path.open("rb") as file:
            content = _plain(_Reader(file).load())
    except OSError as error:
        raise DataError(f"{path.name} cannot be read: {error}. Get it again.") from error
    except DataError as error:
        raise DataError(f"{path.name}: {error}") from error
    except Exception as error:  # a broken pickle may fail in any way it likes
        raise DataError(
            f"{path.name} is no pickle of arrays ({type(error).__name__}: {error}). Get it again."
        ) from error
    if not isinstance(content, dict):
        raise DataError(f"{path.name} must hold a dictionary, not a {type(content).__name__}. Get the published one.")
    return content


class _Record:
    """What the file says about an array, or, with its code, about a type of numbers."""

    def __init__(self, code: Any = None) -> None:
        self.code = code
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _numbers(kind: Any, raw: Any) -> np.ndarray[Any, Any]:
    if not isinstance(kind, _Record) or not isinstance(raw, bytes):
        raise DataError("It holds numbers that are not written as bytes. Get the published one.")
    code, order = _text(kind.code), _text(kind.state[1]) if kind.state else "|"
    if not isinstance(code, str) or code[:1] not in "biuf" or order not in ("<", ">", "|", "="):
        raise DataError(f"It holds an array of {code!r}, which is no type of numbers. Get the published one.")
    return np.frombuffer(raw, dtype=np.dtype(code).newbyteorder(cast(Any, order)))


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


class _Reader(pickle.Unpickler):
    """Knows a few names and no other."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, encoding="bytes")
        names: dict[tuple[str, str], Callable[..., Any]] = {
            ("numpy", "dtype"): lambda code, *_: _Record(code),
            ("numpy", "ndarray"): _ndarray,
            ("_codecs", "encode"): _bytes,
        }
        for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            names[module, "_reconstruct"] = lambda *_: _Record()
            names[module, "scalar"] = lambda kind, raw: _numbers(kind, raw)[0].item()
        # new ones for each file, so that none can leave anything behind
        self._names = {name: _StandIn(does) for name, does in names.items()}

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._names[module, name]
        except KeyError:
            raise DataError(
                f"It names {module}.{name}, which is no array of numbers: it may run code. Do not use this file."
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        raise DataError("It refers to something outside the file. Do not use it.")


def _text(value: Any) -> Any:
    return value.decode("latin1") if isinstance(value, bytes) else value


def _plain(value: Any) -> Any:
    """Return records as arrays and bytes as text, all the way down."""
    match value:
        case dict():
            return {str(_plain(key)): _plain(part) for key, part in value.items()}
        case list() | tuple():
            return [_plain(part) for part in value]
        case bytes():
            return _text(value)
        case str() | int() | float() | None:
            return value
    if not isinstance(value, _Record):
        raise DataError(f"It holds a {type(value).__name__}, which is no array, text or number. Do not use it.")
    _, shape, kind, by_columns, raw = value.state
    return _numbers(kind, raw).reshape(shape, order="F" if by_columns else "C")
