"""Tables as people have them: commas, semicolons or tabs, with or without a byte-order mark, from any spreadsheet."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from personare.core.errors import DataError

__all__ = ["read_rows"]


def read_rows(path: Path, *, required: Sequence[str]) -> list[dict[str, str]]:
    """Return the rows of a table with lower-case column names and trimmed values.

    Args:
        path: The table; UTF-8, or what a Western European spreadsheet writes.
        required: Columns it must have.

    Raises:
        DataError: There is no such table, it cannot be read, or a column is missing.
    """
    text = _text(path)
    first = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count))
    try:
        columns = [(name or "").strip().lower() for name in reader.fieldnames or []]
        reader.fieldnames = columns
        rows = [{key: (value or "").strip() for key, value in row.items() if key} for row in reader]
    except csv.Error as error:
        raise DataError(f"{path} must be a table, but cannot be read: {error}. Save it as CSV again.") from error
    missing = [name for name in required if name not in columns]
    if missing:
        raise DataError(
            f"{path} must have the columns {' and '.join(required)}; {' and '.join(missing)} is missing. "
            f"It has: {', '.join(columns) or 'none'}. Add or rename the column."
        )
    return rows


def _text(path: Path) -> str:
    if not path.is_file():
        there = ", ".join(sorted(p.name for p in path.parent.glob("*.csv"))) or "none"
        raise DataError(f"There is no table {path}; CSV files there: {there}. Write it, or name the one to use.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}. Check its rights.") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")
