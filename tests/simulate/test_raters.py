"""Raters who do not exist answer by a known taste, with a known share of errors, and lean to a side."""

from dataclasses import replace

import numpy as np
import pytest

from personare.core.errors import DataError, OptionError
from personare.core.randomness import generator
from personare.core.types import Batch
from personare.simulate.raters import DISLIKED, Raters, random_pairs, simulated_votes, taste_of

COLUMNS = ["id", "time", "rater", "task", "a", "b", "x", "answer", "failures", "note", "repeat"]


def items_of(count=80, names=("voice",)):
    rng = generator(0, "items")
    return Batch(
        ids=tuple(f"made/{i}" for i in range(count)),
        arrays={name: rng.standard_normal((count, 12)).astype(np.float32) for name in names},
        present={name: np.ones(count, dtype=bool) for name in names},
        labels=np.arange(count) % 2,
        classes=("calm", "angry"),
        subjects=np.array([f"p{i // 4}" for i in range(count)]),
    )


def group(**options):
    return Raters(taste=lambda batch: batch.arrays["voice"][:, 0].astype(float), names=["r0", "r1"], **options)


def test_errors_ties_and_sides_are_as_many_as_were_asked_for():
    items, rng = items_of(), generator(0, "raters")
    pairs = random_pairs(items.labels, 4000, rng=rng)
    gap = np.diff(items.arrays["voice"][:, 0][pairs], axis=1)[:, 0]
    exact = group(error=0.0, side_bias=0.0, tie=0.1).compare(items, pairs, rng=rng)
    assert (exact["answer"] == np.where(np.abs(gap) < 0.1, "tie", np.where(gap < 0, "a", "b"))).all()
    wrong = group(error=0.15, side_bias=0.0, tie=0.1).compare(items, pairs, rng=rng)
    decided = exact["answer"] != "tie"
    assert (exact["answer"] != wrong["answer"])[decided].mean() == pytest.approx(0.15, abs=0.02)
    leaning = group(error=0.0, side_bias=0.5, tie=0.0).compare(items, pairs, rng=rng)
    left = (leaning["answer"] == "a").groupby(leaning["rater"]).mean()
    assert left["r0"] > 0.55 > 0.45 > left["r1"]


def test_the_least_liked_quarter_fails_checks():
    items, rng = items_of(), generator(1, "raters")
    checks = group(error=0.0).check(items, np.arange(80), rng=rng)
    fails = items.arrays["voice"][:, 0] < -0.67
    assert ((checks["answer"] == "implausible") == fails).all()
    assert ((checks["failures"] == DISLIKED) == fails).all()


def test_people_are_told_by_likeness():
    items, rng = items_of(), generator(2, "raters")
    people = np.repeat(5 * np.eye(12)[np.arange(20) % 12], 4, axis=0) + 3 * np.repeat(np.arange(20) > 11, 4)[:, None]
    items = replace(items, arrays={"voice": (items.arrays["voice"] / 5 + people).astype(np.float32)})
    trials = np.array([[4 * p + 1, (4 * p + 6) % 80, 4 * p] for p in range(20)])
    told = group(error=0.0).same(items, trials, rng=rng)
    assert (told["answer"] == "a").all()
    assert list(told["x"]) == [f"made/{4 * p}" for p in range(20)]


def test_votes_are_a_table_of_pairs_of_one_class_and_follow_from_the_randomness():
    items = items_of()
    votes = simulated_votes(items, raters=3, comparisons=90, checks=30, rng=generator(3, "votes"))
    assert list(votes.columns) == COLUMNS
    assert votes["task"].value_counts().to_dict() == {"compare": 90, "check": 30}
    assert set(votes["rater"]) == {"simulated-1", "simulated-2", "simulated-3"}
    compared = votes[votes["task"] == "compare"]
    number = {name: i for i, name in enumerate(items.ids)}
    left, right = (compared[side].map(number).to_numpy() for side in "ab")
    assert (left != right).all()
    assert (items.labels[left] == items.labels[right]).all()
    again = simulated_votes(items, raters=3, comparisons=90, checks=30, rng=generator(3, "votes"))
    assert votes.equals(again)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(DataError, match="Two recordings of one class"):
        random_pairs(np.arange(5), 3, rng=generator(0, "pairs"))
    with pytest.raises(OptionError, match="no taste 'sweet'"):
        taste_of("sweet", items_of())
    with pytest.raises(OptionError, match="for histories"):
        taste_of("order", items_of())
    with pytest.raises(OptionError, match="for two tracks"):
        taste_of("agreement", items_of())
    with pytest.raises(OptionError, match="error must be"):
        group(error=1.0)


def test_a_taste_is_the_same_for_the_same_items_and_has_deviations_for_a_unit():
    items = items_of()
    liked = taste_of("direction", items)(items)
    for label in (0, 1):
        assert liked[items.labels == label].mean() == pytest.approx(0, abs=1e-6)
    assert liked.std() == pytest.approx(1)
    assert taste_of("direction", items)(items.take(np.arange(5))) == pytest.approx(liked[:5])


def test_recordings_whose_tracks_agree_are_liked():
    items = items_of(names=("face", "voice"))
    shared = generator(4, "shared").standard_normal(80)
    for name in items.arrays:
        items.arrays[name][:, 0] += 5 * shared
    liked = taste_of("agreement", items)(items)
    exchanged = replace(items, arrays={**items.arrays, "face": items.arrays["face"][::-1]})
    assert liked.mean() > taste_of("agreement", items)(exchanged).mean() + 1


def test_histories_in_an_unusual_order_are_disliked():
    names = ("visit", "type=home", "type=ward", "code=x", "length=day", "gap=first", "gap=week")
    rows = np.zeros((60, 9, len(names)), dtype=np.float32)
    rows[..., [0, 2, 4]] = 1
    rows[:, 0, 5] = rows[:, 1:, 6] = 1
    rows[:, ::2, 1:3] = [1, 0]  # home and ward take turns
    rows[7, :2, 1:3] = [0, 1]  # but here ward follows ward once
    shape = {"visits": np.ones(60, bool)}
    items = replace(items_of(60), arrays={"visits": rows}, present=shape, columns={"visits": names})
    assert taste_of("order", items)(items).argmin() == 7
