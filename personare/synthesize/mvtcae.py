"""Makes recordings up with a multimodal variational autoencoder: a product of experts with total correlation."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from personare.core.errors import DataError, OptionError
from personare.core.types import Array, Batch, Spend
from personare.learn.accounting import check_claim
from personare.learn.casting import Cast, check_group
from personare.learn.latents import Latents
from personare.learn.loop import seeded
from personare.learn.privacy import PrivacyPlan, gather
from personare.learn.private_nets import PrivateSteps, Rows

__all__ = ["Mvtcae"]

_FEWEST = 6
_LARGEST_LOG_VARIANCE = 6.0
_RECORDINGS = 30  # of one person in a private step


@dataclass(frozen=True, kw_only=True)
class Mvtcae:
    """Encode each modality into one shared latent space, multiply what the encoders say, and decode everything from it.

    The baseline the field knows. Modalities go through the same codes as for other generators (``learn.latents``);
    encoders and decoders are told the class. A made-up person keeps as much of the latent draw as recordings of one
    person were found to share (the intraclass correlation).

    **Guarantee**: with ``epsilon``, (epsilon, delta)-differential privacy for each person, through DP-SGD; codes, class
    frequencies and the share that a person keeps are then those of ``public`` people.

    Attributes:
        epochs: Passes over the recordings (or, privately, 1 / 2 as many steps).
        batch_size: Recordings in a step; privately, everybody is in each.
        learning_rate: Of Adam.
        width: Of the hidden layers.
        latent: Numbers in the shared space.
        alpha: Between joint likelihood (0) and total correlation (1).
        beta: Weight of the divergences.
        epsilon: Privacy bound; None for none.
        delta: The chance that it fails.
        clip_norm: Longest gradient of one person.

    **Source**: H. Hwang, G.-H. Kim, S. Hong, K.-E. Kim, "Multi-view representation learning via total correlation
    objective", NeurIPS 2021. The loss is one number a recording, so that it can be trained privately; classes
    and the person's share are ours.

    Example:
        >>> Mvtcae(latent=8).alpha
        0.8
    """

    makes_texts: ClassVar[bool] = False

    epochs: int = 200
    batch_size: int = 128
    learning_rate: float = 2e-3
    width: int = 128
    latent: int = 16
    alpha: float = 0.8
    beta: float = 1.0
    epsilon: float | None = None
    delta: float = 1e-5
    clip_norm: float = 1.0

    def __post_init__(self) -> None:
        """Check the options."""
        if min(self.epochs, self.batch_size, self.width, self.latent) < 1 or not self.learning_rate > 0:
            raise OptionError("epochs, batch_size, width and latent must be at least 1, learning_rate above 0.")
        if not 0 <= self.alpha < 1 or not self.beta > 0:
            raise OptionError(f"alpha must be in [0, 1) and beta above 0, they are {self.alpha} and {self.beta}.")
        if self.epsilon is not None:
            check_claim(epsilon=self.epsilon, delta=self.delta)

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> "MvtcaeSampler":
        """Learn from ``train``; see ``core.protocols.Generator``. Validation is not looked at."""
        check_group(train, fewest=_FEWEST, public=public, private=self.epsilon is not None)
        known = train if self.epsilon is None or public is None else public
        latents = Latents.of(known)
        with seeded(rng):
            net = _Network(
                list(latents.widths.values()), classes=len(train.classes), width=self.width, latent=self.latent
            )
            data = _rows(latents, train)
            spends = self._openly(net, data, rng) if self.epsilon is None else self._privately(net, data, train, rng)
            shared = _shared(net, _rows(latents, known), known.subjects)
        return MvtcaeSampler(latents=latents, net=net, shared=shared, cast=Cast.of(known, spends))

    def _loss(self, net: nn.Module, data: Rows) -> Tensor:
        found: Tensor = net(data["x"], data["there"], data["labels"], self.alpha, self.beta)
        return found

    def _openly(self, net: nn.Module, data: dict[str, Tensor], rng: np.random.Generator) -> tuple[Spend, ...]:
        optimizer = torch.optim.Adam(net.parameters(), lr=self.learning_rate)
        n = len(data["labels"])
        for _ in range(self.epochs):
            for rows in torch.split(torch.from_numpy(rng.permutation(n)), self.batch_size):
                optimizer.zero_grad()
                self._loss(net, {name: values[rows] for name, values in data.items()}).mean().backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        return ()

    def _privately(
        self, net: nn.Module, data: dict[str, Tensor], train: Batch, rng: np.random.Generator
    ) -> tuple[Spend, ...]:
        assert self.epsilon is not None
        people, whose = np.unique(train.subjects, return_inverse=True)
        plan = PrivacyPlan(
            epsilon=self.epsilon,
            delta=self.delta,
            unit="person",
            units=len(people),
            expected_batch=len(people),
            steps=max(1, self.epochs // 2),
        )
        private = PrivateSteps(network=net, loss=self._loss, clip_norm=self.clip_norm)
        optimizer = torch.optim.Adam(net.parameters(), lr=self.learning_rate)
        for batch in plan.batches(rng):
            rows, owner = gather(batch.units, whose, cap=_RECORDINGS, rng=rng)
            chosen = {name: values[torch.from_numpy(rows)] for name, values in data.items()}
            private.release(batch, chosen, whose=torch.from_numpy(owner))
            optimizer.step()
        return (plan.spend(),)

    def restore(self, tensors: Mapping[str, Array], about: Mapping[str, str]) -> "MvtcaeSampler":
        """Build again what ``state`` of the sampler returned."""
        cast, latents = Cast.restore(tensors, about), Latents.restore(tensors, about)
        try:
            net = _Network(list(latents.widths.values()), classes=len(cast.classes), **json.loads(about["net"]))
            weights = {n.removeprefix("net."): torch.tensor(v) for n, v in tensors.items() if n.startswith("net.")}
            net.load_state_dict(weights)
        except (KeyError, TypeError, RuntimeError, ValueError) as error:
            raise DataError(f"This is not the state of a generator ({error}): fit it again.") from error
        return MvtcaeSampler(latents=latents, net=net, shared=tensors["shared"], cast=cast)


class _Network(nn.Module):
    """Encoders and decoders of rows; calling it gives the loss of each recording."""

    def __init__(self, widths: list[int], *, classes: int, width: int, latent: int) -> None:
        super().__init__()
        self.widths, self.classes, self.sizes = widths, classes, {"width": width, "latent": latent}
        self.encoders = nn.ModuleList(_layers(w + classes, width, 2 * latent) for w in widths)
        self.decoders = nn.ModuleList(_layers(latent + classes, width, w) for w in widths)
        self.noise = nn.ParameterList(torch.zeros(w) for w in widths)  # log variances

    def told(self, labels: Tensor) -> Tensor:
        return nn.functional.one_hot(labels, self.classes).to(torch.float32)

    def experts(self, x: Tensor, there: Tensor, told: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return means and log variances of each expert, (M, B, Z), and of their product with the prior, (B, Z)."""
        parts = torch.split(x, self.widths, dim=1)
        found = [e(torch.cat([p, told], dim=1)) for e, p in zip(self.encoders, parts, strict=True)]
        mean, spread = torch.stack(found).chunk(2, dim=2)  # (M, B, Z)
        log_variance = _LARGEST_LOG_VARIANCE * torch.tanh(spread / _LARGEST_LOG_VARIANCE)
        precision = torch.exp(-log_variance) * there.T[:, :, None]  # nothing is known of what is missing
        total = 1 + precision.sum(dim=0)
        return mean, log_variance, (precision * mean).sum(dim=0) / total, -torch.log(total)

    def decode(self, z: Tensor, told: Tensor) -> Tensor:
        """Return the means of rows, (B, K)."""
        return torch.cat([d(torch.cat([z, told], dim=1)) for d in self.decoders], dim=1)

    def forward(self, x: Tensor, there: Tensor, labels: Tensor, alpha: float, beta: float) -> Tensor:
        told, count = self.told(labels), len(self.widths)
        means, spreads, mean, spread = self.experts(x, there, told)
        z = mean + torch.exp(spread / 2) * torch.randn_like(mean)
        noise = torch.cat(list(self.noise)).clamp(-5, 5)
        errors = 0.5 * ((x - self.decode(z, told)) ** 2 * torch.exp(-noise) + noise)  # (B, K)
        each = torch.stack([part.sum(dim=1) for part in torch.split(errors, self.widths, dim=1)], dim=1)  # (B, M)
        apart = _divergence(mean, spread, means, spreads).T  # (B, M)
        from_prior = _divergence(mean, spread, torch.zeros_like(mean), torch.zeros_like(spread))
        held = alpha / count * (apart * there).sum(dim=1) + (1 - alpha) * from_prior
        return (count - alpha) / count * (each * there).sum(dim=1) + beta * held


def _layers(into: int, width: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(into, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, out))


def _divergence(mean: Tensor, spread: Tensor, mean2: Tensor, spread2: Tensor) -> Tensor:
    """Return KL of normals with these log variances, summed over the last dimension."""
    ratio = torch.exp(spread - spread2) + (mean - mean2) ** 2 * torch.exp(-spread2)
    return 0.5 * (ratio - 1 - spread + spread2).sum(dim=-1)


def _rows(latents: Latents, batch: Batch) -> dict[str, Tensor]:
    there = np.stack([batch.present[m] for m in latents.coders], axis=1)
    return {
        "x": torch.from_numpy(np.nan_to_num(latents.encode(batch)).astype(np.float32)),
        "there": torch.from_numpy(there.astype(np.float32)),
        "labels": torch.from_numpy(np.ascontiguousarray(batch.labels, dtype=np.int64)),
    }


@torch.inference_mode()
def _shared(net: _Network, data: Mapping[str, Tensor], subjects: Array) -> Array:
    """Return (Z,): the share of each latent number's variance that the recordings of one person have in common."""
    _, _, mean, spread = net.experts(data["x"], data["there"], net.told(data["labels"]))
    z = (mean + torch.exp(spread / 2) * torch.randn_like(mean)).numpy()
    whose = np.unique(subjects, return_inverse=True)[1]
    counts = np.bincount(whose)
    own = np.stack([np.bincount(whose, column) for column in z.T], axis=1) / counts[:, None]  # (P, Z)
    within = ((z - own[whose]) ** 2).sum(axis=0) / max(1, len(z) - len(counts))
    between = np.maximum(own.var(axis=0, ddof=1) - within * (1 / counts).mean(), 0)
    return np.asarray(between / np.maximum(between + within, 1e-12))


@dataclass(frozen=True, kw_only=True, eq=False)
class MvtcaeSampler:
    """A fitted autoencoder.

    Attributes:
        latents: Codes of the modalities.
        net: Decoders, and encoders that sampling does not need.
        shared: (Z,) how much of a latent number stays with a person.
        cast: Classes and what learning cost.
    """

    latents: Latents
    net: _Network
    shared: Array
    cast: Cast

    @property
    def spends(self) -> tuple[Spend, ...]:
        """The privacy that fitting cost."""
        return self.cast.spends

    @torch.inference_mode()
    def __call__(self, people: int, recordings: int, *, rng: np.random.Generator, labels: Array | None = None) -> Batch:
        """Return made-up people; see ``core.protocols.Sampler``."""
        chosen, whose = self.cast.labels(people, recordings, labels, rng=rng)
        person = rng.standard_normal((people, len(self.shared)))[whose]
        moment = rng.standard_normal((len(whose), len(self.shared)))
        z = np.sqrt(self.shared) * person + np.sqrt(1 - self.shared) * moment
        told = self.net.told(torch.from_numpy(chosen))
        rows = self.net.decode(torch.from_numpy(z.astype(np.float32)), told).numpy().astype(float)
        noise = np.concatenate([p.detach().numpy() for p in self.net.noise]).clip(-5, 5)
        rows += np.exp(noise / 2) * rng.standard_normal(rows.shape)
        return self.cast.batch(self.latents.decode(rows, rng=rng), chosen, whose)

    def state(self) -> tuple[dict[str, Array], dict[str, str]]:
        """Return everything as arrays and text."""
        codes, about = self.latents.state()
        shares, told = self.cast.state()
        weights = {f"net.{name}": values.numpy() for name, values in self.net.state_dict().items()}
        return {**codes, **shares, **weights, "shared": self.shared}, {
            **about,
            **told,
            "net": json.dumps(self.net.sizes),
        }
