"""Reads sex and age from what a model makes of a recording: its inner representation, or just its answer."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pandas as pd

from personare.core.options import check_options
from personare.core.types import Array, Batch, Result
from personare.evaluate.classifiers import Kernel
from personare.evaluate.clips import clips_of
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

    def __call__(
        self, seen: Mapping[str, Array], raw: Array, table: pd.DataFrame, *, rng: np.random.Generator
    ) -> list[Result]:
        """Measure the recall of sex and age as ``model_attributes_<what>``.

        Args:
            seen: What the model shows of people it may or may not have met, (N, D) each, e.g. ``representation`` and
                ``answers`` (probabilities).
            raw: (N, D) numbers that describe the recordings before the model: the baseline.
            table: N rows by recording id; ``subject``, ``sex``, ``age`` (years).
            rng: Folds, bootstrap.
        """
        seed = int(rng.integers(2**31))  # the same folds before and after the model

        def read(values: Array, what: str) -> list[Result]:
            shown, method = Batch.of(table, {what: clips_of(values, table)}), f"model_attributes_{what}"
            draws, readers = np.random.default_rng(seed), {what: Kernel()}
            rows = attribute_rows(shown, shown, readers, method=method, folds=self.folds, fewest=self.fewest, rng=draws)
            return [replace(row, kind="model") for row in rows if row.attacker == "semi_informed"]

        rows: list[Result] = []
        before = read(raw, "raw")
        for what, values in seen.items():
            after = [replace(r, baseline=b.value) for r, b in zip(read(values, what), before, strict=True)]
            rows += marked(after, [replace(b, method=f"model_attributes_{what}") for b in before])
        return rows
