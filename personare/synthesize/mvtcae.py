"""Makes recordings up with a multimodal variational autoencoder: a product of experts with total correlation."""

import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from personare.core.options import Count, Delta, Epsilon, PartShare, Positive, check_options
from personare.core.types import Array, Batch, Latents, Spend
from personare.learn.loop import descend, seeded, shuffled
from personare.learn.mixed_effects import group_means
from personare.learn.networks import SavedNetwork
from personare.learn.privacy import PaidBatch, PrivacyPlan, gather
from personare.learn.private_nets import PrivateSteps, Rows
from personare.learn.row_codes import RowCodes
from personare.learn.sampling import Population, RecordingSampler, check_group, check_public

__all__ = ["Mvtcae"]

_FEWEST = 6
_LARGEST_LOG_VARIANCE = 6.0
_RECORDINGS = 30  # of one person in a private step
_LATENTS = 500  # that tell how far decoders went


@dataclass(frozen=True, kw_only=True)
class Mvtcae:
    """Encode each modality into one shared latent space, multiply what the encoders say, and decode everything from it.

    The baseline the field knows. Modalities go through the same codes as for other generators (``learn.row_codes``);
    encoders and decoders are told the class. A made-up person keeps as much of the latent draw as recordings of one
    person were found to share (the intraclass correlation).

    **Guarantee**: with ``epsilon``, (epsilon, delta)-differential privacy for each person, through DP-SGD; codes, class
    frequencies and the share that a person keeps are then those of ``public`` people.

    **Source**: H. Hwang, G.-H. Kim, S. Hong, K.-E. Kim, "Multi-view representation learning via total correlation
    objective", NeurIPS 2021. The loss is one number a recording, so that it can be trained privately; classes
    and the person's share are ours.
    """

    makes_texts: ClassVar[bool] = False

    epochs: Count = 200  # passes over the recordings; in private, half as many steps
    batch_size: Count = 128  # recordings in a step; in private, everybody is in each
    learning_rate: Positive = 2e-3
    width: Count = 128
    latent: Count = 16  # numbers in the shared space
    alpha: PartShare = 0.8  # between joint likelihood (0) and total correlation (1)
    beta: Positive = 1.0  # weight of the divergences
    epsilon: Epsilon = None
    delta: Delta = 1e-5
    clip_norm: Positive = 1.0  # longest gradient of one person

    def __post_init__(self) -> None:
        check_options(self)

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> "RecordingSampler[LatentModel]":
        """Learn from ``train``; see ``core.protocols.Generator``. Validation is not looked at."""
        check_group(train, fewest=_FEWEST)
        source = train if self.epsilon is None else check_public(train, public)
        codes = RowCodes.of(source)
        with seeded(rng):
            widths = tuple(codes.widths.values())
            net = Network(widths, classes=len(train.classes), width=self.width, latent=self.latent)
            spends = self._train(net, _tensors(codes, train), train.subjects, rng)
            shared = _shared(net, _tensors(codes, source), source.subjects)
        model = LatentModel(net=net, shared=shared)
        return RecordingSampler(codes=codes, model=model, population=Population.of(source, spends))

    def _train(self, net: "Network", data: Rows, subjects: Array, rng: np.random.Generator) -> tuple[Spend, ...]:
        """Train in place, with epsilon on the batches of a plan; return what it cost."""

        def loss(network: nn.Module, rows: Rows) -> Tensor:
            losses: Tensor = network(rows["x"], rows["present"], rows["class"], self.alpha, self.beta)
            return losses

        def take(rows: Tensor) -> Rows:
            return {name: values[rows] for name, values in data.items()}

        optimizer = torch.optim.Adam(net.parameters(), lr=self.learning_rate)
        if self.epsilon is None:
            epochs = (map(take, shuffled(len(subjects), self.batch_size, rng)) for _ in range(self.epochs))
            descend(net, epochs, [lambda rows: loss(net, rows).mean()], optimizer=optimizer, longest=math.inf)
            return ()
        people, whose = np.unique(subjects, return_inverse=True)
        n, steps = len(people), max(1, self.epochs // 2)
        plan = PrivacyPlan(
            epsilon=self.epsilon, delta=self.delta, unit="person", units=n, expected_batch=n, steps=steps
        )

        def batches() -> Iterator[tuple[PaidBatch, Rows, Tensor]]:
            for batch in plan.batches(rng):
                recordings, owner = gather(batch.units, whose, cap=_RECORDINGS, rng=rng)
                yield batch, take(torch.from_numpy(recordings)), torch.from_numpy(owner)

        private = PrivateSteps(network=net, loss=loss, clip_norm=self.clip_norm)
        descend(net, [batches()], [private], optimizer=optimizer)
        return (plan.spend(),)


class Network(SavedNetwork):
    """Encoders and decoders of rows; calling it gives the loss of each recording."""

    def __init__(self, widths: tuple[int, ...], *, classes: int, width: int, latent: int) -> None:
        super().__init__()

        def layers(into: int, out: int) -> nn.Sequential:
            hidden = nn.Linear(into, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()
            return nn.Sequential(*hidden, nn.Linear(width, out))

        self.settings = {"widths": widths, "classes": classes, "width": width, "latent": latent}
        self.widths = list(widths)
        self.encoders = nn.ModuleList(layers(w + classes, 2 * latent) for w in widths)
        self.decoders = nn.ModuleList(layers(latent + classes, w) for w in widths)
        self.noise = nn.ParameterList(torch.zeros(w) for w in widths)  # log variances

    def experts(self, x: Tensor, present: Tensor, one_hot: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return means and log variances of each expert, (M, B, Z), and of their product with the prior, (B, Z)."""
        parts = torch.split(x, self.widths, dim=1)
        encoded = [e(torch.cat([p, one_hot], dim=1)) for e, p in zip(self.encoders, parts, strict=True)]
        mean, spread = torch.stack(encoded).chunk(2, dim=2)  # (M, B, Z)
        log_variance = _LARGEST_LOG_VARIANCE * torch.tanh(spread / _LARGEST_LOG_VARIANCE)
        precision = torch.exp(-log_variance) * present.T[:, :, None]  # nothing is known of what is missing
        total = 1 + precision.sum(dim=0)
        return mean, log_variance, (precision * mean).sum(dim=0) / total, -torch.log(total)

    def decode(self, z: Tensor, one_hot: Tensor) -> Tensor:
        """Return the means of rows, (B, K)."""
        return torch.cat([d(torch.cat([z, one_hot], dim=1)) for d in self.decoders], dim=1)

    def log_variances(self) -> Tensor:
        """Return those of rows around their means, (K,)."""
        return torch.cat(list(self.noise)).clamp(-5, 5)

    def forward(self, x: Tensor, present: Tensor, one_hot: Tensor, alpha: float, beta: float) -> Tensor:
        count = len(self.widths)
        means, spreads, mean, spread = self.experts(x, present, one_hot)
        z = mean + torch.exp(spread / 2) * torch.randn_like(mean)
        noise = self.log_variances()
        errors = 0.5 * ((x - self.decode(z, one_hot)) ** 2 * torch.exp(-noise) + noise)  # (B, K)
        errors = torch.stack([part.sum(dim=1) for part in torch.split(errors, self.widths, dim=1)], dim=1)
        from_experts = _divergence(mean, spread, means, spreads).T  # (B, M)
        from_prior = _divergence(mean, spread, torch.zeros_like(mean), torch.zeros_like(spread))
        divergence = alpha / count * (from_experts * present).sum(dim=1) + (1 - alpha) * from_prior
        return (count - alpha) / count * (errors * present).sum(dim=1) + beta * divergence


def _divergence(mean: Tensor, spread: Tensor, mean2: Tensor, spread2: Tensor) -> Tensor:
    """Return KL of normals with these log variances, summed over the last dimension."""
    ratio = torch.exp(spread - spread2) + (mean - mean2) ** 2 * torch.exp(-spread2)
    return 0.5 * (ratio - 1 - spread + spread2).sum(dim=-1)


def _tensors(codes: RowCodes, batch: Batch) -> dict[str, Tensor]:
    present = np.stack([batch.present[m] for m in codes.modalities], axis=1)
    return {
        "x": torch.from_numpy(np.nan_to_num(codes.encode(batch)).astype(np.float32)),
        "present": torch.from_numpy(present.astype(np.float32)),
        "class": nn.functional.one_hot(torch.from_numpy(batch.labels), len(batch.classes)).float(),
    }


@torch.inference_mode()
def _shared(net: Network, data: Mapping[str, Tensor], subjects: Array) -> Array:
    """Return (Z,): the share of each latent number's variance that the recordings of one person have in common."""
    _, _, mean, spread = net.experts(data["x"], data["present"], data["class"])
    z = (mean + torch.exp(spread / 2) * torch.randn_like(mean)).numpy()
    whose = np.unique(subjects, return_inverse=True)[1]
    counts = np.bincount(whose)
    means = group_means(z, whose, len(counts))  # (P, Z)
    within = ((z - means[whose]) ** 2).sum(axis=0) / max(1, len(z) - len(counts))
    between = np.maximum(means.var(axis=0, ddof=1) - within * (1 / counts).mean(), 0)
    return np.asarray(between / np.maximum(between + within, 1e-12))


@dataclass(frozen=True, kw_only=True)
class LatentModel:
    """A trained autoencoder, of which sampling needs the decoders; ``shared`` (Z,) of a latent stays with a person."""

    net: Network
    shared: Array

    def latents(self, labels: Array, whose: Array, *, rng: np.random.Generator) -> Latents:
        """Draw the two parts of the latent space: the person's and the recording's."""
        person = rng.standard_normal((int(whose.max()) + 1, len(self.shared)))
        return Latents(
            labels=labels, whose=whose, person=person, moment=rng.standard_normal((len(whose), len(person.T)))
        )

    @torch.inference_mode()
    def rows(self, latents: Latents, *, rng: np.random.Generator) -> Array:
        """Return the (N, K) rows that latents stand for, with the noise around them."""
        person, moment = latents.person[latents.whose], latents.moment
        z = np.sqrt(self.shared) * person + np.sqrt(1 - self.shared) * moment
        one_hot = nn.functional.one_hot(torch.from_numpy(latents.labels), self.net.settings["classes"]).float()
        rows = self.net.decode(torch.from_numpy(z.astype(np.float32)), one_hot).numpy().astype(float)
        return np.asarray(rows + np.exp(self.net.log_variances().numpy() / 2) * rng.standard_normal(rows.shape))

    def density(self, rows: Array, labels: Array, priors: Array) -> "RowBound":
        """Return a lower bound of how likely rows (N, K) are, with decoders that can be trained."""
        return RowBound(self, rows, labels, priors)


class RowBound(nn.Module):
    """The evidence lower bound of rows: encoders stay as they are, decoders are trained."""

    def __init__(self, whole: LatentModel, rows: Array, labels: Array, priors: Array) -> None:
        super().__init__()
        self.whole, self.net, self.priors = whole, copy.deepcopy(whole.net).requires_grad_(False), priors
        self.net.decoders.requires_grad_(True)
        self.x = torch.from_numpy(np.nan_to_num(rows).astype(np.float32))
        self.there = torch.from_numpy(~np.isnan(rows))
        self.one_hot = nn.functional.one_hot(torch.from_numpy(labels), len(priors)).float()
        present = torch.stack([part[:, 0] for part in torch.split(self.there, self.net.widths, dim=1)], dim=1).float()
        with torch.no_grad():
            _, _, self.mean, self.spread = self.net.experts(self.x, present, self.one_hot)

    def forward(self, rows: Tensor) -> Tensor:
        mean, spread = self.mean[rows], self.spread[rows]
        z = mean + torch.exp(spread / 2) * torch.randn_like(mean)
        noise = self.net.log_variances()
        surprise = (self.x[rows] - self.net.decode(z, self.one_hot[rows])) ** 2 * torch.exp(-noise) + noise
        surprise = (surprise + math.log(2 * math.pi)) / 2 * self.there[rows]
        bound: Tensor = -surprise.sum(dim=1) - _divergence(mean, spread, torch.zeros_like(mean), torch.zeros_like(mean))
        return bound

    @torch.no_grad()
    def drift(self) -> float:
        """Return the divergence in nats of a recording together with its latent, over the same drawn latents."""
        rng = np.random.default_rng(0)
        z = torch.from_numpy(rng.standard_normal((_LATENTS, self.mean.shape[1]))).float()
        one_hot = torch.eye(len(self.priors))[rng.choice(len(self.priors), size=_LATENTS, p=self.priors)]
        moved = self.net.decode(z, one_hot) - self.whole.net.decode(z, one_hot)
        return float((moved**2 * torch.exp(-self.net.log_variances())).sum(dim=1).mean() / 2)

    def model(self) -> LatentModel:
        """Return the autoencoder as it was trained."""
        return replace(self.whole, net=copy.deepcopy(self.net).requires_grad_(False))
