"""Which numbers of a recording still tell who is in it, after a representation: the table that explains the leak."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from personare.core.errors import OptionError
from personare.core.protocols import Transform
from personare.core.types import Array, Batch
from personare.data.splits import content_halves
from personare.evaluate.kernels import learn_classes
from personare.evaluate.metrics import mean_over_people, top1_credit
from personare.learn.standardizing import REPRESENTATION

__all__ = ["identity_carriers"]


def identity_carriers(
    transform: Transform, new: Batch, table: pd.DataFrame, *, rng: np.random.Generator, most: int = 32
) -> pd.DataFrame:
    """Measure how much worse people are named once a part of the recordings is exchanged between them.

    A kernel attacker enrolls everybody from the representation of one half of their recordings. In the other half one
    part of the input after another is shuffled over all recordings, before the representation is made.

    Args:
        transform: The fitted representation.
        new: People it was not fitted to.
        table: By recording id; ``subject`` and, where known, ``sentence``.
        rng: Shuffles; draws of people.
        most: Parts of a modality: columns of a table, channels of a signal, bands of a spectrogram; neighbors are
            taken together where there are more. Pictures and text are one part.

    Returns:
        ``modality``, ``columns``, ``drop`` (of the share named right) with ``low`` and ``high``, and ``named`` (that
        share before), strongest first.

    **Source**: permutation importance, L. Breiman, "Random forests", Machine Learning 2001,
    doi:10.1023/A:1010933404324, of an attacker in place of a model.
    """
    if most < 1:
        raise OptionError(f"most must be at least 1 part, it is {most}.")
    enroll, test, _ = content_halves(table.loc[list(new.ids)], rng=np.random.default_rng(0))
    row = {name: i for i, name in enumerate(new.ids)}
    known, asked = (new.take(np.array([row[i] for i in ids])) for ids in (enroll, test))
    seed = int(rng.integers(2**31))  # noise of the representation is the same with and without the shuffle

    def shown(batch: Batch) -> Array:
        return np.asarray(transform(batch, rng=np.random.default_rng(seed)).arrays[REPRESENTATION], dtype=float)

    attacker = learn_classes([shown(known)], [str(s) for s in known.subjects])
    truth = np.searchsorted(attacker.classes, asked.subjects.astype(str))
    before = top1_credit(attacker([shown(asked)]), truth)
    rows = []
    for modality, name, part in _parts(new, most):
        values = asked.arrays[modality].copy()
        values[part] = values[rng.permutation(len(values))][part]
        after = top1_credit(attacker([shown(replace(asked, arrays={**asked.arrays, modality: values}))]), truth)
        found = mean_over_people(before - after, asked.subjects, rng=rng)
        rows.append((modality, name, found.value, found.low, found.high, float(before.mean())))
    table = pd.DataFrame(rows, columns=["modality", "columns", "drop", "low", "high", "named"])
    return table.sort_values("drop", ascending=False, ignore_index=True)


def _parts(batch: Batch, most: int) -> Iterator[tuple[str, str, tuple[slice, ...]]]:
    """Yield modality, name and index of every part of the input."""
    for modality, values in batch.arrays.items():
        axis = {2: 1, 3: 2}.get(values.ndim, 2 if values.ndim == 4 and values.shape[1] == 1 else 0)
        if axis == 0:
            yield modality, "all", (slice(None),)
            continue
        count = values.shape[axis]
        names = batch.columns.get(modality) or tuple(f"{modality}{i + 1}" for i in range(count))
        for block in np.array_split(np.arange(count), min(most, count)):
            name = names[block[0]] if len(block) == 1 else f"{names[block[0]]} .. {names[block[-1]]}"
            yield modality, name, (*(slice(None),) * axis, slice(block[0], block[-1] + 1))
