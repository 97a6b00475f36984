"""A series as a few numbers and noise of the right color: length, level and spread by channel, its large shape."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft, rfft
from sklearn.utils.extmath import randomized_svd

from personare.core.types import Array
from personare.learn.marginals import Marginals

_STATISTICS = 64
_SHAPES = 24
_COLORS = 24
_FEWEST_ROWS = 5  # rows for each direction kept, so that no direction is one recording
_MODELLED = 400  # series that shapes and texture are learned from, evenly over all: memory does not grow with more
_QUANTILE_FRAMES = 20_000  # frames that give the quantiles of a channel
_CHUNK = 32  # series worked on at a time: more do not fit the caches of processors
_TINY = 1e-3  # of a channel's own deviation: added before logarithms, so that silence is a number


@dataclass(frozen=True, kw_only=True)
class Basis:
    """The principal directions of rows: ``mean`` (D,), and ``rows`` (K, D) that span them."""

    mean: Array
    rows: Array

    @classmethod
    def of(cls, rows: Array, *, most: int) -> "Basis":
        """Find at most ``most`` directions, and no more than there are rows to learn them from."""
        mean = rows.mean(axis=0)
        size = max(1, min(most, rows.shape[1], len(rows) // _FEWEST_ROWS))
        _, strength, directions = randomized_svd(rows - mean, size, random_state=0)
        kept = strength > 1e-6 * max(float(strength[0]), 1e-12)
        kept[0] = True
        return cls(mean=mean.astype(np.float32), rows=directions[kept].astype(np.float32))

    def encode(self, rows: Array) -> Array:
        """Return coordinates, (N, K)."""
        return np.asarray((rows - self.mean) @ self.rows.T)

    def decode(self, coordinates: Array) -> Array:
        """Return rows, (N, D)."""
        return np.asarray(coordinates @ self.rows + self.mean)


@dataclass(frozen=True, kw_only=True)
class Texture:
    """Describes (N, T, D) series by numbers that can be modelled, and makes series with such numbers.

    A series is its length (what follows is filled with one value), its channels' levels, log spreads and log steps, and
    a pattern. The pattern's values are made normal channel by channel; its main shapes over time and channels are
    numbers, and the rest is redrawn as noise with the same power over frequencies and the same ties between channels.
    So no stretch of anybody's series is kept.

    **Source**: statistics and colored noise follow in spirit J. McDermott, E. Simoncelli, "Sound texture perception via
    statistics of the auditory periphery", Neuron 71 (2011), doi:10.1016/j.neuron.2011.06.032; shapes are ours.
    """

    values: Marginals  # quantiles of each channel's pattern
    statistics: Basis  # directions of levels, log spreads and log steps
    shapes: Basis  # directions of patterns, of T * D numbers
    colors: Basis  # directions of what the shapes leave, of D numbers
    power: Array  # (F, R) power of each color over frequencies
    rest: Array  # (D,) deviation of what the colors leave
    bounds: Array  # (2, D) lowest and highest value of each channel, to which what is made is cut
    scale: Array  # (D,) each channel's own deviation
    fill: Array  # (D,) what follows the end

    @classmethod
    def of(cls, series: Array) -> "Texture":
        """Learn from (N, T, D) series."""
        # each channel's deviation over all series, without a copy of them
        count = series.shape[0] * series.shape[1]
        mean = sum(part.sum(axis=(0, 1), dtype=float) for part in _chunks(series)) / count
        deviation = np.sqrt(sum(((part - mean) ** 2).sum(axis=(0, 1)) for part in _chunks(series)) / count)
        # zeros where any series is shorter than its row; else what most end with
        fill = np.median(series[:, -1], axis=0) * series[:, -1].any(axis=1).all()
        scale = np.maximum(deviation, 1e-6)
        statistics = [_split(part, scale, fill)[2] for part in _chunks(series)]
        some = series[:: -(-len(series) // _MODELLED)]
        pattern, mask, _ = _split(some, scale, fill)
        values = Marginals.of(_thinned(pattern[mask]))
        normal = _normal(values, pattern, mask).reshape(len(some), -1)
        shapes = Basis.of(normal, most=_SHAPES)
        rest = np.where(mask[:, :, None], (normal - shapes.decode(shapes.encode(normal))).reshape(pattern.shape), 0)
        colors = Basis.of(rest[mask], most=_COLORS)
        colored = np.where(mask[:, :, None], colors.encode(rest), 0)  # (N, T, R)
        return cls(
            values=values,
            statistics=Basis.of(np.concatenate(statistics), most=_STATISTICS),
            shapes=shapes,
            colors=colors,
            power=(np.abs(rfft(colored, axis=1)) ** 2).mean(axis=0) / mask.sum(axis=1).mean(),
            rest=(rest[mask] - colors.decode(colors.encode(rest[mask]))).std(axis=0),
            bounds=np.quantile(_thinned(some.reshape(-1, len(fill))), (0.001, 0.999), axis=0),
            scale=scale,
            fill=fill,
        )

    def encode(self, series: Array) -> Array:
        """Return (N, K): the length as a share, coordinates of statistics, then of shapes."""
        rows = []
        for part in _chunks(series):
            pattern, mask, statistics = _split(part, self.scale, self.fill)
            normal = _normal(self.values, pattern, mask).reshape(len(pattern), -1)
            parts = [mask.mean(axis=1)[:, None], self.statistics.encode(statistics), self.shapes.encode(normal)]
            rows.append(np.concatenate(parts, axis=1))
        return np.concatenate(rows)

    def decode(self, numbers: Array, *, rng: np.random.Generator) -> Array:
        """Return (N, T, D) float32 series with these numbers; their texture is drawn."""
        d, cut = len(self.scale), 1 + len(self.statistics.rows)
        t = self.shapes.rows.shape[1] // d
        made = np.empty((len(numbers), t, d), dtype=np.float32)
        lowest, highest, fill = (x.astype(np.float32) for x in (*self.bounds, self.fill))
        for into, part in zip(_chunks(made), _chunks(numbers.astype(np.float32)), strict=True):
            level, spread, step = np.split(self.statistics.decode(part[:, 1:cut]), 3, axis=1)  # (B, D) each
            mask = np.arange(t) < np.rint(part[:, :1] * t).clip(2)  # (B, T)
            shape = self.shapes.decode(part[:, cut:]).reshape(-1, t, d).astype(np.float32)
            # noise with the power of each color over frequencies, and white noise beside it
            waves = rng.standard_normal((2, len(part), *self.power.shape), dtype=np.float32)
            spectrum = (waves[0] + 1j * waves[1]) * np.sqrt(self.power * t / 2).astype(np.float32)
            noise = rng.standard_normal(shape.shape, dtype=np.float32) * self.rest.astype(np.float32)
            colored = irfft(spectrum, t, axis=1).reshape(len(part) * t, -1) @ self.colors.rows  # one product for all
            noise += colored.reshape(noise.shape)
            pattern = self.values.decode_many((shape + noise).reshape(-1, d)).reshape(shape.shape)
            # what is drawn gets the steps, the mean and the deviation that its numbers say
            pattern = _smooth(pattern, mask, np.exp(step - spread))
            pattern = (pattern - _mean(pattern, mask)[:, None]) * mask[:, :, None]
            pattern /= np.maximum(np.sqrt(_mean(pattern**2, mask)), 1e-6)[:, None]
            size = np.maximum(np.exp(spread) - _TINY, 0) * self.scale
            series = (level * self.scale)[:, None].astype(np.float32) + size[:, None].astype(np.float32) * pattern
            into[:] = np.where(mask[:, :, None], np.clip(series, lowest, highest), fill)
        return made


def _chunks(rows: Array) -> Iterator[Array]:
    return (rows[first : first + _CHUNK] for first in range(0, len(rows), _CHUNK))


def _thinned(rows: Array) -> Array:
    """Return as many rows as give quantiles, evenly over all."""
    return rows[:: -(-len(rows) // _QUANTILE_FRAMES) or 1]


def _split(series: Array, scale: Array, fill: Array) -> tuple[Array, Array, Array]:
    """Return patterns (N, T, D) of mean 0 and deviation 1, where they are (N, T), and statistics (N, 3 D)."""
    differs = (series != fill.astype(series.dtype)).any(axis=2)  # (N, T)
    length = series.shape[1] - differs[:, ::-1].argmax(axis=1) * differs.any(axis=1)
    mask = np.arange(series.shape[1]) < np.maximum(length, 2)[:, None]
    scaled = series / scale.astype(series.dtype)
    level = _mean(scaled, mask)
    pattern = (scaled - level[:, None]) * mask[:, :, None]
    spread = np.sqrt(_mean(pattern**2, mask))
    step = np.sqrt(_squared_steps(pattern, mask))
    pattern /= np.maximum(spread, 1e-6)[:, None]
    return pattern, mask, np.concatenate([level, np.log(spread + _TINY), np.log(step + _TINY)], axis=1)


def _mean(values: Array, mask: Array) -> Array:
    """Return the mean over the time that has signal, (N, D)."""
    weight = (mask / mask.sum(axis=1, keepdims=True)).astype(values.dtype)
    return np.asarray(np.einsum("ntd,nt->nd", values, weight))


def _squared_steps(values: Array, mask: Array) -> Array:
    """Return the mean squared step, (N, D)."""
    return _mean(np.diff(values, axis=1) ** 2, mask[:, 1:])


def _normal(values: Marginals, pattern: Array, mask: Array) -> Array:
    normal = values.encode_many(pattern.reshape(-1, pattern.shape[2])).reshape(pattern.shape)
    return np.where(mask[:, :, None], normal, 0)


def _smooth(pattern: Array, mask: Array, target: Array) -> Array:
    """Mix a pattern with its moving average of three until its steps over its deviation are as target, (N, D)."""

    def roughness(values: Array) -> Array:
        variance = _mean(values**2, mask) - _mean(values, mask) ** 2
        return np.asarray(np.sqrt(_squared_steps(values, mask) / np.maximum(variance, 1e-12)))

    for _ in range(2):
        around = pattern.copy()
        around[:, 1:-1] = (pattern[:, :-2] + pattern[:, 1:-1] + pattern[:, 2:]) / 3
        now, then = roughness(pattern), roughness(around)
        share = np.clip((now - target) / np.maximum(now - then, 1e-6), -0.5, 1)
        pattern = pattern + share[:, None] * (around - pattern)
    return pattern
