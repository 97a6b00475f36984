"""Reads a label (stress, mood) from how a phone was used in a week, where it was and how regular that was."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from personare.core.options import check_options
from personare.core.types import Array, Batch, Result
from personare.evaluate.reading import Task, forest_and_adapted, read_and_measure
from personare.features.phone import behavioral_features

__all__ = ["PhoneLabel"]


@dataclass(frozen=True, kw_only=True)
class PhoneLabel:
    """A random forest, and a reader (``phone_label_adapted``) that gets used to each person's weeks.

    The latter standardizes over a person's recordings: it tells nothing that is the same in all of them.

    **Guarantee**: no reader was trained on the person that it reads.

    **Source**: what is looked at is that of ``phone_linkage``; readers as in ``physio_state``.
    """

    modality: ClassVar[str] = "phone"
    views: ClassVar[tuple[str, ...]] = ("phone",)

    label: str = "stress"  # what is read: a column of the table
    kind: str = ""  # ``nominal``, ``ordinal`` or ``continuous``; empty to tell from the values
    trees: int = 100  # trees of the forest

    def __post_init__(self) -> None:
        check_options(self, trees=1)

    def __call__(self, original: Batch, released: Batch, *, rng: np.random.Generator) -> list[Result]:
        """Measure what both kinds of reader read in the records of ``phone``."""
        task = Task(view="phone", label=self.label, kind=self.kind, describe=_described)
        readers = forest_and_adapted("phone_label", task, self.trees)
        return read_and_measure(original, released, readers, rng=rng)


def _described(view: Array) -> Array:
    return np.concatenate(behavioral_features(view))
