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
from personare.learn.accounting import compose
from personare.learn.federation import Federation
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
        federation = Federation(sites=self.sites, rounds=self.rounds)
        dealt = federation.deal(subjects)
        sites = [
            self._site(net, loss, take(rows, torch.from_numpy(part)), subjects[part], rng, progress) for part in dealt
        ]
        with seeded(rng):
            moved = [p for p in net.parameters() if p.requires_grad]
            return federation.in_rounds(moved, sites, [len(np.unique(subjects[part])) for part in dealt])

    def plan(self, epsilon: float, people: int) -> PrivacyPlan:
        """Return what a site of so many people does in private."""
        return PrivacyPlan(
            epsilon=epsilon,
            delta=self.delta,
            unit="person",
            units=people,
            expected_batch=min(self.batch_size, people),
            steps=self._a_round * self.rounds,
        )

    @property
    def _a_round(self) -> int:
        return math.ceil(self.steps / self.rounds)

    def _site(
        self,
        net: nn.Module,
        loss: Callable[[nn.Module, Rows], Tensor],
        rows: Rows,
        owner: Array,
        rng: np.random.Generator,
        progress: Callable[[int], object],
    ) -> Iterator[list[Spend]]:
        """Train a round whenever asked; its optimizer goes on where it stopped. Yields what all rounds cost."""
        optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=self.learning_rate)
        schedule, a_round = warm_cosine(optimizer, self.steps), self._a_round
        if self.epsilon is None:
            spends, steps = list[Spend](), _open_steps(rows, self.batch_size, rng)
            how: Any = lambda batch: loss(net, batch).mean()  # noqa: E731
        else:
            people, owner = np.unique(owner, return_inverse=True)
            plan = self.plan(self.epsilon, len(people))
            spends, steps = [plan.spend()], _paid_steps(plan, rows, owner, rng)
            how = PrivateSteps(network=net, loss=loss, clip_norm=self.clip_norm)

        def a_rounds_steps() -> Iterator[Any]:
            for _ in range(a_round):
                yield next(steps)
                progress(1)

        while True:
            descend(net, [a_rounds_steps()], [how], optimizer=optimizer, schedule=schedule)
            yield spends


def sharing(epsilon: float, stages: Sequence[tuple[Training, int]]) -> float:
    """Return the epsilon of each stage, of so many people at least, by which all together cost at most ``epsilon``."""
    low, high = 0.0, epsilon
    while high / max(low, 1e-9) > 1.02:
        middle = (low + high) / 2
        # a site of few people costs them most
        spends = [stage.plan(middle, people // stage.sites).spend() for stage, people in stages]
        cost = compose(spends, stages[0][0].delta)
        low, high = (middle, high) if cost <= epsilon else (low, middle)
    return low


def _open_steps(rows: Rows, size: int, rng: np.random.Generator) -> Iterator[Any]:
    while True:
        for positions in shuffled(len(next(iter(rows.values()))), size, rng):
            yield take(rows, positions)


def _paid_steps(plan: PrivacyPlan, rows: Rows, owner: Array, rng: np.random.Generator) -> Iterator[Any]:
    for paid in plan.batches(rng):
        positions, whose = gather(paid.units, owner, cap=_CAP, rng=rng)
        yield paid, take(rows, torch.from_numpy(positions)), torch.from_numpy(whose)
