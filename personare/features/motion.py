"""How a face moves over time, freed of what is a person's own: rest position, range, asymmetry, fine timing."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter1d

from personare.core.types import Array, LocatedFrame
from personare.features.acoustics import runs
from personare.features.expression import BLENDSHAPES

_STEPS = np.linspace(0, 1, 21)
REST = 2  # the step at which a shape is taken to rest: it is below that a tenth of the time
_VIVID = 0.65  # at 0.8 expression is read a little better (0.73 for 0.72) and people too (34 % for 26 %)
_STILL = 0.1  # a shape that a person moves less than this is not blown up to the others' range
_FLOOR = 0.1  # shapes that nobody moves much do not count as much as the others

_ASIDE = ("jawLeft", "jawRight", "mouthLeft", "mouthRight")
_SIDEWAYS = [BLENDSHAPES.index(name) for name in _ASIDE]
_OTHER = {"Left": "Right", "Right": "Left", "In": "Out", "Out": "In"}  # a look aside is the other eye's look inward
_SIDES = re.compile("Left|Right|(?<=eyeLook)(In|Out)")
_MIRRORED = [n if n in _ASIDE else _SIDES.sub(lambda side: _OTHER[side[0]], n) for n in BLENDSHAPES]
MIRROR: list[int] = [BLENDSHAPES.index(name) for name in _MIRRORED]
"""For each shape, the one that does the same on the other side of the face."""


@dataclass(frozen=True, kw_only=True)
class Motion:
    """What moves in one recording, without any geometry of the face; NaN where no face was read."""

    blendshapes: Array  # (F, 52) in [0, 1]
    turn: Array  # (F, 3) yaw, pitch, roll of the head in radians
    place: Array  # (F, 3) centre x, y and height of the face, as shares of the picture's height
    rate_hz: float  # frames a second
    shape: tuple[int, int]  # height and width of the picture in pixels

    @property
    def seen(self) -> Array:
        """(F,) whether a face is there."""
        return ~np.isnan(self.blendshapes[:, 0])


def read_motions(frames: Iterable[LocatedFrame]) -> list[Motion]:
    """Go through a video and keep only the motion of each person in it, the largest face first.

    Faces that are never there together may be one person, lost and found again: they share a seat. Who is there for
    less than a second and less than a tenth of the video is left out, if anybody else is there.
    """
    largest: dict[int, Array] = {}
    tracks: dict[int, dict[int, Array]] = {}
    times: list[float] = []
    shape = (0, 0)
    for number, frame in enumerate(frames):
        shape = frame.image.shape[0], frame.image.shape[1]
        times.append(frame.time_s)
        for face in frame.faces:
            if face.blendshapes is not None:
                left, top, right, bottom = np.asarray(face.box, dtype=float)
                place = np.array([(left + right) / 2, (top + bottom) / 2, bottom - top]) / shape[0]
                row = np.concatenate([face.blendshapes, head_turn(np.asarray(face.pose)), place])  # (58,)
                largest.setdefault(number, row)
                tracks.setdefault(face.track, {})[number] = row
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    rate_hz = 1 / step if step > 0 else 25.0
    least = min(rate_hz, 0.1 * len(times))
    seats = [seat for seat in _seats(tracks) if len(seat) >= least]
    seats.sort(key=lambda seat: -float(np.median([row[57] for row in seat.values()])))
    if len(seats) < 2:
        seats = [largest]
    tables = [np.full((len(times), 58), np.nan, np.float32) for _ in seats]
    for table, seat in zip(tables, seats, strict=True):
        for number, row in seat.items():
            table[number] = row
    return [
        Motion(blendshapes=t[:, :52], turn=t[:, 52:55], place=t[:, 55:], rate_hz=rate_hz, shape=shape) for t in tables
    ]


def _seats(tracks: Mapping[int, Mapping[int, Array]]) -> list[dict[int, Array]]:
    """Give each track a seat that is free in all its frames: the one last left nearest to where it begins."""
    seats: list[dict[int, Array]] = []
    for rows in sorted(tracks.values(), key=min):
        begin = rows[min(rows)][55:57]
        free = [seat for seat in seats if not seat.keys() & rows.keys()]
        if free:
            min(free, key=lambda seat: float(np.hypot(*(seat[max(seat)][55:57] - begin)))).update(rows)
        else:
            seats.append(dict(rows))
    return seats


def head_turn(pose: Array) -> Array:
    """Return yaw, pitch and roll in radians (to the picture's right, down, clockwise) of a (4, 4) pose, y upwards."""
    flip = np.array([1.0, -1.0, 1.0])
    m = np.asarray(pose, dtype=float)[:3, :3] * flip * flip[:, None]
    angles = [-np.arctan2(m[2, 0], m[2, 2]), np.arcsin(np.clip(-m[2, 1], -1, 1)), -np.arctan2(m[0, 1], m[1, 1])]
    return np.array(angles) + 0.0


def fill_gaps(motion: Motion, *, gap_s: float) -> Motion:
    """Bridge gaps of at most ``gap_s`` seconds by a straight line, or by holding at the ends; longer ones stay NaN."""
    seen = motion.seen
    if not seen.any():
        return motion
    at = np.arange(len(seen))
    bridged = seen.copy()
    for first, last in runs(~seen):
        bridged[first:last] = (last - first) / motion.rate_hz <= gap_s

    def bridge(values: Array) -> Array:
        columns = [np.interp(at, at[seen], column[seen]) for column in values.T]
        return np.asarray(np.where(bridged[:, None], np.stack(columns, axis=1), np.nan))

    return replace(motion, blendshapes=bridge(motion.blendshapes), turn=bridge(motion.turn), place=bridge(motion.place))


def smooth(values: Array, *, rate_hz: float, seconds: float) -> Array:
    """Take out of (F, D) what is faster than ``seconds`` (deviation of a Gaussian), each stretch without NaN alone."""
    out = np.array(values, dtype=float)
    for first, last in runs(~np.isnan(out[:, 0])) if seconds > 0 else ():
        out[first:last] = gaussian_filter1d(out[first:last], seconds * rate_hz, axis=0, mode="nearest")
    return out


def symmetrize(blendshapes: Array) -> Array:
    """Give both halves of the face their mean motion, and drop what only shifts to one side: asymmetry is personal."""
    out = (blendshapes + blendshapes[:, MIRROR]) / 2
    out[:, _SIDEWAYS] = 0 * out[:, _SIDEWAYS]
    return np.asarray(out)


def habits(blendshapes: Array) -> Array:
    """Return how a person's expression is spread: (21, 52) quantiles of each shape, over rows that are not NaN."""
    return np.asarray(np.quantile(blendshapes[~np.isnan(blendshapes[:, 0])], _STEPS, axis=0))


def group_habits(people: Iterable[Array]) -> Array:
    """Return the habits that all are given, (21, 52) from rest: lively ones, for faint drawings can hardly be read."""
    return np.asarray(np.quantile([shapes - shapes[REST] for shapes in people], _VIVID, axis=0))


def adopt(blendshapes: Array, own: Array, common: Array) -> Array:
    """Give a person's expression (F, 52) the group's habits: what is rare, usual or at rest for one becomes so for all.

    ``own`` and ``common`` are (21, 52), what is returned are deviations from rest, (F, 52). Order is kept, so more
    smile stays more smile; a shape that the person hardly moves is only moved to its rest.
    """
    out = blendshapes - own[REST]
    for shape in np.flatnonzero(own[-1] - own[0] >= _STILL):
        rising = np.maximum.accumulate(own[:, shape]) + 1e-6 * _STEPS
        out[:, shape] = np.interp(blendshapes[:, shape], rising, common[:, shape])
    return np.asarray(out)


def wander(count: int, columns: int, *, rate_hz: float, seconds: float, rng: np.random.Generator) -> Array:
    """Return (count, columns) noise of deviation 1, slow as motion smoothed over ``seconds``: no filter undoes it."""
    slow = gaussian_filter1d(rng.standard_normal((count, columns)), max(seconds, 0.04) * rate_hz, axis=0, mode="wrap")
    return np.asarray(slow / np.maximum(slow.std(axis=0), 1e-9))


@dataclass(frozen=True, kw_only=True)
class Space:
    """The few directions in which a group of people move their faces; what lies outside of them is one's own."""

    centre: Array  # (52,) mean expression
    scale: Array  # (52,) units of each shape
    axes: Array  # (q, 52) directions of unit length in those units, the most used first
    spread: Array  # (q,) standard deviation along each

    def inside(self, blendshapes: Array, noise: Array) -> Array:
        """Return (F, 52): what of the expression lies in the space, noise (F, q) in units of the spread added."""
        along = (blendshapes - self.centre) / self.scale @ self.axes.T + noise * self.spread  # (F, q)
        return np.asarray(self.centre + along @ self.axes * self.scale)


def learn_space(blendshapes: Array, directions: int) -> Space:
    """Find the directions in which (N, 52) rows of many people move most, each shape in units of its own spread."""
    centre, scale = blendshapes.mean(axis=0), blendshapes.std(axis=0) + _FLOOR
    variances, axes = np.linalg.eigh(np.cov((blendshapes - centre) / scale, rowvar=False))
    largest = np.argsort(variances)[::-1][:directions]
    spread = np.sqrt(np.maximum(variances[largest], 0))
    return Space(centre=centre, scale=scale, axes=axes[:, largest].T, spread=spread)
