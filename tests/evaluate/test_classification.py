"""What judges a model, against answers worked by hand and against scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import precision_recall_fscore_support, recall_score

from personare.core.errors import DataError
from personare.core.types import Batch
from personare.evaluate.classification import equal_mass, judge_model


def asked(labels, classes=3, people=None):
    n = len(labels)
    return Batch(
        ids=tuple(f"r{i}" for i in range(n)),
        arrays={},
        present={},
        labels=np.asarray(labels, dtype=np.int64),
        classes=tuple("abcdefgh"[:classes]),
        subjects=np.array([f"p{i}" for i in (people if people is not None else np.arange(n) % 5)]),
    )


def judged(likely, batch, table=None, seed=0):
    return {r.name: r for r in judge_model(np.asarray(likely), batch, table, rng=np.random.default_rng(seed))}


def random_answers(n=600, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.choice(classes, size=n, p=[0.4, 0.3, 0.2, 0.1])
    return rng.dirichlet(np.full(classes, 0.5), size=n) * 0.6 + 0.4 * np.eye(classes)[truth], truth


def test_averages_agree_with_scikit_learn():
    likely, truth = random_answers()
    rows = judged(likely, asked(truth, 4))
    for kind in ("macro", "weighted"):
        expected = precision_recall_fscore_support(truth, likely.argmax(axis=1), average=kind, zero_division=0)
        found = [rows[f"model.{rate}_{kind}"].value for rate in ("precision", "recall", "f1")]
        assert found == pytest.approx(expected[:3])
    assert rows["model.uar"].value == pytest.approx(recall_score(truth, likely.argmax(axis=1), average="macro"))


def test_weighted_recall_is_accuracy_and_says_so():
    rows = judged(*(lambda a: (a[0], asked(a[1], 4)))(random_answers(seed=3)))
    assert rows["model.recall_weighted"].value == pytest.approx(rows["model.accuracy"].value)
    assert "accuracy" in rows["model.recall_weighted"].reason


def test_calibration_brier_and_likelihood_by_hand():
    # three at .8 of which two are right (gap .8 - 2/3), one at .6 that is right (gap .4)
    likely = [[0.8, 0.2], [0.8, 0.2], [0.8, 0.2], [0.4, 0.6]]
    rows = judged(likely, asked([0, 0, 1, 1], 2))
    assert rows["model.ece"].value == pytest.approx((3 * (0.8 - 2 / 3) + 0.4) / 4)
    assert rows["model.brier"].value == pytest.approx((2 * 0.08 + 1.28 + 0.32) / 4)
    assert rows["model.nll"].value == pytest.approx(-np.mean(np.log([0.8, 0.8, 0.2, 0.6])))
    assert rows["model.ece"].detail["reliability"]["count"] == [1, 3]


def test_a_calibrated_model_has_a_small_error_and_a_boastful_one_a_large_one():
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1, size=20_000)
    truth = (rng.random(20_000) > sure).astype(int)
    rows = judged(np.stack([sure, 1 - sure], axis=1), asked(truth, 2))
    boast = judged(np.tile([0.99, 0.01], (20_000, 1)), asked(truth, 2))
    for measure in ("model.ece", "model.ece_equal_mass"):
        assert rows[measure].value < 0.02
        assert boast[measure].value == pytest.approx(0.99 - np.mean(truth == 0), abs=1e-6)


def test_equal_mass_bins_hold_the_same():
    confidence = np.random.default_rng(0).random(1500) ** 3
    counts = np.bincount(np.searchsorted(equal_mass(confidence), confidence))
    assert counts.tolist() == [100] * 15


def test_accuracy_of_unsure_answers():
    likely = [[0.5, 0.3, 0.2], [0.4, 0.3, 0.3], [0.9, 0.05, 0.05]]
    rows = judged(likely, asked([0, 1, 2]))
    assert rows["model.confacc_low"].value == 0.5  # confidence 0.5 counts as low
    assert rows["model.confacc_low"].n == 2
    sure = judged([[0.9, 0.1, 0.0]] * 2, asked([0, 1]))["model.confacc_low"]
    assert np.isnan(sure.value)
    assert "no answer" in sure.reason


def test_collapse_to_one_class_is_told():
    flat = judged(np.tile([0.4, 0.3, 0.3], (30, 1)), asked(np.arange(30) % 3))["model.largest_class"]
    assert flat.value == 1
    assert "collapsed" in flat.reason
    fair = judged(np.eye(3)[np.arange(30) % 3], asked(np.arange(30) % 3))["model.largest_class"]
    assert fair.reason == ""


def test_ties_are_broken_by_chance():
    rows = judged(np.full((3000, 3), 1 / 3), asked(np.arange(3000) % 3))
    assert rows["model.largest_class"].value < 0.4
    assert rows["model.accuracy"].value == pytest.approx(1 / 3, abs=0.03)


def test_recall_by_sex_and_age():
    table = pd.DataFrame({"sex": ["F", "F", "M", "M", None, "M"], "age": [20, 29, 30, 45, 46, None]})
    likely = np.eye(2)[[0, 1, 0, 0, 1, 0]]
    rows = judged(likely, asked([0, 1, 0, 1, 1, 1], 2, people=range(6)), table)
    assert rows["model.uar.sex_F"].value == 1
    assert rows["model.uar.sex_M"].value == 0.5
    assert rows["model.uar.age_below_30"].n == 2
    assert rows["model.uar.age_30_to_45"].n == 2
    assert rows["model.uar.age_above_45"].n == 1
    assert rows["model.uar.sex_M"].reason == "3 people"


def test_people_not_recordings_make_the_interval():
    # one person wholly right, one wholly wrong: the accuracy of the next person is anything
    likely = np.eye(2)[[0] * 200]
    row = judged(likely, asked([0] * 100 + [1] * 100, 2, people=[0] * 100 + [1] * 100))["model.accuracy"]
    assert (row.value, row.low, row.high) == (0.5, 0, 1)


@pytest.mark.parametrize("likely", [np.full((2, 3), np.nan), np.ones((2, 3)), np.ones((3, 3)) / 3, np.ones((2, 2)) / 2])
def test_what_is_no_probability_is_told(likely):
    with pytest.raises(DataError):
        judged(likely, asked([0, 1]))
