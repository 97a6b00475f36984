"""Learn from one modality alone: the one named, or the one that reads validation people best."""

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

__all__ = ["Unimodal"]


@dataclass(frozen=True, kw_only=True)
class Unimodal:
    """Train a network for one modality; recordings that lack it are answered with chance.

    **Guarantee:** with ``epsilon``, the model is (epsilon, delta)-differentially private for one ``unit``; the modality
    must then be named, for choosing it by its success would look at private people.

    Attributes:
        modality: Which; empty for the one with the best recall (mean over classes) on validation people.
        epochs: This and what follows to ``patience``: see ``learn.descent.Training``.
        encoders: Encoder by modality, where the shape of the arrays shall not decide; see ``learn.encoders.choose``.
        epsilon: Privacy bound; None trains in the open.
        delta: The chance that it fails, below 1 / units.
        unit: What is protected: all recordings of a ``person``, or one ``recording``.
        clip_norm: Longest gradient of one unit.

    Example:
        >>> Unimodal(modality="audio", epochs=5).modality
        'audio'
    """

    modality: str = ""
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

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> NetworkPredictor:
        """Learn from the people of ``train``; see ``core.protocols.Learner``."""
        lesson = Lesson.of(self, train, validation, public)
        names = self._candidates(train)
        if len(names) > 1 and (self.epsilon is not None or not len(validation)):
            raise OptionError(
                f"Name one modality of {', '.join(names)}: the best can be chosen only on validation people, and not "
                "under differential privacy."
            )
        made = [lesson.only(m).fit("separate", fusion=Fusion(), rng=rng) for m in names]
        return made[0] if len(made) == 1 else max(made, key=lambda predictor: _recall(predictor, validation))

    def _candidates(self, train: Batch) -> list[str]:
        if self.modality and self.modality not in train.arrays:
            raise OptionError(f"modality must be one of {', '.join(train.arrays)}, it is {self.modality!r}.")
        return [self.modality] if self.modality else list(train.arrays)

    def restore(self, tensors: Mapping[str, Array], about: Mapping[str, str]) -> NetworkPredictor:
        """Build again what ``state`` of the predictor returned."""
        return restore_network(tensors, about)


def _recall(predictor: NetworkPredictor, batch: Batch) -> float:
    right = predictor(batch).argmax(axis=1) == batch.labels
    return float(np.mean([right[batch.labels == c].mean() for c in np.unique(batch.labels)]))
