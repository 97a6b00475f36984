"""What a split is, and whether anything of a person reaches from learning into judging."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

from personare.core.errors import DataError

__all__ = ["Split", "check_apart"]


@dataclass(frozen=True, kw_only=True)
class Split:
    """Which recordings a learner learns from, which it may look at while it learns, and which judge it.

    Attributes:
        protocol: The name under which figures made with it are published.
        train: Recording ids, sorted.
        validation: Recording ids, sorted; empty where nothing is looked at.
        test: Recording ids, sorted.
        left_out: Recordings that would leak from one part into another.
    """

    protocol: str
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def check_apart(split: Split, subjects: Mapping[str, str], sentences: Mapping[str, str] | None = None) -> None:
    """Check that no recording, and no person, is in two parts of a split.

    Args:
        split: Training, validation and test, from wherever they come.
        subjects: Pseudonym by recording id.
        sentences: By recording id, where the test must hold other sentences than training and validation.

    Raises:
        DataError: Something leaks, a recording is unknown, or training or test is empty.

    Example:
        >>> split = Split(protocol="mine", train=("a",), validation=(), test=("b",))
        >>> check_apart(split, {"a": "01", "b": "02"})
    """
    parts = {"training": split.train, "validation": split.validation, "test": split.test}
    empty = [name for name in ("training", "test") if not parts[name]]
    if empty:
        raise DataError(f"The split {split.protocol} has nothing in {' and '.join(empty)}. Split again.")
    unknown = sorted({i for part in parts.values() for i in part} - set(subjects))
    if unknown:
        raise DataError(f"The split names recordings that are not there, such as {unknown[0]}. Split this cohort.")
    for (one, first), (other, second) in combinations(parts.items(), 2):
        _must_differ("recording", set(first), set(second), f"{one} and {other}")
        _must_differ("person", {subjects[i] for i in first}, {subjects[i] for i in second}, f"{one} and {other}")
        if sentences is not None and other == "test":
            said = [{sentences[i] for i in part} for part in (first, second)]
            _must_differ("sentence", said[0], said[1], f"{one} and {other}")


def _must_differ(what: str, first: set[str], second: set[str], where: str) -> None:
    both = sorted(first & second)
    if both:
        raise DataError(
            f"No {what} may be in {where}, but {len(both)} are, such as {both[0]}: what is learned would leak into "
            "what is measured. Split by person, or name the protocol leaky_random."
        )
