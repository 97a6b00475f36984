"""Options that cannot be used are refused when a method is made, before it sees anybody's data."""

import math
from typing import Any, Literal, get_args, get_origin, get_type_hints

from personare.core.errors import OptionError

__all__ = ["check_options"]


def check_options(options: Any, **ranges: tuple[float, float]) -> None:
    """Refuse a word that its field's ``Literal`` does not list, and a number that lies out of its range.

    Example:
        >>> from dataclasses import make_dataclass
        >>> check_options(make_dataclass("Noise", [("snr_db", float, 5.0)])(100), snr_db=(-20, 60))
        Traceback (most recent call last):
        personare.core.errors.OptionError: snr_db must lie from -20 to 60, 100 was given. It is usually 5.0.
    """
    for name, kind in get_type_hints(type(options)).items():
        words, value = get_args(kind) if get_origin(kind) is Literal else (), getattr(options, name)
        if words and value not in words:
            raise OptionError(f"{name} must be {', '.join(words[:-1])} or {words[-1]}, {value!r} was given.")
    for name, (low, high) in ranges.items():
        value = getattr(options, name)
        if not low <= value <= high:
            limits = f"be at least {low:g}" if math.isinf(high) else f"lie from {low:g} to {high:g}"
            usual = f" It is usually {getattr(type(options), name)}." if hasattr(type(options), name) else ""
            raise OptionError(f"{name} must {limits}, {value} was given.{usual}")
