import numpy as np
import pytest
import torch

from personare.core.errors import OptionError
from personare.learn.autoencoder import damaged, fresh, reconstruct, train_autoencoder


def blobs(count, seed=0):
    """Pictures of one bright blob each."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:16, :16]
    at = rng.uniform(4, 12, (count, 2))
    shape = np.exp(-((x - at[:, :1, None]) ** 2 + (y - at[:, 1:, None]) ** 2) / 8)
    return (255 * shape[..., None]).astype(np.uint8)


def trained(steps, draw_seed=0):
    draw = torch.Generator().manual_seed(draw_seed)
    network = fresh(size=16, channels=1, latent=16, draw=draw)
    plan = {"steps": steps, "batch": 32, "learning_rate": 0.001}
    losses = train_autoencoder(network, blobs(96), mask=0.0, noise=0.1, **plan, draw=draw)
    return network, losses, draw


def test_learns_to_give_back_pictures_it_never_saw():
    network, losses, draw = trained(150)
    new = blobs(20, seed=1)
    made = reconstruct(network, new, mask=0.0, noise=0.1, draw=draw)
    assert made.shape == new.shape
    assert made.dtype == np.uint8
    assert np.mean(losses[-10:]) < np.mean(losses[:10]) / 2
    assert np.square(made / 255 - new / 255).mean() < np.square(new / 255 - blobs(96).mean(axis=0) / 255).mean() / 2


def test_same_seed_same_network_and_global_randomness_untouched():
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    one, other = trained(3)[0], trained(3)[0]
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_mask_blanks_its_share_of_tiles():
    pictures = torch.ones(200, 1, 16, 16)
    hidden = damaged(pictures, mask=0.25, noise=0, draw=torch.Generator().manual_seed(0))
    assert abs(float((hidden == 0).float().mean()) - 0.25) < 0.05
    assert set(hidden.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize(("size", "channels", "latent"), [(20, 3, 8), (8, 3, 8), (16, 2, 8), (16, 3, 0)])
def test_a_network_that_cannot_be(size, channels, latent):
    with pytest.raises(OptionError):
        fresh(size=size, channels=channels, latent=latent, draw=torch.Generator())
