"""Names people by what a model makes of their recordings: its inner representation, or just its answers."""

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np

from personare.core.errors import DataError
from personare.core.options import check_options
from personare.core.types import Batch, Result
from personare.data.splits import content_halves
from personare.evaluate.classifiers import Kernel
from personare.evaluate.identification import name_rows
from personare.evaluate.selftest import marked

__all__ = ["ModelIdentity"]

_FIGURES = ("top1", "eer", "top1_5", "person_top1")


@dataclass(frozen=True, kw_only=True)
class ModelIdentity:
    """Enrolls everybody with one half of their recordings, and names them in the other; then the other way round.

    The same attacker reads what went into the model: where it fails there, it is marked ``not informative``. Halves
    differ in content (sentence, or whatever the recordings repeat) as far as they can.

    **Source**: ours; kernel classifiers on standardized vectors, as for prosody.
    """

    question: ClassVar = "identify"
    kinds: ClassVar[tuple[str, ...]] = ("model",)

    fewest: int = 2  # least people

    def __post_init__(self) -> None:
        check_options(self, fewest=2)

    def __call__(self, original: Batch, released: Batch, *, rng: np.random.Generator) -> list[Result]:
        """Measure ``top1``, ``top1_5``, ``person_top1`` and ``eer`` of each track, as ``model_identity_<track>``."""
        if (table := original.table) is None:
            raise DataError("Naming people needs a table of facts beside their recordings.")
        enroll, test, _ = content_halves(table, rng=rng)
        people = table.loc[enroll, "subject"].nunique()
        if people < self.fewest:
            raise DataError(
                f"Naming people needs at least {self.fewest} of them with two recordings each, there are {people}."
            )
        halves, learn = [(enroll, test), (test, enroll)], partial(Kernel().enroll, rng=rng)
        measure = partial(name_rows, table=table, halves=halves, enroll=learn, figures=_FIGURES, rng=rng)
        before = measure("", np.stack(list(original.arrays["raw"])))
        rows: list[Result] = []
        for track, vectors in released.arrays.items():
            name = f"model_identity_{track}"
            after = measure(name, np.stack(list(vectors)))
            after = [replace(row, baseline=b.value) for row, b in zip(after, before, strict=True)]
            rows += marked(after, [replace(b, method=name) for b in before])
        return [replace(row, kind="model") for row in rows]
