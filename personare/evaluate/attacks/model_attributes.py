"""Reads sex and age from what a model makes of a recording: its inner representation, or just its answer."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from personare.core.options import check_options
from personare.core.types import Batch, Result
from personare.evaluate.classifiers import Kernel
from personare.evaluate.reading import attribute_rows
from personare.evaluate.selftest import marked

__all__ = ["ModelAttributes"]


@dataclass(frozen=True, kw_only=True)
class ModelAttributes:
    """Learns sex and age from other people's representations or answers, and reads them from each recording.

    The same attacker reads what went into the model: where it fails there, it is marked ``not informative``.

    **Guarantee**: nothing was learned from the person whose attribute is read.

    **Source**: ours; kernel classifiers, balanced accuracy, so that guessing is one half.
    """

    question: ClassVar = "infer"
    kinds: ClassVar[tuple[str, ...]] = ("model",)

    folds: int = 6  # in how many groups people are left out; up to eight people, each alone
    fewest: int = 2  # least people of each kind; with fewer the attribute is not read

    def __post_init__(self) -> None:
        check_options(self, folds=2, fewest=1)

    def __call__(self, original: Batch, released: Batch, *, rng: np.random.Generator) -> list[Result]:
        """Measure the recall of sex and age of each track that the model shows, as ``model_attributes_<track>``."""
        seed = int(rng.integers(2**31))  # the same folds before and after the model

        def read(batch: Batch, track: str) -> list[Result]:
            method, readers, draws = f"model_attributes_{track}", {track: Kernel()}, np.random.default_rng(seed)
            rows = attribute_rows(batch, batch, readers, method=method, folds=self.folds, fewest=self.fewest, rng=draws)
            return [replace(row, kind="model") for row in rows if row.attacker == "semi_informed"]

        rows: list[Result] = []
        before = read(original, "raw")
        for track in released.arrays:
            after = [replace(r, baseline=b.value) for r, b in zip(read(released, track), before, strict=True)]
            rows += marked(after, [replace(b, method=f"model_attributes_{track}") for b in before])
        return rows
