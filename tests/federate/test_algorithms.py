"""Sites that mean different things by the same classes, and sites that lie: which algorithm bears what."""

import numpy as np
import pytest
import torch
from torch import nn

from personare.core.errors import OptionError
from personare.federate.fedadam import FedAdam
from personare.federate.fedavg import FedAvg
from personare.federate.personalized import Personalized
from personare.federate.trimmed_mean import TrimmedMean
from personare.learn.federation import Federation
from personare.learn.loop import descend


def right(algorithm) -> float:
    """Train two sites whose classes are turned round; return how often each site's own model is right in the last."""
    torch.manual_seed(0)
    base, head = nn.Linear(4, 4), nn.Linear(4, 2)
    net = nn.Sequential(base, nn.Tanh(), head)
    x = torch.randn(200, 4)
    scores = []

    def site(flip: bool):
        y = (x[:, 0] > 0).long() ^ int(flip)
        optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
        while True:
            before = net(x).argmax(dim=1)  # what the rounds before have left at this site
            scores.append(float((before == y).float().mean()))
            descend(net, [[None] * 20], [lambda _: nn.functional.cross_entropy(net(x), y)], optimizer=optimizer)
            yield ()

    federation = Federation(sites=2, rounds=10, algorithm=algorithm)
    kept = list(head.parameters()) if federation.keeps_head else []
    moved = [p for p in net.parameters() if all(p is not k for k in kept)]
    federation.in_rounds(moved, [site(False), site(True)], [1, 1], kept=kept)
    return float(np.mean(scores[-2:]))


def test_a_head_that_stays_learns_what_its_site_means():
    assert right(FedAvg()) < 0.75
    assert right(Personalized()) > 0.9


def test_adam_of_a_constant_update_is_as_worked_by_hand():
    step = FedAdam(learning_rate=0.1, momentum=0.5, second_momentum=0.75, floor=1e-9).start()
    weights = np.zeros(1)
    first = step(weights, np.full(1, 2.0))  # speed 1, square 1
    assert np.allclose(first, 0.1)
    second = step(first, first + 2.0)  # speed 1.5, square 1.75
    assert np.allclose(second - first, 0.1 * 1.5 / np.sqrt(1.75))


def test_guarantee_a_trimmed_mean_lies_between_honest_sites():
    honest = np.random.default_rng(0).normal(size=(5, 50))
    liars = np.stack([np.full(50, 1e9), honest[0] * -50])
    made = TrimmedMean(cut=0.25).combine(np.concatenate([honest, liars]), np.ones(7))
    assert ((honest.min(axis=0) <= made) & (made <= honest.max(axis=0))).all()
    values = np.array([[4.0], [1.0], [2.0], [9.0]])
    assert TrimmedMean(cut=0.5).combine(values, np.ones(4)) == np.median(values)


def test_a_share_to_cut_must_leave_something():
    with pytest.raises(OptionError, match="cut must be above 0"):
        TrimmedMean(cut=0.6)
