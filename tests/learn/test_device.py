"""Networks on another device; there is none with numbers here, so torch's own device without any stands for it."""

import pytest
import torch

from personare.core.errors import OptionError
from personare.learn import device
from personare.learn.loop import train

META = torch.device("meta")


def test_what_an_operation_is_given_follows_the_network_and_nothing_else_moves():
    net, rows = torch.nn.Linear(3, 2).to(META), torch.randn(4, 3)
    with pytest.raises(RuntimeError):
        net(rows)
    with device.Together(META):
        scores = net(rows)
        loss = torch.nn.functional.cross_entropy(scores, torch.tensor([0, 1, 0, 1]), weight=torch.ones(2))
        assert {scores.device, loss.device, (scores + torch.ones(2)).device} == {META}
        assert {rows.device.type, rows[torch.tensor([0, 1])].device.type} == {"cpu"}


def test_training_is_there_and_the_network_is_home_afterwards(monkeypatch):
    monkeypatch.setattr(device, "device", lambda: META)
    net, seen = torch.nn.Linear(3, 2), []

    def batch(rng):
        return torch.randn(4, 3), torch.tensor([0, 1, 0, 1])

    def loss(scores, labels):
        seen.append(scores.device)
        return torch.nn.functional.cross_entropy(scores, labels)

    with pytest.raises(RuntimeError, match="meta"):  # a loss without a number; on a real device it has one
        train(net, batch, loss, steps=1, rng=None)
    assert seen == [META]


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setenv(device.VARIABLE, "auto")
    assert device.device().type in ("cpu", "cuda", "mps")
    monkeypatch.setenv(device.VARIABLE, "tpu")
    with pytest.raises(OptionError, match="not tpu"):
        device.device()
