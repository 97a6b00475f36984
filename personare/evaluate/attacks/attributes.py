"""Reads what kind of person it is, sex and age, even where the person cannot be named."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from personare.core.options import check_options
from personare.core.types import Batch, Result
from personare.evaluate.classifiers import Kernel
from personare.evaluate.clips import describe_motion, evenly
from personare.evaluate.identification import Trials
from personare.evaluate.reading import attribute_rows

__all__ = ["Attributes"]


@dataclass(frozen=True, kw_only=True)
class Attributes:
    """Learns sex and age (above or below the median) from other people, and reads them from each recording.

    Voice, picture and motion are read apart and their probabilities are averaged.

    **Guarantee**: nothing was learned from the person whose attribute is read.

    **Source**: ours; balanced accuracy, so that guessing is one half.
    """

    question: ClassVar = "infer"
    modality: ClassVar[str] = "any"
    views: ClassVar[tuple[str, ...]] = ("functionals", "crops", "landmarks")

    folds: int = 6  # in how many groups people are left out; up to eight people, each alone
    fewest: int = 2  # least people of each kind; with fewer the attribute is not read

    def __post_init__(self) -> None:
        check_options(self, folds=2, fewest=1)

    def __call__(
        self, original: Batch, released: Batch, *, trials: Sequence[Trials], rng: np.random.Generator
    ) -> list[Result]:
        """Measure the recall of ``sex`` and ``age`` (years), columns of the table of ``original``."""
        views = {
            "functionals": Kernel(describe=lambda clip: [clip[0]]),
            "crops": Kernel(describe=lambda clip: [evenly(clip, 4)[:, ::4, ::4].astype(float).mean(axis=0).ravel()]),
            "landmarks": Kernel(describe=lambda clip: describe_motion(clip)[:1]),
        }
        return attribute_rows(
            original, released, views, method="attributes", folds=self.folds, fewest=self.fewest, rng=rng
        )
