"""Parts the recordings of a model: learned from, watched while learning, judged by."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from personare.core.errors import DataError
from personare.core.types import Batch
from personare.data.splits import (
    as_published,
    check_apart,
    k_folds_with_validation,
    leaky_random_9_1,
    unseen_sentences,
)

_FOLDS = 5


@dataclass(frozen=True, kw_only=True)
class Parts:
    """A batch by a protocol: what is learned from, what may be looked at meanwhile, what judges."""

    train: Batch
    validation: Batch
    test: Batch


def split_people(batch: Batch, protocol: str, table: pd.DataFrame, *, rng: np.random.Generator) -> Parts:
    """Part a batch by a protocol (see ``ModelPlan``), and check that nobody leaks where nobody should.

    ``table`` has the columns ``sentence`` and ``split``, by recording id, where a protocol asks for them.

    Raises:
        DataError: Too few people, or a label that the protocol needs is missing.
    """
    subjects = dict(zip(batch.ids, map(str, batch.subjects), strict=True))

    def labels(name: str) -> dict[str, str]:
        if name not in table or table.loc[list(batch.ids), name].isna().any():
            raise DataError(
                f"The protocol {protocol} needs the label '{name}' of every recording. Add it, or use another."
            )
        return dict(zip(batch.ids, table.loc[list(batch.ids), name].astype(str), strict=True))

    if protocol == "leaky_random_9_1":
        split = leaky_random_9_1(batch.ids, rng=rng, validation=0.1)
    elif protocol == "unseen_sentences":
        split = unseen_sentences(subjects, labels("sentence"), _FOLDS, rng=rng)[0]
        check_apart(split, subjects, labels("sentence"))
    elif protocol == "published":
        split = as_published(subjects, labels("split"), _FOLDS, rng=rng)
        check_apart(split, subjects)
    else:
        classes = dict(zip(batch.ids, np.array(batch.classes)[batch.labels].tolist(), strict=True))
        split = k_folds_with_validation(subjects, _FOLDS, labels=classes, rng=rng)[0]
        check_apart(split, subjects)
    row = {name: i for i, name in enumerate(batch.ids)}

    def part(ids: Sequence[str]) -> Batch:
        return batch.take(np.array([row[name] for name in ids], dtype=int))

    return Parts(train=part(split.train), validation=part(split.validation), test=part(split.test))
