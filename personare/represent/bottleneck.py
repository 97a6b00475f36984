"""Squeezes each recording through a narrow channel that little but the wanted behavior fits through."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor, nn

from personare.core.errors import DataError, OptionError
from personare.core.types import Array, Batch, Spend
from personare.learn.latent import Descent, layers, load_arrays
from personare.learn.loop import seeded
from personare.learn.standardizing import represented
from personare.learn.task_opinions import TaskOpinions

__all__ = ["Bottleneck"]


@dataclass(frozen=True, kw_only=True)
class Bottleneck:
    """Keep what the labels need and little else: one of a few symbols (vq), or a few noisy numbers (vib).

    Both see a recording only through a linear reader of the labels; what does not help to read them is gone.

    **Guarantee**: of ``vq``, for every recording of anybody: it becomes one of at most ``codes`` rows, so it tells no
    more than log2(codes) bits about who speaks, and no attacker names more than codes / P of P equally likely people
    right by one recording. Of ``vib``, on people like those it was measured on: the rate stated bounds the mean
    information about anything. Several recordings of one person tell as many times more. Neither is differential
    privacy: what is learned (reader, symbols) comes from people, and is not protected by it.

    Attributes:
        kind: ``vq`` or ``vib``.
        codes: Symbols of ``vq``, fewer where fewer recordings differ: the dial.
        size: Numbers of a ``vib`` row.
        beta: Price of a nat in ``vib``: the dial.
        epochs: Passes over the recordings, of ``vib``.

    **Source**: A. Alemi, I. Fischer, J. Dillon, K. Murphy, "Deep variational information bottleneck", ICLR 2017,
    arXiv:1612.00410. Quantization in the manner of A. van den Oord, O. Vinyals, K. Kavukcuoglu, "Neural discrete
    representation learning", NeurIPS 2017, arXiv:1711.00937, but of the opinions of a linear reader, by k-means: with
    few people a network through which codebook and encoder are learned together reads emotion worse.

    Example:
        >>> Bottleneck(kind="vq", codes=32).bits
        5.0
    """

    kind: Literal["vq", "vib"] = "vq"
    codes: int = 32
    size: int = 6
    beta: float = 0.01
    epochs: int = 30

    def __post_init__(self) -> None:
        """Check the options."""
        if self.kind not in ("vq", "vib"):
            raise OptionError(f"kind must be vq or vib, it is {self.kind!r}.")
        if self.codes < 2 or self.size < 1 or self.epochs < 1 or not self.beta >= 0:
            raise OptionError(
                "codes must be at least 2, size and epochs at least 1 and beta not negative; they are "
                f"{self.codes}, {self.size}, {self.epochs} and {self.beta}."
            )

    @property
    def bits(self) -> float:
        """What a ``vq`` row can tell at most."""
        return math.log2(self.codes)

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> "Quantized | Blurred":
        """Learn from labels; validation chooses the penalty. See ``core.protocols.Representation``."""
        opinions = TaskOpinions.of(train, validation)
        seen = opinions(train)
        if self.kind == "vib":
            return self._blur(opinions, seen, train, rng)
        codes = min(self.codes, len(np.unique(seen, axis=0)))
        means = KMeans(codes, n_init=4, random_state=int(rng.integers(2**31))).fit(seen)
        return Quantized(opinions=opinions, book=means.cluster_centers_.astype(np.float32))

    def _blur(self, opinions: TaskOpinions, seen: Array, train: Batch, rng: np.random.Generator) -> "Blurred":
        x, labels = torch.from_numpy(seen), torch.from_numpy(train.labels)
        with seeded(rng):
            net = Variational(seen.shape[1], len(train.classes), size=self.size)

        def loss(chosen: Tensor, gone: float) -> Tensor:
            answers, rate = net(x[chosen])
            return torch.add(nn.functional.cross_entropy(answers, labels[chosen]), rate, alpha=self.beta)

        Descent(epochs=self.epochs, learning_rate=3e-3)(net, len(x), loss, rng=rng)
        with torch.inference_mode(), seeded(rng):
            rate = float(net(x)[1])
        return Blurred(opinions=opinions, net=net.requires_grad_(False), rate_nats=rate)

    def restore(self, tensors: Mapping[str, Array], about: Mapping[str, str]) -> "Quantized | Blurred":
        """Build again what ``state`` of the fitted bottleneck returned."""
        opinions = TaskOpinions.restore(tensors, about)
        try:
            if about["kind"] == "vq":
                return Quantized(opinions=opinions, book=tensors["book"])
            sizes = json.loads(about["sizes"])
            with torch.random.fork_rng(devices=[]):  # the fresh weights are overwritten
                net = Variational(sizes["opinions"], sizes["classes"], size=sizes["size"])
            load_arrays(net, tensors)
            return Blurred(opinions=opinions, net=net, rate_nats=float(about["rate_nats"]))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"This is not the state of a bottleneck ({error}): fit it again.") from error


@dataclass(frozen=True, kw_only=True)
class Quantized:
    """The fitted channel of symbols.

    Attributes:
        opinions: The linear reader in front.
        book: (codes, C) what the symbols stand for.
    """

    opinions: TaskOpinions
    book: Array
    spends: tuple[Spend, ...] = ()

    @property
    def rate_nats(self) -> float:
        """Most that one row can tell."""
        return math.log(len(self.book))

    @property
    def guarantee(self) -> str:
        """What holds, against whom; and what does not."""
        return (
            f"one recording tells anybody at most {self.rate_nats / math.log(2):.3g} bits about whomever; several "
            "recordings of a person add up, and what was learned is not differentially private"
        )

    def __call__(self, batch: Batch, *, rng: np.random.Generator) -> Batch:
        """Return the recordings with one modality ``representation``, (N, C): the nearest symbol."""
        opinions = self.opinions(batch)
        # |o - b|^2 without |o|^2, which is the same for every symbol
        nearest = ((self.book**2).sum(axis=1) - 2 * opinions @ self.book.T).argmin(axis=1)
        return represented(batch, self.book[nearest])

    def state(self) -> tuple[dict[str, Array], dict[str, str]]:
        """Return everything as arrays and text."""
        tensors, about = self.opinions.state()
        return {**tensors, "book": self.book}, {**about, "kind": "vq"}


class Variational(nn.Module):
    """Opinions to a Gaussian of ``size`` numbers, and that to classes."""

    def __init__(self, opinions: int, classes: int, *, size: int) -> None:
        super().__init__()
        self.encode = layers(opinions, 32, 2 * size)
        self.read = nn.Linear(size, classes)
        self.sizes = {"opinions": opinions, "classes": classes, "size": size}

    def release(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, size), drawn, and the rate of each row in nats: without the noise it would be no bound."""
        mean, log_variance = self.encode(x).chunk(2, dim=1)
        log_variance = log_variance.clamp(-8, 4)
        drawn = mean + (log_variance / 2).exp() * torch.randn(mean.shape)
        return drawn, 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (B, C), and the mean rate."""
        drawn, rate = self.release(x)
        return self.read(drawn), rate.mean()


@dataclass(frozen=True, kw_only=True)
class Blurred:
    """The fitted noisy channel.

    Attributes:
        opinions: The linear reader in front.
        net: The network, never changed again.
        rate_nats: Mean bound on the information of a row, over the recordings of training.
    """

    opinions: TaskOpinions
    net: Variational
    rate_nats: float
    spends: tuple[Spend, ...] = ()

    @property
    def guarantee(self) -> str:
        """What holds, against whom; and what does not."""
        return (
            f"one recording tells at most {self.rate_nats / math.log(2):.3g} bits on average over the people of "
            "training; for others this is an estimate, several recordings of a person add up, and what was learned is "
            "not differentially private"
        )

    def __call__(self, batch: Batch, *, rng: np.random.Generator) -> Batch:
        """Return the recordings with one modality ``representation``, (N, size); noise is drawn in every call."""
        with torch.inference_mode(), seeded(rng):
            return represented(batch, self.net.release(torch.from_numpy(self.opinions(batch)))[0].numpy())

    def state(self) -> tuple[dict[str, Array], dict[str, str]]:
        """Return everything as arrays and text."""
        tensors, about = self.opinions.state()
        own = {f"net.{name}": values.numpy().copy() for name, values in self.net.state_dict().items()}
        told = {"kind": "vib", "rate_nats": repr(self.rate_nats), "sizes": json.dumps(self.net.sizes)}
        return {**tensors, **own}, {**about, **told}
