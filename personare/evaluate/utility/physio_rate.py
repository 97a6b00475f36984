"""Tells how far heart rate and its variability are off after hiding, recording by recording."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from personare.core.errors import DataError
from personare.core.types import Batch, Result
from personare.evaluate.clips import shown, window_moments
from personare.evaluate.metrics import mean_over_people
from personare.evaluate.unmeasured import unmeasured
from personare.features.physio import FEATURES

__all__ = ["PhysioRate"]

_FIGURES = {"rate_error": ("rate_bpm", "beats/min"), "variability_error": ("rmssd_ms", "ms")}


@dataclass(frozen=True, kw_only=True)
class PhysioRate:
    """Compares mean heart rate (``rate_error``) and RMSSD (``variability_error``) of a recording before and after.

    Both are read by the same detector of beats. The control is what the mean of all originals would be off.

    **Guarantee**: a recording without a heart rate on either side is left out and not counted in n, never taken as 0.

    **Source**: RMSSD as in the Task Force of the ESC and NASPE, Circulation 93: 1043-1065, 1996.
    """

    modality: ClassVar[str] = "physio"
    views: ClassVar[tuple[str, ...]] = ("physio",)

    def __call__(self, original: Batch, released: Batch, *, rng: np.random.Generator) -> list[Result]:
        """Measure both in ``physio`` (windows, D)."""
        sides, rows = (original.clips("physio"), released.clips("physio")), []
        both = [(i, who) for i, who in shown(original, released) if all(i in side for side in sides)]
        means = np.array([[window_moments(side[i])[: len(FEATURES)] for i, _ in both] for side in sides])  # (2, N, D)
        for figure, (feature, unit) in _FIGURES.items():
            before, after = means[..., FEATURES.index(feature)] if both else np.full((2, 1), np.nan)
            if not np.isfinite(before - after).any():
                rows.append(unmeasured("physio_rate", "read", DataError("no such rate on both sides"), figure=figure))
                continue
            estimate = mean_over_people(np.abs(after - before), np.array([who for _, who in both]), rng=rng)
            row = Result(question="read", method="physio_rate", figure=figure, **estimate.columns, better="lower")
            rows.append(replace(row, unit=unit, control=float(np.nanmean(np.abs(before - np.nanmean(before))))))
        return rows
