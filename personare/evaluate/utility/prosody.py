"""Tells how much of the melody and the loudness of speech is kept, moment by moment."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from personare.core.errors import OptionError
from personare.core.types import Array, Batch, Result
from personare.evaluate.clips import measure_pairs, stretched

__all__ = ["Prosody"]

_FEWEST = 10  # frames voiced in both recordings; with fewer there is no melody to compare


@dataclass(frozen=True, kw_only=True)
class Prosody:
    """Correlates pitch (``rho_f0``) and level (``rho_level``) of a recording before and after.

    The longer contour is stretched to the shorter's length, shifted to where the levels agree best, and compared frame
    by frame; pitch only where both are voiced. The control pairs each recording with another one's release.

    **Guarantee**: a recording without a melody to compare is left out and counted in the reason, never taken as 0.

    **Source**: pitch correlation of the VoicePrivacy evaluation plans 2020 and 2022; our pitch tracker, and one shift
    for both contours.
    """

    modality: ClassVar[str] = "audio"
    views: ClassVar[tuple[str, ...]] = ("prosody",)

    lag_s: float = 0.1  # largest shift tried, either way

    def __post_init__(self) -> None:
        if not 0 <= self.lag_s <= 1:
            raise OptionError(f"prosody's lag_s must be from 0 to 1 second, given {self.lag_s}. Try 0.1.")

    def __call__(self, original: Batch, released: Batch, *, rng: np.random.Generator) -> list[Result]:
        """Measure both correlations of ``prosody`` (T, 2): pitch in Hz and level in dB, every 10 ms."""
        return [
            measure_pairs(
                original,
                released,
                "prosody",
                partial(self._correlation, column=column),
                method="prosody",
                figure=figure,
                rng=rng,
            )
            for column, figure in enumerate(("rho_f0", "rho_level"))
        ]

    def _correlation(self, before: Array, after: Array, column: int) -> float:
        length = min(len(before), len(after))
        a, b = stretched(before, length).astype(float), stretched(after, length).astype(float)
        reach = min(round(self.lag_s * 100), length // 4)
        shifted = [
            (a[max(0, lag) :][: length - abs(lag)], b[max(0, -lag) :][: length - abs(lag)])
            for lag in range(-reach, reach + 1)
        ]
        level = [_pearson(x[:, 1], y[:, 1]) for x, y in shifted]
        x, y = shifted[int(np.argmax(np.nan_to_num(level, nan=-1)))]
        return _pearson(x[:, column], y[:, column])


def _pearson(a: Array, b: Array) -> float:
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < _FEWEST:
        return float("nan")
    x, y = a[both] - a[both].mean(), b[both] - b[both].mean()
    if not (x @ x):
        return float("nan")  # nothing to keep
    # a contour made flat keeps nothing of one that was not
    return float(x @ y / np.sqrt((x @ x) * (y @ y))) if y @ y > 0 else 0.0
