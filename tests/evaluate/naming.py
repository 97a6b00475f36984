"""A short name of a row for tests."""

from personare.core.types import Result


def title(row: Result) -> str:
    """Return ``method.figure`` or ``method.figure.subset``."""
    return ".".join(filter(None, (row.method, row.figure, row.subset)))
