"""The one small tree of errors: each says what must hold, what was given, and what to do."""

import traceback
from pathlib import Path

__all__ = [
    "DataError",
    "IncompleteError",
    "MissingModelError",
    "OptionError",
    "PersonareError",
    "PolicyError",
    "UnknownMethodError",
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
