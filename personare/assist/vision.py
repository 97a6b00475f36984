"""Sees cues in faces, as few numbers as they need: the encoder in front of the language model, and its adversaries."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn

from personare.core.errors import DataError
from personare.core.options import Count, NotNegative, check_options
from personare.core.types import Array, Batch
from personare.learn.loop import seeded, train_rows
from personare.learn.multimodal import Encoding
from personare.learn.networks import SavedNetwork, layers

_WIDTH = 64
_SHIFT = 3  # pixels
_ROUNDS = 3  # steps of the adversaries for each of the encoder
Targets = Mapping[str, tuple[tuple[str, ...], Array]]
"""By cue, what it may be, and (N,) which of these each recording is; -1 where it is not known."""


@dataclass(frozen=True, kw_only=True)
class Vision:
    """Learn to see cues in a picture (or a table of expressions), and not to see what else is in it.

    With an ``adversary`` of some strength a network of its own for each thing to hide (who it is, sex, age ...) learns
    to read it from the code, and the code is made such that their answers are even.

    **Guarantee**: none: it withstands the adversaries it was trained with, a fresh one may do better and must be
    measured.

    **Source**: V. Mirjalili et al., "Semi-adversarial networks", ICB 2018, arXiv:1712.00321; alternating steps in the
    manner of I. Goodfellow et al., NeurIPS 2014, arXiv:1406.2661.
    """

    size: Count = 16  # numbers of the code, for each cue
    adversary: NotNegative = 0.0  # how much hiding counts against seeing
    epochs: Count = 40

    def __post_init__(self) -> None:
        check_options(self)

    def fit(
        self, batch: Batch, cues: Targets, hidden: Mapping[str, Array], *, rng: np.random.Generator
    ) -> "VisionEncoder":
        """Learn from one track; ``hidden`` are (N,) whole numbers from 0 by what they say, -1 where it is not known."""
        track, x = _input(batch)
        encoding = Encoding.of(track, x, {})
        inputs, classes = encoding.prepare(x), {cue: values for cue, (values, _) in cues.items()}
        targets = {cue: torch.from_numpy(np.asarray(number)) for cue, (_, number) in cues.items()}
        secrets = {what: torch.from_numpy(np.asarray(number)) for what, number in hidden.items()}
        with seeded(rng):
            net = EncoderNetwork(kind=encoding.kind, shape=encoding.shape, size=self.size, cues=classes)
            adversaries = {
                what: layers(self.size * len(cues), _WIDTH, int(number.max()) + 1) for what, number in secrets.items()
            }
        catch_up = (
            torch.optim.AdamW(chain(*(a.parameters() for a in adversaries.values())), lr=2e-3) if hidden else None
        )

        def loss(rows: Tensor, _: float) -> Tensor:
            code = net.encode(_augmented(inputs[rows]))
            seen = _sum(
                [
                    nn.functional.cross_entropy(out, targets[cue][rows], ignore_index=-1)
                    for cue, out in net.read(code).items()
                ]
            )
            if not (catch_up and self.adversary):
                return seen
            for _ in range(_ROUNDS):
                catch_up.zero_grad()
                fooled = [
                    nn.functional.cross_entropy(a(code.detach()), secrets[what][rows], ignore_index=-1)
                    for what, a in adversaries.items()
                ]
                torch.autograd.backward(fooled)
                catch_up.step()
            uneven = _sum([-nn.functional.log_softmax(a(code), dim=1).mean() for a in adversaries.values()])
            return seen + self.adversary * uneven

        train_rows(net, len(x), loss, epochs=self.epochs, rng=rng, learning_rate=2e-3)
        return VisionEncoder(track=track, net=net.requires_grad_(False))


def _sum(losses: list[Tensor]) -> Tensor:
    return torch.stack(losses).sum()


def _augmented(x: Tensor) -> Tensor:
    """Return pictures mirrored by chance and moved a little; tables as they are."""
    if x.ndim < 4:
        return x
    mirrored = torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(3), x)
    right, down = torch.randint(-_SHIFT, _SHIFT + 1, (2,)).tolist()
    return mirrored.roll((down, right), dims=(2, 3))


def _input(batch: Batch) -> tuple[str, Array]:
    if len(batch.arrays) != 1:
        raise DataError(f"An assistant sees by one track, such as picture; given: {', '.join(batch.arrays) or 'none'}.")
    ((track, values),) = batch.arrays.items()
    return track, np.asarray(values, dtype=np.float32) / (255 if values.dtype == np.uint8 else 1)


class EncoderNetwork(SavedNetwork):
    """A picture (or a table) to a code of a part for each cue, and from each part to its cue."""

    def __init__(self, kind: str, shape: tuple[int, ...], size: int, cues: Mapping[str, tuple[str, ...]]) -> None:
        super().__init__()
        self.settings = {"kind": kind, "shape": shape, "size": size, "cues": dict(cues)}
        encoding = Encoding(kind=kind, shape=tuple(shape))  # type: ignore[arg-type]
        # a part of its own for each cue: what is learned by heart of the people (age) would drown what is seen
        self.parts = nn.ModuleDict(
            {cue: nn.Sequential(encoding.network(width=_WIDTH, dropout=0.2), nn.Linear(_WIDTH, size)) for cue in cues}
        )
        self.heads = nn.ModuleDict({cue: nn.Linear(size, len(values)) for cue, values in cues.items()})

    def encode(self, x: Tensor) -> Tensor:
        """Return (B, size times the cues)."""
        codes = [part(x) for part in self.parts.values()]
        return torch.cat([nn.functional.layer_norm(code, code.shape[1:]) for code in codes], dim=1)

    def read(self, code: Tensor) -> dict[str, Tensor]:
        """Return logits by cue, (B, what it may be)."""
        parts = code.chunk(len(self.heads), dim=1)
        return {cue: head(part) for (cue, head), part in zip(self.heads.items(), parts, strict=True)}


@dataclass(frozen=True, kw_only=True)
class VisionEncoder:
    """The fitted encoder, never changed again; it also reads the cues directly, without a language model."""

    track: str
    net: EncoderNetwork

    def code(self, batch: Batch) -> Array:
        """Return (N, size times the cues) float32."""
        parts = torch.split(torch.from_numpy(_input(batch)[1]), 256)
        with torch.inference_mode():
            return torch.cat([self.net.encode(part) for part in parts]).numpy()

    def posteriors(self, code: Array) -> dict[str, Array]:
        """Return by cue the (N, C) probabilities of what it may be."""
        with torch.inference_mode():
            return {cue: out.softmax(dim=1).numpy() for cue, out in self.net.read(torch.from_numpy(code)).items()}
