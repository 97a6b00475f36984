"""The one small tree of errors: each says what must hold, what was given, and what to do."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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


class ClusterError(PersonareError):
    """The machines that were to do the work cannot, or are gone; what was finished is kept."""


class IncompleteError(PersonareError):
    """All was done that could be, but something that was planned could not be made; exit status 3."""


@contextmanager
def data_errors(problem: str, fix: str, *also: type[Exception]) -> Iterator[None]:
    """Turn what a broken file or a full disk raises into a ``DataError``: the problem, why, and what to do.

    Example:
        >>> with data_errors("ages.json cannot be read", "Get it again."):
        ...     int("old")
        Traceback (most recent call last):
        personare.core.errors.DataError: ages.json cannot be read: invalid literal ...
    """
    kinds: tuple[type[Exception], ...] = (OSError, ValueError, EOFError, *also)
    try:
        yield
    except kinds as error:
        raise DataError(f"{problem}: {error}. {fix}") from error


@contextmanager
def extra(name: str, what: str) -> Iterator[None]:
    """Turn a failed import of what an extra brings into a ``MissingModelError`` that says how to get it.

    Example:
        >>> with extra("text", "text_redact"):
        ...     import no_such_package
        Traceback (most recent call last):
        personare.core.errors.MissingModelError: text_redact needs the package no_such_package: run pip install ...
    """
    try:
        yield
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        raise MissingModelError(
            f"{what} needs the package {package}: run pip install 'personare[{name}]' (personare doctor lists extras)."
        ) from error


def reason(error: Exception) -> str:
    """Return what stands in a result or a list in place of what the error prevented.

    Example:
        >>> reason(DataError("Too few people.")), reason(KeyError("age"))
        ('Too few people.', "unexpected KeyError: 'age'")
    """
    if isinstance(error, PersonareError):
        return str(error)
    where = traceback.extract_tb(error.__traceback__)[-1:]
    place = "".join(f" in {Path(frame.filename).name}, line {frame.lineno}" for frame in where)
    return f"unexpected {type(error).__name__}{place}: {error}"
