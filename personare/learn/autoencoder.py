"""A small autoencoder of square pictures, and the loop that trains it to undo masking and noise."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from personare.core.errors import DataError, OptionError
from personare.core.types import Array
from personare.learn.loop import one_core

__all__ = ["Autoencoder", "Damage", "TrainingPlan", "fresh", "reconstruct", "train_autoencoder"]


class Autoencoder(nn.Module):
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
        side, widths = size // 8, (16, 32, 64)
        self.down = nn.Sequential(
            nn.Conv2d(channels, widths[0], 4, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(widths[0], widths[1], 4, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(widths[1], widths[2], 4, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.Flatten(),
            nn.Linear(widths[2] * side * side, latent),
        )
        self.up = nn.Sequential(
            nn.Linear(latent, widths[2] * side * side),
            nn.LeakyReLU(0.1),
            nn.Unflatten(1, (widths[2], side, side)),
            nn.ConvTranspose2d(widths[2], widths[1], 4, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.ConvTranspose2d(widths[1], widths[0], 4, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.ConvTranspose2d(widths[0], channels, 4, stride=2, padding=1),
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

    mask: float = 0.25
    noise: float = 0.1

    def __post_init__(self) -> None:
        """Check the options."""
        if not 0 <= self.mask < 1:
            raise OptionError(f"mask must be a share from 0 to below 1, it is {self.mask}.")
        if self.noise < 0:
            raise OptionError(f"noise must not be negative, it is {self.noise}.")

    def __call__(self, pictures: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
        """Return damaged copies of (B, C, size, size) pictures."""
        noisy = pictures + self.noise * torch.randn(pictures.shape, generator=draw)
        tiles = [pictures.shape[0], 1, pictures.shape[2] // 8, pictures.shape[3] // 8]
        kept = (torch.rand(tiles, generator=draw) >= self.mask).float()
        return noisy * kept.repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """How long and how fast the network learns.

    Attributes:
        steps: Times it is corrected.
        batch: Pictures a step.
        learning_rate: Of Adam.
    """

    steps: int = 200
    batch: int = 64
    learning_rate: float = 0.001

    def __post_init__(self) -> None:
        """Check the options."""
        if self.steps < 1 or self.batch < 1 or self.learning_rate <= 0:
            raise OptionError(
                "steps and batch must be at least 1 and learning_rate above 0, they are "
                f"{self.steps}, {self.batch} and {self.learning_rate}."
            )


def train_autoencoder(
    network: Autoencoder, pictures: Array, *, damage: Damage, plan: TrainingPlan, draw: torch.Generator
) -> list[float]:
    """Teach a network to give back whole pictures from damaged ones.

    Args:
        network: Trained in place.
        pictures: (N, size, size, C) uint8.
        damage: What is done to each picture before it is shown.
        plan: How it is trained.
        draw: Source of order, masks and noise.

    Returns:
        Mean squared error at each step, in units where pictures lie in [-1, 1].

    Raises:
        DataError: There is no picture.
    """
    if not len(pictures):
        raise DataError("There is no picture to train an autoencoder on: no face was found in any recording.")
    whole = to_tensor(pictures)
    with torch.no_grad():
        network.mean.copy_(whole.mean(dim=0))
    optimizer = torch.optim.Adam(network.parameters(), lr=plan.learning_rate)
    losses: list[float] = []
    with one_core():
        network.train()
        for chosen in _batches(len(whole), plan, draw):
            target = whole[chosen]  # (B, C, size, size)
            loss = nn.functional.mse_loss(network(damage(target, draw)), target)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(loss.item())
        network.eval()
    return losses


def _batches(count: int, plan: TrainingPlan, draw: torch.Generator) -> Iterator[torch.Tensor]:
    """Yield the pictures of each step, going through all of them in a new order again and again."""
    left = torch.empty(0, dtype=torch.long)
    for _ in range(plan.steps):
        while len(left) < min(plan.batch, count):
            left = torch.cat([left, torch.randperm(count, generator=draw)])
        yield left[: plan.batch]
        left = left[plan.batch :]


def reconstruct(network: Autoencoder, pictures: Array, *, damage: Damage, draw: torch.Generator) -> Array:
    """Damage (N, size, size, C) uint8 pictures and return what the network makes of them, of the same shape."""
    with torch.inference_mode(), one_core():
        made = network(damage(to_tensor(pictures), draw))
    steps = torch.clamp((made + 1) * 127.5, 0, 255).round().to(torch.uint8)
    return np.asarray(steps.permute(0, 2, 3, 1).contiguous().numpy())


def to_tensor(pictures: Array) -> torch.Tensor:
    """Return (N, C, size, size) in [-1, 1] from (N, size, size, C) uint8."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
