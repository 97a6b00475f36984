"""Which of several readers is shown for a person: the one that reads the other people best."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from personare.core.types import Array, Result
from personare.data.splits import person_folds
from personare.evaluate.reading import Reading, measure_reading

__all__ = ["measure_chosen", "quality"]

_FOLDS = 8


def quality(reading: Reading, rows: Array) -> float:
    """Return the recall averaged over classes, or the concordance of numbers, on some of the recordings."""
    truth, told = reading.truth[rows], reading.told()[rows]
    if reading.kind == "nominal":
        right = ((truth[:, None] == reading.classes) * told).sum(axis=1)
        return float(np.mean([right[truth == c].mean() for c in np.unique(truth)]))
    apart = truth.var() + told.var() + (truth.mean() - told.mean()) ** 2
    return float(2 * np.mean((truth - truth.mean()) * (told - told.mean())) / max(apart, 1e-12))


def measure_chosen(readings: Mapping[str, Reading], *, modality: str, rng: np.random.Generator) -> list[Result]:
    """Return the figures of a reader that is chosen for each group of people on all others.

    The best of several readers on the very recordings it is shown on would be too good: part of it is luck.

    Args:
        readings: By reader's name, all of the same label.
        modality: Of the rows.
        rng: Groups of people, bootstrap.

    Returns:
        Rows of the method ``reader``.
    """
    first = next(iter(readings.values()))
    ids = [i for i in first.ids if all(i in r.ids for r in readings.values())]
    same = {name: _of(reading, ids) for name, reading in readings.items()}
    some = next(iter(same.values()))
    likely, used = some.likely.copy(), Counter[str]()
    subjects = dict(zip(ids, some.subjects.tolist(), strict=True))
    for others, own in person_folds(subjects, min(_FOLDS, len(set(subjects.values()))), rng=rng):
        learn, ask = np.isin(ids, others), np.isin(ids, own)
        best = max(same, key=lambda name: quality(same[name], learn))
        likely[ask] = same[best].likely[ask]
        used[best] += 1
    said = ", ".join(f"{name} ({n} of {used.total()})" for name, n in used.most_common())
    chosen = replace(some, likely=likely, missing=min(r.missing for r in same.values()))
    rows = measure_reading(chosen, "reader", modality=modality, rng=rng)
    note = f"each group of people is read by the reader that reads all others best: {said}"
    return [replace(row, reason="; ".join(filter(None, (note, row.reason)))) for row in rows]


def _of(reading: Reading, ids: list[str]) -> Reading:
    place = {name: n for n, name in enumerate(reading.ids)}
    rows = np.array([place[i] for i in ids])
    kept = {name: getattr(reading, name)[rows] for name in ("subjects", "truth", "likely")}
    return replace(reading, ids=tuple(ids), **kept)
