"""Learn from each modality separately and fuse the answers: equal, fixed or stacked weights."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from torch import nn

from personare.core.errors import OptionError
from personare.core.types import Batch
from personare.learn.fusion import Fusion, Pool
from personare.learn.learner import NetworkPredictor, PrivateNetworkLearner
from personare.learn.multimodal import Network, check

__all__ = ["LateFusion"]


@dataclass(frozen=True, kw_only=True)
class LateFusion(PrivateNetworkLearner):
    """Train one network for each modality, each stopped by its own validation loss, and pool the answers.

    Separately trained networks beat almost every method that balances modalities while it trains them together, and
    leaving one out costs nothing.

    **Guarantee:** with ``epsilon``, the model is (epsilon, delta)-differentially private for one ``unit``. All
    modalities then learn from the same Poisson batches, accounted as the joint release that they are; ``stacked``
    shares and calibration are fitted on ``public`` recordings.

    **Source:** the ensemble of MCR (Kontras et al., NeurIPS 2025, Table 1); Wolpert, Neural Networks 1992,
    doi:10.1016/S0893-6080(05)80023-1, for stacking. Calibration of each modality before fusion is ours.
    """

    weights: Literal["equal", "fixed", "stacked"] = "equal"  # fixed by ``shares``, or fitted on validation people
    # average the logarithms of the probabilities (right where modalities err independently) or the probabilities
    pool: Pool = "log"
    shares: Mapping[str, float] = field(default_factory=dict)  # by modality, if fixed; they need not sum to 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.weights == "fixed") != bool(self.shares):
            raise OptionError(
                f"weights='fixed' goes with shares by modality, given {self.weights!r} and {self.shares}."
            )

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> NetworkPredictor:
        """Learn from the people of ``train``; see ``core.protocols.Learner``."""
        check(train, validation)
        fusion, stacked = Fusion(pool=self.pool), self.weights == "stacked"
        if self.weights == "fixed":
            if set(self.shares) != set(train.arrays):
                raise OptionError(f"shares must name {', '.join(train.arrays)}, they name {', '.join(self.shares)}.")
            fusion = Fusion(rule="fixed", pool=self.pool, shares=tuple(self.shares[m] for m in train.arrays))
        calibration = self.calibration_batch(train, validation, public)
        if stacked and not len(calibration):
            raise OptionError("Stacked weights are fitted on validation people (public ones under epsilon): give some.")
        people = (train, validation, public)
        if self.private:
            fused = self.fit_network(*people, shape="separate", rng=rng, fusion=fusion)
        else:
            each = [self.fit_network(*people, shape="separate", rng=rng, only=m) for m in train.arrays]
            encodings = {m: encoding for predictor in each for m, encoding in predictor.encodings.items()}
            with torch.random.fork_rng(devices=[]):  # fresh weights are overwritten
                net = Network(encodings, "separate", self.width, len(train.classes)).eval()
            net.encoders = nn.ModuleList(predictor.net.encoders[0] for predictor in each)
            net.heads = nn.ModuleList(predictor.net.heads[0] for predictor in each)
            fused = replace(each[0], net=net, fusion=fusion)
        return fused.calibrated(calibration, stacked=stacked)
