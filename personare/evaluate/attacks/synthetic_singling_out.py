"""Writes down a description of a synthetic person that should fit nobody, and sees whether it fits one real person."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from personare.core.errors import OptionError
from personare.core.options import check_options
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
        check_options(self, guesses=1, columns=1)
        if not 0 < self.weight < 1:
            raise OptionError(f"weight must be in (0, 1), given {self.weight}.")

    def __call__(self, case: SyntheticCase, *, rng: np.random.Generator, claim: Spend | None = None) -> list[Result]:
        """Measure ``risk``: real people whom a guess singled out in their group."""
        varies = case.synthetic.std(axis=0) > 0
        made, real = case.synthetic[:, varies], case.real[:, varies]
        if not made.shape[1]:
            nobody = np.zeros(len(case.inside))
            return risk_rows("identify", "synthetic_singling_out", nobody, nobody, case)
        # 1 for learned from, 0 for others; -1 for those too many: to be the only one is harder among more
        groups = np.full(len(case.inside), -1)
        fewest = min(case.inside.sum(), (~case.inside).sum())
        for side in (0, 1):
            groups[rng.permutation(np.flatnonzero(case.inside == side))[:fewest]] = side
        # (S, D) and (N, D) shares of the synthetic recordings below each value
        guessed, real = (np.stack([_shares(*pair) for pair in zip(x.T, made.T, strict=True)], 1) for x in (made, real))
        used = min(self.columns, made.shape[1])
        width = max(self.weight ** (1 / used), _NARROWEST) / 2

        def singled_out(sources: Array) -> Array:
            """Return (P,) bool, whom at least one guess fits alone in their group; each column has its source."""
            hit = np.zeros(len(groups), dtype=bool)
            for source in sources:
                columns = rng.choice(made.shape[1], used, replace=False)
                near = np.abs(real[:, columns] - guessed[source[columns], columns]) <= width
                fits = np.unique(case.people[near.all(axis=1)])
                for side in (0, 1):
                    group = fits[groups[fits] == side]
                    hit[group] |= len(group) == 1
            return hit

        one = np.repeat(rng.integers(len(made), size=(self.guesses, 1)), made.shape[1], axis=1)
        mixed = rng.integers(len(made), size=one.shape)
        successes = np.where(groups >= 0, singled_out(one), np.nan)
        return risk_rows("identify", "synthetic_singling_out", successes, singled_out(mixed).astype(float), case)


def _shares(values: Array, among: Array) -> Array:
    """Return the share of ``among`` below each value, ties one half."""
    ordered = np.sort(among)
    return (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / (2 * len(ordered))
