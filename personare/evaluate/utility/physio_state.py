"""Reads a state (stress, activity, sleep) or an illness from body signals, by what windows of them say."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from personare.core.types import Batch, Result
from personare.evaluate.clips import window_moments
from personare.evaluate.reading import Task, forest_and_adapted, read_and_measure
from personare.features.physio import FEATURES

__all__ = ["PhysioState"]


@dataclass(frozen=True, kw_only=True)
class PhysioState:
    """A random forest, and a reader (``physio_state_adapted``) that gets used to each body.

    The latter standardizes features over a person's recordings: it tells nothing that is the same in all of them.

    **Guarantee**: no reader was trained on the person that it reads.

    **Source**: features as in P. Schmidt et al., WESAD (ICMI 2018); readers and adaptation are ours.
    """

    modality: ClassVar[str] = "physio"
    views: ClassVar[tuple[str, ...]] = ("physio",)

    label: str = "stress"  # what is read: a column of the table
    kind: str = ""  # ``nominal``, ``ordinal`` or ``continuous``; empty to tell from the values

    def __call__(self, original: Batch, released: Batch, *, rng: np.random.Generator) -> list[Result]:
        """Measure what both kinds of reader read in the features of ``physio`` (windows, D)."""
        moments = partial(window_moments, columns=len(FEATURES))
        task = Task(view="physio", label=self.label, kind=self.kind, describe=moments)
        return read_and_measure(original, released, forest_and_adapted("physio_state", task), rng=rng)
