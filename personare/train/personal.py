"""Learn what people share, then fit a head to each person from a few recordings; it never leaves the person."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from personare.core.errors import DataError, OptionError
from personare.core.types import Array, Batch, Spend
from personare.learn.descent import Training
from personare.learn.fusion import Fusion
from personare.learn.lesson import Lesson, Privacy
from personare.learn.multimodal import Joined
from personare.learn.predicting import NetworkPredictor, restore_network

__all__ = ["Personal"]


@dataclass(frozen=True, kw_only=True)
class Personal:
    """Train one joint network on everybody; ``predictor.adapt(batch)`` then fits its last layer to one person.

    **Guarantee:** what ``state`` returns holds the shared network alone, adapted or not. With ``epsilon`` that network
    is (epsilon, delta)-differentially private for one ``unit``; the personal head is made and kept on the person's side
    and costs nothing.

    Attributes:
        pull: How strongly a personal head is held to the shared one: higher for fewer recordings to change less.
        epochs: This and what follows to ``patience``: see ``learn.descent.Training``.
        encoders: Encoder by modality, where the shape of the arrays shall not decide; see ``learn.encoders.choose``.
        epsilon: Privacy bound of the shared network; None trains in the open.
        delta: The chance that it fails, below 1 / units.
        unit: What is protected: all recordings of a ``person``, or one ``recording``.
        clip_norm: Longest gradient of one unit.

    **Source:** Jain et al., Differentially private model personalization, NeurIPS 2021. Ours: the head is a logistic
    regression drawn towards the shared head (maximum a posteriori).

    Example:
        >>> Personal(pull=3.0).epsilon is None
        True
    """

    pull: float = 3.0
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
        if not self.pull > 0:
            raise OptionError(f"pull must be above 0, it is {self.pull}.")

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> "PersonalPredictor":
        """Learn from the people of ``train``; see ``core.protocols.Learner``."""
        base = Lesson.of(self, train, validation, public).fit("joined", fusion=Fusion(), rng=rng)
        return _with_shared_head(base, self.pull)

    def restore(self, tensors: Mapping[str, Array], about: Mapping[str, str]) -> "PersonalPredictor":
        """Build again the shared part, which is all that ``state`` returns."""
        return _with_shared_head(restore_network(tensors, about), float(about["pull"]))


def _with_shared_head(base: NetworkPredictor, pull: float) -> "PersonalPredictor":
    assert isinstance(base.net, Joined)
    weights = np.vstack([base.net.head.weight.detach().numpy().T, base.net.head.bias.detach().numpy()])
    return PersonalPredictor(base=base, pull=pull, head=weights.astype(np.float64))


@dataclass(frozen=True, kw_only=True)
class PersonalPredictor:
    """A shared network and the head that reads it, the shared one or a person's own.

    Attributes:
        base: The shared network.
        pull: How strongly a personal head is held to the shared one.
        head: (D + 1, C) weights, the last row the bias.
    """

    base: NetworkPredictor
    pull: float
    head: Array

    @property
    def classes(self) -> tuple[str, ...]:
        """What the columns mean."""
        return self.base.classes

    @property
    def spends(self) -> tuple[Spend, ...]:
        """What the shared network cost."""
        return self.base.spends

    def represent(self, batch: Batch) -> Array:
        """Return (N, D): what the head reads."""
        return self.base.represent(batch)

    def weights(self, batch: Batch) -> dict[str, Array]:
        """Return how much each modality counted for the shared head, by modality, (N,) in [0, 1]."""
        return self.base.weights(batch)

    def _logits(self, batch: Batch, head: Array) -> Array:
        found = self.represent(batch)
        scale = (self.base.fusion.temperatures or (1.0,))[0] * self.base.fusion.temperature
        return np.asarray((found @ head[:-1] + head[-1]) / scale)

    def __call__(self, batch: Batch) -> Array:
        """Return (N, C) probabilities; chance where all modalities are missing."""
        found = softmax(self._logits(batch, self.head), axis=1)
        seen = np.any([batch.present[m] for m in self.base.encodings], axis=0)
        return np.where(seen[:, None], found, 1 / len(self.classes))

    def adapt(self, batch: Batch) -> "PersonalPredictor":
        """Return the predictor of one person, its head fitted to a few of their labelled recordings.

        Raises:
            DataError: Recordings of nobody, or of more than one person.
        """
        if len(np.unique(batch.subjects)) != 1:
            raise DataError(
                f"A personal head is fitted to recordings of one person, given those of {len(set(batch.subjects))}."
            )
        found = np.hstack([self.represent(batch), np.ones((len(batch), 1))]).astype(np.float64)
        scale = (self.base.fusion.temperatures or (1.0,))[0] * self.base.fusion.temperature
        right = np.eye(len(self.classes))[batch.labels]
        shared = _with_shared_head(self.base, self.pull).head

        def cost(flat: Array) -> tuple[float, Array]:
            change = flat.reshape(shared.shape)
            logs = log_softmax(found @ (shared + change) / scale, axis=1)
            gradient = found.T @ (np.exp(logs) - right) / scale + self.pull * change
            return float(-(right * logs).sum() + 0.5 * self.pull * np.square(change).sum()), gradient.ravel()

        best = minimize(cost, np.zeros(shared.size), jac=True, method="L-BFGS-B")
        return replace(self, head=shared + best.x.reshape(shared.shape))

    def state(self) -> tuple[dict[str, Array], dict[str, str]]:
        """Return the shared network; a personal head is not in it."""
        tensors, about = self.base.state()
        return tensors, {**about, "pull": repr(self.pull)}
