"""The small networks learn, repeat themselves, and leave torch as they found it."""

import numpy as np
import torch
from torch import nn

from personare.learn.loop import seeded, train
from personare.learn.networks import Ecapa, MarginHead, SmallCnn


def _stripes(rng):
    """Pictures with upright or lying stripes."""
    target = rng.integers(2, size=16)
    wave = np.sin(np.arange(16) * 1.5)
    pictures = np.stack([np.tile(wave, (16, 1)) if t else np.tile(wave[:, None], (1, 16)) for t in target])
    noisy = pictures + 0.3 * rng.standard_normal(pictures.shape)
    return torch.from_numpy(noisy[:, None].astype(np.float32)), torch.from_numpy(target)


def _learned(seed):
    rng = np.random.default_rng(seed)
    with seeded(rng):
        net = SmallCnn(channels=1, outputs=2, width=4)
        losses = train(net, _stripes, nn.functional.cross_entropy, steps=60, rng=rng, learning_rate=0.01)
    return net, losses


def test_the_network_learns_and_ends_in_evaluation_mode():
    net, losses = _learned(0)
    assert len(losses) == 60
    x, y = _stripes(np.random.default_rng(1))
    with torch.no_grad():
        assert (net(x).argmax(dim=1) == y).float().mean() > 0.9
    assert not net.training


def test_equal_seeds_give_equal_weights_and_other_seeds_others():
    first, again, other = (_learned(seed)[1] for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_torchs_own_randomness_is_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with seeded(np.random.default_rng(0)):
        torch.rand(10)
    assert torch.equal(torch.rand(3), expected)


def test_the_margin_asks_for_more_than_the_right_answer():
    torch.manual_seed(0)
    head, plain = (MarginHead(embedding=8, people=3, margin=m) for m in (0.2, 0.0))
    plain.directions.data = head.directions.data.clone()
    right = head.directions.detach().clone() + 0.5 * torch.randn(3, 8)
    assert head.loss(right, torch.arange(3)) > plain.loss(right, torch.arange(3))


def test_ecapa_takes_any_length_and_passes_gradients():
    net = Ecapa(bands=20, channels=16)
    out = net(torch.randn(2, 20, 31)).sum() + net(torch.randn(3, 20, 77)).sum()
    out.backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())
