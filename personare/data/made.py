"""Tracks that are no files of their own: a row of a published table, a window of a long signal, a text without names.

A reader addresses them as ``FILE#KEY`` and offers ``make(source)``, which returns a function from address to content.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from personare.core.errors import DataError
from personare.core.types import Array

__all__ = ["Made", "address", "made_from_rows", "numbers", "parted", "read_table"]


@dataclass(frozen=True, kw_only=True)
class Made:
    """What the import writes for one track.

    Attributes:
        values: An array, written as ``.npy``, or a text, written as ``.txt``.
        about: What the sidecar says: ``Columns``, ``SamplingFrequency`` in Hz, ``Units``.
    """

    values: Array | str
    about: Mapping[str, Any] = field(default_factory=dict)


def address(file: str, key: object) -> str:
    """Return the address of a part of a file.

    Example:
        >>> address("table.csv.gz", 3), parted("table.csv.gz#3")
        ('table.csv.gz#3', ('table.csv.gz', '3'))
    """
    return f"{file}#{key}"


def parted(address: str) -> tuple[str, str]:
    """Return file and key of an address."""
    file, _, key = address.rpartition("#")
    return file, key


def made_from_rows(load: Callable[[str], pd.DataFrame]) -> Callable[[str], Made]:
    """Return what makes a table track of ``FILE#ROW``, where rows count from 0.

    Args:
        load: Reads a file into a table of numbers whose columns are named; called once a file, of a few files.

    Example:
        >>> make = made_from_rows(lambda file: pd.DataFrame({"pitch": [1.0, 2.0]}))
        >>> float(make("voices.csv#1").values[0]), make("voices.csv#1").about
        (2.0, {'Columns': ['pitch']})
    """
    loaded = lru_cache(maxsize=8)(load)

    def make(address: str) -> Made:
        file, row = parted(address)
        table = loaded(file)
        values = table.iloc[int(row)].to_numpy(np.float32)
        return Made(values=values, about={"Columns": [str(name) for name in table.columns]})

    return make


def numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table as finite numbers; what is none is missing, NaN."""
    found = table.apply(pd.to_numeric, errors="coerce").astype(np.float64)
    finite: pd.DataFrame = found.where(np.isfinite(found))
    return finite


def read_table(path: Path, *, header: int | list[int] | None = 0, text: bool = False) -> pd.DataFrame:
    """Return a published table (CSV, packed or not).

    Args:
        path: The file.
        header: The rows that name the columns; None: no row does.
        text: Keep everything as it is written; else numbers are read, and what is empty is NaN.

    Raises:
        DataError: It is not there or no table.
    """
    try:
        return pd.read_csv(path, header=header, dtype=str if text else None, keep_default_na=not text)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} must be a table with commas, but cannot be read: {error}. Get it again.") from error
