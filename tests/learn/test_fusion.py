"""Weights of posteriors against answers worked by hand."""

import numpy as np
import pytest

from personare.core.errors import OptionError
from personare.learn.fusion import Fusion, fit_temperature, stacked_shares

SURE, TORN = [0.8, 0.2], [0.5, 0.5]
BOTH = np.array([[True, True]])
RULES = ("uniform", "entropy", "kl", "hybrid", "fixed")


def entropy(posteriors):
    return Fusion(rule="entropy", entropy_scale="none").uncertainty(posteriors, np.ones(posteriors.shape[:2], bool))


def divergence(posteriors, present):
    return Fusion(rule="kl", kl_scale="none").uncertainty(posteriors, present)


def hybrid_uncertainty(posteriors, present, **options):
    return Fusion(rule="hybrid", **options).uncertainty(posteriors, present)


def fusion(rule, **options):
    return Fusion(rule=rule, shares=(0.55, 0.45) if rule == "fixed" else (), **options)


def test_entropy_and_divergence_by_hand():
    both = np.array([[SURE, TORN]])
    assert entropy(both)[0] == pytest.approx([0.8 * np.log(1 / 0.8) + 0.2 * np.log(1 / 0.2), np.log(2)])
    away = 0.8 * np.log(0.8 / 0.5) + 0.2 * np.log(0.2 / 0.5)
    back = 0.5 * np.log(0.5 / 0.8) + 0.5 * np.log(0.5 / 0.2)
    assert divergence(both, BOTH)[0] == pytest.approx([away, back])


def test_hybrid_uncertainty_by_hand():
    both = np.array([[SURE, TORN]])
    h = np.array([0.500402, 0.693147])
    d = np.array([0.192745, 0.223144])
    assert hybrid_uncertainty(both, BOTH)[0] == pytest.approx(0.5 * h / np.log(2) + 0.5 * d / d.sum(), abs=1e-5)
    by_sum = hybrid_uncertainty(both, BOTH, alpha=0.25, entropy_scale="sum", kl_scale="none")
    assert by_sum[0] == pytest.approx(0.25 * h / h.sum() + 0.75 * d, abs=1e-5)
    assert hybrid_uncertainty(both, BOTH, alpha=0, kl_scale="min_max")[0] == pytest.approx([0, 1])
    assert hybrid_uncertainty(both, BOTH, alpha=1, entropy_scale="none")[0] == pytest.approx(h, abs=1e-5)


def test_a_missing_posterior_is_not_asked_by_the_others():
    three = np.array([[SURE, TORN, [0.01, 0.99]]])
    present = np.array([[True, True, False]])
    assert divergence(three, present)[0, :2] == pytest.approx(divergence(three[:, :2], BOTH)[0])
    assert divergence(three, present)[0, 2] == 0


@pytest.mark.parametrize("pool", ["linear", "log"])
@pytest.mark.parametrize("rule", RULES)
def test_one_modality_left_weighs_exactly_one_and_none_left_is_chance(rule, pool):
    logits = np.random.default_rng(0).normal(size=(4, 2, 3)) * 3
    present = np.array([[True, False], [False, True], [False, False], [True, True]])
    made = fusion(rule, pool=pool)
    weights = made.weights(made.posteriors(logits), present)
    assert weights[:3].tolist() == [[1, 0], [0, 1], [0, 0]]
    assert weights[3].sum() == pytest.approx(1)
    found = made(logits, present)
    assert found[0] == pytest.approx(made.posteriors(logits)[0, 0], abs=1e-9)
    assert found[2] == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize("rule", RULES)
def test_a_recording_is_weighed_by_itself_whatever_stands_beside_it(rule):
    rng = np.random.default_rng(1)
    logits, present = rng.normal(size=(50, 2, 4)), rng.random((50, 2)) > 0.3
    whole = fusion(rule)(logits, present)
    assert np.allclose(whole[7:9], fusion(rule)(logits[7:9], present[7:9]), atol=1e-12)


def test_the_surer_posterior_weighs_more():
    weights = Fusion(rule="entropy").weights(np.array([[SURE, TORN]]), BOTH)
    assert weights[0, 0] > 0.5
    nats = Fusion(rule="entropy", entropy_scale="none").weights(np.array([[[1.0, 0, 0], [1 / 3] * 3]]), BOTH)
    assert nats[0] == pytest.approx([0.75, 0.25])  # exp(-0) against exp(-log 3)


def test_extreme_logits_give_numbers():
    logits = np.array([[[1e4, -1e4], [-1e4, 1e4]]])
    for rule in RULES:
        assert np.isfinite(fusion(rule)(logits, BOTH)).all()


def test_stacking_finds_the_modality_that_knows():
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=400)
    right = np.where(rng.random(400) < 0.9, labels, 1 - labels)
    knows = np.where(np.arange(2) == right[:, None], 0.85, 0.15)
    posteriors = np.stack([knows, np.full((400, 2), 0.5)], axis=1)
    shares = stacked_shares(posteriors, np.ones((400, 2), dtype=bool), labels)
    assert shares[0] > 0.9
    assert sum(shares) == pytest.approx(1)


def test_temperature_undoes_what_it_is_given():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20000, 3))
    cumulative = np.cumsum(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), axis=1)
    labels = (rng.random((20000, 1)) > cumulative).sum(axis=1)
    assert fit_temperature(4 * logits, labels) == pytest.approx(4, rel=0.1)
    assert fit_temperature(logits[:0], labels[:0]) == 1


@pytest.mark.parametrize(
    "options", [{"rule": "magic"}, {"alpha": 1.5}, {"rule": "fixed"}, {"kl_scale": "x"}, {"pool": "geometric"}]
)
def test_impossible_options_are_refused(options):
    with pytest.raises(OptionError):
        Fusion(**options)
