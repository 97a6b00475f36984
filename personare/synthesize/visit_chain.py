"""Make up histories as a chain: each visit's kind follows from the one before, its codes from its kind alone."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from personare.core.options import NotNegative, check_options
from personare.core.types import Array, Batch, Spend
from personare.features.visits import VISITS, VisitColumns, histories
from personare.learn.sampling import Density, Population, check_group

__all__ = ["VisitChain"]

_CHOICES = ("length", "gap")  # of a visit, one column each; a code is there or not
_NEVER = 1e-9  # the share that stands for none, so that it has a logarithm


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
            for name in _CHOICES:
                part = columns.part(name)
                visits[:, part] = np.eye(part.stop - part.start, dtype=np.float32)[_draw_columns(shares[:, part], rng)]
            rows[going, t] = visits
        return self.population.batch({VISITS: rows}, labels, whose)

    def density(self, items: Batch) -> "ChainDensity":
        """Return how likely histories are; see ``learn.sampling.DensitySampler``."""
        return ChainDensity(self, histories(self.population.recognized(items))[0])

    def adapted(self, density: Density) -> "VisitChainSampler":
        """Return the same with other tables."""
        return replace(self, tables=density.model())


class ChainDensity(nn.Module):
    """The probability of histories (N, T, D) under a chain: choices of the next kind of visit, and at each visit.

    A code is a choice of two. How often each option was taken is counted once; trained are the options' logits.
    """

    def __init__(self, chain: VisitChainSampler, rows: Array) -> None:
        super().__init__()
        self.chain, self.columns = chain, VisitColumns(names=chain.population.columns[VISITS])
        kinds, end = rows[..., self.columns.part("type")], len(chain.tables["transitions"]) - 1  # (N, T, A)
        # one state more for the start, and for the end of whoever did not come as often as can be
        path = np.zeros((len(rows), rows.shape[1] + 2, end + 1))
        path[:, 0, end], path[:, 1:-1, :end] = 1, kinds
        visits = rows[..., 0].sum(axis=1).astype(int)
        path[np.arange(len(rows)), visits + 1, end] = visits < chain.longest
        counts = {"transitions": np.einsum("nta,ntb->nab", path[:, :-1], path[:, 1:])[:, :, None]}
        shares = {"transitions": chain.tables["transitions"][:, None]}
        for name, times in (("first", slice(0, 1)), ("later", slice(1, None))):
            counts[name] = self._choices(np.einsum("nta,ntd->nad", kinds[:, times], rows[:, times]))
            shares[name] = self._choices(chain.tables[name])
        self.counts = {name: torch.from_numpy(values) for name, values in counts.items()}  # (N, A, choices, options)
        logits = {name: torch.from_numpy(np.log(np.maximum(values, _NEVER))) for name, values in shares.items()}
        self.before = {name: torch.log_softmax(values, dim=-1) for name, values in logits.items()}
        self.logits = nn.ParameterDict(logits)

    def _choices(self, columns: Array) -> Array:
        """Return columns of visits (..., D) as those of choices (..., choices, options): codes, the length, the gap."""
        code, *others = (columns[..., self.columns.part(part)] for part in ("code", *_CHOICES))
        codes = code.shape[-1]
        choices = np.zeros((*columns.shape[:-1], codes + len(others), max(2, *(other.shape[-1] for other in others))))
        choices[..., :codes, 0], choices[..., :codes, 1] = code, columns[..., :1] - code
        for n, other in enumerate(others):
            choices[..., codes + n, : other.shape[-1]] = other
        return choices

    def forward(self, rows: Tensor) -> Tensor:
        """Return log probabilities of the histories at these positions, (N,)."""
        logs = [(self.counts[name][rows] * of).flatten(1).sum(dim=1) for name, of in self._logs().items()]
        return torch.stack(logs).sum(dim=0)

    def _logs(self) -> dict[str, Tensor]:
        return {name: torch.log_softmax(logits, dim=-1) for name, logits in self.logits.items()}

    @torch.no_grad()
    def drift(self) -> float:
        """Return the divergence of a history in nats, from how often each kind of visit is expected."""
        logs = self._logs()
        far = {name: (of.exp() * (of - self.before[name])).sum(dim=(1, 2)) for name, of in logs.items()}  # (A,)
        steps, chances = far["transitions"], logs["transitions"].exp()[:, 0]
        kind = chances[-1, :-1]  # (A,) at the first visit
        total = steps[-1] + kind @ far["first"]
        for _ in range(self.chain.longest - 1):
            total = total + kind @ steps[:-1]
            kind = kind @ chances[:-1, :-1]
            total = total + kind @ far["later"]
        return float(total)

    @torch.no_grad()
    def model(self) -> dict[str, Array]:
        """Return the tables as they were trained."""
        shares = {name: logs.exp().numpy() for name, logs in self._logs().items()}
        tables = {name: table.copy() for name, table in self.chain.tables.items()}
        tables["transitions"] = shares["transitions"][:, 0]
        code = self.columns.part("code")
        for name in ("first", "later"):
            tables[name][:, code] = shares[name][:, : code.stop - code.start, 0]
            for n, part in enumerate(map(self.columns.part, _CHOICES), code.stop - code.start):
                tables[name][:, part] = shares[name][:, n, : part.stop - part.start]
        return tables


def _draw_columns(shares: Array, rng: np.random.Generator) -> Array:
    """Draw one column for each row of shares, (V, K)."""
    steps = np.cumsum(shares, axis=1)
    return np.asarray((rng.random(len(shares))[:, None] * steps[:, -1:] >= steps).sum(axis=1))
