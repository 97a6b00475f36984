"""Learn from all modalities at once: encodings side by side under one head, with a mask of what is missing."""

from dataclasses import dataclass

import numpy as np

from personare.core.types import Batch
from personare.learn.learner import NetworkPredictor, PrivateNetworkLearner

__all__ = ["Joint"]


@dataclass(frozen=True, kw_only=True)
class Joint(PrivateNetworkLearner):
    """Encode every modality, put the encodings side by side, and read the class from them with one head.

    **Guarantee:** with ``epsilon``, the model is (epsilon, delta)-differentially private for one ``unit``; scaling and
    calibration then come from ``public`` recordings or constants, and ``validation`` is not looked at.
    """

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> NetworkPredictor:
        """Learn from the people of ``train``; see ``core.protocols.Learner``."""
        return self.fit_network(train, validation, public, shape="joined", rng=rng)
