"""How far recordings hold together: each track with the class, tracks with each other, a visit with the one before."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy.special import log_softmax, logsumexp
from sklearn.linear_model import LogisticRegression

from personare.core.types import Array, Batch
from personare.features.visits import VisitColumns, is_history
from personare.learn.describing import describe_track

_FAR = 6.0  # deviations
_TAUGHT = 4  # items of a class, at least, to learn what it is
_SHRINKAGE = 0.01  # of readers: few items teach many numbers
_ABSENT = -20.0  # log weight of a class that no item is of
_RARE = 0.02  # share of what follows a kind of visit
_UNSEEN = 0.5  # counted to each pair of kinds of visits beforehand


@dataclass(frozen=True, kw_only=True)
class Coherence:
    """Numbers that an expert looks for and no single track shows, learned from made-up recordings alone.

    Of each track, how surely a reader of it sees the recording's class; of two tracks, how far their readers agree; of
    histories, how usual it is that a kind of visit follows the one before, and how often one seldom does.

    **Guarantee**: nothing in it is of anybody real: it is fitted to the rated items, who do not exist.
    """

    readers: Mapping[str, Array]  # by track (2 + C, 1 + D): center, spread, and a linear reader of each class
    chains: Mapping[str, Array]  # by history (A, A): log of how often a kind of visit follows another
    center: Array  # (F,)
    spread: Array  # (F,)

    @classmethod
    def of(cls, items: Batch) -> "Coherence":
        """Learn from the rated items."""
        counts, classes = np.bincount(items.labels), len(items.classes)
        readers = {}
        if (counts >= _TAUGHT).sum() > 1:
            taught = items.take(counts[items.labels] >= _TAUGHT)
            readers = {name: _reader(_rows(taught, name), taught.labels, classes) for name in _tracks(items)}
        chains = {}
        for name in filter(lambda name: is_history(items, name), items.arrays):
            counted = follows(items, name).sum(axis=0) + _UNSEEN
            chains[name] = np.log(counted / counted.sum(axis=1, keepdims=True))
        plain = cls(readers=readers, chains=chains, center=np.zeros(1), spread=np.ones(1))
        values = plain(items)
        return replace(plain, center=values.mean(axis=0), spread=np.maximum(values.std(axis=0), 1e-9))

    def __call__(self, batch: Batch) -> Array:
        """Return (N, F) numbers, of mean 0 and deviation 1 over the rated items; none where nothing can be compared."""
        columns, expected = [np.zeros((len(batch), 0))], {}
        for name, weights in self.readers.items():
            center, spread, *classes = weights
            z = np.clip((_rows(batch, name) - center[1:]) / spread[1:], -_FAR, _FAR)
            expected[name] = log_softmax(z @ np.array(classes)[:, 1:].T + np.array(classes)[:, 0], axis=1)  # (N, C)
            columns.append(expected[name][np.arange(len(batch)), batch.labels][:, None])
        for one, other in combinations(expected.values(), 2):
            columns.append(logsumexp(one + other, axis=1)[:, None])
        for name, chain in self.chains.items():
            pairs = follows(batch, name)
            total = np.maximum(pairs.sum(axis=(1, 2)), 1)
            for values in (chain, np.exp(chain) < _RARE):
                columns.append(((pairs * values).sum(axis=(1, 2)) / total)[:, None])
        return np.asarray(np.clip((np.hstack(columns) - self.center) / self.spread, -_FAR, _FAR))


def _tracks(batch: Batch) -> list[str]:
    return sorted(name for name, values in batch.arrays.items() if values.dtype.kind == "f")


def _rows(batch: Batch, name: str) -> Array:
    return np.where(batch.present[name][:, None], describe_track(batch, name), 0).astype(float)


def follows(batch: Batch, name: str) -> Array:
    """Return how often in a history a kind of visit follows another, (N, A, A)."""
    kinds = batch.arrays[name][..., VisitColumns(names=tuple(batch.columns[name])).part("type")].astype(float)
    return np.asarray(np.einsum("nta,ntb->nab", kinds[:, :-1], kinds[:, 1:]))


def _reader(rows: Array, labels: Array, classes: int) -> Array:
    """Fit a strongly shrunk linear reader of classes, (2 + C, 1 + D)."""
    center, spread = rows.mean(axis=0), rows.std(axis=0)
    spread = np.where(spread > 1e-6 * np.maximum(np.abs(center), 1), spread, np.inf)
    z = np.clip((rows - center) / spread, -_FAR, _FAR)
    model = LogisticRegression(C=_SHRINKAGE, max_iter=1000).fit(z, labels)
    weights = np.column_stack([model.intercept_, model.coef_])
    weights = weights if len(weights) > 1 else np.concatenate([-weights / 2, weights / 2])  # of two classes
    every = np.zeros((classes, 1 + len(center)))
    every[:, 0] = _ABSENT
    every[model.classes_] = weights
    return np.concatenate([np.column_stack([np.zeros(2), np.stack([center, spread])]), every])
