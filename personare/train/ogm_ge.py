"""Learn from all modalities at once while the one that runs ahead is slowed down (OGM-GE)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from personare.core.errors import OptionError
from personare.core.types import Array, Batch
from personare.learn.descent import Training
from personare.learn.fusion import Fusion
from personare.learn.lesson import Lesson
from personare.learn.multimodal import Joined, Network, Tensors
from personare.learn.predicting import NetworkPredictor, restore_network

__all__ = ["OgmGe"]


@dataclass(frozen=True, kw_only=True)
class OgmGe:
    """Train a joint network whose stronger encoder learns slower, with noise on its gradients.

    Not offered with differential privacy: how far a modality runs ahead is read from private recordings.

    Attributes:
        alpha: How strongly the leading modality is slowed; 0 for not at all.
        noise: Add Gaussian noise with the spread of each gradient (the "GE" of the name).
        epochs: This and what follows to ``patience``: see ``learn.descent.Training``.
        encoders: Encoder by modality, where the shape of the arrays shall not decide; see ``learn.encoders.choose``.

    **Source:** Peng, Wei, Deng, Wang, Hu, CVPR 2022, arXiv:2203.15332. For more than two modalities each is compared
    with the mean of the others; all weights of an encoder are slowed, not convolutions alone.

    Example:
        >>> OgmGe(alpha=0.3).noise
        True
    """

    alpha: float = 0.3
    noise: bool = True
    epochs: int = 60
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    width: int = 128
    modality_dropout: float = 0.0
    class_weights: bool = False
    patience: int = 12
    encoders: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the options."""
        Training.of(self)
        if self.alpha < 0:
            raise OptionError(f"alpha must not be negative, it is {self.alpha}.")

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> NetworkPredictor:
        """Learn from the people of ``train``; see ``core.protocols.Learner``."""
        lesson = Lesson.of(self, train, validation, public)
        return lesson.fit("joined", fusion=Fusion(), rng=rng, adjust=self._slow)

    def _slow(self, net: Network, data: Tensors, turn: int, gone: float) -> None:
        assert isinstance(net, Joined)
        for encoder, pace in zip(net.encoders, _paces(net, data, self.alpha), strict=True):
            for weights in encoder.parameters():
                if weights.grad is not None and weights.ndim > 1:  # not biases and norms, as published
                    spread = weights.grad.std() if self.noise else torch.zeros(())
                    weights.grad.mul_(pace).add_(torch.randn_like(weights) * spread)

    def restore(self, tensors: Mapping[str, Array], about: Mapping[str, str]) -> NetworkPredictor:
        """Build again what ``state`` of the predictor returned."""
        return restore_network(tensors, about)


@torch.no_grad()
def _paces(net: Joined, data: Tensors, alpha: float) -> Tensor:
    """Return what each encoder's gradient is multiplied with, (M,): below 1 for a modality that explains more."""
    count, width = len(net.encoders), net.head.in_features // len(net.encoders) - 1
    found = net.represent(data)[:, : count * width].reshape(-1, count, width)  # (B, M, width)
    parts = net.head.weight[:, : count * width].reshape(-1, count, width)  # (C, M, width)
    logits = torch.einsum("bmw,cmw->bmc", found, parts) + net.head.bias / count
    right = logits.softmax(dim=2)[torch.arange(len(data)), :, data.labels] * data.present  # (B, M)
    scores = right.sum(dim=0)
    others = (scores.sum() - scores) / max(1, count - 1)
    ahead = torch.where(others > 0, scores / others.clamp(min=1e-9), 1.0)
    return torch.where(ahead > 1, 1 - torch.tanh(alpha * ahead), 1.0)
