"""How many people and recordings a measure needs before it can say anything: the one place where this is checked."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from personare.core.types import Array

__all__ = ["Need"]


@dataclass(frozen=True, kw_only=True)
class Need:
    """What a method needs.

    Attributes:
        people: How many, each with
        recordings_per_person: as many recordings.
        why: What needs them, where it is not plain.
    """

    people: int
    recordings_per_person: int = 1
    why: str = ""

    @classmethod
    def of(cls, method: Any) -> "Need":
        """Return what a method's class attributes declare; two people with a recording each where they are silent."""
        people = getattr(method, "needs_people", 2)
        return cls(people=people, recordings_per_person=getattr(method, "needs_recordings_per_person", 1))

    def there(self, subjects: Array) -> int:
        """Return how many people have as many recordings.

        Args:
            subjects: (N,) who is in each recording.
        """
        return int(
            (np.unique(np.asarray(subjects, dtype=str), return_counts=True)[1] >= self.recordings_per_person).sum()
        )

    def words(self) -> str:
        """Say it.

        Example:
            >>> Need(people=3, recordings_per_person=2).words()
            '3 people with 2 recordings each'
        """
        each = f" with {self.recordings_per_person} recordings each" if self.recordings_per_person > 1 else ""
        return f"{self.people} people{each}{self.why and f' {self.why}'}"

    def lacking(self, subjects: Array) -> str:
        """Return why there are too few people, with both numbers; empty where there are enough.

        Example:
            >>> Need(people=3, recordings_per_person=2).lacking(np.array(["a", "a", "b", "c"]))
            'too few people: 3 people with 2 recordings each needed, 1 there (of 3 people)'
        """
        found, everybody = self.there(subjects), len(np.unique(np.asarray(subjects, dtype=str)))
        if found >= self.people:
            return ""
        of = f" (of {everybody} people)" if found < everybody else ""
        return f"too few people: {self.words()} needed, {found} there{of}"
