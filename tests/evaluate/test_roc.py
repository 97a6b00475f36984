"""Curves, intervals and bounds against answers worked by hand."""

import numpy as np
import pytest
from scipy.stats import norm

from personare.core.errors import DataError
from personare.evaluate.roc import bound_auc, bound_tpr, roc


def test_equal_scores_pass_together():
    # one threshold only: nobody or everybody; a curve through tied points one by one would claim 473 hits before 519
    curve = roc(np.ones(992), np.arange(992) < 473)
    assert curve.hits.tolist() == [0, 473]
    assert curve.false_alarms.tolist() == [0, 519]
    assert curve.auc == 0.5
    assert roc(np.array([2.0, 1.0, 1.0, 0.0]), np.array([True, True, False, False])).auc == 0.875


def test_tpr_at_a_rate_by_hand():
    # 100 others, two of them on top, then 3 of 4 members: one false alarm is 1 %
    others = np.append(np.zeros(98), [4.5, 5.0])
    curve = roc(np.append(others, [4.0, 5.0, 6.0, 7.0]), np.arange(104) >= 100)
    assert curve.tpr_at(0.01)[0] == 0.75  # the threshold 5 lets one of the others pass
    assert curve.tpr_at(0.001)[0] == 0.5


def test_too_few_others_cannot_resolve_a_rate():
    curve = roc(np.arange(1998.0), np.arange(1998) % 2 == 0)
    assert not curve.resolves(0.01)  # 999 others: 9.99 expected
    assert roc(np.arange(2000.0), np.arange(2000) % 2 == 0).resolves(0.01)


def test_auc_of_gaussian_scores():
    rng = np.random.default_rng(0)
    inside = np.arange(40_000) % 2 == 0
    curve = roc(rng.standard_normal(40_000) + inside, inside)
    assert curve.auc == pytest.approx(norm.cdf(1 / np.sqrt(2)), abs=0.006)
    assert curve.tpr_at(0.01)[0] == pytest.approx(norm.sf(norm.isf(0.01) - 1), abs=0.015)


def test_points_keep_both_ends_and_are_few():
    rng = np.random.default_rng(0)
    points = roc(rng.standard_normal(5000), rng.random(5000) < 0.5).points()
    assert len(points["fpr"]) <= 201
    assert points["fpr"][0] == points["tpr"][0] == 0
    assert points["fpr"][-1] == points["tpr"][-1] == 1


@pytest.mark.parametrize(
    ("hits", "members", "ends"),
    [(1, 1000, (0.00003, 0.0056)), (10, 10, (0.6915, 1)), (0, 10, (0, 0.3085)), (50, 50_000, (0.0007, 0.0013))],
)
def test_the_interval_of_a_rate_is_the_exact_one(hits, members, ends):
    inside = np.arange(members + 1) < members
    curve = roc(np.where(np.arange(members + 1) < hits, 2.0, np.where(inside, 0.0, 1.0)), inside)
    assert curve.tpr_at(0.1) == pytest.approx((hits / members, *ends), abs=1e-4)


def test_bound_by_hand_and_against_the_reference_table():
    assert bound_auc(0, 0) == 0.5
    # e^ln3 = 3: lines 3 f and 1 - (1 - f) / 3 meet at (1/4, 3/4), so the area is 3/32 + 21/32
    assert bound_auc(np.log(3), 0) == pytest.approx(0.75)
    rate = np.array([0.001])
    found = [float(bound_tpr(rate, e, 1e-5)[0]) for e in (1, 2, 4, 1000)]
    assert found == pytest.approx([0.0027, 0.0074, 0.055, 1], abs=5e-4)


def test_the_area_is_that_of_the_line():
    fpr = np.linspace(0, 1, 100_001)
    assert np.trapezoid(bound_tpr(fpr, 1.3, 0.01), fpr) == pytest.approx(bound_auc(1.3, 0.01), abs=1e-6)


def test_bad_input_is_told():
    with pytest.raises(DataError, match="members of 2"):
        roc(np.zeros(2), np.ones(2, dtype=bool))
    with pytest.raises(DataError, match="1 missing"):
        roc(np.array([0, np.nan]), np.array([True, False]))
