"""Every figure against an answer worked by hand."""

import numpy as np
import pytest

from personare.evaluate.metrics import (
    mean_over_people,
    rank_credit,
    recall_and_accuracy,
    top1_credit,
    verification,
)


def rng():
    return np.random.default_rng(0)


def figure(name, mated, other):
    """Return one figure of scores of the same person and of others: trials against one enrolled person."""
    scores, truth = np.concatenate([mated, other])[:, None], np.repeat([0, -1], [len(mated), len(other)])
    return verification(scores, truth, np.zeros(len(truth)), rng=rng())[0][name].value


def equal_error_rate(mated, other):
    return figure("eer", mated, other)


def d_sys(mated, other):
    return figure("dsys", mated, other)


def test_equal_error_rate_of_separated_scores_is_zero():
    assert equal_error_rate(np.array([3.0, 4.0]), np.array([1.0, 2.0])) == 0


def test_equal_error_rate_of_reversed_scores_is_one():
    assert equal_error_rate(np.array([1.0, 2.0]), np.array([3.0, 4.0])) == 1


def test_equal_error_rate_by_hand():
    # threshold 4: of five mated (2 4 5 6 7) one is rejected; of five others (0 1 2 3 5) one is accepted
    assert equal_error_rate(np.array([2.0, 4, 5, 6, 7]), np.array([0.0, 1, 2, 3, 5])) == pytest.approx(0.2)


def test_equal_error_rate_of_constant_scores_is_one_half():
    assert equal_error_rate(np.ones(5), np.ones(9)) == pytest.approx(0.5)


def test_true_accepts_by_hand():
    # of 100 others one scores 5 and one 4.5: at 1 % only the first may pass, so the threshold is 5 and 5, 6, 7 pass
    other = np.append(np.zeros(98), [4.5, 5.0])
    assert figure("tar_far1", np.array([4.0, 5.0, 6.0, 7.0]), other) == 0.75


def test_d_sys_by_hand():
    # 20 mated: 2 bins; half of the mated and none of the others lie in the upper one.
    # lower bin: LR = 0.5 / 1, D = 0; upper bin: D = 1; so D_sys = 0.5
    mated = np.concatenate([np.zeros(10), np.ones(10)])
    assert d_sys(mated, np.zeros(50)) == pytest.approx(0.5)


def test_d_sys_with_a_likelihood_ratio_of_three():
    # upper bin: mated 3/4, others 1/4: LR 3, D = 2 * 3 / 4 - 1 = 0.5; weighted by 3/4
    mated = np.concatenate([np.zeros(5), np.ones(15)])
    other = np.concatenate([np.zeros(30), np.ones(10)])
    assert d_sys(mated, other) == pytest.approx(0.375)


def test_d_sys_of_the_same_scores_is_zero():
    scores = rng().random(200)
    assert d_sys(scores, scores) == 0


def test_top1_shares_the_credit_of_ties_and_gives_none_to_strangers():
    scores = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    assert top1_credit(scores, np.array([0, 1, -1])).tolist() == [1.0, pytest.approx(1 / 3), 0.0]


def test_recall_counts_each_class_alike():
    truth = np.array(["a"] * 8 + ["b"] * 2)
    predicted = np.array(["a"] * 8 + ["b", "a"])
    person = np.arange(10) % 2
    uar, accuracy, confusion = recall_and_accuracy(truth, predicted, person, np.array(["a", "b"]), rng=rng())
    assert uar.value == 0.75
    assert accuracy.value == 0.9
    assert confusion.tolist() == [[8, 0], [1, 1]]


def test_people_are_the_unit_of_resampling():
    # two people, one always right, one never: with whole people drawn the mean can be 0, 0.5 or 1
    values, person = np.array([1.0] * 50 + [0.0] * 50), np.repeat(["a", "b"], 50)
    found = mean_over_people(values, person, rng=rng())
    assert (found.value, found.low, found.high, found.n) == (0.5, 0.0, 1.0, 100)
    apart = mean_over_people(values, np.arange(100), rng=rng())
    assert apart.high - apart.low < 0.25


def test_missing_values_are_left_out_never_zero():
    assert mean_over_people(np.array([1.0, np.nan]), np.array(["a", "b"]), rng=rng()).value == 1.0


def test_one_person_has_no_interval():
    found = mean_over_people(np.ones(3), np.array(["a"] * 3), rng=rng())
    assert np.isnan(found.low)
    assert np.isnan(found.high)


def test_the_interval_covers_the_truth():
    covered = 0
    for seed in range(60):
        draw = np.random.default_rng(seed)
        values = (draw.random((30, 8)) < draw.beta(4, 6, size=(30, 1))).astype(float)
        found = mean_over_people(values.ravel(), np.repeat(np.arange(30), 8), rng=draw)
        covered += found.low <= 0.4 <= found.high
    assert covered >= 51  # 95 % of 60 is 57; fewer than 51 has a chance of less than 1 in 100


def test_verification_agrees_with_the_plain_figures():
    draw = rng()
    scores, truth = draw.standard_normal((60, 5)), np.arange(60) % 5
    scores[np.arange(60), truth] += 1.5
    found, pictures = verification(scores, truth, truth, rng=draw)
    same = truth[:, None] == np.arange(5)
    assert found["eer"].value == pytest.approx(equal_error_rate(scores[same], scores[~same]))
    assert found["dsys"].value == pytest.approx(d_sys(scores[same], scores[~same]))
    assert found["tar_far1"].value == pytest.approx(figure("tar_far1", scores[same], scores[~same]))
    assert all(e.low <= e.value <= e.high for e in found.values())
    assert sum(pictures["mated"]["counts"]) == 60
    assert sum(pictures["non_mated"]["counts"]) == 240


def test_rank_credit_counts_the_others_behind_and_half_of_those_beside():
    scores = np.array([[3.0, 2, 1], [3, 2, 1], [1, 1, 0], [0, 0, 0]])
    assert rank_credit(scores, np.array([0, 1, 0, 2])).tolist() == [1, 0.5, 0.75, 0.5]
