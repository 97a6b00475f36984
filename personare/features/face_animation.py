"""Moves the drawn face of nobody by what is known of an expression: statistics of it, or its whole course."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.special import ndtr

from personare.core.errors import DataError, OptionError
from personare.core.types import Array, Signal
from personare.features.avatar import Avatar, legible
from personare.features.expression import BLENDSHAPES
from personare.features.motion import wander
from personare.features.video import VideoWriter

# What a coder of faces calls an action unit, and which shapes of the drawing do it, on one or both sides (Ekman and
# Friesen's FACS).
_UNITS: Final[Mapping[str, str]] = {
    "AU01": "browInnerUp", "AU02": "browOuterUp", "AU04": "browDown", "AU05": "eyeWide", "AU06": "cheekSquint",
    "AU07": "eyeSquint", "AU09": "noseSneer", "AU10": "mouthUpperUp", "AU12": "mouthSmile", "AU14": "mouthDimple",
    "AU15": "mouthFrown", "AU17": "mouthShrugLower", "AU18": "mouthPucker", "AU20": "mouthStretch",
    "AU23": "mouthPress", "AU24": "mouthRollUpper", "AU25": "mouthLowerDown", "AU26": "jawOpen",
    "AU28": "mouthRollLower", "AU43": "eyeBlink",
}  # fmt: skip
FILM_HZ = 25.0
_SIZE = 192  # pixels of a side
_SWAY = 0.05  # radians by which the head turns to and fro
_SPOKEN: Final = ("jawOpen", "mouthLowerDown", "mouthUpperUp", "mouthFunnel")
_SLOW_S = 0.25  # how slowly an expression changes
_BLINK_S = 0.08


def _shapes_of(name: str) -> list[str]:
    if name in BLENDSHAPES:
        return [name]
    return [shape for side in ("", "Left", "Right") if (shape := _UNITS.get(name, "") + side) in BLENDSHAPES]


def knows_face(columns: Sequence[str]) -> bool:
    """Whether these columns tell of an expression: blendshapes or action units, or statistics of them."""
    return sum(bool(_shapes_of(name.rpartition("_")[0] or name) or _shapes_of(name)) for name in columns) >= 5


def course_of(
    values: Array, columns: Sequence[str], *, seconds: float, voice: Signal | None = None, rng: np.random.Generator
) -> Array:
    """Make up a course of expression, (F, 52) in [0, 1], that has these statistics; the mouth follows a given voice.

    Both sides of a shape move together. What statistics do not say, when something happens, is made up.

    ``values`` are (D,) statistics by ``columns``: ``SHAPE_mean``, ``SHAPE_std``, and where known ``SHAPE_p10`` and
    ``SHAPE_p90``; a shape is one of ``BLENDSHAPES`` or an action unit (``AU12``). Or they are (T, D), a course, which
    is kept as it is; its columns are the shapes alone.
    """
    count = round(seconds * FILM_HZ)
    if count < 1:
        raise OptionError(f"A film needs at least one frame; {seconds} s at {FILM_HZ} Hz hold none.")
    if not knows_face(columns):
        raise DataError("These columns tell of no expression. Give blendshapes or action units, or statistics of them.")
    courses: dict[str, Array] = {}
    if values.ndim == 2:
        at, rows = np.linspace(0, len(values) - 1, count), np.arange(len(values))
        for name, column in zip(columns, values.T, strict=True):
            courses |= dict.fromkeys(_shapes_of(name), np.interp(at, rows, column))
    else:
        statistics: dict[str, dict[str, float]] = {}
        for name, value in zip(columns, values.tolist(), strict=True):
            unit, _, what = name.rpartition("_")
            for shape in _shapes_of(unit) if np.isfinite(value) else ():
                statistics.setdefault(shape, {})[what] = value
        means = [shape for shape in statistics if "mean" in statistics[shape]]
        groups = {shape: shape.removesuffix("Left").removesuffix("Right") for shape in means}
        drivers = _drivers(sorted(set(groups.values())), count, voice, rng)
        courses = {shape: _spread(drivers[group], statistics[shape]) for shape, group in groups.items()}
    still = np.zeros(count)
    return np.asarray(np.clip(np.stack([courses.get(shape, still) for shape in BLENDSHAPES], axis=1), 0, 1))


def rest_of(values: Array, columns: Sequence[str]) -> Array:
    """Return where each shape rests over a group, (52,), its median: readers see half a frown in a still face."""
    if values.ndim == 3:
        values, columns = values.mean(axis=1), [f"{name}_mean" for name in columns]
    rest = np.zeros(len(BLENDSHAPES))
    for column, name in zip(values.T, columns, strict=True):
        if name.endswith("_mean"):
            for shape in _shapes_of(name.removesuffix("_mean")):
                rest[BLENDSHAPES.index(shape)] = np.median(column)
    return rest


def film_course(
    path: Path, course: Array, rest: Array, *, voice: Signal | None, note: str, rng: np.random.Generator
) -> None:
    """Write what a course (F, 52) adds to ``rest`` (52,) as a film with sound; ``note`` is its own comment."""
    turn = _SWAY * _standard(wander(len(course), 3, rate_hz=FILM_HZ, seconds=0.6, rng=rng)) * [1, 0.6, 0.4]
    avatar = Avatar(size=_SIZE)
    with VideoWriter(path, width=_SIZE, height=_SIZE, rate_hz=FILM_HZ, threads=1, note=note) as film:
        if voice is not None:
            film.write_sound(voice)
        for shapes, angles in zip(legible(np.clip(course - rest, 0, 1)), turn, strict=True):
            film.write(avatar.draw(shapes, angles))


def _standard(values: Array) -> Array:
    """Return values of mean 0 and deviation 1 over time: what is slow may stay on one side of a short film."""
    return np.asarray((values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-9))


def _drivers(groups: Sequence[str], count: int, voice: Signal | None, rng: np.random.Generator) -> dict[str, Array]:
    """Return courses (count,) of mean 0 and deviation 1 by group: lids blink, what a voice moves follows its level."""
    slow = _standard(wander(count, len(groups), rate_hz=FILM_HZ, seconds=_SLOW_S, rng=rng))
    drivers = dict(zip(groups, slow.T, strict=True))
    if "eyeBlink" in drivers:
        closed = (rng.random(count) < 1 / (3 * FILM_HZ)).astype(float)  # about one in three seconds
        closed[rng.integers(count)] = 1.0
        drivers["eyeBlink"] = _standard(gaussian_filter1d(closed, _BLINK_S * FILM_HZ / 2, mode="constant"))
    if voice is not None:
        samples = np.asarray(voice.values, np.float64).mean(axis=1)
        edges = np.minimum(np.arange(count + 1) * round(voice.rate_hz / FILM_HZ), len(samples))
        energy = np.diff(np.concatenate([[0.0], np.cumsum(samples**2)])[edges])
        level = _standard(gaussian_filter1d(np.sqrt(np.maximum(energy, 0)), 1.0, mode="nearest"))
        drivers |= {group: level for group in groups if group in _SPOKEN}
    return drivers


def _spread(driver: Array, statistics: Mapping[str, float]) -> Array:
    """Return a course that goes as the driver and has a shape's statistics, as far as these agree."""
    mean, spread = statistics["mean"], max(statistics.get("std", 0.0), 0.0)
    low, high = statistics.get("p10"), statistics.get("p90")
    if low is None or high is None or not low <= mean <= high:
        return np.asarray(mean + spread * driver)
    # A share of the time, not a deviation, carries quantiles: the driver's ranks go through three known points.
    place = ndtr(_standard(driver))
    ends = low - 0.3 * (mean - low), high + 0.3 * (high - mean)
    return np.asarray(np.interp(place, [0, 0.1, 0.5, 0.9, 1], [ends[0], low, mean, high, ends[1]]))
