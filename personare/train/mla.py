"""Learn from modalities in turn under one head, kept from forgetting each other (MLA): as released, and as written."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import nn

from personare.core.types import Batch
from personare.learn.fusion import Fusion
from personare.learn.learner import Adjust, NetworkLearner, NetworkPredictor
from personare.learn.multimodal import Network
from personare.learn.private_nets import Rows

__all__ = ["Mla"]

_SHARES = {2: (0.55, 0.45), 3: (0.35, 0.25, 0.40)}  # of the released code, in its order: audio, visual, text


@dataclass(frozen=True, kw_only=True)
class Mla(NetworkLearner):
    """Train an encoder for each modality in turn through a head that all share; fuse the logits.

    Not offered with differential privacy: its projection is made of the mean features of private recordings, which
    clipping and noise of the gradients do not hide. ``pamrl`` with ``uncertainty="entropy"`` is the same without it.

    **Source:** Zhang, Yoon, Bansal, Yao, CVPR 2024, arXiv:2311.10707; projection: Zeng et al., Nature Machine
    Intelligence 2019, doi:10.1038/s42256-019-0080-x. Ours: entropy per recording (the code takes it over the batch),
    P symmetric and not rescaled, GroupNorm, early stopping on validation people; over sites each has a P of its own.
    """

    # ``paper``: the head's gradient is projected away from what the previous modality's features span, and each
    # recording's logits are weighed by their entropy. ``owm_self``: projected away from the modality's own features.
    # ``code``: what the released code does: no projection (it names a parameter that does not exist) and fixed shares
    # 0.55 / 0.45 (three modalities: 0.35 / 0.25 / 0.40; other numbers: equal)
    variant: Literal["paper", "code", "owm_self"] = "paper"
    # sgd has momentum 0.9, as published (with learning_rate 1e-3, weight_decay 1e-4, 100 epochs)
    optimizer: Literal["adamw", "sgd"] = "adamw"
    modality_dropout: float = 0.0

    def make_optimizer(self, net: nn.Module) -> torch.optim.Optimizer:
        """Return what moves the weights."""
        if self.optimizer == "adamw":
            return super().make_optimizer(net)
        return torch.optim.SGD(net.parameters(), self.learning_rate, momentum=0.9, weight_decay=self.weight_decay)

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> NetworkPredictor:
        """Learn from the people of ``train``; see ``core.protocols.Learner``."""
        adjust, fusion = None, Fusion(rule="entropy", entropy_scale="none", pool="log")
        if self.variant == "code":
            shares = _SHARES.get(len(train.arrays), (1.0,) * len(train.arrays))
            fusion = Fusion(rule="fixed", shares=shares, pool="log")
        else:
            adjust = partial(projection, self.width, own=self.variant == "owm_self")
        return self.fit_network(train, validation, public, shape="shared", rng=rng, fusion=fusion, adjust=adjust)


def projection(width: int, *, own: bool) -> Adjust:
    """Return orthogonal weight modification of the shared head, P growing by one mean feature h a turn.

    q = P h / (alpha + h' P h);  P <- P - q h' P;  the head's gradient G <- G P.
    """
    p = torch.eye(width)

    @torch.no_grad()
    def project(net: Network, rows: Rows, turn: int, progress: float) -> None:
        nonlocal p
        present = rows["present"][:, turn]
        gradient = net.head(turn).weight.grad
        if gradient is None or not present.any():
            return
        before = p
        h = net.encoders[turn](net.inputs(rows)[turn][present]).mean(dim=0)
        along = p @ h  # (width,)
        p = p - torch.outer(along, along) / (0.1 ** (progress + 1) + h @ along)
        # the paper guards what the previous turn, another modality, has written: P without this turn's features
        gradient.copy_(gradient @ (p if own else before))

    return project
