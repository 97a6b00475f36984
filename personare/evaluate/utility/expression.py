"""Tells how much of the facial expression is kept, moment by moment."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from personare.core.errors import DataError, OptionError
from personare.core.types import Array, Batch, Result
from personare.evaluate.clips import measure_pairs, shown, stretched
from personare.evaluate.metrics import mean_over_people
from personare.evaluate.unmeasured import unmeasured

__all__ = ["Expression"]

_FEWEST = 8  # frames with a face in both recordings


@dataclass(frozen=True, kw_only=True)
class Expression:
    """Correlates blendshapes before and after over time, and counts the frames in which a face is still read.

    Only blendshapes that move in the original count (standard deviation of at least ``moving``); one that no longer
    moves in the release counts as 0. The control pairs each recording with another one's release.

    **Guarantee**: a recording without a face to compare is left out and counted in the reason, never taken as 0.

    **Source**: correlation of face motion in time as used to judge video anonymizers (e.g. BLANKET, 2025); the
    selection of blendshapes is ours.
    """

    modality: ClassVar[str] = "video"
    views: ClassVar[tuple[str, ...]] = ("blendshapes",)

    moving: float = 0.03  # least standard deviation over a clip of a blendshape (scores from 0 to 1) that counts

    def __post_init__(self) -> None:
        if not 0 < self.moving < 1:
            raise OptionError(f"expression's moving must be between 0 and 1, given {self.moving}. Try 0.03.")

    def __call__(self, original: Batch, released: Batch, *, rng: np.random.Generator) -> list[Result]:
        """Measure ``correlation`` and ``face_detected`` of ``blendshapes`` (F, 52), NaN where none is seen."""
        kept = measure_pairs(
            original, released, "blendshapes", self._correlation, method="expression", figure="correlation", rng=rng
        )
        before, after = original.clips("blendshapes"), released.clips("blendshapes")
        asked = [(i, who) for i, who in shown(original, released) if i in before and i in after]
        shares = np.full(len(asked), np.nan)  # of frames with a face in the original, in which the release shows one
        for n, (i, _) in enumerate(asked):
            if length := min(len(before[i]), len(after[i])):
                a, b = (np.isfinite(stretched(clips[i], length)).all(axis=1) for clips in (before, after))
                shares[n] = (a & b).sum() / a.sum() if a.any() else np.nan
        if not np.isfinite(shares).any():
            why = DataError("no face could be read in the originals")
            return [kept, unmeasured("expression", "read", why, figure="face_detected")]
        seen = mean_over_people(shares, np.array([who for _, who in asked]), rng=rng)
        return [kept, Result(question="read", method="expression", figure="face_detected", **seen.columns)]

    def _correlation(self, before: Array, after: Array) -> float:
        length = min(len(before), len(after))
        a, b = stretched(before, length), stretched(after, length)
        seen = np.isfinite(a).all(axis=1) & np.isfinite(b).all(axis=1)
        if seen.sum() < _FEWEST:
            return float("nan")
        x, y = (rows[seen].astype(float) - rows[seen].mean(axis=0) for rows in (a, b))
        moves = x.std(axis=0) >= self.moving
        if not moves.any():
            return float("nan")
        x, y = x[:, moves], y[:, moves]
        length_y = np.sqrt((y**2).sum(axis=0))
        still = length_y < 1e-6
        together = (x * y).sum(axis=0) / (np.sqrt((x**2).sum(axis=0)) * np.where(still, 1, length_y))
        return float(np.where(still, 0, together).mean())
