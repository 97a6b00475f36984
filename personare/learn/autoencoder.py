"""A small autoencoder of square pictures, trained to undo masking and noise."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from personare.core.errors import DataError, OptionError
from personare.core.options import Count, NotNegative, PartShare, Positive, check_options
from personare.core.types import Array
from personare.learn.loop import descend, one_core
from personare.learn.networks import SavedNetwork


class Autoencoder(SavedNetwork):
    """Picture to a few numbers and back: three convolutions down, one latent layer, three up.

    Args:
        size: Side of the pictures in pixels, a multiple of 8.
        channels: 1 (gray) or 3.
        latent: Numbers a picture is squeezed into.
    """

    def __init__(self, *, size: int = 64, channels: int = 3, latent: int = 300) -> None:
        super().__init__()
        if size < 16 or size % 8:
            raise OptionError(f"size must be a multiple of 8 and at least 16 pixels, it is {size}.")
        if channels not in (1, 3) or latent < 1:
            raise OptionError(f"channels must be 1 or 3 and latent at least 1, they are {channels} and {latent}.")
        self.settings = {"size": size, "channels": channels, "latent": latent}
        side = size // 8
        self.down = nn.Sequential(
            nn.Conv2d(channels, 16, 4, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(16, 32, 4, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.Flatten(),
            nn.Linear(64 * side * side, latent),
        )
        self.up = nn.Sequential(
            nn.Linear(latent, 64 * side * side),
            nn.LeakyReLU(0.1),
            nn.Unflatten(1, (64, side, side)),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.ConvTranspose2d(16, channels, 4, stride=2, padding=1),
        )
        self.mean = nn.Parameter(torch.zeros(channels, size, size))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return what the latent numbers of (B, C, size, size) pictures in [-1, 1] say, beside the mean picture."""
        code = self.down(pictures - self.mean)  # (B, latent)
        return torch.as_tensor(self.mean + self.up(code))  # (B, C, size, size)


def fresh(*, size: int, channels: int, latent: int, draw: torch.Generator) -> Autoencoder:
    """Return a network with random weights that come from ``draw`` alone.

    Example:
        >>> net = fresh(size=16, channels=1, latent=4, draw=torch.Generator().manual_seed(0))
        >>> net(torch.zeros(2, 1, 16, 16)).shape
        torch.Size([2, 1, 16, 16])
    """
    with torch.device("meta"):
        network = Autoencoder(size=size, channels=channels, latent=latent)
    network.to_empty(device="cpu")
    for weights in network.parameters():
        if weights.ndim in (2, 4):
            nn.init.kaiming_uniform_(weights, a=1.0, generator=draw)
        else:
            nn.init.zeros_(weights)
    return network


@dataclass(frozen=True, kw_only=True)
class Damage:
    """What is done to a picture before it is encoded.

    Attributes:
        mask: Share of its 8 x 8 tiles that is blanked.
        noise: Standard deviation of Gaussian noise; pictures lie in [-1, 1].
    """

    mask: PartShare = 0.25
    noise: NotNegative = 0.1

    def __post_init__(self) -> None:
        check_options(self)

    def __call__(self, pictures: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
        """Return damaged copies of (B, C, size, size) pictures."""
        noisy = pictures + self.noise * torch.randn(pictures.shape, generator=draw)
        tiles = [pictures.shape[0], 1, pictures.shape[2] // 8, pictures.shape[3] // 8]
        mask = (torch.rand(tiles, generator=draw) >= self.mask).float()
        return noisy * mask.repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """How long and how fast (Adam's rate) the network learns, and of how many pictures a step."""

    steps: Count = 200
    batch: Count = 64
    learning_rate: Positive = 0.001

    def __post_init__(self) -> None:
        check_options(self)


def train_autoencoder(
    network: Autoencoder, pictures: Array, *, damage: Damage, plan: TrainingPlan, draw: torch.Generator
) -> list[float]:
    """Teach a network in place to give back whole (N, size, size, C) uint8 pictures from damaged ones.

    Returns:
        Mean squared error at each step, in units where pictures lie in [-1, 1].
    """
    if not len(pictures):
        raise DataError("There is no picture to train an autoencoder on: no face was found in any recording.")
    whole = to_tensor(pictures)
    with torch.no_grad():
        network.mean.copy_(whole.mean(dim=0))

    def batches() -> Iterator[torch.Tensor]:
        """Go through all pictures in a new order again and again."""
        waiting = torch.empty(0, dtype=torch.long)
        for _ in range(plan.steps):
            while len(waiting) < min(plan.batch, len(whole)):
                waiting = torch.cat([waiting, torch.randperm(len(whole), generator=draw)])
            yield whole[waiting[: plan.batch]]  # (B, C, size, size)
            waiting = waiting[plan.batch :]

    def loss(target: torch.Tensor) -> torch.Tensor:
        return nn.functional.mse_loss(network(damage(target, draw)), target)

    optimizer = torch.optim.Adam(network.parameters(), lr=plan.learning_rate)
    with one_core():
        return descend(network, [batches()], [loss], optimizer=optimizer, longest=math.inf)[0]


def reconstruct(network: Autoencoder, pictures: Array, *, damage: Damage, draw: torch.Generator) -> Array:
    """Damage (N, size, size, C) uint8 pictures and return what the network makes of them, of the same shape."""
    with torch.inference_mode(), one_core():
        rebuilt = network(damage(to_tensor(pictures), draw))
    steps = torch.clamp((rebuilt + 1) * 127.5, 0, 255).round().to(torch.uint8)
    return np.asarray(steps.permute(0, 2, 3, 1).contiguous().numpy())


def to_tensor(pictures: Array) -> torch.Tensor:
    """Return (N, C, size, size) in [-1, 1] from (N, size, size, C) uint8."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
