"""Compares each recording with its own release, and with somebody else's as a control."""

from collections.abc import Callable

import numpy as np

from personare.core.errors import DataError
from personare.core.types import Array, Evidence, Result
from personare.evaluate.clips import usable_clips
from personare.evaluate.metrics import mean_over_people

__all__ = ["measure_pairs"]


def measure_pairs(
    original: Evidence,
    released: Evidence,
    view: str,
    compare: Callable[[Array, Array], float],
    *,
    method: str,
    figure: str,
    rng: np.random.Generator,
) -> Result:
    """Return the mean of a similarity over recordings, people resampled.

    Args:
        original: Recordings before.
        released: The same after.
        view: Which view is compared.
        compare: Similarity of a clip before and after; NaN where they cannot be compared.
        method: Of the row.
        figure: Of the row.
        rng: Draws mismatched pairs and people.

    Returns:
        One row; its control is the mean similarity to another recording's release.

    Raises:
        DataError: Fewer than half of the recordings can be compared.
    """
    before, after = usable_clips(original, view), usable_clips(released, view)
    asked = [i for i in original.table.index if i in set(released.table.index)]
    both = [i for i in asked if i in before and i in after]
    found = np.array([compare(before[i], after[i]) for i in both])
    seen = int(np.isfinite(found).sum())
    if 2 * seen < len(asked) or not seen:
        raise DataError(f"only {seen} of {len(asked)} recordings can be compared by their {view}")
    subjects = original.table.loc[both, "subject"].astype(str).to_numpy()
    estimate = mean_over_people(found, subjects, rng=rng)
    ring = rng.permutation(len(both))  # each is compared with the next one's release
    wrong = [compare(before[both[i]], after[both[j]]) for i, j in zip(ring, np.roll(ring, 1), strict=True) if i != j]
    control = float(np.nanmean(wrong)) if np.isfinite(wrong).any() else float("nan")
    return Result(
        question="read",
        method=method,
        figure=figure,
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        n=estimate.n,
        control=control,
        unit="correlation",
        reason=f"{len(asked) - seen} recordings cannot be compared and are left out" if seen < len(asked) else "",
    )
