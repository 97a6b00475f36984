"""What there is to see in recordings of any length: motion over time, and how like a recording its release is."""

from collections.abc import Callable
from typing import Literal

import numpy as np
from scipy.signal import periodogram

from personare.core.errors import DataError
from personare.core.types import Array, Batch, Result
from personare.evaluate.metrics import mean_over_people
from personare.evaluate.unmeasured import unmeasured

_SEEN = 0.25  # of a clip's rows; with less there is no face or voice to speak of
_BANDS = 4
_TOGETHER = 24  # tracks whose correlations are taken


def usable_clips(batch: Batch, track: str) -> dict[str, Array]:
    """Return one track of the recordings in which there is something to see, by recording id.

    It is missing where the array is absent or empty, or where fewer than a quarter of its rows hold a number.
    """

    def usable(clip: Array) -> bool:
        if clip.size == 0 or not np.issubdtype(clip.dtype, np.floating):
            return clip.size > 0
        return bool(np.isfinite(clip.reshape(len(clip), -1)).any(axis=1).mean() >= _SEEN)

    return {name: clip for name, clip in batch.clips(track).items() if usable(clip)}


def shown(original: Batch, released: Batch) -> list[tuple[str, str]]:
    """Return id and subject of the originals that were released."""
    there = set(released.ids)
    return [(i, who) for i, who in zip(original.ids, original.subjects.tolist(), strict=True) if i in there]


def measure_pairs(
    original: Batch,
    released: Batch,
    track: str,
    compare: Callable[[Array, Array], float],
    *,
    method: str,
    figure: str,
    rng: np.random.Generator,
    unit: str = "correlation",
    better: Literal["higher", "lower"] = "higher",
) -> Result:
    """Return how like recordings are to their own release, or how far from it, people resampled.

    The control is the mean over pairs of a recording and another one's release. ``compare`` gives likeness or error of
    a clip before and after, NaN where they cannot be compared; a row that says why where most cannot.
    """
    before, after = usable_clips(original, track), usable_clips(released, track)
    asked = shown(original, released)
    both = [(i, who) for i, who in asked if i in before and i in after]
    kept = np.array([compare(before[i], after[i]) for i, _ in both])
    seen = int(np.isfinite(kept).sum())
    if 2 * seen < len(asked) or not seen:
        why = DataError(f"only {seen} of {len(asked)} recordings can be compared by their {track}")
        return unmeasured(method, "read", why, figure=figure, unit=unit, better=better)
    estimate = mean_over_people(kept, np.array([who for _, who in both]), rng=rng)
    ring = rng.permutation(len(both))  # each is compared with the next one's release
    turned = [(both[i][0], both[j][0]) for i, j in zip(ring, np.roll(ring, 1), strict=True) if i != j]
    wrong = [compare(before[i], after[j]) for i, j in turned]
    return Result(
        question="read",
        method=method,
        figure=figure,
        **estimate.columns,
        control=float(np.nanmean(wrong)) if np.isfinite(wrong).any() else float("nan"),
        unit=unit,
        better=better,
        reason=f"{len(asked) - seen} recordings cannot be compared and are left out" if seen < len(asked) else "",
    )


def stretched(rows: Array, length: int) -> Array:
    """Return a clip at ``length`` moments spread evenly over it: the nearest rows, so that what is missing stays so."""
    return np.asarray(rows[np.round(np.linspace(0, len(rows) - 1, length)).astype(int)])


def evenly(rows: Array, count: int) -> Array:
    """Return ``count`` rows spread over a clip (all rows if there are fewer)."""
    return np.asarray(rows[np.unique(np.linspace(0, len(rows) - 1, count).astype(int))])


def looped(rows: Array, least: int) -> Array:
    """Return a clip repeated until it has at least ``least`` rows."""
    return np.asarray(np.concatenate([rows] * -(-least // len(rows)))) if len(rows) < least else rows


def audible(clip: Array) -> Array:
    """Return a spectrogram (T, bands) in dB, cut 70 dB under its loudest point; NaN is silence."""
    rows = np.nan_to_num(np.asarray(clip, dtype=np.float32), nan=-100.0)
    return np.asarray(np.maximum(rows, rows.max() - 70.0))


def describe_motion(clip: Array) -> list[Array]:
    """Return geometry (mean and ends of the range of every track), dynamics (spread, speed, rhythm) and coordination.

    ``clip`` (F, 52) blendshapes or (F, 478, 2) landmarks; rows of NaN where no face was seen.
    """
    rows = np.asarray(clip, dtype=float).reshape(len(clip), -1)
    rows = rows[np.isfinite(rows).all(axis=1)]
    if len(rows) < 2:
        rows = np.repeat(rows, 2, axis=0) if len(rows) else np.zeros((2, rows.shape[1]))
    low, high = np.percentile(rows, (10, 90), axis=0)
    geometry = np.concatenate([rows.mean(axis=0), low, high])

    speed = np.abs(np.diff(rows, axis=0))
    power = periodogram(rows, axis=0, detrend="constant")[1][1:]
    rhythm = np.log(np.array([part.sum(axis=0) for part in np.array_split(power, _BANDS)]) + 1e-9)
    dynamics = np.concatenate([rows.std(axis=0), speed.mean(axis=0), speed.max(axis=0), rhythm.ravel()])

    # of landmarks only a spread of them, so that the vector of their correlations stays small
    columns = rows[:, np.linspace(0, rows.shape[1] - 1, min(_TOGETHER, rows.shape[1])).astype(int)]
    centred = columns - columns.mean(axis=0)
    length = np.linalg.norm(centred, axis=0)
    centred = centred / np.where(length > 1e-6, length, np.inf)
    coordination = (centred.T @ centred)[np.triu_indices(columns.shape[1], 1)]
    return [geometry, dynamics, np.asarray(coordination)]


def expressive_motion(clip: Array) -> Array:
    """Return geometry and dynamics alone: which tracks move together says more of the person than of the emotion."""
    return np.concatenate(describe_motion(clip)[:2])


def window_moments(clip: Array, columns: int | None = None) -> Array:
    """Return mean and spread of the first columns of a clip's windows (W, D); NaN where one holds no number."""
    rows = np.ma.masked_invalid(clip[:, :columns])
    return np.concatenate([rows.mean(axis=0).filled(np.nan), rows.std(axis=0).filled(np.nan)])
