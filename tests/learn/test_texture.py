"""Series as numbers and back: fast without a change of what comes out, and in memory that does not grow."""

import tracemalloc

import numpy as np

from personare.core.types import Array
from personare.learn.marginals import Marginals
from personare.learn.texture import Basis, Texture


def series(count: int, steps: int = 60, channels: int = 8) -> Array:
    rng = np.random.default_rng(3)
    walks = rng.standard_normal((count, steps, channels)).cumsum(axis=1) + 5 * rng.standard_normal((count, 1, channels))
    return walks.astype(np.float32)


def columns(count: int = 20_000) -> Array:
    rng = np.random.default_rng(0)
    normal = rng.standard_normal(count)
    constant, two, cut = np.ones(count), rng.integers(0, 2, count), np.maximum(normal, 0)
    told = (normal, rng.exponential(size=count), constant, two, cut, rng.standard_t(2, count))
    return np.column_stack(told).astype(np.float32)


def test_tables_tell_what_a_search_tells() -> None:
    rows = columns()
    known = Marginals.of(rows)
    normal = np.random.default_rng(1).standard_normal(rows.shape).astype(np.float32)
    np.testing.assert_allclose(known.encode_many(rows), known.encode(rows), atol=0.03)
    np.testing.assert_allclose(known.decode_many(normal), known.decode(normal), atol=0.01)


def test_a_column_of_levels_or_one_with_a_heap_is_searched_exactly() -> None:
    rows = columns()[:, 2:5]  # constant, two levels, half of them 0
    known = Marginals.of(rows)
    assert np.array_equal(known.encode_many(rows), known.encode(rows))
    assert set(np.unique(known.decode_many(known.encode(rows))[:, 1])) == {0.0, 1.0}


def test_what_is_made_has_the_levels_that_its_numbers_say() -> None:
    known, given = Texture.of(series(120)), series(120)
    made = known.decode(known.encode(given), rng=np.random.default_rng(0))
    assert made.shape == given.shape
    assert np.corrcoef(made.mean(axis=1)[:, 0], given.mean(axis=1)[:, 0])[0, 1] > 0.9


def test_rows_on_a_line_have_one_direction_and_come_back() -> None:
    rows = np.outer(np.arange(20.0), [3.0, 4.0])
    basis = Basis.of(rows, most=8)
    assert basis.rows.shape == (1, 2)
    np.testing.assert_allclose(basis.decode(basis.encode(rows)), rows, atol=1e-3)


def test_what_is_drawn_follows_from_the_seed_and_not_from_how_many_are_drawn() -> None:
    known = Texture.of(series(120))
    numbers = known.encode(series(120))
    made, few, other = (
        known.decode(numbers[:count], rng=np.random.default_rng(seed)) for seed, count in ((5, 120), (5, 32), (6, 32))
    )
    assert np.array_equal(made[:32], few) and not np.array_equal(few, other)


def test_learning_from_four_times_as_many_series_takes_hardly_more_memory() -> None:
    peaks, sizes = [], []
    for count in (800, 3200):
        given = series(count, steps=200)
        tracemalloc.start()
        Texture.of(given)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        sizes.append(given.nbytes)
    # of each series, three numbers by channel are kept, in a few copies: 1.5 % of 200 steps each
    assert peaks[1] - peaks[0] < 0.1 * (sizes[1] - sizes[0])


def test_series_that_end_early_are_made_to_end_and_not_to_fall() -> None:
    rng = np.random.default_rng(0)
    given = 5 + series(120)
    for row, length in zip(given[:40], rng.integers(30, 60, 40), strict=True):  # most are as long as their row
        row[length:] = 0
    made = Texture.of(given).decode(Texture.of(given).encode(given), rng=rng)
    lengths = (made[:40] != 0).all(axis=2).sum(axis=1)
    assert abs(lengths - (given[:40] != 0).all(axis=2).sum(axis=1)).max() <= 1
    assert all((row[length:] == 0).all() for row, length in zip(made[:40], lengths, strict=True))
