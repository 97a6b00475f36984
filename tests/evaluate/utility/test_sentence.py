"""Time may be stretched, content may not."""

import numpy as np

from personare.evaluate.utility.sentence import warped_distances


def _slow(a, b):
    """The same distance, cell by cell."""
    cost = np.full((len(a) + 1, len(b) + 1), np.inf)
    cost[0, 0] = 0
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            d = np.linalg.norm(a[i - 1] - b[j - 1])
            ways = (cost[i - 1, j] + d, cost[i, j - 1] + d, cost[i - 1, j - 1] + (2 * d if i + j > 2 else d))
            cost[i, j] = min(ways)
    return cost[-1, -1] / (len(a) + len(b))


def test_it_agrees_with_the_definition():
    rng = np.random.default_rng(0)
    clip = rng.standard_normal((9, 3))
    templates = [rng.standard_normal((n, 3)) for n in (1, 5, 9, 14)]
    assert np.allclose(warped_distances(clip, templates), [_slow(clip, t) for t in templates])


def test_a_stretched_copy_is_no_distance_away():
    clip = np.random.default_rng(0).standard_normal((12, 4))
    assert np.allclose(warped_distances(clip, [np.repeat(clip, 2, axis=0)]), 0, atol=1e-6)
