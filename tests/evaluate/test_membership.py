"""Membership attacks: answers worked by hand, and pairs on models that remember and models that never saw the data."""

from dataclasses import replace

import numpy as np
import pytest
from overfitted import remembered
from scipy.stats import norm

from personare.core.errors import DataError, OptionError
from personare.core.registry import create
from personare.core.types import Spend
from personare.evaluate.membership import (
    Signals,
    attack_scores,
    auc_over_people,
    judge_membership,
    of_people,
    split_halves,
)
from personare.evaluate.roc import roc
from personare.learn.privacy import PrivacyPlan

FOLDER = "personare.evaluate.attacks"


def rng():
    return np.random.default_rng(0)


def of_confidence(phi, inside):
    """Signals of two classes whose confidence in the first one is ``phi``."""
    return Signals.of_scores(phi, inside, np.arange(phi.shape[1]))


@pytest.fixture(scope="module")
def memory():
    return remembered()


def area(attack, signals):
    scores, inside, _ = attack_scores(attack, signals)
    return roc(scores.ravel(), inside.ravel()).auc


def test_halves_keep_people_together_and_use_everybody_equally():
    subjects = np.repeat(np.arange(30), 3)
    inside = split_halves(subjects, 8, rng=rng())
    assert (inside.sum(axis=0) == 4).all()
    assert (inside[:, ::3].sum(axis=1) == 15).all()  # and all models are trained on as many people
    assert (inside[:, ::3] == inside[:, 1::3]).all()
    assert len(np.unique(inside[:, ::3], axis=1).T) > 15  # people are drawn independently
    with pytest.raises(OptionError, match="even"):
        split_halves(subjects, 3, rng=rng())


def test_no_other_model_tells_what_a_model_knows():
    inside = split_halves(np.arange(2000), 16, rng=rng()).astype(float)
    alike = np.corrcoef(inside) - np.eye(16)
    assert np.abs(alike + 1 / 15 * (1 - np.eye(16))).max() < 0.1  # -1/15 follows from exact halves


def test_confidence_is_the_log_odds_of_the_true_class():
    s = Signals.of_probabilities(
        np.array([[[0.7, 0.2, 0.1], [1.0, 0.0, 0.0]]]), np.array([[True, False]]), np.array([0, 0]), np.array([0, 1])
    )
    assert s.confidence[0, 0] == pytest.approx(np.log(0.7 / 0.3))
    assert np.isfinite(s.confidence).all()


def test_lira_by_hand():
    # with it 1 and 3, without it -1 and 1: means 2 and 0; pooled variance 2 / 1 on either side; the target says 4
    phi = np.array([[4.0], [1], [3], [-1], [1]])
    s = of_confidence(phi, np.array([[True], [True], [True], [False], [False]]))
    online = create(FOLDER, "membership_lira")
    assert online(s, 0)[0] == pytest.approx((-(2**2) + 4**2) / (2 * 2))
    assert create(FOLDER, "membership_lira", {"online": False})(s, 0)[0] == pytest.approx(4 / np.sqrt(2))


@pytest.mark.parametrize("online", [True, False])
def test_lira_on_gaussian_confidences_has_the_area_theory_says(online):
    draw = rng()
    inside = split_halves(np.arange(1500), 40, rng=draw)
    hard = 3 * draw.standard_normal(1500)  # some recordings are easier than others: a common threshold fails
    s = of_confidence(hard + 1.5 * inside + draw.standard_normal((40, 1500)), inside)
    best = norm.cdf(1.5 / np.sqrt(2))
    assert area(create(FOLDER, "membership_lira", {"online": online}), s) == pytest.approx(best, abs=0.02)
    assert area(create(FOLDER, "membership_loss"), s) < best - 0.15


def test_lira_takes_each_recordings_own_variance_where_there_are_models_enough():
    draw = rng()
    inside = split_halves(np.arange(400), 80, rng=draw)
    spread = np.where(np.arange(400) % 2, 0.2, 3.0)
    s = of_confidence(inside + spread * draw.standard_normal((80, 400)), inside)
    own = area(create(FOLDER, "membership_lira", {"pooled_below": 8}), s)
    assert own > area(create(FOLDER, "membership_lira", {"pooled_below": 1000}), s) + 0.02


def test_rmia_by_hand():
    # p(x|target) .8 .5 .2; p(x) online = mean of in and out = .5 each; ratios 1.6 1 .4
    logit = np.log(np.array([[0.8, 0.5, 0.2], [0.6, 0.6, 0.6], [0.4, 0.4, 0.4]]))
    rest = np.log(1 - np.exp(logit))
    s = Signals(
        logits=np.stack([logit, rest], axis=2),
        inside=np.array([[True, False, False], [True, True, True], [False, False, False]]),
        labels=np.zeros(3, int),
        subjects=np.arange(3),
    )
    assert create(FOLDER, "membership_rmia", {"gamma": 1.5})(s, 0) == pytest.approx([2 / 3, 1 / 3, 0])
    # offline with a = .5: p = (1.5 * .4 + .5) / 2 = .55 for all
    assert create(FOLDER, "membership_rmia", {"online": False, "offline_a": 0.5, "gamma": 2.0})(s, 0) == pytest.approx(
        [1 / 3, 1 / 3, 0]
    )


def test_reference_attack_by_hand():
    # the target is surer than two of the three models that never met it
    s = of_confidence(np.array([[1.0], [0.0], [0.5], [2.0], [9.0]]), np.array([[0], [0], [0], [0], [1]]).astype(bool))
    score = create(FOLDER, "membership_population")(s, 0)[0]
    assert abs(score - 2 / 3) < 0.4 / 3


def test_population_attack_compares_with_the_same_class_under_the_same_model():
    # a threshold over all models fails where one model is surer of everything
    draw = rng()
    inside = split_halves(np.arange(600), 4, rng=draw)
    sure = 5 * np.arange(4)[:, None]
    s = of_confidence(-6 + inside + 0.5 * draw.standard_normal((4, 600)) + sure, inside)
    attack = create(FOLDER, "membership_population", {"compare": "population"})
    assert area(attack, s) > area(create(FOLDER, "membership_loss"), s) + 0.2


@pytest.mark.parametrize(
    ("name", "options", "least"),
    [
        ("membership_loss", {}, 0.65),
        ("membership_shadow", {}, 0.65),
        ("membership_population", {"compare": "population"}, 0.65),
        ("membership_population", {"compare": "reference"}, 0.65),
        ("membership_lira", {"online": True}, 0.65),
        ("membership_lira", {"online": False}, 0.65),
        ("membership_rmia", {"online": True}, 0.65),
        ("membership_rmia", {"online": False}, 0.65),
    ],
)
def test_finds_members_of_a_model_that_remembers_and_none_of_one_that_never_saw_them(memory, name, options, least):
    attack = create(FOLDER, name, options)
    assert area(attack, memory) >= least
    other = split_halves(np.arange(len(memory.labels)), len(memory.inside), rng=np.random.default_rng(7))
    never = replace(memory, inside=other)  # halves that had nothing to do with the training
    assert area(attack, never) == pytest.approx(0.5, abs=0.035)


def test_people_are_found_by_the_mean_of_their_recordings():
    s = remembered(by="person")
    attack = create(FOLDER, "membership_lira")
    scores, inside, people = of_people(*attack_scores(attack, s))
    assert scores.shape == (16, 60) and len(people) == 60
    assert roc(scores.ravel(), inside.ravel()).auc > area(attack, s)
    by_hand = attack(s, 0)[s.subjects == 5].mean()
    assert scores[0, 5] == pytest.approx(by_hand)


def test_people_are_not_judged_where_only_some_recordings_are_inside(memory):
    rows = {r.name: r for r in judge_membership(memory, {"lira": create(FOLDER, "membership_lira")}, rng=rng())}
    assert np.isnan(rows["lira.person_auc"].value)
    assert "Draw the halves by subject" in rows["lira.person_auc"].reason
    assert rows["lira.auc"].low > 0.6
    assert rows["lira.auc"].low < rows["lira.auc"].value < rows["lira.auc"].high
    assert rows["lira.tpr_fpr1"].value > 0.01
    assert np.isfinite(rows["lira.tpr_fpr1"].low)
    assert "too few non-members to say" in rows["lira.tpr_fpr0.1"].reason


def test_the_area_with_its_interval_is_the_area_of_the_curve():
    draw = rng()
    scores, inside = draw.integers(5, size=(2, 150)).astype(float), draw.random((2, 150)) < 0.4
    found = auc_over_people(scores, inside, np.arange(150) // 3, rng=rng())
    assert found.value == pytest.approx(roc(scores.ravel(), inside.ravel()).auc)


def test_an_attack_that_finds_everybody_is_no_surer_than_there_are_people():
    inside = split_halves(np.arange(10), 4, rng=rng())
    s = of_confidence(10.0 * inside, inside)
    row = judge_membership(s, {"loss": create(FOLDER, "membership_loss")}, rng=rng())[0]
    assert row.value == 1 and row.high == pytest.approx(1)
    assert row.low == pytest.approx(0.722, abs=1e-3)  # Wilson's of ten of ten


def claim(epsilon, unit="recording"):
    return Spend(
        unit=unit,
        sampling_rate=1,
        noise_multiplier=1,
        steps=1,
        epsilon=epsilon,
        delta=1e-5,
        accountant="pld",
        units=240,
    )


def test_a_curve_above_the_claimed_bound_is_called_so(memory):
    attacks = {"lira": create(FOLDER, "membership_lira")}
    broken = judge_membership(memory, attacks, claim=claim(0.2), rng=rng())
    assert broken[0].status == "claim_broken"
    assert set(broken[0].detail) == {"roc", "bound"}
    kept = judge_membership(memory, attacks, claim=claim(20), rng=rng())
    assert "allows" in kept[0].reason
    assert kept[0].status == "ok"


def test_a_claim_for_recordings_is_no_claim_for_people():
    s = remembered(by="person", models=4)
    attacks = {"loss": create(FOLDER, "membership_loss")}
    rows = {r.name: r for r in judge_membership(s, attacks, claim=claim(0.1), rng=rng())}
    assert rows["loss.person_auc"].reason == ""
    rows = {r.name: r for r in judge_membership(s, attacks, claim=claim(0.1, "person"), rng=rng())}
    assert rows["loss.person_auc"].status == "claim_broken"


def test_privately_trained_heads_stay_under_the_bound_their_claim_draws():
    plan = PrivacyPlan(epsilon=1.0, delta=1e-4, unit="recording", units=240, expected_batch=240, steps=60)
    private = remembered(plan=plan)
    rows = judge_membership(private, {"lira": create(FOLDER, "membership_lira")}, claim=plan.spend(), rng=rng())
    assert all("ABOVE" not in r.reason for r in rows)
    assert rows[0].value < 0.58


def test_bad_signals_are_told():
    good = {"logits": np.zeros((2, 3, 2)), "inside": np.zeros((2, 3), dtype=bool)}
    rest = {"labels": np.zeros(3, int), "subjects": np.arange(3)}
    with pytest.raises(DataError, match="logits"):
        Signals(**good | {"logits": np.zeros((2, 4, 2))}, **rest)
    with pytest.raises(DataError, match="finite"):
        Signals(**good | {"logits": np.full((2, 3, 2), np.nan)}, **rest)
    with pytest.raises(DataError, match="train more"):
        create(FOLDER, "membership_lira")(Signals(**good, **rest), 0)
