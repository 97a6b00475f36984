"""Any modality as a row of numbers by fixed arithmetic and public hashing: nothing here is learned from anybody."""

import re
from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.utils import murmurhash3_32

from personare.core.types import Array, Batch
from personare.features.visits import history_rows, is_history

_TEXT_BUCKETS = 512
_AT_ONCE = 2**20  # numbers: of wide recordings few are described at a time, so that not all are copied
_GRID = 6  # pictures are described by the mean color and the spread of 6 x 6 fields
_WORD = re.compile(r"\w+|[^\w\s]")  # no vocabulary is learned, so none can betray who said a rare word


def ngrams(texts: Sequence[str], *, buckets: int) -> Array:
    """Count words and pairs (half of the buckets), and pieces of two to four characters (the other), by a public hash.

    Returns (N, buckets) float32, each half of length 1 (L2); zeros for an empty text.
    """
    if not texts:
        return np.zeros((0, buckets), dtype=np.float32)
    kinds = (
        HashingVectorizer(n_features=buckets // 2, ngram_range=(1, 2), token_pattern=_WORD.pattern),
        HashingVectorizer(n_features=buckets // 2, ngram_range=(2, 4), analyzer="char_wb"),
    )
    return np.hstack([kind.transform(list(texts)).toarray() for kind in kinds]).astype(np.float32)


def tokens(texts: Sequence[str], *, buckets: int, length: int) -> Array:
    """Number the first ``length`` words of each text by a public hash, (N, length) int64.

    Words are 1 to ``buckets``, and 0 where the text has ended.
    """
    numbers = np.zeros((len(texts), length), dtype=np.int64)
    for row, text in enumerate(texts):
        words = _WORD.findall(text.lower())[:length]
        numbers[row, : len(words)] = [murmurhash3_32(word, positive=True) % buckets + 1 for word in words]
    return numbers


def describe_rows(values: Array) -> Array:
    """Describe each recording's array by a row, (N, K) float32.

    (N, D) as they are; (N, T, D) signals by mean, deviation, minimum, maximum and mean step of each channel;
    (N, 1, F, T) spectrograms by the same of each frequency; (N, 3, H, W) pictures by fields; (N,) text by hashed words
    and pieces of words.
    """
    if values.dtype.kind == "U":
        return ngrams(values.tolist(), buckets=_TEXT_BUCKETS)
    if values.ndim == 2:
        return values.astype(np.float32)
    few = max(1, _AT_ONCE // max(1, values[:1].size))
    return np.concatenate([_described(values[at : at + few]) for at in range(0, max(1, len(values)), few)])


def _described(values: Array) -> Array:
    if values.ndim == 3 or values.shape[1] == 1:
        x = values if values.ndim == 3 else values[:, 0].swapaxes(1, 2)  # (N, T, D)
        steps = np.abs(np.diff(x, axis=1, append=x[:, -1:])).mean(axis=1)
        parts = [x.mean(axis=1), x.std(axis=1), x.min(axis=1), x.max(axis=1), steps]
    else:
        bands = np.array_split(values, _GRID, axis=2)
        fields = [field for band in bands for field in np.array_split(band, _GRID, axis=3) if min(field.shape[2:])]
        parts = [part for field in fields for part in (field.mean(axis=(2, 3)), field.std(axis=(2, 3)))]
    return np.concatenate(parts, axis=1).astype(np.float32)


def describe_track(batch: Batch, track: str) -> Array:
    """Describe each recording's array of a track, (N, K): a history by how often each column is 1, else as above."""
    values = batch.arrays[track]
    return history_rows(values) if is_history(batch, track) else describe_rows(values)


def describe_batch(batch: Batch, modalities: tuple[str, ...]) -> Array:
    """Put the descriptions of modalities side by side, zeros and a bit of 0 where one is missing."""
    columns = []
    for modality in modalities:
        present = batch.present[modality][:, None]
        columns += [np.where(present, describe_rows(batch.arrays[modality]), 0), present]
    return np.concatenate(columns, axis=1).astype(np.float32)
