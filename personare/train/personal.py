"""Learn what people share, then fit a head to each person from a few recordings; it never leaves the person."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from personare.core.errors import DataError
from personare.core.options import Positive
from personare.core.types import Array, Batch
from personare.learn.learner import NetworkPredictor, PrivateNetworkLearner

__all__ = ["Personal"]


@dataclass(frozen=True, kw_only=True)
class Personal(PrivateNetworkLearner):
    """Train one joint network on everybody; ``predictor.adapt(batch)`` then fits its last layer to one person.

    **Guarantee:** what is saved holds the shared network alone, adapted or not. With ``epsilon`` that network is
    (epsilon, delta)-differentially private for one ``unit``; the personal head is made and kept on the person's side
    and costs nothing.

    **Source:** Jain et al., Differentially private model personalization, NeurIPS 2021. Ours: the head is a logistic
    regression drawn towards the shared head (maximum a posteriori).
    """

    pull: Positive = 3.0  # how strongly a personal head is held to the shared one: higher for fewer recordings

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> "PersonalPredictor":
        """Learn from the people of ``train``; see ``core.protocols.Learner``."""
        shared = self.fit_network(train, validation, public, shape="joined", rng=rng)
        return PersonalPredictor(**vars(shared), pull=self.pull)


@dataclass(frozen=True, kw_only=True)
class PersonalPredictor(NetworkPredictor):
    """A shared network, and the head that reads it."""

    pull: float
    # (D + 1, C) weights, the last row the bias, of a person's own head, which never leaves; None: the shared one
    _head: Array | None = None

    @property
    def _temperature(self) -> float:
        return (self.fusion.temperatures or (1.0,))[0] * self.fusion.temperature

    def __call__(self, batch: Batch) -> Array:
        """Return (N, C) probabilities; chance where all modalities are missing."""
        if self._head is None:
            return super().__call__(batch)
        scores = self.represent(batch) @ self._head[:-1] + self._head[-1]
        mask = np.any([batch.present[m] for m in self.encodings], axis=0)
        return np.where(mask[:, None], softmax(scores / self._temperature, axis=1), 1 / len(self.classes))

    def adapt(self, batch: Batch) -> "PersonalPredictor":
        """Return the predictor of one person, its head fitted to a few of their labelled recordings."""
        if len(np.unique(batch.subjects)) != 1:
            raise DataError(
                f"A personal head is fitted to recordings of one person, given those of {len(set(batch.subjects))}."
            )
        rows = np.hstack([self.represent(batch), np.ones((len(batch), 1))]).astype(np.float64)
        targets = np.eye(len(self.classes))[batch.labels]
        layer, scale = self.net.head(0), self._temperature
        shared = np.vstack([layer.weight.detach().numpy().T, layer.bias.detach().numpy()]).astype(np.float64)

        def cost(flat: Array) -> tuple[float, Array]:
            change = flat.reshape(shared.shape)
            logs = log_softmax(rows @ (shared + change) / scale, axis=1)
            gradient = rows.T @ (np.exp(logs) - targets) / scale + self.pull * change
            return float(-(targets * logs).sum() + 0.5 * self.pull * np.square(change).sum()), gradient.ravel()

        best = minimize(cost, np.zeros(shared.size), jac=True, method="L-BFGS-B")
        return replace(self, _head=shared + best.x.reshape(shared.shape))
