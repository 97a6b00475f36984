"""What reads texts: pieces of words, words and pairs of words, weighed by how rare they are, and a ridge on them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.linear_model import Ridge, RidgeClassifier
from sklearn.pipeline import make_pipeline, make_union

from personare.core.errors import DataError
from personare.core.protocols import Scorer
from personare.core.types import Array
from personare.evaluate.classifiers import Clips, Predict, numbered


def text_of(clip: Array) -> str:
    """Return the text of a clip (1,); refuse a table that was released in its place."""
    if clip.dtype.names:
        raise DataError("What is released in place of texts is a table, which holds nobody's words.")
    return str(clip[0])


def _texts(clips: Clips) -> list[str]:
    return [text_of(clip) for clip in clips.values()]


def _manner() -> Any:
    """Return what counts pieces of words, words, pairs of words and marks."""
    pieces = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4), norm=None, alternate_sign=False)
    words = HashingVectorizer(
        ngram_range=(1, 2), token_pattern=r"\w+(?:['’]\w+)?|[^\w\s]+", norm=None, alternate_sign=False
    )
    return make_union(pieces, words)


@dataclass(frozen=True)
class TextReader:
    """Reads classes, numbers or people from texts (1,)."""

    counted: Callable[[], Any] = _manner  # makes what counts something in texts

    def _fitted(self, clips: Clips, targets: Array, model: Any) -> Any:
        pipeline = make_pipeline(self.counted(), TfidfTransformer(sublinear_tf=True), model)
        return pipeline.fit(_texts(clips), targets)

    def __call__(self, clips: Clips, labels: Mapping[str, str], rng: np.random.Generator) -> tuple[Array, Predict]:
        """Train on texts by recording."""
        classes, number = numbered(clips, labels)
        ridge = RidgeClassifier(class_weight="balanced", fit_intercept=False, solver="cholesky")  # no iterations
        model = self._fitted(clips, number, ridge)

        def predict(asked: Clips) -> Array:
            decided = model.decision_function(_texts(asked))
            return np.asarray(softmax(np.stack([-decided, decided], axis=1) if decided.ndim == 1 else decided, axis=1))

        return classes, predict

    def regress(self, clips: Clips, numbers: Array, rng: np.random.Generator) -> Predict:
        """Train on texts by recording, and (N,) numbers."""
        model = self._fitted(clips, numbers, Ridge())
        return lambda asked: np.asarray(model.predict(_texts(asked)))

    def enroll(self, clips: Clips, subjects: Mapping[str, str], *, rng: np.random.Generator) -> Scorer:
        """Learn everybody in the texts."""
        return self(clips, subjects, rng)[1]
