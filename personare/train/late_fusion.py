"""Learn from each modality separately and fuse the answers: equal, fixed or stacked weights."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from personare.core.errors import OptionError
from personare.core.types import Array, Batch
from personare.learn.descent import Training
from personare.learn.fusion import Fusion
from personare.learn.lesson import Lesson, Privacy
from personare.learn.predicting import NetworkPredictor, assemble, restore_network

__all__ = ["LateFusion"]


@dataclass(frozen=True, kw_only=True)
class LateFusion:
    """Train one network for each modality, each stopped by its own validation loss, and pool the answers.

    Separately trained networks beat almost every method that balances modalities while it trains them together, and
    leaving one out costs nothing.

    **Guarantee:** with ``epsilon``, the model is (epsilon, delta)-differentially private for one ``unit``. All
    modalities then learn from the same Poisson batches, accounted as the joint release that they are; ``stacked``
    shares and calibration are fitted on ``public`` recordings.

    Attributes:
        weights: ``equal``; ``fixed`` by ``shares``; or ``stacked``: fitted on validation people.
        pool: Average the logarithms of the probabilities (``log``: right where modalities err independently) or the
            probabilities themselves (``linear``).
        shares: Share of each modality for ``fixed``; they need not sum to 1.
        epochs: This and what follows to ``patience``: see ``learn.descent.Training``.
        encoders: Encoder by modality, where the shape of the arrays shall not decide; see ``learn.encoders.choose``.
        epsilon: Privacy bound; None trains in the open.
        delta: The chance that it fails, below 1 / units.
        unit: What is protected: all recordings of a ``person``, or one ``recording``.
        clip_norm: Longest gradient of one unit and modality.

    **Source:** the ensemble of MCR (Kontras et al., NeurIPS 2025, Table 1); Wolpert, Neural Networks 1992,
    doi:10.1016/S0893-6080(05)80023-1, for stacking. Calibration of each modality before fusion is ours.

    Example:
        >>> LateFusion(weights="fixed", shares={"audio": 0.55, "face": 0.45}).weights
        'fixed'
    """

    weights: Literal["equal", "fixed", "stacked"] = "equal"
    pool: Literal["log", "linear"] = "log"
    shares: Mapping[str, float] = field(default_factory=dict)
    epochs: int = 60
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    width: int = 128
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
        if self.weights not in ("equal", "fixed", "stacked"):
            raise OptionError(f"weights must be equal, fixed or stacked, it is {self.weights!r}.")
        Fusion(pool=self.pool)
        if (self.weights == "fixed") != bool(self.shares):
            raise OptionError(
                f"weights='fixed' goes with shares by modality, given {self.weights!r} and {self.shares}."
            )

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> NetworkPredictor:
        """Learn from the people of ``train``; see ``core.protocols.Learner``."""
        lesson = Lesson.of(self, train, validation, public)
        fusion, stacked = self._fusion(train), self.weights == "stacked"
        if stacked and not len(lesson.open_batch):
            raise OptionError("Stacked weights are fitted on validation people (public ones under epsilon): give some.")
        if self.epsilon is not None:
            return lesson.fit("separate", fusion=fusion, rng=rng, stacked=stacked)
        alone = [lesson.only(m).fit("separate", fusion=Fusion(), rng=rng) for m in train.arrays]
        return assemble(alone, fusion).calibrated(lesson.open_batch, stacked=stacked)

    def _fusion(self, train: Batch) -> Fusion:
        if self.weights != "fixed":
            return Fusion(pool=self.pool)
        if set(self.shares) != set(train.arrays):
            raise OptionError(f"shares must name {', '.join(train.arrays)}, they name {', '.join(self.shares)}.")
        return Fusion(rule="fixed", pool=self.pool, shares=tuple(self.shares[m] for m in train.arrays))

    def restore(self, tensors: Mapping[str, Array], about: Mapping[str, str]) -> NetworkPredictor:
        """Build again what ``state`` of the predictor returned."""
        return restore_network(tensors, about)
