"""Reads what kind of person it is, sex and age, even where the person cannot be named."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from personare.core.errors import DataError
from personare.core.options import check_options
from personare.core.types import Array, Batch, Result
from personare.evaluate.classifiers import Kernel
from personare.evaluate.clips import describe_motion, evenly
from personare.evaluate.identification import Trials
from personare.evaluate.reading import READERS, Reading, Task, kinds_of_people, measure_reading, read_view
from personare.evaluate.unmeasured import unmeasured

__all__ = ["Attributes"]

_ATTACKERS = dict(zip(READERS, ("ignorant", "semi_informed"), strict=True))


@dataclass(frozen=True, kw_only=True)
class Attributes:
    """Learns sex and age (above or below the median) from other people, and reads them from each recording.

    Voice, picture and motion are read apart and their probabilities are averaged. ``ignorant`` learned from originals,
    ``semi_informed`` from the release; nobody is enrolled, so there is no third attacker.

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
        rows: list[Result] = []
        for name in ("sex", "age"):
            try:
                rows += self._attribute(original, released, name, rng)
            except DataError as error:
                row = unmeasured("attributes", "infer", error, figure="uar", subset=name)
                rows += [replace(row, attacker=attacker) for attacker in _ATTACKERS.values()]
        return rows

    def _attribute(self, original: Batch, released: Batch, name: str, rng: np.random.Generator) -> list[Result]:
        if (table := original.table) is None:
            raise DataError(f"nobody's {name} is known")
        before = replace(original, table=table.assign(attribute=kinds_of_people(table, name, self.fewest)))
        after = before if released is original else released
        seed = int(rng.integers(2**31))
        found: dict[str, list[Reading]] = {reader: [] for reader in READERS}
        reasons = []
        for view, describe in _DESCRIBE.items():
            question = Task(view=view, label="attribute", folds=self.folds)
            same = np.random.default_rng(seed)  # the same folds for every view
            try:
                readings = read_view(before, after, question, Kernel(describe=describe), rng=same)
            except DataError as error:
                reasons.append(str(error))
                continue
            for reading in readings:
                found[reading.reader].append(reading)
        if not found[READERS[0]]:
            raise DataError("; ".join(dict.fromkeys(reasons)))
        rows = []
        for reader, readings in found.items():
            joint = np.mean([r.likely for r in readings], axis=0)
            reading = replace(readings[0], likely=joint, missing=min(r.missing for r in readings))
            row = measure_reading(reading, "attributes", modality="", rng=rng)[0]
            columns = {"subset": name, "attacker": _ATTACKERS[reader], "better": "lower", "detail": {}}
            rows.append(replace(row, question="infer", **columns))  # type: ignore[arg-type]
        return rows


_DESCRIBE: Mapping[str, Callable[[Array], Sequence[Array]]] = {
    "functionals": lambda clip: [clip[0]],
    "crops": lambda clip: [evenly(clip, 4)[:, ::4, ::4].astype(float).mean(axis=0).ravel()],
    "landmarks": lambda clip: describe_motion(clip)[:1],
}
