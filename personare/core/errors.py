"""The one small tree of errors: each says what must hold, what was given, and what to do."""

__all__ = ["DataError", "MissingModelError", "OptionError", "PersonareError", "PolicyError", "UnknownMethodError"]


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
