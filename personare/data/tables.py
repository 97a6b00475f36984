"""Tables as people have them: CSV of any spreadsheet and encoding, or the first sheet of an Excel file."""

import csv
import io
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from personare.core.errors import DataError

__all__ = ["TABLES", "read_rows"]

TABLES = (".csv", ".tsv", ".xlsx")
"""Suffixes of tables; what a file really is, its content tells."""

_Lines = Iterator[tuple[int, list[str]]]


def read_rows(path: Path, *, required: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Return the rows of a table with lower-case column names and trimmed values, each with its line.

    Args:
        path: Commas, semicolons or tabs, in UTF-8, UTF-16 or what a Western European spreadsheet writes; or ``.xlsx``.
        required: Columns it must have.

    Returns:
        The line on which each row begins, as an editor or spreadsheet counts, and its values by column.

    Raises:
        DataError: There is no such table, it cannot be read, a column is missing or there twice, or a row has values
            without a column.
    """
    content = _content(path)
    try:
        lines = [
            (line, [cell.strip() for cell in cells])
            for line, cells in (_sheet(content) if content.startswith(b"PK\3\4") else _separated(_text(content)))
            if any(cell.strip() for cell in cells)
        ]
    except (csv.Error, UnicodeDecodeError, zipfile.BadZipFile, LookupError, ValueError) as error:
        raise DataError(f"{path} must be a table, but cannot be read: {error}. Save it as CSV again.") from error
    columns = [cell.lower() for cell in lines[0][1]] if lines else []
    _check_columns(path, columns, required)
    for line, cells in lines[1:]:
        if any(cell for at, cell in enumerate(cells) if at >= len(columns) or not columns[at]):
            raise DataError(
                f"{path} line {line} has a value that stands in no named column. Name the column, or put values that "
                "hold a separator in quotes."
            )
    return [
        (line, {name: cells[at] if at < len(cells) else "" for at, name in enumerate(columns) if name})
        for line, cells in lines[1:]
    ]


def _check_columns(path: Path, columns: Sequence[str], required: Sequence[str]) -> None:
    missing = [name for name in required if name not in columns]
    if missing:
        raise DataError(
            f"{path} must have the columns {' and '.join(required)}; {' and '.join(missing)} is missing. "
            f"It has: {', '.join(columns) or 'none'}. Add or rename the column."
        )
    twice = [name for name, count in Counter(filter(None, columns)).items() if count > 1]
    if twice:
        raise DataError(f"{path} has the column {' and '.join(twice)} more than once. Rename or remove one.")


def _content(path: Path) -> bytes:
    if not path.is_file():
        there = ", ".join(sorted(p.name for p in path.parent.glob("*") if p.suffix.lower() in TABLES)) or "none"
        raise DataError(f"There is no table {path}; tables there: {there}. Write it, or name the one to use.")
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}. Check its rights.") from error


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


def _separated(text: str) -> _Lines:
    mark = re.match(r'"?sep=(.)"?[,;\t]*\r?\n', text)  # a line for Excel alone
    text, skipped = (text[mark.end() :], 1) if mark else (text, 0)
    first = next((line for line in text.splitlines() if line.strip()), "")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark[1] if mark else max(",;\t", key=first.count))
    end = 0
    for cells in reader:
        yield skipped + end + 1, cells
        end = reader.line_num  # a quoted line break makes a row longer than a line


def _sheet(content: bytes) -> _Lines:
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
