"""A small autoencoder of square pictures, trained to undo masking and noise."""

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from personare.core.errors import OptionError
from personare.core.types import Array
from personare.learn.loop import descend, one_core
from personare.learn.networks import SavedNetwork


class Autoencoder(SavedNetwork):
    """Picture to ``latent`` numbers and back: three convolutions down, one latent layer, three up."""

    def __init__(self, *, size: int = 64, channels: int = 3, latent: int = 300) -> None:
        super().__init__()
        if size < 16 or size % 8:
            raise OptionError(f"size must be a multiple of 8 and at least 16 pixels, it is {size}.")
        if channels not in (1, 3) or latent < 1:
            raise OptionError(f"channels must be 1 or 3 and latent at least 1, they are {channels} and {latent}.")
        self.settings = {"size": size, "channels": channels, "latent": latent}
        side = size // 8
        down: list[nn.Module] = []
        up: list[nn.Module] = []
        for before, after in pairwise((channels, 16, 32, 64)):
            down += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU(0.1)]
            up = [nn.LeakyReLU(0.1), nn.ConvTranspose2d(after, before, 4, stride=2, padding=1), *up]
        self.down = nn.Sequential(*down, nn.Flatten(), nn.Linear(64 * side * side, latent))
        self.up = nn.Sequential(nn.Linear(latent, 64 * side * side), nn.Unflatten(1, (64, side, side)), *up)
        self.mean = nn.Parameter(torch.zeros(channels, size, size))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return what the latent numbers of (B, C, size, size) pictures in [-1, 1] say, beside the mean picture."""
        code = self.down(pictures - self.mean)  # (B, latent)
        return torch.as_tensor(self.mean + self.up(code))  # (B, C, size, size)


def fresh(*, size: int, channels: int, latent: int, draw: torch.Generator) -> Autoencoder:
    """Return a network with random weights that come from ``draw`` alone."""
    with torch.device("meta"):
        network = Autoencoder(size=size, channels=channels, latent=latent)
    network.to_empty(device="cpu")
    for weights in network.parameters():
        if weights.ndim in (2, 4):
            nn.init.kaiming_uniform_(weights, a=1.0, generator=draw)
        else:
            nn.init.zeros_(weights)
    return network


def damaged(pictures: torch.Tensor, *, mask: float, noise: float, draw: torch.Generator) -> torch.Tensor:
    """Return (B, C, size, size) pictures with Gaussian noise and a share of their 8 x 8 tiles blanked."""
    noisy = pictures + noise * torch.randn(pictures.shape, generator=draw)
    tiles = [pictures.shape[0], 1, pictures.shape[2] // 8, pictures.shape[3] // 8]
    shown = (torch.rand(tiles, generator=draw) >= mask).float()
    return noisy * shown.repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)


def train_autoencoder(
    network: Autoencoder,
    pictures: Array,
    *,
    mask: float,
    noise: float,
    steps: int,
    batch: int,
    learning_rate: float,
    draw: torch.Generator,
) -> list[float]:
    """Teach a network in place to give back whole (N, size, size, C) uint8 pictures from damaged ones.

    Returns the mean squared error at each step, in units where pictures lie in [-1, 1].
    """
    whole = to_tensor(pictures)
    with torch.no_grad():
        network.mean.copy_(whole.mean(dim=0))

    def batches() -> Iterator[torch.Tensor]:
        """Go through all pictures in a new order again and again."""
        waiting = torch.empty(0, dtype=torch.long)
        for _ in range(steps):
            while len(waiting) < min(batch, len(whole)):
                waiting = torch.cat([waiting, torch.randperm(len(whole), generator=draw)])
            yield whole[waiting[:batch]]  # (B, C, size, size)
            waiting = waiting[batch:]

    def loss(target: torch.Tensor) -> torch.Tensor:
        return nn.functional.mse_loss(network(damaged(target, mask=mask, noise=noise, draw=draw)), target)

    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    with one_core():
        return descend(network, [batches()], [loss], optimizer=optimizer, longest=math.inf)[0]


def reconstruct(network: Autoencoder, pictures: Array, *, mask: float, noise: float, draw: torch.Generator) -> Array:
    """Damage (N, size, size, C) uint8 pictures and return what the network makes of them, of the same shape."""
    with torch.inference_mode(), one_core():
        rebuilt = network(damaged(to_tensor(pictures), mask=mask, noise=noise, draw=draw))
    steps = torch.clamp((rebuilt + 1) * 127.5, 0, 255).round().to(torch.uint8)
    return np.asarray(steps.permute(0, 2, 3, 1).contiguous().numpy())


def to_tensor(pictures: Array) -> torch.Tensor:
    """Return (N, C, size, size) in [-1, 1] from (N, size, size, C) uint8."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
