"""Parts the recordings of a model: learned from, watched while learning, judged by."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from personare.core.errors import DataError
from personare.core.types import Batch
from personare.data.splits import (
    Split,
    as_published,
    check_apart,
    k_folds_with_validation,
    leaky_random_9_1,
    unseen_sentences,
)

__all__ = ["Parts", "split_people"]

_FOLDS = 5


@dataclass(frozen=True, kw_only=True)
class Parts:
    """A batch in three parts, by a protocol.

    Attributes:
        train: What is learned from.
        validation: What may be looked at while learning.
        test: What judges; the people of ``person_folds`` are in no other part.
    """

    train: Batch
    validation: Batch
    test: Batch


def split_people(batch: Batch, protocol: str, table: pd.DataFrame, *, rng: np.random.Generator) -> Parts:
    """Part a batch by a protocol, and check that nobody leaks where nobody should.

    Args:
        batch: Everything.
        protocol: See ``ModelPlan``.
        table: By recording id; the columns ``sentence`` and ``split`` where a protocol asks for them.
        rng: Which people are where.

    Raises:
        DataError: Too few people, or a label that the protocol needs is missing.
    """
    subjects = dict(zip(batch.ids, map(str, batch.subjects), strict=True))
    if protocol == "leaky_random_9_1":
        split = leaky_random_9_1(batch.ids, rng=rng, validation=0.1)
    elif protocol == "unseen_sentences":
        sentences = _labels(batch, table, "sentence", protocol)
        split = unseen_sentences(subjects, sentences, _FOLDS, rng=rng)[0]
        check_apart(split, subjects, sentences)
    elif protocol == "published":
        split = as_published(subjects, _labels(batch, table, "split", protocol), _FOLDS, rng=rng)
        check_apart(split, subjects)
    else:
        labels = dict(zip(batch.ids, np.array(batch.classes)[batch.labels].tolist(), strict=True))
        split = k_folds_with_validation(subjects, _FOLDS, labels=labels, rng=rng)[0]
        check_apart(split, subjects)
    return _parts(batch, split)


def _labels(batch: Batch, table: pd.DataFrame, name: str, protocol: str) -> dict[str, str]:
    if name not in table or table.loc[list(batch.ids), name].isna().any():
        raise DataError(f"The protocol {protocol} needs the label '{name}' of every recording. Add it, or use another.")
    return dict(zip(batch.ids, table.loc[list(batch.ids), name].astype(str), strict=True))


def _parts(batch: Batch, split: Split) -> Parts:
    row = {name: i for i, name in enumerate(batch.ids)}

    def part(ids: Sequence[str]) -> Batch:
        return batch.take(np.array([row[name] for name in ids], dtype=int))

    return Parts(train=part(split.train), validation=part(split.validation), test=part(split.test))
