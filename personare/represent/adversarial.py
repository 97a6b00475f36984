"""Trains an encoder against an adversary who tries to name the person, while it keeps the labels and the signal."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from personare.core.errors import DataError, OptionError
from personare.core.types import Array, Batch, Spend
from personare.learn.latent import Descent, layers, load_arrays, tell_apart
from personare.learn.loop import seeded
from personare.learn.multimodal import check
from personare.learn.standardizing import Standardized, check_people, represented

__all__ = ["Adversarial"]


@dataclass(frozen=True, kw_only=True)
class Adversarial:
    """Learn a multimodal autoencoder whose code reads the labels, and from which an adversary cannot read the person.

    The adversary names whatever ``subjects`` of training holds: people, or an attribute put in its place. All
    modalities go through one encoder and are rebuilt from one code; modalities are hidden at random while it learns.

    **Guarantee**: none. It withstands the adversary it was trained with; a fresh one may do better, and that one is
    what ``evaluate.representations`` measures.

    Attributes:
        kind: ``reversal``: one step for both, with the adversary's gradient reversed; ``alternating``: the adversary
            takes ``rounds`` steps, then the encoder one that makes its answers even. A strong reversal outruns its
            own adversary, and a fresh one then names people better than before: prefer the default.
        strength: How much hiding counts against reading; the dial. 0 leaves a plain autoencoder.
        reconstruction: How much rebuilding the recording counts against reading.
        size: Numbers of the code.
        hidden: Width of encoder, decoder and adversary; 0 for a linear encoder.
        dropout: Share of the encoder left out while it learns.
        modality_dropout: Chance of each modality to be hidden in a step.
        rounds: Steps of the adversary, if alternating.
        epochs: Passes over the recordings.

    **Source**: Y. Ganin, V. Lempitsky, "Unsupervised domain adaptation by backpropagation", ICML 2015,
    arXiv:1409.7495 (reversal, and its slow start); B. Srivastava, A. Bellet, M. Tommasi, E. Vincent,
    "Privacy-preserving adversarial representation learning in ASR", Interspeech 2019, arXiv:1911.04913.

    Example:
        >>> Adversarial(strength=2.0).kind
        'alternating'
    """

    kind: Literal["reversal", "alternating"] = "alternating"
    strength: float = 1.0
    reconstruction: float = 0.1
    size: int = 8
    hidden: int = 128
    dropout: float = 0.5
    modality_dropout: float = 0.1
    rounds: int = 3
    epochs: int = 40

    def __post_init__(self) -> None:
        """Check the options."""
        if self.kind not in ("reversal", "alternating"):
            raise OptionError(f"kind must be reversal or alternating, it is {self.kind!r}.")
        if not self.strength >= 0 or not self.reconstruction >= 0:
            raise OptionError(
                f"strength and reconstruction must not be negative: {self.strength}, {self.reconstruction}."
            )
        if min(self.size, self.rounds, self.epochs) < 1 or self.hidden < 0:
            raise OptionError("size, rounds and epochs must be at least 1, and hidden not negative.")
        if not 0 <= self.dropout < 1 or not 0 <= self.modality_dropout < 1:
            raise OptionError("dropout and modality_dropout must be shares from 0 to below 1.")

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> "Encoded":
        """Learn from labels and subjects; the best epoch by validation is kept. See ``core.protocols``."""
        check_people(train)
        check(train, validation if len(validation) else train.take(np.zeros(0, dtype=int)))
        front = Standardized.of(train)
        people, whose = np.unique(train.subjects, return_inverse=True)
        with seeded(rng):
            net = CodeNet(front.center.size, len(train.classes), size=self.size, hidden=self.hidden, drop=self.dropout)
            adversary = layers(self.size, self.hidden or 64, len(people))
        game = _Game(
            method=self,
            net=net,
            adversary=adversary,
            data=(torch.from_numpy(front(train)), torch.from_numpy(train.labels), torch.from_numpy(whose)),
            weights=tell_apart(train.labels, len(train.classes)),
            widths=front.widths,
        )
        watched = torch.from_numpy(front(validation)), torch.from_numpy(validation.labels)

        def judge() -> float:
            with torch.inference_mode():
                return float(nn.functional.cross_entropy(net.read(net.encode(watched[0])), watched[1]))

        # the first epochs, before the adversary has learned anything, look best: only the last third may be kept
        Descent(epochs=self.epochs)(
            nn.ModuleList([net, adversary] if self.kind == "reversal" else [net]),
            len(train),
            game.reversal if self.kind == "reversal" else game.alternating(),
            rng=rng,
            judge=judge if len(validation) else None,
            since=2 * self.epochs // 3,
        )
        return Encoded(front=front, net=net.requires_grad_(False))

    def restore(self, tensors: Mapping[str, Array], about: Mapping[str, str]) -> "Encoded":
        """Build again what ``state`` of the encoder returned."""
        front = Standardized.restore(tensors, about)
        try:
            with torch.random.fork_rng(devices=[]):  # the fresh weights are overwritten
                net = CodeNet(**json.loads(about["net"]))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"This is not the state of an encoder ({error}): fit it again.") from error
        load_arrays(net, tensors)
        return Encoded(front=front, net=net)


class CodeNet(nn.Module):
    """Rows to a code, and from it back to rows and to classes."""

    def __init__(self, features: int, classes: int, *, size: int, hidden: int, drop: float) -> None:
        super().__init__()
        between = (hidden,) if hidden else ()
        self.encoder = layers(features, *between, size, dropout=drop)
        self.decoder = layers(size, *between, features)
        self.read = nn.Linear(size, classes)
        self.told: dict[str, Any] = {"features": features, "classes": classes}
        self.told |= {"size": size, "hidden": hidden, "drop": drop}

    def encode(self, x: Tensor) -> Tensor:
        """Return (B, size)."""
        code: Tensor = self.encoder(x)
        return nn.functional.layer_norm(code, code.shape[1:]) if code.shape[1] > 1 else code


class _Reverse(torch.autograd.Function):
    """Forwards what it gets, backwards the gradient times a negative number."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.factor * gradients[0], None


@dataclass(frozen=True, kw_only=True, eq=False)
class _Game:
    """The encoder and its adversary over the recordings of training: rows, labels, and whose they are."""

    method: Adversarial
    net: CodeNet
    adversary: nn.Module
    data: tuple[Tensor, Tensor, Tensor]
    weights: Tensor
    widths: tuple[int, ...]

    def reversal(self, chosen: Tensor, gone: float) -> Tensor:
        """Return the loss of both: the adversary's gradient is reversed before it reaches the encoder."""
        code, kept = self._kept(chosen)
        ramp = 2 / (1 + math.exp(-10 * gone)) - 1
        reversed_code = _Reverse.apply(code, self.method.strength * ramp)  # type: ignore[no-untyped-call]
        named = self.adversary(reversed_code)
        return kept + nn.functional.cross_entropy(named, self.data[2][chosen])

    def alternating(self) -> Callable[[Tensor, float], Tensor]:
        """Return the loss of the encoder alone, before which the adversary catches up."""
        steps = torch.optim.AdamW(self.adversary.parameters(), lr=1e-3)

        def loss(chosen: Tensor, gone: float) -> Tensor:
            code, kept = self._kept(chosen)
            for _ in range(self.method.rounds):
                steps.zero_grad()
                named = self.adversary(code.detach())
                nn.functional.cross_entropy(named, self.data[2][chosen]).backward()  # type: ignore[no-untyped-call]
                steps.step()
            uneven = -nn.functional.log_softmax(self.adversary(code), dim=1).mean()
            return kept + self.method.strength * uneven

        return loss

    def _kept(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Return codes (B, size) with modalities hidden at random, and how badly labels and rows are read from them."""
        rows, labels = self.data[0][chosen], self.data[1][chosen]
        hidden = torch.rand(len(rows), len(self.widths)) < self.method.modality_dropout  # (B, M)
        hidden &= ~hidden.all(dim=1, keepdim=True)
        code = self.net.encode(rows.masked_fill(hidden.repeat_interleave(torch.tensor(self.widths), dim=1), 0))
        read = nn.functional.cross_entropy(self.net.read(code), labels, self.weights)
        rebuilt = nn.functional.mse_loss(self.net.decoder(code), rows)
        return code, read + self.method.reconstruction * rebuilt


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """The fitted encoder.

    Attributes:
        front: How recordings become rows.
        net: The network, never changed again.
    """

    front: Standardized
    net: CodeNet
    spends: tuple[Spend, ...] = ()

    @property
    def guarantee(self) -> str:
        """What holds, against whom; and what does not."""
        return "none: it withstands the adversary it was trained with, a fresh one may do better and must be measured"

    def __call__(self, batch: Batch, *, rng: np.random.Generator) -> Batch:
        """Return the recordings with one modality ``representation``, (N, size)."""
        with torch.inference_mode():
            return represented(batch, self.net.encode(torch.from_numpy(self.front(batch))).numpy())

    def state(self) -> tuple[dict[str, Array], dict[str, str]]:
        """Return everything as arrays and text; decoder and reader come along, the adversary does not."""
        tensors, about = self.front.state()
        own = {f"net.{name}": values.numpy().copy() for name, values in self.net.state_dict().items()}
        return {**tensors, **own}, {**about, "net": json.dumps(self.net.told)}
