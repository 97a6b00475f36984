"""Learn what people share, then fit a head to each person from a few recordings; it never leaves the person."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from personare.core.errors import DataError
from personare.core.options import Positive
from personare.core.types import Array, Batch, Spend
from personare.learn.learner import NetworkPredictor, PrivateNetworkLearner

__all__ = ["Personal"]


@dataclass(frozen=True, kw_only=True)
class Personal(PrivateNetworkLearner):
    """Train one joint network on everybody; ``predictor.adapt(batch)`` then fits its last layer to one person.

    **Guarantee:** what is saved holds the shared network alone, adapted or not. With ``epsilon`` that network is
    (epsilon, delta)-differentially private for one ``unit``; the personal head is made and kept on the person's side
    and costs nothing.

    Attributes:
        pull: How strongly a personal head is held to the shared one: higher for fewer recordings to change less.

    **Source:** Jain et al., Differentially private model personalization, NeurIPS 2021. Ours: the head is a logistic
    regression drawn towards the shared head (maximum a posteriori).
    """

    pull: Positive = 3.0

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> "PersonalPredictor":
        """Learn from the people of ``train``; see ``core.protocols.Learner``."""
        base = self.fit_network(train, validation, public, shape="joined", rng=rng)
        return PersonalPredictor(base=base, pull=self.pull)


@dataclass(frozen=True, kw_only=True)
class PersonalPredictor:
    """A shared network and the head that reads it.

    Attributes:
        base: The shared network.
        pull: How strongly a personal head is held to the shared one.
    """

    base: NetworkPredictor
    pull: float
    # (D + 1, C) weights, the last row the bias, of a person's own head, which never leaves; None: the shared one
    _head: Array | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """What the columns mean."""
        return self.base.classes

    @property
    def spends(self) -> tuple[Spend, ...]:
        """What the shared network cost."""
        return self.base.spends

    @property
    def shared_head(self) -> Array:
        """The head that everybody shares, (D + 1, C), the last row the bias."""
        head = self.base.net.head(0)
        return np.vstack([head.weight.detach().numpy().T, head.bias.detach().numpy()]).astype(np.float64)

    @property
    def _temperature(self) -> float:
        return (self.base.fusion.temperatures or (1.0,))[0] * self.base.fusion.temperature

    def represent(self, batch: Batch) -> Array:
        """Return (N, D): what the head reads."""
        return self.base.represent(batch)

    def weights(self, batch: Batch) -> dict[str, Array]:
        """Return how much each modality counted for the shared head, by modality, (N,) in [0, 1]."""
        return self.base.weights(batch)

    def __call__(self, batch: Batch) -> Array:
        """Return (N, C) probabilities; chance where all modalities are missing."""
        head = self.shared_head if self._head is None else self._head
        probabilities = softmax((self.represent(batch) @ head[:-1] + head[-1]) / self._temperature, axis=1)
        mask = np.any([batch.present[m] for m in self.base.encodings], axis=0)
        return np.where(mask[:, None], probabilities, 1 / len(self.classes))

    def adapt(self, batch: Batch) -> "PersonalPredictor":
        """Return the predictor of one person, its head fitted to a few of their labelled recordings."""
        if len(np.unique(batch.subjects)) != 1:
            raise DataError(
                f"A personal head is fitted to recordings of one person, given those of {len(set(batch.subjects))}."
            )
        rows = np.hstack([self.represent(batch), np.ones((len(batch), 1))]).astype(np.float64)
        targets = np.eye(len(self.classes))[batch.labels]
        shared, scale = self.shared_head, self._temperature

        def cost(flat: Array) -> tuple[float, Array]:
            change = flat.reshape(shared.shape)
            logs = log_softmax(rows @ (shared + change) / scale, axis=1)
            gradient = rows.T @ (np.exp(logs) - targets) / scale + self.pull * change
            return float(-(targets * logs).sum() + 0.5 * self.pull * np.square(change).sum()), gradient.ravel()

        best = minimize(cost, np.zeros(shared.size), jac=True, method="L-BFGS-B")
        return replace(self, _head=shared + best.x.reshape(shared.shape))
