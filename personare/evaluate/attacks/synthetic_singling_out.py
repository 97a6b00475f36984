"""Writes down a description of a synthetic person that should fit nobody, and sees whether it fits one real person."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from personare.core.errors import OptionError
from personare.core.types import Array, Result, Spend
from personare.evaluate.synthetic_case import SyntheticCase, risk_rows

__all__ = ["SinglingOut"]

_NARROWEST = 0.02  # share of the synthetic recordings: with few columns a guess may fit by luck a little more often


@dataclass(frozen=True, kw_only=True)
class SinglingOut:
    """Each guess says of a few columns that they lie near a synthetic recording's values; a hit fits just one person.

    Widths are shares of the synthetic recordings, so narrow that a guess would fit a recording with a chance of
    ``weight`` were the columns independent: what guesses fit by luck, people who were not learned from show. The naive
    guess takes each column's value from another synthetic recording.

    **Source**: the first criterion of WP216; that a guess must be unlikely to fit: A. Cohen, K. Nissim, "Towards
    formalizing the GDPR's notion of singling out", PNAS 117(15), 2020 (arXiv 1904.06009). The attack is ours.
    """

    question: ClassVar = "identify"
    kinds: ClassVar[tuple[str, ...]] = ("synthetic",)

    guesses: int = 300  # how many
    columns: int = 16  # most columns in a guess
    weight: float = 1e-10  # how unlikely a guess is to fit

    def __post_init__(self) -> None:
        if self.guesses < 1 or self.columns < 1 or not 0 < self.weight < 1:
            raise OptionError(
                "synthetic_singling_out needs guesses and columns of at least 1 and weight in (0, 1), given "
                f"{self.guesses}, {self.columns} and {self.weight}."
            )

    def __call__(self, case: SyntheticCase, *, rng: np.random.Generator, claim: Spend | None = None) -> list[Result]:
        """Measure ``risk``: real people whom a guess singled out in their group."""
        told = case.made.std(axis=0) > 0
        made, real = case.made[:, told], case.real[:, told]
        if not made.shape[1]:
            nobody = np.zeros(len(case.inside))
            return risk_rows("identify", "synthetic_singling_out", nobody, nobody, case)
        groups = _even_groups(case.inside, rng)
        about = np.stack([_shares(column, own) for column, own in zip(made.T, made.T, strict=True)], axis=1)
        found = np.stack([_shares(column, own) for column, own in zip(real.T, made.T, strict=True)], axis=1)  # (N, D)
        chosen = rng.integers(len(made), size=(self.guesses, 1))
        mixed = rng.integers(len(made), size=(self.guesses, made.shape[1]))
        hits = [self._hit(about, found, rows, case.people, groups, rng) for rows in (chosen, mixed)]
        successes, naive = (np.where(groups >= 0, hit, np.nan) for hit in hits)
        return risk_rows("identify", "synthetic_singling_out", successes, np.nan_to_num(naive), case)

    def _hit(
        self, about: Array, found: Array, rows: Array, people: Array, groups: Array, rng: np.random.Generator
    ) -> Array:
        """Return (P,) bool, whom at least one guess singled out in their group."""
        used = min(self.columns, about.shape[1])
        width = max(self.weight ** (1 / used), _NARROWEST) / 2
        hit = np.zeros(len(groups), dtype=bool)
        for row in rows:
            columns = rng.choice(about.shape[1], used, replace=False)
            values = about[row if len(row) == 1 else row[columns], columns]  # (used,)
            fits = np.unique(people[(np.abs(found[:, columns] - values) <= width).all(axis=1)])
            for side in (0, 1):
                own = fits[groups[fits] == side]
                if len(own) == 1:
                    hit[own] = True
        return hit


def _shares(values: Array, among: Array) -> Array:
    """Return the share of ``among`` below each value, ties one half."""
    known = np.sort(among)
    return (np.searchsorted(known, values, "left") + np.searchsorted(known, values, "right")) / (2 * len(known))


def _even_groups(inside: Array, rng: np.random.Generator) -> Array:
    """Return (P,) 1 for learned from, 0 for others; -1 for those too many: to be the only one is harder among more."""
    groups = np.full(len(inside), -1)
    fewest = min(inside.sum(), (~inside).sum())
    for side in (0, 1):
        groups[rng.permutation(np.flatnonzero(inside == side))[:fewest]] = side
    return groups
