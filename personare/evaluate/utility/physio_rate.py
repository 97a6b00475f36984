"""Tells how far heart rate and heart-rate variability of a release are from the recording's own."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from personare.core.types import Array, Batch, Result
from personare.evaluate.clips import measure_pairs, stretched
from personare.features.physio import FEATURES

__all__ = ["PhysioRate"]

_FIGURES = {"rate_error": ("rate_bpm", "beats a minute"), "rmssd_error": ("rmssd_ms", "ms")}


@dataclass(frozen=True, kw_only=True)
class PhysioRate:
    """Compare the rate (``rate_error``) and RMSSD (``rmssd_error``) of windows before and after, without sign.

    The longer of two courses is read at as many moments as the shorter has. The control is another one's release. Beats
    are those of our detector, before and after: what it misses in both is no error here.

    **Guarantee**: a recording without a pulse before or after is left out and counted in the reason, never taken as 0.

    **Source**: RMSSD as in Task Force of the ESC and NASPE, Circulation 93(5), 1996, doi:10.1161/01.CIR.93.5.1043.
    """

    modality: ClassVar[str] = "physio"
    views: ClassVar[tuple[str, ...]] = ("physio",)

    def __call__(self, original: Batch, released: Batch, *, rng: np.random.Generator) -> list[Result]:
        """Measure both errors in ``physio`` (windows, D)."""
        return [
            measure_pairs(
                original,
                released,
                "physio",
                partial(_error, column=FEATURES.index(feature)),
                method="physio_rate",
                figure=figure,
                rng=rng,
                unit=unit,
                better="lower",
            )
            for figure, (feature, unit) in _FIGURES.items()
        ]


def _error(before: Array, after: Array, column: int) -> float:
    length = min(len(before), len(after))
    apart = np.abs(stretched(before, length)[:, column] - stretched(after, length)[:, column])
    return float(np.nanmean(apart)) if np.isfinite(apart).any() else float("nan")
