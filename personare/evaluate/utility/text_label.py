"""Reads a label (sentiment, emotion, mood) from what was written or said."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from personare.core.options import check_options
from personare.core.types import Batch, Result
from personare.evaluate.reading import Task, read_and_measure
from personare.evaluate.texts import TextReader

__all__ = ["TextLabel"]


@dataclass(frozen=True, kw_only=True)
class TextLabel:
    """A ridge on pieces of words, words, pairs of words and marks.

    **Guarantee**: no reader was trained on the person that it reads.

    **Source**: features as of S. Wang, C. Manning, "Baselines and bigrams", ACL 2012; own choice: settings.
    """

    modality: ClassVar[str] = "text"
    views: ClassVar[tuple[str, ...]] = ("text",)

    label: str = "emotion"  # what is read: a column of the table
    kind: str = ""  # ``nominal``, ``ordinal`` or ``continuous``; empty to tell from the values
    folds: int = 6  # in how many groups people are left out; up to eight people, each alone

    def __post_init__(self) -> None:
        check_options(self, folds=2)

    def __call__(self, original: Batch, released: Batch, *, rng: np.random.Generator) -> list[Result]:
        """Measure what both kinds of reader read in ``text`` (1,)."""
        task = Task(view="text", label=self.label, kind=self.kind, folds=self.folds)
        return read_and_measure(original, released, {"text_label": (task, TextReader())}, rng=rng)
