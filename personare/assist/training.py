"""Moves the numbers of an assistant: in the open, with differential privacy for each person, over one site or many."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from personare.core.errors import OptionError
from personare.core.options import Count, Positive, check_options
from personare.core.types import Array, Spend
from personare.learn.loop import descend, seeded, shuffled, warm_cosine
from personare.learn.multimodal import take
from personare.learn.privacy import PrivacyPlan, gather
from personare.learn.private_nets import PrivateSteps

Rows = Mapping[str, Tensor]
_CAP = 4  # examples of a person in a private step


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a stage is learned; the same call trains it in the open, in private, over several sites, or both.

    With ``sites`` the people are dealt out; in each of ``rounds`` every site learns from its own people, and what the
    sites came to is averaged, by how many people each has.

    **Guarantee**: with an ``epsilon``, what is learned is (epsilon, delta) differentially private for each person,
    whatever else is known: over sites too, for nobody is in two of them, and each site adds its own noise.

    **Source**: B. McMahan et al., "Communication-efficient learning", AISTATS 2017, arXiv:1602.05629 (the average);
    M. Abadi et al., CCS 2016, doi:10.1145/2976749.2978318.
    """

    steps: Count = 100  # in each site, over all rounds
    batch_size: Count = 16  # examples in a step; in private, people on average
    learning_rate: Positive = 1e-3
    epsilon: float | None = None
    delta: float = 1e-3
    clip_norm: Positive = 1.0
    sites: Count = 1
    rounds: Count = 1

    def __post_init__(self) -> None:
        check_options(self)
        if self.rounds > self.steps:
            raise OptionError(f"There must be a step in each of {self.rounds} rounds, but there are {self.steps}.")

    def __call__(
        self,
        net: nn.Module,
        loss: Callable[[nn.Module, Rows], Tensor],
        rows: Rows,
        subjects: Array,
        *,
        rng: np.random.Generator,
        progress: Callable[[int], object] = lambda steps: None,
    ) -> tuple[Spend, ...]:
        """Train, in place, what of ``net`` requires a gradient; ``loss`` is of rows, one number each."""
        people, owner = np.unique(subjects, return_inverse=True)
        if self.sites > len(people):
            raise OptionError(f"There must be a person in each of {self.sites} sites, but there are {len(people)}.")
        moved = {name: p for name, p in net.named_parameters() if p.requires_grad}
        dealt = [np.flatnonzero(np.isin(owner, part)) for part in np.array_split(rng.permutation(len(people)), self.sites)]
        sites = [self._site(net, loss, take(rows, torch.from_numpy(part)), owner[part], rng) for part in dealt]
        spends: dict[Spend, None] = {}
        with seeded(rng):
            for _ in range(self.rounds):
                start = {name: p.detach().clone() for name, p in moved.items()}
                mean = {name: torch.zeros_like(p) for name, p in moved.items()}
                for part, steps in zip(dealt, sites, strict=True):
                    spends |= dict.fromkeys(filter(None, [next(steps)]))
                    progress(self.steps // self.rounds)
                    share = len(np.unique(owner[part])) / len(people)
                    with torch.no_grad():
                        for name, p in moved.items():
                            mean[name] += share * p
                            p.copy_(start[name])
                with torch.no_grad():
                    for name, p in moved.items():
                        p.copy_(mean[name])
        return tuple(spends)

    def _site(
        self, net: nn.Module, loss: Callable[[nn.Module, Rows], Tensor], rows: Rows, owner: Array, rng: np.random.Generator
    ) -> Iterator[Spend | None]:
        """Train a round whenever asked; its optimizer goes on where it stopped. Yields what all rounds cost."""
        moved = [p for p in net.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(moved, lr=self.learning_rate, weight_decay=0.0)
        schedule, a_round = warm_cosine(optimizer, self.steps), math.ceil(self.steps / self.rounds)
        steps, spend = self._open_steps(rows, rng), None
        how: Any = lambda batch: loss(net, batch).mean()  # noqa: E731
        if self.epsilon is not None:
            people, owner = np.unique(owner, return_inverse=True)
            plan = PrivacyPlan(
                epsilon=self.epsilon,
                delta=self.delta,
                unit="person",
                units=len(people),
                expected_batch=min(self.batch_size, len(people)),
                steps=a_round * self.rounds,
            )
            spend, how = plan.spend(), PrivateSteps(network=net, loss=loss, clip_norm=self.clip_norm)
            steps = _paid_steps(plan, rows, owner, rng)
        while True:
            batches = (batch for _, batch in zip(range(a_round), steps, strict=False))
            descend(net, [batches], [how], optimizer=optimizer, schedule=schedule)
            yield spend

    def _open_steps(self, rows: Rows, rng: np.random.Generator) -> Iterator[Any]:
        count = len(next(iter(rows.values())))
        while True:
            for positions in shuffled(count, self.batch_size, rng):
                yield take(rows, positions)


def _paid_steps(plan: PrivacyPlan, rows: Rows, owner: Array, rng: np.random.Generator) -> Iterator[Any]:
    for paid in plan.batches(rng):
        positions, whose = gather(paid.units, owner, cap=_CAP, rng=rng)
        yield paid, take(rows, torch.from_numpy(positions)), torch.from_numpy(whose)


def examples_of(subjects: Sequence[str]) -> Array:
    """Return (N,) str, whose each example is."""
    return np.array(subjects, dtype=str)
