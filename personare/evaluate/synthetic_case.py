"""Synthetic people beside the real ones: the same rows of numbers for all, and who of the real was learned from.

Everything here treats people who were learned from and people who were not in exactly the same way. If a generator
ignored its data, the two would be exchangeable, and every comparison between them comes out even but for luck.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np

from personare.core.errors import DataError
from personare.core.types import Array, Batch
from personare.evaluate.described import Described, Scaling, nearest
from personare.evaluate.exposed import isolation, most_exposed

__all__ = ["FEWEST", "SyntheticCase"]

FEWEST: Final = 4  # people on either side: with fewer, no interval says anything
_MOST: Final = 6000  # synthetic recordings looked at


@dataclass(frozen=True, kw_only=True)
class SyntheticCase:
    """What attacks on synthetic people are about.

    Attributes:
        synthetic: The recordings released.
        real: Recordings of people learned from and of others.
        inside: (P,) bool, which of the P real people the generator learned from.
        alone: (N,) distance of each real recording to the nearest one of any other real person.
        names: (P,) their pseudonyms.
        parts: Columns by modality.
        exposed_share: Share of either group that counts as the most exposed.

    Example:
        >>> def some(name, shift):
        ...     values = np.random.default_rng(shift).standard_normal((20, 3)).astype(np.float32)
        ...     return Batch(ids=tuple(f"{name}{i}" for i in range(20)), arrays={"x": values},
        ...         present={"x": np.ones(20, bool)}, labels=np.zeros(20, int), classes=("a", "b"),
        ...         subjects=np.array([f"{name}{i % 5}" for i in range(20)]))
        >>> case = SyntheticCase.of(some("s", 0), some("t", 1), some("c", 2), rng=np.random.default_rng(0))
        >>> case.real.values.shape, int(case.inside.sum()), int(case.exposed.sum())
        ((40, 3), 5, 4)
    """

    synthetic: Described
    real: Described
    inside: Array
    alone: Array
    names: Array
    parts: Mapping[str, slice]
    exposed_share: float = 0.25

    @classmethod
    def of(
        cls, synthetic: Batch, train: Batch, control: Batch, *, each: int = 60, rng: np.random.Generator
    ) -> "SyntheticCase":
        """Describe all recordings in the same way, scaled by all real people together.

        Args:
            synthetic: The release.
            train: People whom the generator learned from.
            control: Other people of the same cohort.
            each: Most recordings looked at of one real person; of synthetic ones at most 6000 in all.
            rng: Chooses where there are more.

        Raises:
            DataError: Too few people, somebody in both groups, other modalities or other classes.
        """
        _check(synthetic, train, control)
        seen = Scaling.of((train, control))
        names, people = np.unique(np.concatenate([train.subjects, control.subjects]), return_inverse=True)
        made = Described(
            values=seen(synthetic),
            people=np.unique(synthetic.subjects, return_inverse=True)[1],
            labels=_same_classes(synthetic, train.classes),
        )
        real = Described(
            values=np.concatenate([seen(train), seen(control)]),
            people=people,
            labels=np.concatenate([train.labels, _same_classes(control, train.classes)]),
        )
        real = real.thinned(each, rng)
        return cls(
            synthetic=made.take(np.sort(rng.permutation(len(made))[:_MOST])),
            real=real,
            alone=nearest(real, real),
            inside=np.isin(names, train.subjects),
            names=names,
            parts=seen.parts,
        )

    @property
    def unprotected(self) -> "SyntheticCase":
        """The worst release: everything that was learned from, as it is. Attacks that miss it are of no use."""
        return replace(self, synthetic=self.real.take(self.inside[self.real.people]))

    @cached_property
    def exposed(self) -> Array:
        """(P,) bool, the most isolated people of either group, as many of both as their share says."""
        apart, found = isolation(self.alone, self.real.people), np.zeros(len(self.inside), dtype=bool)
        for group in (self.inside, ~self.inside):
            found[np.flatnonzero(group)[most_exposed(apart[group], self.exposed_share)]] = True
        return found


def _same_classes(batch: Batch, classes: tuple[str, ...]) -> Array:
    known = np.array([classes.index(c) if c in classes else -1 for c in batch.classes], dtype=np.int64)
    return np.asarray(known[batch.labels])


def _check(synthetic: Batch, train: Batch, control: Batch) -> None:
    counts = [len(np.unique(batch.subjects)) for batch in (train, control)]
    if min(counts) < FEWEST or not len(synthetic):
        raise DataError(
            f"Attacks on synthetic people need at least {FEWEST} real people who were learned from, {FEWEST} others, "
            f"and a synthetic recording; given {counts[0]}, {counts[1]} and {len(synthetic)}: add people."
        )
    if both := sorted({*train.subjects} & {*control.subjects}):
        raise DataError(f"A person was learned from or not, but {len(both)} are in both groups: split by person.")
    for batch in (control, synthetic):
        if {*batch.arrays} != {*train.arrays}:
            raise DataError(
                f"All three need the same modalities: learned from {sorted(train.arrays)}, given "
                f"{sorted(batch.arrays)}. Choose some with Batch.only."
            )
