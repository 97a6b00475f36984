"""The classifier that chooses its own settings."""

import warnings

import numpy as np
import pytest

from personare.evaluate.classifiers import learn_classes


def test_it_learns_a_straight_border():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((300, 5))
    labels = ["b" if r[0] > 0 else "a" for r in rows]
    read = learn_classes(rows[:200], labels[:200])
    found = read.classes[read(rows[200:]).argmax(axis=1)]
    assert np.mean(found == np.array(labels[200:])) > 0.85


def test_it_learns_a_ring_by_the_radial_kernel():
    rng = np.random.default_rng(0)
    rows = rng.uniform(-1, 1, (300, 2))
    labels = ["in" if np.hypot(*r) < 0.75 else "out" for r in rows]
    read = learn_classes(rows[:200], labels[:200])
    assert np.mean(read.classes[read(rows[200:]).argmax(axis=1)] == np.array(labels[200:])) > 0.9


@pytest.mark.parametrize(("each", "columns"), [(25, 40), (3, 600), (3, 5), (8, 2000)])
def test_leaving_one_out_is_honest_where_there_is_nothing_to_learn(each, columns):
    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b", "c", "d"], each)
    read = learn_classes(rng.standard_normal((4 * each, columns)), labels.tolist())
    assert read.loo_accuracy < 0.55, "it must not know the class of what was left out"


def test_leaving_one_out_agrees_with_learning_again_without_it():
    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b", "c"], 12)
    rows = rng.standard_normal((36, 6)) + 1.2 * np.repeat(np.eye(6)[:3], 12, axis=0)
    said = learn_classes(rows, labels.tolist(), radial=False, standardize=False).loo_accuracy
    named = 0
    for out in range(36):
        kept = np.arange(36) != out
        again = learn_classes(rows[kept], labels[kept].tolist(), radial=False, standardize=False)
        named += again.classes[again(rows[[out]]).argmax()] == labels[out]
    assert said == pytest.approx(named / 36, abs=0.09)


def test_missing_and_constant_columns_say_nothing():
    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b"], 15)
    rows = np.column_stack(
        [np.repeat([0.0, 1.0], 15) + 0.1 * rng.standard_normal(30), np.full(30, np.nan), np.ones(30)]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = learn_classes(rows, labels.tolist())
        scores = read(np.array([[0.0, 5.0, 99.0], [1.0, np.nan, -99.0]]))
    assert scores.argmax(axis=1).tolist() == [0, 1]
