"""Learn from modalities in turn under one head, and trust each one as far as it is sure and agrees (PAMRL)."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from personare.core.options import Share
from personare.core.types import Batch
from personare.learn.fusion import EntropyScale, Fusion, KlScale, Pool
from personare.learn.learner import NetworkPredictor, PrivateNetworkLearner

__all__ = ["Pamrl"]


@dataclass(frozen=True, kw_only=True)
class Pamrl(PrivateNetworkLearner):
    """Train an encoder for each modality in turn through a head that all share, and fuse by hybrid uncertainty.

    With probabilities p_m of M modalities over C classes::

        H_m = - sum_c p_mc log p_mc            D_m = sum over n of KL(p_m || p_n)
        U_m = alpha H_m / log C + (1 - alpha) D_m / sum_n D_n
        w_m = exp(-U_m) / sum_n exp(-U_n)      p = sum_m w_m p_m

    **Guarantee:** with ``epsilon``, the model is (epsilon, delta)-differentially private for one ``unit``. The turns on
    one Poisson batch are accounted as one joint release; scaling and calibration come from ``public`` recordings or
    constants, and ``validation`` is not looked at. Fusion looks at one recording alone, and so costs nothing.

    **Source:** Sun et al., Applied Sciences 2025, 15, 5229. Its normalizations are not given, so they are options.
    Ours: noise is that of the joint release (not of one turn), batches are Poisson draws, GroupNorm, probabilities are
    calibrated on validation people before their entropies are compared.
    """

    uncertainty: Literal["hybrid", "entropy", "kl", "uniform"] = "hybrid"  # all but hybrid are for comparison
    alpha: Share = 0.5  # share of the entropy in the hybrid
    entropy_scale: EntropyScale = "log_classes"  # over the log of the classes, over the sum of modalities, or none
    kl_scale: KlScale = "sum"  # over the sum of the modalities, between the least and the most, or none
    pool: Pool = "linear"  # average probabilities, as published, or their logarithms
    modality_dropout: float = 0.0

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> NetworkPredictor:
        """Learn from the people of ``train``; see ``core.protocols.Learner``."""
        fusion = Fusion(
            rule=self.uncertainty,
            alpha=self.alpha,
            entropy_scale=self.entropy_scale,
            kl_scale=self.kl_scale,
            pool=self.pool,
        )
        return self.fit_network(train, validation, public, shape="shared", rng=rng, fusion=fusion)
