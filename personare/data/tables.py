"""Tables: as people have them (CSV of any spreadsheet and encoding, or Excel), and as data sets are published."""

import csv
import io
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from personare.core.errors import DataError, data_errors

TABLES = (".csv", ".tsv", ".xlsx")
"""Suffixes of people's tables; what a file really is, its content tells."""


def read_rows(path: Path, *, required: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Return the rows of somebody's table with lower-case column names and trimmed values, each with its line.

    Commas, semicolons or tabs, in UTF-8, UTF-16 or what a Western European spreadsheet writes; or ``.xlsx``. Lines
    count as in an editor or spreadsheet. A column that is missing or there twice, or a value that stands in no named
    column, is an error: it would be lost.
    """
    if not path.is_file():
        there = ", ".join(sorted(p.name for p in path.parent.glob("*") if p.suffix.lower() in TABLES)) or "none"
        raise DataError(f"There is no table {path}; tables there: {there}. Write it, or name the one to use.")
    with data_errors(f"{path} cannot be read", "Check its rights."):
        content = path.read_bytes()
    with data_errors(
        f"{path} must be a table, but cannot be read",
        "Save it as CSV again.",
        csv.Error,
        zipfile.BadZipFile,
        LookupError,
    ):
        rows = _sheet(content) if content.startswith(b"PK\3\4") else _separated(_text(content))
        lines = [(line, [cell.strip() for cell in cells]) for line, cells in rows if any(map(str.strip, cells))]
    columns = [cell.lower() for cell in lines[0][1]] if lines else []
    missing = [name for name in required if name not in columns]
    if missing:
        raise DataError(
            f"{path} must have the columns {' and '.join(required)}; {' and '.join(missing)} is missing. "
            f"It has: {', '.join(columns) or 'none'}. Add or rename the column."
        )
    twice = [name for name, count in Counter(filter(None, columns)).items() if count > 1]
    if twice:
        raise DataError(f"{path} has the column {' and '.join(twice)} more than once. Rename or remove one.")
    for line, cells in lines[1:]:
        if any(cell and not name for cell, name in zip_longest(cells, columns)):
            raise DataError(
                f"{path} line {line} has a value that stands in no named column. Name the column, or put values that "
                "hold a separator in quotes."
            )
    return [
        (line, {name: cell for cell, name in zip_longest(cells, columns, fillvalue="") if name})
        for line, cells in lines[1:]
    ]


def _text(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16")
    if b"\0" in content[:2]:  # UTF-16 without its mark: the first letter of a column's name is ASCII
        return content.decode("utf-16-be" if content[0] == 0 else "utf-16-le")
    if b"\0" in content:
        raise ValueError("it is no text")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _separated(text: str) -> Iterator[tuple[int, list[str]]]:
    mark = re.match(r'"?sep=(.)"?[,;\t]*\r?\n', text)  # a line for Excel alone
    text, skipped = (text[mark.end() :], 1) if mark else (text, 0)
    first = next((line for line in text.splitlines() if line.strip()), "")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark[1] if mark else max(",;\t", key=first.count))
    end = 0
    for cells in reader:
        yield skipped + end + 1, cells
        end = reader.line_num  # a quoted line break makes a row longer than a line


def _sheet(content: bytes) -> Iterator[tuple[int, list[str]]]:
    from openpyxl import load_workbook  # a tenth of a second that most tables do not need

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about styles and menus of the sheet, which are not read
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # some programs write a wrong size
        for line, row in enumerate(sheet.iter_rows(), start=1):
            yield line, [_shown(cell.value, cell.number_format if cell.value is not None else "") for cell in row]


def _shown(value: Any, number_format: str) -> str:
    """Return a cell as the spreadsheet shows it: 7 as 007 where it is formatted so, whole numbers without a point."""
    match value:
        case None:
            return ""
        case float() | int() if not isinstance(value, bool) and value == int(value):
            return str(int(value)).zfill(len(number_format) if re.fullmatch("0+", number_format) else 0)
        case datetime() if value.time() == datetime.min.time():
            return value.date().isoformat()
        case date():
            return value.isoformat()
        case timedelta():
            return str(value.total_seconds())
    return str(value)


def read_published(source: Path, name: str, columns: Sequence[str] = (), *, text: bool = False) -> pd.DataFrame:
    """Return a published table, packed or not; see ``read_table``."""
    path = published(source, name)
    if path is None:
        raise DataError(f"There is no {name} in {source}, packed or not. Give the folder that holds the data set.")
    return read_table(path, columns, text=text)


def published(source: Path, name: str) -> Path | None:
    """Return a published file, packed (``.gz``) or not, its name in small or capital letters; None where it is not."""
    names = {name.lower(), f"{name}.gz".lower()}
    there = sorted(source.iterdir()) if source.is_dir() else []
    return next((path for path in there if path.name.lower() in names), None)


def read_table(
    path: Path, columns: Sequence[str] = (), *, header: int | list[int] | None = 0, text: bool = False
) -> pd.DataFrame:
    """Return a published table (CSV, packed or not), whose columns may be written in small or capital letters.

    With ``text`` everything stays as it is written; else numbers are read, and what is empty is NaN.
    """
    with data_errors(f"{path} must be a table with commas, but cannot be read", "Get it again."):
        table = pd.read_csv(path, header=header, dtype=str if text else None, keep_default_na=not text)
    there = {str(name).lower(): name for name in table.columns}
    missing = [name for name in columns if name.lower() not in there]
    if missing:
        raise DataError(
            f"{path.name} must have the column{'s' * (len(missing) > 1)} {', '.join(missing)}. Get the published one."
        )
    return table.rename(columns={there[name.lower()]: name for name in columns})


def numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table as finite numbers; what is none is missing, NaN."""
    values: pd.DataFrame = table.apply(pd.to_numeric, errors="coerce").astype(np.float64)
    return values.replace([np.inf, -np.inf], np.nan)


def number(text: str) -> float:
    """Return the number that a text is, with a decimal point or comma; NaN where it is none."""
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return float("nan")
