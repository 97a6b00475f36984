"""Noise for whole numbers: under a mask sums are integers, to which a real number would be rounded."""

import math

import numpy as np

from personare.core.types import Array


def discrete_gaussian(deviation: float, count: int, rng: np.random.Generator) -> Array:
    """Return ``count`` int64, each n as likely as exp(-n^2 / (2 deviation^2)).

    **Source**: C. Canonne, G. Kamath, T. Steinke, "The Discrete Gaussian for Differential Privacy", NeurIPS 2020,
    arXiv:2004.00010, Algorithms 2 and 3: of geometric numbers with a random sign some are taken. Ours: chances are in
    double precision and not exact fractions, many at a time.
    """
    scale = math.floor(deviation) + 1
    drawn = np.empty(0, dtype=np.int64)
    while len(drawn) < count:
        tries = 3 * (count - len(drawn)) + 16  # about half are taken
        rest = rng.integers(scale, size=tries)
        taken = rng.random(tries) < np.exp(-rest / scale)
        size = rest + scale * (rng.geometric(1 - math.exp(-1), size=tries) - 1)
        below = rng.random(tries) < 0.5
        taken &= ~(below & (size == 0))  # or 0 were twice as likely
        taken &= rng.random(tries) < np.exp(-((size - deviation**2 / scale) ** 2) / (2 * deviation**2))
        drawn = np.append(drawn, np.where(below, -size, size)[taken])
    return drawn[:count]
