"""Squeezes each recording through a narrow channel that little but the wanted behavior fits through."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import softmax
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from torch import Tensor, nn

from personare.core.options import Count, NotNegative, Range, check_options
from personare.core.types import Array, Batch, Spend
from personare.learn.loop import seeded, train_rows
from personare.learn.multimodal import check
from personare.learn.networks import SavedNetwork, layers
from personare.learn.standardizing import Standardized, represented

__all__ = ["Bottleneck"]

_PENALTIES = (1e-3, 3e-3, 1e-2, 3e-2)  # inverse; chosen by other people


@dataclass(frozen=True, kw_only=True)
class Bottleneck:
    """Keep what the labels need and little else: one of a few symbols (vq), or a few noisy numbers (vib).

    Both see a recording only through a linear reader of the labels; what does not help to read them is gone.

    **Guarantee**: of ``vq``, for every recording of anybody: it becomes one of at most ``codes`` rows, so it tells no
    more than log2(codes) bits about who speaks, and no attacker names more than codes / P of P equally likely people
    right by one recording. Of ``vib``, on people like those it was measured on: the rate stated bounds the mean
    information about anything. Several recordings of one person tell as many times more. Neither is differential
    privacy: what is learned (reader, symbols) comes from people, and is not protected by it.

    **Source**: A. Alemi, I. Fischer, J. Dillon, K. Murphy, "Deep variational information bottleneck", ICLR 2017,
    arXiv:1612.00410. Quantization in the manner of A. van den Oord, O. Vinyals, K. Kavukcuoglu, "Neural discrete
    representation learning", NeurIPS 2017, arXiv:1711.00937, but of the posteriors of a linear reader, by k-means: with
    few people a network through which codebook and encoder are learned together reads emotion worse.
    """

    kind: Literal["vq", "vib"] = "vq"
    # symbols of ``vq``, fewer where fewer recordings differ: the dial
    codes: Annotated[int, Range("at least 2", lambda value: value >= 2)] = 32
    size: Count = 6  # numbers of a ``vib`` row
    beta: NotNegative = 0.01  # price of a nat in ``vib``: the dial
    epochs: Count = 30  # of ``vib``

    def __post_init__(self) -> None:
        check_options(self)

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> "Quantized | Blurred":
        """Learn from labels; validation chooses the penalty. See ``core.protocols.Representation``."""
        reader = LinearReader.of(train, validation)
        posteriors = reader(train)
        if self.kind == "vq":
            codes = min(self.codes, len(np.unique(posteriors, axis=0)))
            means = KMeans(codes, n_init=4, random_state=int(rng.integers(2**31))).fit(posteriors)
            return Quantized(reader=reader, book=means.cluster_centers_.astype(np.float32))
        x, labels = torch.from_numpy(posteriors), torch.from_numpy(train.labels)
        with seeded(rng):
            net = Variational(len(train.classes), size=self.size)

        def loss(rows: Tensor, progress: float) -> Tensor:
            sample, rates = net(x[rows])
            return torch.add(nn.functional.cross_entropy(net.read(sample), labels[rows]), rates.mean(), alpha=self.beta)

        train_rows(net, len(x), loss, epochs=self.epochs, rng=rng, learning_rate=3e-3)
        with torch.inference_mode(), seeded(rng):
            rate = float(net(x)[1].mean())
        return Blurred(reader=reader, net=net.requires_grad_(False), rate_nats=rate)


@dataclass(frozen=True, kw_only=True)
class LinearReader:
    """Recordings as the probabilities of the classes, by logistic regression: what the channel is allowed to see.

    What a reader is sure of is nearly the same number for everybody; logits would still tell how each person is sure.
    """

    front: Standardized
    weights: Array  # (D, C)
    bias: Array  # (C,)

    @classmethod
    def of(cls, train: Batch, validation: Batch) -> "LinearReader":
        """Learn to read the labels; ``validation``, where there is any, chooses the penalty and then teaches too."""
        check(train, validation if len(validation) else train.take(np.arange(0)))
        front = Standardized.of(train)
        rows = front(train).astype(float)
        readers = [
            LogisticRegression(C=penalty, class_weight="balanced", max_iter=5000).fit(rows, train.labels)
            for penalty in (_PENALTIES if len(validation) else _PENALTIES[-2:-1])
        ]
        best = readers[0]
        if len(validation):
            others, classes = front(validation), np.unique(validation.labels)

            def recall(reader: LogisticRegression) -> float:
                return float(recall_score(validation.labels, reader.predict(others), labels=classes, average="macro"))

            best = max(readers, key=recall)
            best.fit(np.concatenate([rows, others]), np.concatenate([train.labels, validation.labels]))
        weights, bias = best.coef_.T, best.intercept_
        if weights.shape[1] == 1:  # of two classes the second one's are given, against none for the first
            weights, bias = np.pad(weights, ((0, 0), (1, 0))), np.pad(bias, (1, 0))
        return cls(front=front, weights=weights, bias=bias)

    def __call__(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Return (N, C) probabilities."""
        return np.asarray(softmax(self.front(batch) @ self.weights + self.bias, axis=1), dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class Quantized:
    """The fitted channel: a linear reader, and (codes, C) what the symbols stand for."""

    reader: LinearReader
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
        # |p - b|^2 without |p|^2, which is the same for every symbol
        nearest = ((self.book**2).sum(axis=1) - 2 * self.reader(batch) @ self.book.T).argmin(axis=1)
        return represented(batch, self.book[nearest])


class Variational(SavedNetwork):
    """Posteriors of the classes to a Gaussian of ``size`` numbers, and ``read`` from there to logits of classes."""

    def __init__(self, classes: int, *, size: int) -> None:
        super().__init__()
        self.encode = layers(classes, 32, 2 * size)
        self.read = nn.Linear(size, classes)
        self.settings = {"classes": classes, "size": size}

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, size), drawn, and the rate of each row in nats: without the noise it would be no bound."""
        mean, log_variance = self.encode(x).chunk(2, dim=1)
        log_variance = log_variance.clamp(-8, 4)
        sample = mean + (log_variance / 2).exp() * torch.randn(mean.shape)
        return sample, 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=1)


@dataclass(frozen=True, kw_only=True)
class Blurred:
    """The fitted noisy channel; ``rate_nats`` bounds the mean information of a row over the recordings of training."""

    reader: LinearReader
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
            return represented(batch, self.net(torch.from_numpy(self.reader(batch)))[0].numpy())
