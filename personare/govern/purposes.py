"""What recordings may be opened for: a short closed list, so that a purpose cannot be made up on the spot."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from personare.core.errors import PolicyError

__all__ = ["PURPOSES", "check_purposes"]

PURPOSES: Mapping[str, str] = MappingProxyType(
    {
        "anonymization": "read the originals to make a protected release of them",
        "evaluation": "read the originals to measure what a release keeps and what it gives away",
        "research": "study behavior in the originals themselves, inside the circle of people who may see them",
        "sharing": "hand originals to somebody named in the consent",
        "training": "train a model on the originals",
    }
)
"""Purpose to what it means."""


def check_purposes(purposes: Iterable[str]) -> tuple[str, ...]:
    """Return the purposes, each once and sorted, or say which one is not known.

    Raises:
        PolicyError: A purpose that is not on the list.

    Example:
        >>> check_purposes(["research", "evaluation", "research"])
        ('evaluation', 'research')
    """
    given = tuple(sorted(set(purposes)))
    unknown = [purpose for purpose in given if purpose not in PURPOSES]
    if unknown:
        raise PolicyError(
            f"A purpose must be one of {', '.join(PURPOSES)}, not {', '.join(unknown)}. Choose from these."
        )
    return given
