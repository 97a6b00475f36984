"""Text as numbers by public hashing: no vocabulary is learned, so none can betray who said a rare word."""

import re
from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.utils import murmurhash3_32

from personare.core.types import Array

__all__ = ["ngrams", "tokens"]

_WORD = re.compile(r"\w+|[^\w\s]")


def ngrams(texts: Sequence[str], *, buckets: int) -> Array:
    """Count words, pairs of words and pieces of words in buckets chosen by a public hash.

    Args:
        texts: N texts; an empty one gives zeros.
        buckets: Half of them hold words and pairs, half pieces of two to four characters.

    Returns:
        (N, buckets) float32, each half of length 1 (L2).

    Example:
        >>> ngrams(["so happy", ""], buckets=64).shape
        (2, 64)
    """
    if not texts:
        return np.zeros((0, buckets), dtype=np.float32)
    kinds = (
        HashingVectorizer(n_features=buckets // 2, ngram_range=(1, 2), token_pattern=_WORD.pattern),
        HashingVectorizer(n_features=buckets // 2, ngram_range=(2, 4), analyzer="char_wb"),
    )
    return np.hstack([kind.transform(list(texts)).toarray() for kind in kinds]).astype(np.float32)


def tokens(texts: Sequence[str], *, buckets: int, length: int) -> Array:
    """Number the words of each text by a public hash.

    Returns:
        (N, length) int64 in 1 to ``buckets``; 0 where the text has ended. Words past ``length`` are left out.

    Example:
        >>> tokens(["no no"], buckets=100, length=3)[0].tolist()[2]
        0
    """
    found = np.zeros((len(texts), length), dtype=np.int64)
    for row, text in enumerate(texts):
        words = _WORD.findall(text.lower())[:length]
        found[row, : len(words)] = [murmurhash3_32(word, positive=True) % buckets + 1 for word in words]
    return found
