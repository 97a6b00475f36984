"""How far to go: as far as the judge agrees, no further than it needs to, and not at all where it disagrees."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from personare.core.errors import DataError
from personare.core.types import Array, Batch, Feedback, Spend
from personare.learn.preferring import Strength, WinRate, beyond_class, strongest_agreed


@dataclass(frozen=True)
class Normal:
    """A generator of one number, around a mean."""

    mean: float = 0.0
    spends: tuple[Spend, ...] = ()

    def __call__(self, people: int, recordings: int, *, rng: np.random.Generator, labels: Array | None = None) -> Batch:
        n = people * recordings
        return Batch(
            ids=tuple(map(str, range(n))),
            arrays={"x": self.mean + rng.standard_normal((n, 1))},
            present={"x": np.ones(n, dtype=bool)},
            labels=np.zeros(n, np.int64) if labels is None else labels,
            classes=("all",),
            subjects=np.repeat(np.arange(people), recordings).astype(str),
        )


def number(batch: Batch) -> Array:
    return batch.arrays["x"][:, 0]


def adapted(judge: Callable[[Batch], Array], *means: float, asked: list[float] | None = None):
    def strengths() -> Iterator[Strength]:
        for mean in means:
            if asked is not None:
                asked.append(mean)
            yield Strength(Normal(mean), mean**2 / 2)

    items = Normal()(4, 1, rng=np.random.default_rng(0))
    feedback = Feedback(items=items, pairs=np.array([[0, 1]]), reward=number, judge=judge)
    return strongest_agreed(Normal(), strengths(), feedback, draws=2000, rng=np.random.default_rng(1))


def test_the_strongest_is_kept_where_the_judge_always_agrees() -> None:
    result = adapted(number, 0.3, 0.8, 2.0)
    assert [row["kept"] for row in result.course] == [0, 0, 1]
    assert (result.sampler.mean, result.drift) == (2.0, 2.0)
    # two normal numbers a mean of 0.8 apart: the second is larger with probability Phi(0.8 / sqrt 2) = 0.714
    assert result.course[1]["judge"] == pytest.approx(0.714, abs=0.03)


def test_it_stops_before_it_is_over_optimized() -> None:
    """The judge likes what is near 1: the reward goes on to rise, and no more is tried once the judge turns away."""
    asked: list[float] = []
    result = adapted(lambda batch: -np.abs(number(batch) - 1), 0.4, 1.0, 2.0, 4.0, asked=asked)
    assert result.sampler.mean == 1.0
    assert asked == [0.4, 1.0, 2.0]
    assert result.course[2]["reward"] > result.course[1]["reward"]
    assert result.course[2]["judge"] < result.course[1]["judge"]


def test_of_strengths_that_the_judge_likes_alike_the_weakest_is_kept() -> None:
    result = adapted(lambda batch: (number(batch) > -1).astype(float), 3.0, 4.0, 5.0)
    assert result.sampler.mean == 3.0


@pytest.mark.parametrize("judge", [lambda batch: -number(batch), lambda batch: np.zeros(len(batch))])
def test_nothing_is_adapted_where_the_judge_disagrees_or_does_not_care(judge: Callable[[Batch], Array]) -> None:
    with pytest.raises(DataError, match=r"raters who were kept out must prefer .* \(win rate 0\.\d\d at 0\.045 nats"):
        adapted(judge, 0.3)


def test_a_method_that_moves_nothing_of_what_is_liked_says_so() -> None:
    with pytest.raises(DataError, match=r"raters who were heard must prefer .* try another"):
        adapted(number, 0.0)


def test_a_tie_is_half_a_win_and_an_interval_never_is_nothing() -> None:
    rate = WinRate.of(np.array([2.0, 1.0, 0.0, 1.0]), np.ones(4))
    assert rate.value == 0.5
    assert WinRate.of(np.ones(4), np.zeros(4)).error > 0


def test_rewards_are_compared_within_their_class() -> None:
    assert beyond_class(np.array([1.0, 3.0, 10.0]), np.array([0, 0, 2])).tolist() == [-1.0, 1.0, 0.0]
