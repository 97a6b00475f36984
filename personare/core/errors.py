"""The one small tree of errors: each says what must hold, what was given, and what to do."""

import traceback
from collections.abc import Mapping
from pathlib import Path

__all__ = [
    "DataError",
    "IncompleteError",
    "MissingModelError",
    "OptionError",
    "PersonareError",
    "PolicyError",
    "UnknownMethodError",
    "check_options",
    "reason",
]


class PersonareError(Exception):
    """Base of everything the user can mend; the command line prints it without a traceback and exits with 2."""


class PolicyError(PersonareError):
    """Consent, purpose or an allowed use forbids what was asked."""


class DataError(PersonareError):
    """A recording, table or folder is not what it must be."""


class OptionError(PersonareError):
    """An option's value cannot be used."""


class UnknownMethodError(PersonareError):
    """No method of that name exists in the folder."""


class MissingModelError(PersonareError):
    """A model file that the method needs is not on this machine."""


class IncompleteError(PersonareError):
    """All was done that could be, but something that was planned could not be made; exit status 3."""


def reason(error: Exception) -> str:
    """Return what stands in a result or a list in place of what the error prevented.

    Example:
        >>> reason(DataError("Too few people.")), reason(KeyError("age"))
        ('Too few people.', "unexpected KeyError: 'age'")
    """
    if isinstance(error, PersonareError):
        return str(error)
    where = traceback.extract_tb(error.__traceback__)[-1:]
    told = "".join(f" in {Path(frame.filename).name}, line {frame.lineno}" for frame in where)
    return f"unexpected {type(error).__name__}{told}: {error}"


def check_options(method: object, *, at_least: Mapping[str, float], above: Mapping[str, float] | None = None) -> None:
    """Refuse a method's options that are smaller than they may be; NaN is no number.

    Args:
        method: Whose public fields they are.
        at_least: The least that an option may be, by name.
        above: What an option must exceed.
    """
    name = type(method).__module__.rpartition(".")[2]
    for option, least in at_least.items():
        if not (given := getattr(method, option)) >= least:
            raise OptionError(f"{name} needs {option} of at least {least:g}, given {given}.")
    for option, limit in (above or {}).items():
        if not (given := getattr(method, option)) > limit:
            raise OptionError(f"{name} needs {option} above {limit:g}, given {given}.")
