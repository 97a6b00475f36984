"""Ranges of options, declared as their types: ``epochs: Count = 60``."""

import math
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from personare.core.errors import OptionError


class Range(NamedTuple):
    """What a value must be, in words and as a test."""

    words: str
    holds: Callable[[Any], bool]


Count = Annotated[int, Range("at least 1", lambda value: value >= 1)]
Whole = Annotated[int, Range("not negative", lambda value: value >= 0)]
Positive = Annotated[float, Range("above 0 and finite", lambda value: 0 < value < math.inf)]
NotNegative = Annotated[float, Range("finite and not negative", lambda value: 0 <= value < math.inf)]
Share = Annotated[float, Range("a share from 0 to 1", lambda value: 0 <= value <= 1)]
PartShare = Annotated[float, Range("a share from 0 to below 1", lambda value: 0 <= value < 1)]
_PROMISES = "above 0 and at most 100 (from 10 on it promises next to nothing), or left out to train without protection"
Epsilon = Annotated[float | None, Range(_PROMISES, lambda value: value is None or 0 < value <= 100)]
Delta = Annotated[float, Range("between 0 and 1, less than one over the people", lambda value: 0 < value < 1)]


def check_options(options: Any, **ranges: float | tuple[float, float]) -> None:
    """Refuse a dataclass whose values are not what its types declare, or out of ranges: the least, or both ends."""
    for name, kind in get_type_hints(type(options), include_extras=True).items():
        value, words = getattr(options, name), get_args(kind) if get_origin(kind) is Literal else ()
        for part in getattr(kind, "__metadata__", ()):
            if not part.holds(value):
                raise OptionError(f"{name} must be {part.words}, it is {value!r}.")
        if words and value not in words:
            raise OptionError(f"{name} must be {', '.join(words[:-1])} or {words[-1]}, it is {value!r}.")
    for name, ends in ranges.items():
        value, (low, high) = getattr(options, name), ends if isinstance(ends, tuple) else (ends, math.inf)
        if not low <= value <= high:
            limits = f"be at least {low:g}" if math.isinf(high) else f"lie from {low:g} to {high:g}"
            usual = f" It is usually {getattr(type(options), name)}." if hasattr(type(options), name) else ""
            raise OptionError(f"{name} must {limits}, it is {value!r}.{usual}")
