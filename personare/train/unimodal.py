"""Learn from one modality alone: the one named, or the one that reads validation people best."""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import recall_score

from personare.core.errors import OptionError
from personare.core.types import Batch
from personare.learn.learner import NetworkPredictor, PrivateNetworkLearner
from personare.learn.multimodal import check

__all__ = ["Unimodal"]


@dataclass(frozen=True, kw_only=True)
class Unimodal(PrivateNetworkLearner):
    """Train a network for one modality; recordings that lack it are answered with chance.

    **Guarantee:** with ``epsilon``, the model is (epsilon, delta)-differentially private for one ``unit``; the modality
    must then be named, for choosing it by its success would look at private people.
    """

    modality: str = ""  # empty for the one with the best recall (mean over classes) on validation people

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> NetworkPredictor:
        """Learn from the people of ``train``; see ``core.protocols.Learner``."""
        check(train, validation)
        if self.modality and self.modality not in train.arrays:
            raise OptionError(f"modality must be one of {', '.join(train.arrays)}, it is {self.modality!r}.")
        names = [self.modality] if self.modality else list(train.arrays)
        if len(names) > 1 and (self.private or not len(validation)):
            raise OptionError(
                f"Name one modality of {', '.join(names)}: the best can be chosen only on validation people, and not "
                "under differential privacy."
            )
        people = (train, validation, public)
        predictors = [self.fit_network(*people, shape="separate", rng=rng, only=name) for name in names]

        def recall(predictor: NetworkPredictor) -> float:
            predicted, classes = predictor(validation).argmax(axis=1), np.unique(validation.labels)
            return float(recall_score(validation.labels, predicted, labels=classes, average="macro"))

        return predictors[0] if len(predictors) == 1 else max(predictors, key=recall)
