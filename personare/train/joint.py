"""Learn from all modalities at once: encodings side by side under one head, with a mask of what is missing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from personare.core.types import Array, Batch
from personare.learn.descent import Training
from personare.learn.fusion import Fusion
from personare.learn.lesson import Lesson, Privacy
from personare.learn.predicting import NetworkPredictor, restore_network

__all__ = ["Joint"]


@dataclass(frozen=True, kw_only=True)
class Joint:
    """Encode every modality, put the encodings side by side, and read the class from them with one head.

    **Guarantee:** with ``epsilon``, the model is (epsilon, delta)-differentially private for one ``unit``; scaling and
    calibration then come from ``public`` recordings or constants, and ``validation`` is not looked at.

    Attributes:
        epochs: This and what follows to ``patience``: see ``learn.descent.Training``.
        encoders: Encoder by modality, where the shape of the arrays shall not decide; see ``learn.encoders.choose``.
        epsilon: Privacy bound; None trains in the open.
        delta: The chance that it fails, below 1 / units.
        unit: What is protected: all recordings of a ``person``, or one ``recording``.
        clip_norm: Longest gradient of one unit.

    Example:
        >>> Joint(epochs=5).epsilon is None
        True
    """

    epochs: int = 60
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    width: int = 128
    modality_dropout: float = 0.1
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

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> NetworkPredictor:
        """Learn from the people of ``train``; see ``core.protocols.Learner``."""
        return Lesson.of(self, train, validation, public).fit("joined", fusion=Fusion(), rng=rng)

    def restore(self, tensors: Mapping[str, Array], about: Mapping[str, str]) -> NetworkPredictor:
        """Build again what ``state`` of the predictor returned."""
        return restore_network(tensors, about)
