"""Readers that learn from one vector a clip: support vector machine, random forest, kernel classifier.

Each reads classes, or numbers by its counterpart for regression.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

from personare.core.types import Array
from personare.evaluate.kernels import learn_classes
from personare.evaluate.reading import Clips, Predict

__all__ = ["Discriminant", "Forest", "Kernel", "Svm"]


def _filled(clips: Clips) -> Array:
    return np.stack([np.asarray(clip, dtype=float).ravel() for clip in clips.values()])


def _numbered(clips: Clips, labels: Mapping[str, str]) -> tuple[Array, Array]:
    """Return the classes and each clip's number: scikit-learn takes names that look like numbers for numbers."""
    classes, number = np.unique([labels[i] for i in clips], return_inverse=True)
    return classes, number


_RIDGES = np.logspace(-1, 5, 13)


def _regressed(model: Any, clips: Clips, numbers: Array) -> Callable[[Clips], Array]:
    """Fit on standardized vectors and numbers."""
    mean, spread = numbers.mean(), numbers.std() or 1.0
    whole = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler(), model)
    whole.fit(_filled(clips), (numbers - mean) / spread)
    return lambda asked: np.asarray(mean + spread * whole.predict(_filled(asked)))


@dataclass(frozen=True, kw_only=True)
class Svm:
    """A support vector machine with a radial kernel on standardized vectors.

    Attributes:
        penalty: C of the machine.
    """

    penalty: float = 3.0

    def __call__(self, clips: Clips, labels: Mapping[str, str], rng: np.random.Generator) -> tuple[Array, Predict]:
        """Train on vectors (D,) by recording."""
        machine = SVC(C=self.penalty, class_weight="balanced", decision_function_shape="ovr")
        model = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler(), machine)
        classes, number = _numbered(clips, labels)
        model.fit(_filled(clips), number)

        def predict(asked: Clips) -> Array:
            decided = model.decision_function(_filled(asked))
            two = np.stack([-decided, decided], axis=1) if decided.ndim == 1 else decided
            return np.asarray(softmax(two, axis=1))

        return classes, predict

    def regress(self, clips: Clips, numbers: Array, rng: np.random.Generator) -> Callable[[Clips], Array]:
        """Train on vectors (D,) by recording, and (N,) numbers."""
        return _regressed(SVR(C=self.penalty), clips, numbers)


@dataclass(frozen=True, kw_only=True)
class Discriminant:
    """Linear discriminant analysis with a shrunk covariance: few settings, good with few clips.

    Attributes:
        shrinkage: Share of the covariance replaced by its diagonal's mean.
    """

    shrinkage: float = 0.3

    def __call__(self, clips: Clips, labels: Mapping[str, str], rng: np.random.Generator) -> tuple[Array, Predict]:
        """Train on vectors (D,) by recording."""
        lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=self.shrinkage)
        model = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler(), lda)
        classes, number = _numbered(clips, labels)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Only one sample available")  # of a class; its covariance is shrunk
            model.fit(_filled(clips), number)
        return classes, lambda asked: np.asarray(model.predict_proba(_filled(asked)))

    def regress(self, clips: Clips, numbers: Array, rng: np.random.Generator) -> Callable[[Clips], Array]:
        """Train a ridge regression, its strength by leaving out one clip after the other, on (N,) numbers."""
        return _regressed(RidgeCV(_RIDGES), clips, numbers)


@dataclass(frozen=True, kw_only=True)
class Forest:
    """A random forest.

    Attributes:
        trees: How many.
    """

    trees: int = 300

    def __call__(self, clips: Clips, labels: Mapping[str, str], rng: np.random.Generator) -> tuple[Array, Predict]:
        """Train on vectors (D,) by recording."""
        seed = int(rng.integers(2**31))
        trees: Any = RandomForestClassifier(self.trees, class_weight="balanced", random_state=seed)
        model = make_pipeline(SimpleImputer(keep_empty_features=True), trees)
        classes, number = _numbered(clips, labels)
        model.fit(_filled(clips), number)
        return classes, lambda asked: np.asarray(model.predict_proba(_filled(asked)))

    def regress(self, clips: Clips, numbers: Array, rng: np.random.Generator) -> Callable[[Clips], Array]:
        """Train on vectors (D,) by recording, and (N,) numbers."""
        trees = RandomForestRegressor(self.trees, random_state=int(rng.integers(2**31)))
        return _regressed(trees, clips, numbers)


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """Kernel classifiers on several descriptions of a clip, each believed as far as it named left-out clips.

    Attributes:
        describe: One clip in, one or more vectors out; called once for a clip.
    """

    describe: Callable[[Array], Sequence[Array]]

    def __post_init__(self) -> None:
        """Remember what was described."""
        object.__setattr__(self, "_known", {})

    def _described(self, clips: Clips) -> list[Array]:
        known: dict[int, tuple[Array, Sequence[Array]]] = self._known  # type: ignore[attr-defined]
        for clip in clips.values():
            if id(clip) not in known:
                known[id(clip)] = (clip, self.describe(clip))
        return [np.stack(rows) for rows in zip(*(known[id(c)][1] for c in clips.values()), strict=True)]

    def __call__(self, clips: Clips, labels: Mapping[str, str], rng: np.random.Generator) -> tuple[Array, Predict]:
        """Train on clips by recording."""
        names = [labels[i] for i in clips]
        models = [learn_classes([rows], names) for rows in self._described(clips)]
        beliefs = [max(m.loo_accuracy - 1 / len(m.classes), 1e-3) ** 2 for m in models]

        def predict(asked: Clips) -> Array:
            scores = [m([rows]) for m, rows in zip(models, self._described(asked), strict=True)]
            joint = sum((b * s for b, s in zip(beliefs, scores, strict=True)), start=np.zeros(()))
            # scores are near 0..1 for one class; sharpened, they spread like probabilities
            return np.asarray(softmax(6.0 * joint / sum(beliefs), axis=1))

        return models[0].classes, predict

    def regress(self, clips: Clips, numbers: Array, rng: np.random.Generator) -> Callable[[Clips], Array]:
        """Train a ridge regression on all descriptions side by side, and (N,) numbers."""
        predict = Discriminant().regress(self._joined(clips), numbers, rng)
        return lambda asked: predict(self._joined(asked))

    def _joined(self, clips: Clips) -> Clips:
        return dict(zip(clips, np.concatenate(self._described(clips), axis=1), strict=True))
