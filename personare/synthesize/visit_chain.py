"""Make up histories as a chain: each visit's kind follows from the one before, its codes from its kind alone."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from personare.core.options import NotNegative, check_options
from personare.core.types import Array, Batch, Spend
from personare.features.visits import VISITS, VisitColumns, histories
from personare.learn.sampling import Population, check_group

__all__ = ["VisitChain"]


@dataclass(frozen=True, kw_only=True)
class VisitChain:
    """Count how often one kind of visit follows another, and what is written down at each kind: the simple baseline.

    It knows no illness that stays, no person and no two codes that belong together. Not offered with differential
    privacy.

    **Guarantee**: none; but only shares over all people are kept, no history.

    **Source**: a first-order Markov chain; A. A. Markov, 1906. The codes by kind are ours.
    """

    smoothing: NotNegative = 0.1  # counted to every transition beforehand

    def __post_init__(self) -> None:
        check_options(self)

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> "VisitChainSampler":
        """Count; see ``core.protocols.Generator``. ``validation`` is not looked at."""
        rows, columns = histories(train)
        check_group(train, fewest=20)
        kinds = rows[..., columns.part("type")]  # (N, T, A)
        last = kinds[np.arange(len(kinds)), kinds.any(axis=2).sum(axis=1) - 1].sum(axis=0)  # (A,)
        follows = np.einsum("nta,ntb->ab", kinds[:, :-1], kinds[:, 1:])
        counts = np.block([[follows, last[:, None]], [kinds[:, 0].sum(axis=0), np.zeros(1)]]) + self.smoothing
        counts[-1, -1] = 0  # nobody ends before the first visit
        first = rows[..., columns.first] == 1
        later = (rows[..., 0] == 1) & ~first
        tables = {
            "transitions": counts / counts.sum(axis=1, keepdims=True),
            "first": _shares(kinds[first], rows[first]),
            "later": _shares(kinds[later], rows[later]),
        }
        return VisitChainSampler(population=Population.of(train), longest=rows.shape[1], tables=tables)


def _shares(kinds: Array, visits: Array) -> Array:
    """Return the share of visits with each column by kind, (A, D); of all visits where a kind was never seen."""
    counts = kinds.sum(axis=0)[:, None]
    everywhere = visits.mean(axis=0) if len(visits) else np.zeros(visits.shape[1])
    return np.asarray(np.where(counts > 0, kinds.T @ visits / np.maximum(counts, 1), everywhere), dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class VisitChainSampler:
    """Walks the chain for at most ``longest`` visits; they do not depend on classes."""

    population: Population
    longest: int
    # transitions (A + 1, A + 1), from the start last, to the end last; first and later (A, D): shares by kind of visit
    tables: Mapping[str, Array]

    @property
    def spends(self) -> tuple[Spend, ...]:
        """Nothing was protected."""
        return self.population.spends

    def __call__(self, people: int, recordings: int, *, rng: np.random.Generator, labels: Array | None = None) -> Batch:
        """Return made-up histories."""
        labels, whose = self.population.labels(people, recordings, labels, rng=rng)
        columns = VisitColumns(names=self.population.columns[VISITS])
        rows = np.zeros((len(whose), self.longest, columns.width), np.float32)
        end = len(self.tables["transitions"]) - 1
        going, kind = np.arange(len(whose)), np.full(len(whose), end)
        for t in range(self.longest):
            kind = _draw_columns(self.tables["transitions"][kind], rng)
            going, kind = going[kind < end], kind[kind < end]
            shares = self.tables["later" if t else "first"][kind]
            visits = (rng.random(shares.shape) < shares).astype(np.float32)
            visits[:, 0] = 1
            visits[:, columns.part("type")] = np.eye(end, dtype=np.float32)[kind]
            for name in ("length", "gap"):
                part = columns.part(name)
                visits[:, part] = np.eye(part.stop - part.start, dtype=np.float32)[_draw_columns(shares[:, part], rng)]
            rows[going, t] = visits
        return self.population.batch({VISITS: rows}, labels, whose)


def _draw_columns(shares: Array, rng: np.random.Generator) -> Array:
    """Draw one column for each row of shares, (V, K)."""
    steps = np.cumsum(shares, axis=1)
    return np.asarray((rng.random(len(shares))[:, None] * steps[:, -1:] >= steps).sum(axis=1))
