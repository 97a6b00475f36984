"""The loss of pairs, worked by hand."""

import math

import pytest
import torch
from torch import Tensor

from personare.adapt.dpo import pair_loss


class Table(torch.nn.Module):
    """Log densities of three items, with noise that differs from row to row."""

    def __init__(self, *logs: float, noise: float = 0.0) -> None:
        super().__init__()
        self.logs, self.noise = torch.nn.Parameter(torch.tensor(logs)), noise

    def forward(self, rows: Tensor) -> Tensor:
        return self.logs[rows] + self.noise * torch.randn(len(rows))


def test_the_loss_is_the_surprise_at_how_much_more_likely_the_preferred_became() -> None:
    density, reference = Table(1.0, -2.0, 0.0), Table(0.5, -1.0, 0.0)
    pairs = torch.tensor([[0, 1], [1, 2]])
    # item 0 gained 0.5 and item 1 lost 1: margins are 1.5 and -1
    surprises = [math.log(1 + math.exp(-0.2 * margin)) for margin in (1.5, -1.0)]
    loss = pair_loss(density, reference, pairs, beta=0.2, noise=0)
    assert float(loss.detach()) == pytest.approx(sum(surprises) / 2 / 0.2, rel=1e-5)
    loss.backward()
    assert density.logs.grad[0] < 0 < density.logs.grad[2]  # a step raises the preferred one
    assert reference.logs.grad is None


def test_both_of_a_pair_before_and_after_meet_the_same_noise() -> None:
    density, reference = Table(1.0, -2.0, 0.0, noise=100.0), Table(0.5, -1.0, 0.0, noise=100.0)
    pairs = torch.tensor([[0, 1], [1, 2]])
    quiet = pair_loss(Table(1.0, -2.0, 0.0), Table(0.5, -1.0, 0.0), pairs, beta=0.2, noise=0)
    loud = pair_loss(density, reference, pairs, beta=0.2, noise=3)
    assert float(loud.detach()) == pytest.approx(float(quiet.detach()), rel=1e-3)
