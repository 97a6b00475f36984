"""The one shelf of classifiers: what reads behavior and attributes, and what names people, from vectors of clips.

Each is called with clips by recording id, their labels and a generator, and returns the classes and what gives (N, K)
probabilities of new clips. One that has ``regress`` reads numbers too; one that has ``enroll`` scores new clips against
enrolled people. Networks are in ``networks.py``.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import cdist
from scipy.special import softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import RidgeCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

from personare.core.protocols import Scorer
from personare.core.types import Array

_RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
# A constant column. Centering rows and targets instead would tell each left-out clip its own class: without a constant
# the rows' mean has no length in the kernel, and with a small ridge that direction rules the leave-one-out formula.
_BIAS = 1.0
_CHOSEN_ON = 600  # clips looked at when choosing; all are used afterwards

Clips = Mapping[str, Array]
Predict = Callable[[Clips], Array]
Train = Callable[[Clips, Mapping[str, str], np.random.Generator], tuple[Array, Predict]]


def unit(rows: Array) -> Array:
    """Return rows of length 1."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12))


def standardized(scores: Array) -> Array:
    """Return the scores of each clip, (N, K), with mean 0 and spread 1; zeros where all are alike."""
    spread = scores.std(axis=1, keepdims=True)
    return np.asarray((scores - scores.mean(axis=1, keepdims=True)) / np.where(spread > 1e-12, spread, np.inf))


def vectors(clips: Clips) -> Array:
    """Return (N, D) vectors of clips."""
    return np.stack([np.asarray(clip, dtype=float).ravel() for clip in clips.values()])


def numbered(clips: Clips, labels: Mapping[str, str]) -> tuple[Array, Array]:
    """Return the classes and each clip's number: scikit-learn takes names that look like numbers for numbers."""
    classes, number = np.unique([labels[i] for i in clips], return_inverse=True)
    return classes, number


def column_moments(rows: Array) -> tuple[Array, Array]:
    """Return mean and standard deviation of each column of (N, D) rows; NaN is left out, no number at all gives 0."""
    seen = np.isfinite(rows)
    count = np.maximum(seen.sum(axis=0), 1)
    mean = np.where(seen, rows, 0).sum(axis=0) / count
    return mean, np.sqrt((np.where(seen, rows - mean, 0) ** 2).sum(axis=0) / count)


def _kernel(rows: Array, *, radial: bool, standardize: bool) -> Callable[[Array], Array]:
    """Return what gives the kernel of (M, D) rows against these (N, D), scaled to about unit length, (M, N)."""
    mean, spread = column_moments(rows)
    scale = np.where(spread > 1e-9, spread if standardize else 1.0, np.inf)  # a constant says nothing
    train = np.nan_to_num((rows - mean) / scale)
    length = float(np.mean((train**2).sum(axis=1))) or 1.0

    def against(asked: Array) -> Array:
        ready = np.nan_to_num((asked - mean) / scale)
        if radial:
            return np.asarray(np.exp(-cdist(ready, train, "sqeuclidean") / length))
        return np.asarray(ready @ train.T / length)

    return against


@dataclass(frozen=True, kw_only=True)
class KernelClassifier:
    """Scores clips against the classes it learned."""

    classes: Array  # (K,) sorted
    kernel: Callable[[Array], Array]  # of (M, D) clips against the N training clips
    weights: Array  # (N, K) of the training clips
    loo_accuracy: float  # share of the training clips named right by classifiers that had not learned from them

    def __call__(self, rows: Array) -> Array:
        """Return (M, K) scores of (M, D) clips, higher = more likely."""
        return np.asarray((self.kernel(rows) + _BIAS) @ self.weights)


def learn_classes(
    rows: Array, labels: Sequence[str], *, standardize: bool = True, radial: bool = True
) -> KernelClassifier:
    """Learn to tell classes (people, emotions) apart from one description of clips, (N, D); NaN counts as the mean.

    Kernel ridge regression on one-hot classes is as good as a support vector machine here (measured on GMM supervectors
    of EmoDB and RAVDESS), and its leave-one-out predictions cost nothing: the kernel (linear or radial) and the ridge
    are those that name the training clips best when each is left out.
    """
    classes, index = np.unique(np.asarray(labels), return_inverse=True)
    target = (index[:, None] == np.arange(len(classes))) - 1 / len(classes)
    kernels = [_kernel(rows, radial=r, standardize=standardize) for r in ((False, True) if radial else (False,))]
    grams = [kernel(rows) + _BIAS for kernel in kernels]
    order = np.argsort(index, kind="stable")
    kept = order[:: max(1, int(np.ceil(len(order) / _CHOSEN_ON)))]  # the same share of every class
    tried = []
    for number, gram in enumerate(grams):
        values, basis = np.linalg.eigh(gram[np.ix_(kept, kept)])
        for ridge in _RIDGES:
            inverse = (basis / (np.maximum(values, 0) + ridge)) @ basis.T
            loo = target[kept] - inverse @ target[kept] / np.diag(inverse)[:, None]
            right = loo.argmax(axis=1) == index[kept]
            # the squared error breaks ties between settings that name the same clips
            tried.append((float(right.mean() - 0.05 * np.mean((target[kept] - loo) ** 2)), -number, ridge))
    _, number, ridge = max(tried)
    factor = cho_factor(grams[-number] + ridge * np.eye(len(rows)), lower=True)
    weights = cho_solve(factor, target)
    loo = target - weights / np.diag(cho_solve(factor, np.eye(len(rows))))[:, None]
    loo_accuracy = float(np.mean(loo.argmax(axis=1) == index))
    return KernelClassifier(classes=classes, kernel=kernels[-number], weights=weights, loo_accuracy=loo_accuracy)


@dataclass(frozen=True, kw_only=True)
class Learned:
    """A reader of scikit-learn's: how its classifier is made, and its counterpart for numbers."""

    classifier: Callable[[np.random.Generator], Any]
    regressor: Callable[[np.random.Generator], Any]
    scaled: bool = True  # whether the classifier gets standardized columns

    def __call__(self, clips: Clips, labels: Mapping[str, str], rng: np.random.Generator) -> tuple[Array, Predict]:
        """Train on vectors (D,) by recording."""
        scaler = [StandardScaler()] if self.scaled else []
        model: Any = make_pipeline(SimpleImputer(keep_empty_features=True), *scaler, self.classifier(rng))
        classes, number = numbered(clips, labels)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Only one sample available")  # of a class; its covariance is shrunk
            model.fit(vectors(clips), number)

        def predict(asked: Clips) -> Array:
            if hasattr(model, "predict_proba"):
                return np.asarray(model.predict_proba(vectors(asked)))
            decided = model.decision_function(vectors(asked))
            return np.asarray(softmax(np.stack([-decided, decided], axis=1) if decided.ndim == 1 else decided, axis=1))

        return classes, predict

    def regress(self, clips: Clips, numbers: Array, rng: np.random.Generator) -> Predict:
        """Train on vectors (D,) by recording, and (N,) numbers, both standardized."""
        mean, spread = numbers.mean(), numbers.std() or 1.0
        model = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler(), self.regressor(rng))
        model.fit(vectors(clips), (numbers - mean) / spread)
        return lambda asked: np.asarray(mean + spread * model.predict(vectors(asked)))


def svm(penalty: float = 3.0) -> Learned:
    """A support vector machine with a radial kernel; ``penalty`` is its C."""
    return Learned(
        classifier=lambda rng: SVC(C=penalty, class_weight="balanced"),
        regressor=lambda rng: SVR(C=penalty),
    )


def discriminant() -> Learned:
    """Linear discriminant analysis, its covariance shrunk: good with few clips. Numbers: ridge regression."""
    return Learned(
        classifier=lambda rng: LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3),
        regressor=lambda rng: RidgeCV(np.logspace(-1, 5, 13)),  # its strength by leaving out one clip after the other
    )


def forest(trees: int = 300) -> Learned:
    """A random forest."""
    return Learned(
        classifier=lambda rng: RandomForestClassifier(
            trees, class_weight="balanced", random_state=int(rng.integers(2**31))
        ),
        regressor=lambda rng: RandomForestRegressor(trees, random_state=int(rng.integers(2**31))),
        scaled=False,
    )


def neighbors(clips: Clips, labels: Mapping[str, str], rng: np.random.Generator) -> tuple[Array, Predict]:
    """Ask the 15 nearest recordings, each weighing more the nearer it is."""
    classes, number = numbered(clips, labels)
    nearest = KNeighborsClassifier(min(15, len(clips)), weights="distance")
    model = make_pipeline(StandardScaler(), nearest).fit(vectors(clips), number)
    return classes, lambda asked: np.asarray(model.predict_proba(vectors(asked)))


def _directions(rows: Array, number: Array) -> Array:
    """Return the mean direction of the rows of each class, (K, D)."""
    return unit(np.stack([rows[number == k].mean(axis=0) for k in range(number.max() + 1)]))


def centroids(rows: Array, subjects: Array) -> Train:
    """Learn from other people, (N, D) rows, what makes people differ, and compare with each person's mean there.

    A linear discriminant space, and cosine in it: what embeddings of voices and faces were long compared with.
    """

    def train(clips: Clips, labels: Mapping[str, str], rng: np.random.Generator) -> tuple[Array, Predict]:
        space = make_pipeline(StandardScaler(), LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.1))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Only one sample available")  # of a person; covariances are shrunk
            space.fit(rows.astype(float) + 1e-6 * rng.standard_normal(rows.shape), subjects.astype(str))
        classes, number = numbered(clips, labels)
        people = _directions(space.transform(vectors(clips)), number)
        return classes, lambda asked: np.asarray(softmax(20 * unit(space.transform(vectors(asked))) @ people.T, axis=1))

    return train


@dataclass(frozen=True, kw_only=True)
class Cosine:
    """Enrolls people by the mean direction of their embeddings; ``embed`` takes clips and gives (N, D)."""

    embed: Predict

    def enroll(self, clips: Clips, subjects: Mapping[str, str], *, rng: np.random.Generator) -> Scorer:
        """Average each person's clips; scores are cosines."""
        people = _directions(unit(self.embed(clips)), numbered(clips, subjects)[1])
        return lambda asked: np.asarray(unit(self.embed(asked)) @ people.T)


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """Kernel classifiers on several descriptions of a clip, each believed as far as it named left-out clips."""

    describe: Callable[[Array], Sequence[Array]] = lambda row: [row]  # one or more vectors; called once for a clip
    standardize: bool = True  # whether columns get unit variance
    # what was described; the clip is kept beside it, so that its id stays its own
    memory: dict[int, tuple[Array, Sequence[Array]]] = field(default_factory=dict, repr=False, compare=False)

    def _described(self, clips: Clips) -> list[Array]:
        for clip in clips.values():
            if id(clip) not in self.memory:
                self.memory[id(clip)] = (clip, self.describe(clip))
        return [np.stack(rows) for rows in zip(*(self.memory[id(c)][1] for c in clips.values()), strict=True)]

    def _learned(self, clips: Clips, labels: Mapping[str, str]) -> list[tuple[KernelClassifier, float]]:
        """Return a classifier of each description and how far it is believed."""
        names = [labels[i] for i in clips]
        models = [learn_classes(rows, names, standardize=self.standardize) for rows in self._described(clips)]
        return [(m, max(m.loo_accuracy - 1 / len(m.classes), 1e-3) ** 2) for m in models]

    def __call__(self, clips: Clips, labels: Mapping[str, str], rng: np.random.Generator) -> tuple[Array, Predict]:
        """Train on clips by recording."""
        models = self._learned(clips, labels)

        def predict(asked: Clips) -> Array:
            joint = sum((b * m(rows) for (m, b), rows in zip(models, self._described(asked), strict=True)), start=0.0)
            # scores are near 0..1 for one class; sharpened, they spread like probabilities
            return np.asarray(softmax(6.0 * joint / sum(b for _, b in models), axis=1))

        return models[0][0].classes, predict

    def enroll(self, clips: Clips, subjects: Mapping[str, str], *, rng: np.random.Generator) -> Scorer:
        """Learn everybody in the clips."""
        models = self._learned(clips, subjects)

        def score(asked: Clips) -> Array:
            parts = zip(models, self._described(asked), strict=True)
            return np.asarray(sum((b * standardized(m(rows)) for (m, b), rows in parts), start=0.0))

        return score

    def regress(self, clips: Clips, numbers: Array, rng: np.random.Generator) -> Predict:
        """Train a ridge regression on all descriptions side by side, and (N,) numbers."""

        def joined(some: Clips) -> Clips:
            return dict(zip(some, np.concatenate(self._described(some), axis=1), strict=True))

        predict = discriminant().regress(joined(clips), numbers, rng)
        return lambda asked: predict(joined(asked))
