"""Trains an encoder against an adversary who tries to name the person, while it keeps the labels and the signal."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from personare.core.options import Count, NotNegative, PartShare, Whole, check_options
from personare.core.types import Batch, Spend
from personare.learn.learner import class_weights
from personare.learn.loop import seeded, train_rows
from personare.learn.multimodal import check
from personare.learn.networks import SavedNetwork, layers
from personare.learn.standardizing import Standardized, represented

__all__ = ["Adversarial"]


@dataclass(frozen=True, kw_only=True)
class Adversarial:
    """Learn a multimodal autoencoder whose code reads the labels, and from which an adversary cannot read the person.

    The adversary names whatever ``subjects`` of training holds: people, or an attribute put in its place. All
    modalities go through one encoder and are rebuilt from one code; modalities are hidden at random while it learns.

    **Guarantee**: none. It withstands the adversary it was trained with; a fresh one may do better, and that one is
    what ``evaluate.representations`` measures.

    **Source**: Y. Ganin, V. Lempitsky, "Unsupervised domain adaptation by backpropagation", ICML 2015,
    arXiv:1409.7495 (reversal, and its slow start); B. Srivastava, A. Bellet, M. Tommasi, E. Vincent,
    "Privacy-preserving adversarial representation learning in ASR", Interspeech 2019, arXiv:1911.04913.
    """

    # ``reversal``: one step for both, with the adversary's gradient reversed; ``alternating``: the adversary takes
    # ``rounds`` steps, then the encoder one that makes its answers even. A strong reversal outruns its own adversary,
    # and a fresh one then names people better than before: prefer the default
    kind: Literal["reversal", "alternating"] = "alternating"
    strength: NotNegative = 1.0  # how much hiding counts against reading; the dial. 0 leaves a plain autoencoder
    reconstruction: NotNegative = 0.1  # how much rebuilding the recording counts against reading
    size: Count = 8  # numbers of the code
    hidden: Whole = 128  # width of encoder, decoder and adversary; 0 for a linear encoder
    dropout: PartShare = 0.5  # share of the encoder left out while it learns
    modality_dropout: PartShare = 0.1  # chance of each modality to be hidden in a step
    rounds: Count = 3  # steps of the adversary, if alternating
    epochs: Count = 40

    def __post_init__(self) -> None:
        check_options(self)

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> "Encoded":
        """Learn from labels and subjects; the best epoch by validation is kept. See ``core.protocols``."""
        validation = validation if len(validation) else train.take(np.arange(0))
        check(train, validation)
        front = Standardized.of(train)
        people, whose = np.unique(train.subjects, return_inverse=True)
        with seeded(rng):
            net = CodeNet(front.center.size, len(train.classes), size=self.size, hidden=self.hidden, drop=self.dropout)
            adversary = layers(self.size, self.hidden or 64, len(people))
        catch_up = torch.optim.AdamW(adversary.parameters(), lr=1e-3)
        x, labels, owner = torch.from_numpy(front(train)), torch.from_numpy(train.labels), torch.from_numpy(whose)
        weights, widths = (
            class_weights(np.bincount(train.labels, minlength=len(train.classes))),
            torch.tensor(front.widths),
        )

        def loss(rows: Tensor, progress: float) -> Tensor:
            hidden = torch.rand(len(rows), len(widths)) < self.modality_dropout  # (B, M)
            hidden &= ~hidden.all(dim=1, keepdim=True)
            code = net.encode(x[rows].masked_fill(hidden.repeat_interleave(widths, dim=1), 0))  # (B, size)
            read = nn.functional.cross_entropy(net.read(code), labels[rows], weights)
            task_loss = read + self.reconstruction * nn.functional.mse_loss(net.decoder(code), x[rows])
            if self.kind == "reversal":  # one loss of both, whose gradient is reversed before it reaches the encoder
                ramp = 2 / (1 + math.exp(-10 * progress)) - 1
                identity_logits = adversary(reverse_gradient(code, self.strength * ramp))
                return task_loss + nn.functional.cross_entropy(identity_logits, owner[rows])
            for _ in range(self.rounds):  # the adversary catches up before the encoder evades it
                catch_up.zero_grad()
                nn.functional.cross_entropy(adversary(code.detach()), owner[rows]).backward()  # type: ignore[no-untyped-call]
                catch_up.step()
            uneven = -nn.functional.log_softmax(adversary(code), dim=1).mean()
            return task_loss + self.strength * uneven

        rows_validation, labels_validation = torch.from_numpy(front(validation)), torch.from_numpy(validation.labels)
        first_epochs = iter(range(min(2 * self.epochs // 3, self.epochs - 1)))

        @torch.inference_mode()
        def judge() -> float:
            # the first epochs, before the adversary has learned anything, look best: only the last third may be kept
            if next(first_epochs, None) is not None:
                return math.inf
            return float(nn.functional.cross_entropy(net.read(net.encode(rows_validation)), labels_validation))

        train_rows(
            nn.ModuleList([net, adversary] if self.kind == "reversal" else [net]),
            len(train),
            loss,
            epochs=self.epochs,
            rng=rng,
            judge=judge if len(validation) else None,
        )
        return Encoded(front=front, net=net.requires_grad_(False))


class CodeNet(SavedNetwork):
    """Rows to a code, and from it back to rows and to classes."""

    def __init__(self, features: int, classes: int, *, size: int, hidden: int, drop: float) -> None:
        super().__init__()
        between = (hidden,) if hidden else ()
        self.encoder = layers(features, *between, size, dropout=drop)
        self.decoder = layers(size, *between, features)
        self.read = nn.Linear(size, classes)
        self.settings = {"features": features, "classes": classes, "size": size, "hidden": hidden, "drop": drop}

    def encode(self, x: Tensor) -> Tensor:
        """Return (B, size)."""
        code: Tensor = self.encoder(x)
        return nn.functional.layer_norm(code, code.shape[1:]) if code.shape[1] > 1 else code


def reverse_gradient(x: Tensor, factor: float) -> Tensor:
    """Return the same numbers; on the way back their gradient is multiplied by ``-factor``."""
    same = x.view_as(x)
    same.register_hook(lambda gradient: -factor * gradient)  # type: ignore[no-untyped-call]
    return same


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """The fitted encoder, never changed again, and the front that makes rows of recordings."""

    guarantee: ClassVar[str] = (
        "none: it withstands the adversary it was trained with, a fresh one may do better and must be measured"
    )

    front: Standardized
    net: CodeNet
    spends: tuple[Spend, ...] = ()

    def __call__(self, batch: Batch, *, rng: np.random.Generator) -> Batch:
        """Return the recordings with one modality ``representation``, (N, size)."""
        with torch.inference_mode():
            return represented(batch, self.net.encode(torch.from_numpy(self.front(batch))).numpy())
