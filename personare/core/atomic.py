"""Files that appear whole or not at all: written under a temporary name, then renamed."""

import dataclasses
import json
import math
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from personare.core.errors import DataError, data_errors

_FIX = "Free the disk, or choose a folder that you may write."


def make_folder(folder: Path) -> Path:
    """Make a folder and its parents."""
    with data_errors(f"The folder {folder} cannot be made", _FIX):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def replacing(path: Path, *, private: bool = False) -> Iterator[Path]:
    """Give a temporary file name beside ``path``; what is written there takes the place of ``path`` on success.

    **Guarantee**: when the block fails, ``path`` is as it was and the temporary file is gone. Where it is ``private``,
    at no moment can anybody but its owner read it.
    """
    make_folder(path.parent)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")  # no process of any machine has the same
    try:
        if private:
            part.touch(mode=0o600)
        yield part
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(path)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error}. {_FIX}") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file, whole or not at all; what is no text in the name of a file becomes an escape."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", errors="backslashreplace")  # names of files need not be text


def write_json(path: Path, content: Any, *, allow_nan: bool = False) -> None:
    """Write JSON, whole or not at all; arrays become lists, records (dataclasses) become objects.

    NaN is written as ``null``, which every program can read, or with ``allow_nan`` as Python alone reads it back.
    """
    write_text(path, json.dumps(plain(content, allow_nan=allow_nan), indent=2, ensure_ascii=False) + "\n")


def plain(content: Any, *, allow_nan: bool = False) -> Any:
    """Return content made of what JSON knows: objects, lists, text, numbers, true, false, null."""
    match content:
        case Mapping():
            return {str(key): plain(value, allow_nan=allow_nan) for key, value in content.items()}
        case list() | tuple() | set() | frozenset():
            ordered = sorted(content) if isinstance(content, set | frozenset) else content
            return [plain(value, allow_nan=allow_nan) for value in ordered]
        case np.ndarray() | np.generic():
            return plain(content.tolist(), allow_nan=allow_nan)
        case float() if not math.isfinite(content) and not allow_nan:
            return None
        case None | bool() | int() | float() | str():
            return content
    if dataclasses.is_dataclass(content) and not isinstance(content, type):
        return {f.name: plain(getattr(content, f.name), allow_nan=allow_nan) for f in dataclasses.fields(content)}
    return str(content)
