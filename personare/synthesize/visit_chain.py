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

_NEVER = 1e-9  # the share that stands for none, so that it has a logit


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

    def density(self, items: Batch) -> "ChainDensity":
        """Return how likely histories are; see ``learn.sampling.DensitySampler``."""
        return ChainDensity(self, histories(items)[0])

    def adapted(self, density: Density) -> "VisitChainSampler":
        """Return the same with other tables."""
        return replace(self, tables=density.model())


class ChainDensity(nn.Module):
    """The probability of histories (N, T, D) under a chain, whose tables are trained as logits."""

    def __init__(self, chain: VisitChainSampler, rows: Array) -> None:
        super().__init__()
        self.chain, columns = chain, VisitColumns(names=chain.population.columns[VISITS])
        self.parts = [columns.part(name) for name in ("code", "length", "gap")]
        visits = torch.from_numpy(rows).double()
        kinds = visits[..., columns.part("type")]  # (N, T, A)
        people, steps, end = kinds.shape
        # one state more for the start, and for the end of whoever did not come as often as can be
        path = torch.zeros(people, steps + 2, end + 1, dtype=torch.float64)
        path[:, 0, end], path[:, 1:-1, :end] = 1, kinds
        count = kinds.sum(dim=(1, 2)).long()
        path[torch.arange(people), count + 1, end] = (count < chain.longest).double()
        self.steps = torch.einsum("nta,ntb->nab", path[:, :-1], path[:, 1:])
        later = torch.einsum("nta,ntd->nad", kinds[:, 1:], visits[:, 1:])
        self.on = {"first": kinds[:, 0, :, None] * visits[:, 0, None], "later": later}  # (N, A, D) how often, by kind
        tables = {name: torch.from_numpy(np.clip(table, _NEVER, 1 - _NEVER)) for name, table in chain.tables.items()}
        self.before = {name: torch.logit(tables[name]) for name in self.on}
        for part in self.parts[1:]:  # one of a part
            for name in self.on:
                self.before[name][:, part] = torch.log(tables[name][:, part])
        self.before["transitions"] = torch.log(tables["transitions"])
        self.logits = nn.ParameterDict({name: values.clone() for name, values in self.before.items()})

    def forward(self, rows: Tensor) -> Tensor:
        total = (self.steps[rows] * torch.log_softmax(self.logits["transitions"], dim=1)).sum(dim=(1, 2))
        for name, on in self.on.items():
            codes, *choices = (self.logits[name][:, part] for part in self.parts)
            count = on[rows, :, 0]  # (n, A) visits of each kind
            total = total + (on[rows][:, :, self.parts[0]] * codes).sum(dim=(1, 2))
            total = total - count @ nn.functional.softplus(codes).sum(dim=1)
            for part, choice in zip(self.parts[1:], choices, strict=True):
                total = total + (on[rows][:, :, part] * torch.log_softmax(choice, dim=1)).sum(dim=(1, 2))
        return total

    @torch.no_grad()
    def drift(self) -> float:
        """Return the divergence of a history in nats, from how often each kind of visit is expected."""
        moves = torch.log_softmax(self.logits["transitions"], dim=1)
        chances = moves.exp()
        steps = (chances * (moves - torch.log_softmax(self.before["transitions"], dim=1))).sum(dim=1)  # (A + 1,)
        written = {name: self._visits(name) for name in self.on}
        there = chances[-1, :-1]  # (A,) at the first visit
        total = steps[-1] + there @ written["first"]
        for _ in range(self.chain.longest - 1):
            total = total + there @ steps[:-1]
            there = there @ chances[:-1, :-1]
            total = total + there @ written["later"]
        return float(total)

    def _visits(self, name: str) -> Tensor:
        """Return how far what is written at a visit of each kind went, (A,)."""
        (codes, *choices), (codes_before, *choices_before) = (
            [table[name][:, part] for part in self.parts] for table in (self.logits, self.before)
        )
        on = torch.sigmoid(codes)
        total = on * (codes - codes_before) + nn.functional.softplus(codes_before) - nn.functional.softplus(codes)
        total = total.sum(dim=1)
        for now, before in zip(choices, choices_before, strict=True):
            logs = torch.log_softmax(now, dim=1)
            total = total + (logs.exp() * (logs - torch.log_softmax(before, dim=1))).sum(dim=1)
        return total

    @torch.no_grad()
    def model(self) -> dict[str, Array]:
        """Return the tables as they were trained."""
        tables = {name: self.chain.tables[name].copy() for name in self.on}
        code, *choices = self.parts
        for name, table in tables.items():
            table[:, code] = torch.sigmoid(self.logits[name][:, code]).numpy()
            for part in choices:
                table[:, part] = torch.softmax(self.logits[name][:, part], dim=1).numpy()
        return tables | {"transitions": torch.softmax(self.logits["transitions"], dim=1).numpy()}


def _draw_columns(shares: Array, rng: np.random.Generator) -> Array:
    """Draw one column for each row of shares, (V, K)."""
    steps = np.cumsum(shares, axis=1)
    return np.asarray((rng.random(len(shares))[:, None] * steps[:, -1:] >= steps).sum(axis=1))
