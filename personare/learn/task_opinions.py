"""The opinion of a linear reader of the labels: what a representation for one task is allowed to see of a recording."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from personare.core.errors import DataError
from personare.core.types import Array, Batch
from personare.learn.multimodal import check
from personare.learn.standardizing import Standardized, check_people

__all__ = ["TaskOpinions"]

_PENALTIES = (1e-3, 3e-3, 1e-2, 3e-2)  # inverse; chosen by other people


@dataclass(frozen=True, kw_only=True)
class TaskOpinions:
    """Recordings as the probabilities of the classes, by logistic regression.

    What a reader is sure of is nearly the same number for everybody; logits would still tell how each person is sure.

    People of validation choose the penalty, and are learned from as well once it is chosen.

    Attributes:
        front: How recordings become rows.
        weights: (D, C).
        bias: (C,).
    """

    front: Standardized
    weights: Array
    bias: Array

    @classmethod
    def of(cls, train: Batch, validation: Batch) -> "TaskOpinions":
        """Learn to read the labels; ``validation`` chooses the penalty, where it is not empty.

        Raises:
            DataError: One person or one class alone, or recordings that do not fit.
        """
        check_people(train)
        check(train, validation if len(validation) else train.take(np.zeros(0, dtype=int)))
        front = Standardized.of(train)
        rows = front(train).astype(float)
        found = []
        for penalty in _PENALTIES if len(validation) else _PENALTIES[-2:-1]:
            reader = LogisticRegression(C=penalty, class_weight="balanced", max_iter=5000)
            reader.fit(rows, train.labels)
            found.append((_recall(reader, front, validation), reader))
        best = max(found, key=lambda pair: pair[0])[1]
        if len(validation):  # the penalty is known: now everybody may teach
            best.fit(np.concatenate([rows, front(validation)]), np.concatenate([train.labels, validation.labels]))
        weights, bias = best.coef_.T, best.intercept_
        if weights.shape[1] == 1:  # of two classes the second one's are given, against none for the first
            weights, bias = np.pad(weights, ((0, 0), (1, 0))), np.pad(bias, (1, 0))
        return cls(front=front, weights=weights, bias=bias)

    def __call__(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Return (N, C) probabilities."""
        return np.asarray(softmax(self.front(batch) @ self.weights + self.bias, axis=1), dtype=np.float32)

    def state(self) -> tuple[dict[str, Array], dict[str, str]]:
        """Return everything as arrays and text."""
        tensors, about = self.front.state()
        return {**tensors, "weights": self.weights, "bias": self.bias}, about

    @classmethod
    def restore(cls, tensors: Mapping[str, Array], about: Mapping[str, str]) -> "TaskOpinions":
        """Build again what ``state`` returned."""
        front = Standardized.restore(tensors, about)
        try:
            return cls(front=front, weights=tensors["weights"], bias=tensors["bias"])
        except KeyError as error:
            raise DataError(f"This is not the state of a representation, it lacks {error}: fit it again.") from error


def _recall(reader: LogisticRegression, front: Standardized, batch: Batch) -> float:
    """Return the mean recall of the classes that occur."""
    if not len(batch):
        return 0.0
    right = reader.predict(front(batch)) == batch.labels
    return float(np.mean([right[batch.labels == label].mean() for label in np.unique(batch.labels)]))
