"""The split that a data set's authors published, read off their labels."""

from collections.abc import Mapping

import numpy as np

from personare.core.errors import DataError
from personare.data.splits import Split, person_folds

__all__ = ["as_published"]


def as_published(
    subjects: Mapping[str, str], parts: Mapping[str, str], folds: int, *, rng: np.random.Generator
) -> Split:
    """Split as the authors of a data set did; where they name no validation part, some of their training people are it.

    Features that were made with the training part's labels must be judged this way: within it they know the answer.

    Args:
        subjects: Pseudonym by recording id.
        parts: ``train``, ``validation`` or ``test`` by recording id.
        folds: One of so many parts of the training people is watched while the others are learned from.
        rng: Which people are watched.

    Raises:
        DataError: There is no training or no test part, or fewer than two training people.

    Example:
        >>> who, parts = {"a": "01", "b": "02", "c": "03"}, {"a": "train", "b": "train", "c": "test"}
        >>> as_published(who, parts, 2, rng=np.random.default_rng(0)).test
        ('c',)
    """
    named = {
        name: tuple(sorted(i for i in subjects if parts.get(i) == name)) for name in ("train", "validation", "test")
    }
    if not named["train"] or not named["test"]:
        found = ", ".join(sorted(set(parts.values()))) or "nothing"
        raise DataError(f"The published split needs parts called train and test, found {found}. Name them so.")
    if not named["validation"]:
        own = {i: subjects[i] for i in named["train"]}
        train, validation = person_folds(own, folds, rng=rng)[0]
        named |= {"train": tuple(train), "validation": tuple(validation)}
    return Split(protocol="published", **named)
