"""Learn from all modalities at once while the one that runs ahead is slowed down (OGM-GE)."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from personare.core.options import NotNegative
from personare.core.types import Batch
from personare.learn.learner import NetworkLearner, NetworkPredictor
from personare.learn.multimodal import Network
from personare.learn.private_nets import Rows

__all__ = ["OgmGe"]


@dataclass(frozen=True, kw_only=True)
class OgmGe(NetworkLearner):
    """Train a joint network whose stronger encoder learns slower, with noise on its gradients.

    Not offered with differential privacy: how far a modality runs ahead is read from private recordings.

    **Source:** Peng, Wei, Deng, Wang, Hu, CVPR 2022, arXiv:2203.15332. For more than two modalities each is compared
    with the mean of the others; all weights of an encoder are slowed, not convolutions alone.
    """

    alpha: NotNegative = 0.3  # how strongly the leading modality is slowed; 0 for not at all
    noise: bool = True  # add Gaussian noise with the spread of each gradient (the "GE" of the name)
    modality_dropout: float = 0.0

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> NetworkPredictor:
        """Learn from the people of ``train``; see ``core.protocols.Learner``."""

        def slow(net: Network, rows: Rows, turn: int, progress: float) -> None:
            for encoder, factor in zip(net.encoders, gradient_factors(net, rows, self.alpha), strict=True):
                for weights in encoder.parameters():
                    if weights.grad is not None and weights.ndim > 1:  # not biases and norms, as published
                        spread = weights.grad.std() if self.noise else torch.zeros(())
                        weights.grad.mul_(factor).add_(torch.randn_like(weights) * spread)

        return self.fit_network(train, validation, public, shape="joined", rng=rng, adjust=lambda: slow)


@torch.no_grad()
def gradient_factors(net: Network, rows: Rows, alpha: float) -> Tensor:
    """Return what each encoder's gradient is multiplied with, (M,): below 1 for a modality that explains more."""
    count, width, head = len(net.encoders), net.width, net.head(0)
    parts = net.represent(rows)[:, : count * width].reshape(-1, count, width)  # (B, M, width)
    weights = head.weight[:, : count * width].reshape(-1, count, width)  # (C, M, width)
    logits = torch.einsum("bmw,cmw->bmc", parts, weights) + head.bias / count
    likelihood = logits.softmax(dim=2)[torch.arange(len(parts)), :, rows["labels"]] * rows["present"]  # (B, M)
    scores = likelihood.sum(dim=0)
    rivals = (scores.sum() - scores) / max(1, count - 1)
    ahead = torch.where(rivals > 0, scores / rivals.clamp(min=1e-9), 1.0)
    return torch.where(ahead > 1, 1 - torch.tanh(alpha * ahead), 1.0)
