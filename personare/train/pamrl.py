"""Learn from modalities in turn under one head, and trust each one as far as it is sure and agrees (PAMRL)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from personare.core.errors import OptionError
from personare.core.types import Array, Batch
from personare.learn.descent import Training
from personare.learn.fusion import Fusion
from personare.learn.lesson import Lesson, Privacy
from personare.learn.predicting import NetworkPredictor, restore_network

__all__ = ["Pamrl"]


@dataclass(frozen=True, kw_only=True)
class Pamrl:
    """Train an encoder for each modality in turn through a head that all share, and fuse by hybrid uncertainty.

    With probabilities p_m of M modalities over C classes::

        H_m = - sum_c p_mc log p_mc            D_m = sum over n of KL(p_m || p_n)
        U_m = alpha H_m / log C + (1 - alpha) D_m / sum_n D_n
        w_m = exp(-U_m) / sum_n exp(-U_n)      p = sum_m w_m p_m

    **Guarantee:** with ``epsilon``, the model is (epsilon, delta)-differentially private for one ``unit``. The turns on
    one Poisson batch are accounted as one joint release; scaling and calibration come from ``public`` recordings or
    constants, and ``validation`` is not looked at. Fusion looks at one recording alone, and so costs nothing.

    Attributes:
        uncertainty: ``hybrid``; or for comparison ``entropy`` alone, ``kl`` alone, ``uniform`` weights.
        alpha: Share of the entropy in the hybrid.
        entropy_scale: Entropy over ``log_classes``, over the ``sum`` of the modalities, or ``none``.
        kl_scale: Divergence over the ``sum`` of the modalities, ``min_max`` between them, or ``none``.
        pool: Average probabilities (``linear``, as published) or their logarithms (``log``).
        epochs: This and what follows to ``patience``: see ``learn.descent.Training``.
        encoders: Encoder by modality, where the shape of the arrays shall not decide; see ``learn.encoders.choose``.
        epsilon: Privacy bound; None trains in the open.
        delta: The chance that it fails, below 1 / units.
        unit: What is protected: all recordings of a ``person``, or one ``recording``.
        clip_norm: Longest gradient of one unit in one turn.

    **Source:** Sun et al., Applied Sciences 2025, 15, 5229. Its normalizations are not given, so they are options.
    Ours: noise is that of the joint release (not of one turn), batches are Poisson draws, GroupNorm, probabilities are
    calibrated on validation people before their entropies are compared.

    Example:
        >>> Pamrl(uncertainty="kl", kl_scale="min_max").alpha
        0.5
    """

    uncertainty: Literal["hybrid", "entropy", "kl", "uniform"] = "hybrid"
    alpha: float = 0.5
    entropy_scale: Literal["log_classes", "sum", "none"] = "log_classes"
    kl_scale: Literal["sum", "min_max", "none"] = "sum"
    pool: Literal["linear", "log"] = "linear"
    epochs: int = 60
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    width: int = 128
    modality_dropout: float = 0.0
    class_weights: bool = False
    patience: int = 12
    encoders: Mapping[str, str] = field(default_factory=dict)
    epsilon: float | None = None
    delta: float = 1e-5
    unit: Literal["person", "recording"] = "person"
    clip_norm: float = 1.0

    def __post_init__(self) -> None:
        """Check the options."""
        Training.of(self)
        Privacy.of(self)
        if self.uncertainty not in ("hybrid", "entropy", "kl", "uniform"):
            raise OptionError(f"uncertainty must be hybrid, entropy, kl or uniform, it is {self.uncertainty!r}.")
        self._fusion()

    def _fusion(self) -> Fusion:
        return Fusion(
            rule=self.uncertainty,
            alpha=self.alpha,
            entropy_scale=self.entropy_scale,
            kl_scale=self.kl_scale,
            pool=self.pool,
        )

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> NetworkPredictor:
        """Learn from the people of ``train``; see ``core.protocols.Learner``."""
        return Lesson.of(self, train, validation, public).fit("shared", fusion=self._fusion(), rng=rng)

    def restore(self, tensors: Mapping[str, Array], about: Mapping[str, str]) -> NetworkPredictor:
        """Build again what ``state`` of the predictor returned."""
        return restore_network(tensors, about)
