"""Whether a representation made for one task and cohort still serves another: the matrix of all pairs."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from personare.core.protocols import Transform
from personare.core.types import Batch, Result
from personare.evaluate.representations import Sides, raw_sides, read_behavior
from personare.learn.standardizing import REPRESENTATION

__all__ = ["transfer"]


def transfer(
    fitted: Mapping[str, Transform], tasks: Mapping[str, tuple[Batch, Batch]], *, rng: np.random.Generator
) -> list[Result]:
    """Read every task through every representation.

    The representation stays as it was fitted; only the reader is trained anew, on known people of the task's cohort.

    Args:
        fitted: By the name of what they were fitted to.
        tasks: By name, known people and new ones, with the modalities that were fitted to, in the same shapes. No
            representation may have been fitted to the new ones.
        rng: Readers, noise, bootstrap.

    Returns:
        Rows of the method ``transfer``, the task as ``subset``; ``release`` is ``FITTED -> TASK``, the baseline is the
        same reader on raw features of the task, the control guessing.
    """
    rows = []
    for task, (known, new) in tasks.items():
        raw = read_behavior(raw_sides(known, new), known, new, rng)[-1]
        for name, transform in fitted.items():
            seen = [np.asarray(transform(batch, rng=rng).arrays[REPRESENTATION]) for batch in (known, new)]
            row = read_behavior(Sides(known=seen[0], new=seen[1]), known, new, rng)[-1]
            row = replace(row, kind="representations", method="transfer", subset=task)
            rows.append(replace(row, release=f"{name} -> {task}", baseline=raw.value))
    return rows
