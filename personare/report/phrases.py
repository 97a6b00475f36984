"""Numbers of things, and lists of things, as a sentence says them."""

from collections.abc import Sequence
from typing import Any

__all__ = ["count", "listing"]


def count(number: Any, thing: str) -> str:
    """Say how many.

    Example:
        >>> count(1, "person"), count(1200, "person"), count(None, "file")
        ('1 person', '1,200 people', 'an unrecorded number of files')
    """
    plural = {"person": "people"}.get(thing, f"{thing}s")
    if not isinstance(number, int | float):
        return f"an unrecorded number of {plural}"
    return f"{number:,.0f} {thing if number == 1 else plural}"


def listing(items: Sequence[str]) -> str:
    """Join with commas and a last "and".

    Example:
        >>> listing(["a", "b", "c"]), listing([])
        ('a, b and c', '')
    """
    return " and ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))
