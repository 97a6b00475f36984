"""Who is made up: how many people, which class each recording is of, and the batch they come out as."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from personare.core.errors import DataError, OptionError
from personare.core.types import Array, Batch, Spend

__all__ = ["Cast", "check_group"]


@dataclass(frozen=True, kw_only=True)
class Cast:
    """What made-up recordings have in common with the group.

    Attributes:
        classes: What they may be of.
        shares: (C,) how often; of the group, or public.
        columns: Names of the columns by modality.
        spends: What learning cost.

    Example:
        >>> cast = Cast(classes=("calm", "joy"), shares=np.array([0.5, 0.5]), columns={})
        >>> labels, whose = cast.labels(2, 3, None, rng=np.random.default_rng(0))
        >>> whose.tolist(), len(labels)
        ([0, 0, 0, 1, 1, 1], 6)
    """

    classes: tuple[str, ...]
    shares: Array
    columns: Mapping[str, tuple[str, ...]]
    spends: tuple[Spend, ...] = ()

    @classmethod
    def of(cls, batch: Batch, spends: tuple[Spend, ...] = ()) -> "Cast":
        """Learn how often each class occurs; under differential privacy ``batch`` must be public."""
        counts = np.bincount(batch.labels, minlength=len(batch.classes))
        return cls(classes=batch.classes, shares=counts / counts.sum(), columns=dict(batch.columns), spends=spends)

    def labels(
        self, people: int, recordings: int, labels: Array | None, *, rng: np.random.Generator
    ) -> tuple[Array, Array]:
        """Return the classes asked for, or drawn, and which made-up person each recording is of; both (N,).

        Raises:
            OptionError: Nobody is asked for, or classes that were not learned.
        """
        if people < 1 or recordings < 1:
            raise OptionError(f"At least one person with one recording can be made up, asked: {people}, {recordings}.")
        whose = np.repeat(np.arange(people), recordings)
        if labels is None:
            return rng.choice(len(self.classes), size=len(whose), p=self.shares), whose
        asked = np.asarray(labels)
        learned = np.flatnonzero(self.shares > 0)
        if asked.shape != whose.shape or asked.dtype.kind not in "iu" or not np.isin(asked, learned).all():
            raise OptionError(
                f"labels must be one class for each of the {len(whose)} recordings, a position in {self.classes}, of "
                f"those that were learned ({', '.join(self.classes[i] for i in learned)}); given shape {asked.shape}, "
                f"values {np.unique(asked).tolist()[:12]}."
            )
        return asked.astype(np.int64), whose

    def batch(self, arrays: Mapping[str, Array], labels: Array, whose: Array) -> Batch:
        """Return the recordings, everything present."""
        subjects = np.array([f"synthetic-{person + 1:04d}" for person in whose])
        take = np.arange(len(whose)) - np.searchsorted(whose, whose) + 1
        return Batch(
            ids=tuple(f"{person}-{number:04d}" for person, number in zip(subjects, take, strict=True)),
            arrays=arrays,
            present={modality: np.ones(len(whose), dtype=bool) for modality in arrays},
            labels=labels.astype(np.int64),
            classes=self.classes,
            subjects=subjects,
            columns=self.columns,
        )

    def state(self) -> tuple[dict[str, Array], dict[str, str]]:
        """Return everything as arrays and text."""
        told = {"classes": self.classes, "columns": dict(self.columns), "spends": [asdict(s) for s in self.spends]}
        return {"cast.shares": self.shares}, {"cast": json.dumps(told)}

    @classmethod
    def restore(cls, tensors: Mapping[str, Array], about: Mapping[str, str]) -> "Cast":
        """Build again what ``state`` returned.

        Raises:
            DataError: The arrays or the text belong to something else.
        """
        try:
            told = json.loads(about["cast"])
            return cls(
                classes=tuple(told["classes"]),
                shares=np.asarray(tensors["cast.shares"]),
                columns={m: tuple(names) for m, names in told["columns"].items()},
                spends=tuple(Spend(**spend) for spend in told["spends"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"This is not the state of a generator ({error}): fit it again.") from error


def check_group(train: Batch, *, fewest: int, public: Batch | None = None, private: bool = False) -> None:
    """Refuse a group that is too small to make people up from, or privacy without public recordings.

    Raises:
        DataError: Fewer people than ``fewest``; public recordings of other classes or modalities.
        OptionError: Privacy is asked for without public recordings, which ranges and scaling come from.
    """
    people = len(np.unique(train.subjects))
    if people < fewest:
        raise DataError(
            f"This generator needs recordings of at least {fewest} people, {people} were given: with fewer, made-up "
            "people would be copies. Add people, or choose another generator."
        )
    if not private:
        return
    if public is None:
        raise OptionError(
            "Differential privacy needs public recordings, for ranges, scaling and directions: taken from the people "
            "to be protected, they would give them away. Give public, or epsilon=None."
        )
    if public.classes != train.classes or set(public.arrays) != set(train.arrays):
        raise DataError(
            f"Public recordings must have the classes {train.classes} and modalities {sorted(train.arrays)} of the "
            f"group, they have {public.classes} and {sorted(public.arrays)}."
        )
