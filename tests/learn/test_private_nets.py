"""Private steps of deep networks: gradients of one unit each, clipped, summed, noised."""

import numpy as np
import pytest
import torch
from opacus.grad_sample import GradSampleModule
from torch import nn

from personare.core.errors import OptionError
from personare.learn.networks import ResidualCnn, SmallCnn
from personare.learn.privacy import PaidBatch, PrivacyPlan, clip_rows
from personare.learn.private_nets import PrivateSteps


class TwoEncoders(nn.Module):
    """Two modalities through one shared head."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.head = nn.Linear(4, 3), nn.Linear(6, 3), nn.Linear(3, 2)

    def forward(self, a, b, has_b):
        return self.head(torch.tanh(self.a(a))) + has_b[:, None] * self.head(torch.tanh(self.b(b)))


def _loss(net, rows):
    scores = net(rows["a"], rows["b"], rows["has_b"])
    return nn.functional.cross_entropy(scores, rows["y"], reduction="none")


def _rows(n, has_b=1.0):
    rng = torch.Generator().manual_seed(0)
    return {
        "a": torch.randn(n, 4, generator=rng),
        "b": torch.randn(n, 6, generator=rng),
        "has_b": torch.full((n,), has_b),
        "y": torch.arange(n) % 2,
    }


def _net(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return TwoEncoders()


def _batch(units, *, noise=0.0, releases=1):
    """A batch whose noise is known to be none, to see the sums behind it."""
    plan = PrivacyPlan(
        epsilon=1, delta=1e-4, unit="recording", units=100, expected_batch=10, steps=1, releases=releases
    )
    return PaidBatch(units=np.arange(units), plan=plan, noise_multiplier=noise, rng=np.random.default_rng(0))


def _flat(net):
    return torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])


def _each(net, rows):
    """The gradient of every recording by itself, (R, P), the slow way."""
    found = []
    for row in range(len(rows["y"])):
        net.zero_grad()
        _loss(net, {name: values[row : row + 1] for name, values in rows.items()}).sum().backward()
        found.append(_flat(net))
    net.zero_grad()
    return torch.stack(found)


def test_the_released_sum_is_that_of_clipped_gradients_whatever_the_chunk():
    net, rows = _net(), _rows(7)
    known = clip_rows(_each(net, rows), 0.3).sum(dim=0) / 10
    for chunk in (1, 3, 32):
        PrivateSteps(network=net, loss=_loss, clip_norm=0.3, chunk=chunk).release(_batch(7), rows)
        assert torch.allclose(_flat(net), known, atol=1e-6)


@pytest.mark.filterwarnings("ignore:Full backward hook")
def test_a_shared_head_gets_the_gradient_of_opacus_for_a_single_wrapper():
    net, rows = _net(), _rows(5)
    wrapped = GradSampleModule(_net(), loss_reduction="sum")
    scores = wrapped(rows["a"], rows["b"], rows["has_b"])
    nn.functional.cross_entropy(scores, rows["y"], reduction="sum").backward()
    theirs = torch.cat([p.grad_sample.flatten(1) for p in wrapped.parameters()], dim=1)
    assert torch.allclose(theirs, _each(net, rows), atol=1e-6)
    PrivateSteps(network=net, loss=_loss, clip_norm=0.2).release(_batch(5), rows)
    assert torch.allclose(_flat(net), clip_rows(theirs, 0.2).sum(dim=0) / 10, atol=1e-6)


def test_a_person_counts_as_the_mean_of_the_recordings():
    net, rows = _net(), _rows(6)
    whose = torch.tensor([0, 2, 0, 0, 2, 3])  # nobody brought the recordings of unit 1
    each = _each(net, rows)
    people = torch.stack([each[whose == u].mean(dim=0) for u in (0, 2, 3)])
    PrivateSteps(network=net, loss=_loss, clip_norm=0.1).release(_batch(6), rows, whose=whose)
    assert torch.allclose(_flat(net), clip_rows(people, 0.1).sum(dim=0) / 10, atol=1e-6)


def test_a_missing_modality_has_no_gradient_and_no_say_in_the_noise():
    net = _net()
    PrivateSteps(network=net, loss=_loss).release(_batch(5), _rows(5, has_b=0.0))
    assert float(net.b.weight.grad.abs().max()) == 0
    assert float(net.a.weight.grad.abs().max()) > 0
    PrivateSteps(network=net, loss=_loss).release(_batch(5, noise=1.0), _rows(5, has_b=0.0))
    assert float(net.b.weight.grad.abs().min()) > 0


def test_turns_move_their_own_parameters_and_each_is_paid_for():
    net, rows, batch = _net(), _rows(5), _batch(5, noise=1.0, releases=2)
    one, other = (
        PrivateSteps(network=net, loss=_loss, parameters=[*encoder.parameters(), *net.head.parameters()])
        for encoder in (net.a, net.b)
    )
    one.release(batch, rows)
    assert net.b.weight.grad is None and net.a.weight.grad is not None
    other.release(batch, rows)
    assert net.a.weight.grad is None and net.b.weight.grad is not None
    with pytest.raises(OptionError, match="pays for 2"):
        one.release(batch, rows)


def test_a_broken_recording_is_dropped_and_leaves_the_others_as_they_were():
    for whose in (None, torch.arange(5)):
        net, rows = _net(), _rows(5)
        broken = {**rows, "a": rows["a"].clone()}
        broken["a"][2, 1] = float("nan")
        known = clip_rows(_each(net, rows), 0.3)[[0, 1, 3, 4]].sum(dim=0) / 10
        PrivateSteps(network=net, loss=_loss, clip_norm=0.3).release(_batch(5), broken, whose=whose)
        assert torch.allclose(_flat(net), known, atol=1e-6)


def test_an_empty_batch_still_releases_noise():
    for whose in (None, torch.zeros(0, dtype=torch.int64)):
        net = _net()
        PrivateSteps(network=net, loss=_loss).release(_batch(0, noise=2.0), _rows(0), whose=whose)
        assert float(_flat(net).abs().min()) > 0
        assert float(_flat(net).std()) == pytest.approx(0.2, rel=0.5)


def test_layers_that_mix_people_are_refused():
    with pytest.raises(OptionError, match="BatchNorm2d"):
        PrivateSteps(network=SmallCnn(channels=1, outputs=2), loss=_loss)


def test_rows_that_were_not_drawn_are_refused():
    private = PrivateSteps(network=_net(), loss=_loss)
    for rows, whose in ((_rows(4), None), (_rows(6), None), (_rows(5), torch.tensor([0, 1, 2, 3, 5]))):
        with pytest.raises(OptionError, match="units were drawn"):
            private.release(_batch(5), rows, whose=whose)
    with pytest.raises(OptionError, match="of this network"):
        PrivateSteps(network=_net(), loss=_loss, parameters=list(_net().parameters()))


def test_a_private_residual_network_learns_from_a_plan():
    rng = np.random.default_rng(0)
    y = torch.from_numpy(rng.integers(2, size=200))
    wave = torch.sin(torch.arange(24) * 1.2)
    stripes = torch.stack([wave.expand(24, 24), wave[:, None].expand(24, 24)])
    x = stripes[y][:, None] + 0.3 * torch.from_numpy(rng.standard_normal((200, 1, 24, 24)).astype(np.float32))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = ResidualCnn(channels=1, width=2)
        net.out = nn.Linear(128, 2)
    plan = PrivacyPlan(epsilon=8, delta=1e-3, unit="recording", units=200, expected_batch=40, steps=12)
    private = PrivateSteps(
        network=net, loss=lambda n, r: nn.functional.cross_entropy(n(r["x"]), r["y"], reduction="none"), clip_norm=1.0
    )
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
    for batch in plan.batches(rng):
        rows = torch.from_numpy(batch.units)
        private.release(batch, {"x": x[rows], "y": y[rows]})
        optimizer.step()
    with torch.no_grad():
        assert float((net(x).argmax(dim=1) == y).float().mean()) > 0.8
