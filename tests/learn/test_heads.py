"""Private linear heads: their gradients are the true clipped ones, and they learn."""

import numpy as np
import pytest
import torch
from torch import nn

from personare.core.errors import DataError, OptionError
from personare.learn.heads import HeadTraining, fit_head, least_squares_head, predict
from personare.learn.privacy import PaidBatch, PrivacyPlan

N, D, C = 120, 5, 3
OWNER = np.arange(N) % 12
ONE_STEP = HeadTraining(learning_rate=1.0, momentum=0.0, average=0.0, clip_norm=0.4)


def _examples(seed=0, n=N):
    rng = np.random.default_rng(seed)
    centers = 2.0 * rng.standard_normal((C, D))
    labels = rng.integers(C, size=n)
    return (centers[labels] + rng.standard_normal((n, D))).astype(np.float32), labels


def _plan(unit, units, **changes):
    whole = {"epsilon": 100.0, "delta": 1e-6, "unit": unit, "units": units, "expected_batch": units, "steps": 1}
    return PrivacyPlan(**whole | changes)


def _fit(features, labels, plan, training=ONE_STEP, seed=0, groups=OWNER):
    told = {"classes": C, "groups": [groups], "plans": [plan], "training": training}
    return fit_head([features], [labels], **told, rng=np.random.default_rng(seed))


def _by_autograd(features, labels, owner, clip):
    """One clipped step from weights of zero, each unit's gradient taken by itself."""
    total = torch.zeros(C, D + 1)
    for unit in np.unique(owner):
        head = nn.Linear(D, C)
        nn.init.zeros_(head.weight), nn.init.zeros_(head.bias)
        rows = owner == unit
        x, y = torch.from_numpy(features[rows]), torch.from_numpy(labels[rows])
        nn.functional.cross_entropy(head(x), y).backward()
        each = torch.cat([head.weight.grad, head.bias.grad[:, None]], dim=1)
        total += each * min(1.0, clip / float(each.norm()))
    return -(total / len(np.unique(owner))).T.numpy()


@pytest.mark.parametrize("unit", ["recording", "person"])
def test_the_closed_form_is_the_sum_of_clipped_gradients(unit):
    features, labels = _examples()
    owner = np.arange(N) if unit == "recording" else OWNER
    plan = _plan(unit, len(np.unique(owner)))
    noisy = _fit(features, labels, plan)
    silent = _fit(np.full((N, D), np.nan, np.float32), labels, plan)  # the noise alone
    assert np.allclose(noisy - silent, _by_autograd(features, labels, owner, 0.4), atol=1e-5)
    assert np.abs(silent).max() > 1e-4


@pytest.mark.parametrize("unit", ["recording", "person"])
def test_one_more_unit_moves_a_step_by_no_more_than_the_clip_norm_over_the_constant_divisor(unit):
    features, labels = _examples()
    owner = np.arange(N) if unit == "recording" else OWNER
    plan = _plan(unit, len(np.unique(owner)))
    gone = np.where(owner[:, None] == 3, np.nan, features).astype(np.float32)
    loud = np.where(owner[:, None] == 3, 1e6, features).astype(np.float32)
    without, wild = (_fit(x, labels, plan) for x in (gone, loud))
    assert np.isfinite(without).all()
    assert np.linalg.norm(wild - without) <= 0.4 / plan.expected_batch * 1.01
    assert np.linalg.norm(wild - without) > 0.1 / plan.expected_batch


@pytest.mark.parametrize("unit", ["recording", "person"])
def test_a_recording_whose_scores_overflow_is_dropped_and_poisons_nobody(unit):
    features, labels = _examples()
    features[5] = 3e38
    owner = np.arange(N) if unit == "recording" else OWNER
    head = _fit(features, labels, _plan(unit, len(np.unique(owner)), steps=3))
    assert np.isfinite(head).all()


def test_a_private_head_learns_and_less_noise_learns_more():
    (seen, labels), (new, truth) = _examples(n=3000), _examples(n=500)
    training = HeadTraining(learning_rate=0.5, clip_norm=1.0)

    def accuracy(epsilon):
        plan = _plan("recording", 3000, epsilon=epsilon, steps=40)
        head = _fit(seen, labels, plan, training, groups=None)
        return float((predict(head, new).argmax(axis=1) == truth).mean())

    assert accuracy(1.0) > 0.85
    assert accuracy(1.0) > accuracy(0.002) + 0.1


def test_sampling_is_the_plans():
    plan = _plan("recording", N, expected_batch=1, steps=1, epsilon=1.0, delta=1e-4)
    empty = next(s for s in range(20) if not len(next(plan.batches(np.random.default_rng(s))).units))
    head = _fit(*_examples(), plan, seed=empty)  # nobody drawn: noise, and the divisor is still 1
    assert np.abs(head).min() > 0


def test_least_squares_without_noise_are_ridge_regression():
    features, labels = _examples()
    told = {"classes": C, "plan": None, "feature_norm": 100.0, "ridge": 1e-9}
    got = least_squares_head(features, labels, **told, rng=np.random.default_rng(0))
    known = np.linalg.lstsq(np.hstack([features, np.ones((N, 1))]), np.eye(C)[labels], rcond=None)[0]
    assert np.allclose(got, known, atol=1e-2)


@pytest.mark.parametrize("unit", ["recording", "person"])
def test_guarantee_one_unit_changes_the_released_tables_by_norm_one_at_most(unit, monkeypatch):
    tables = []
    monkeypatch.setattr(PaidBatch, "add_noise", lambda batch, total, clip_norm: tables.append(total) or total)
    features, labels = _examples()
    owner = np.arange(N) if unit == "recording" else OWNER
    plan = _plan(unit, len(np.unique(owner)))

    def released(rows):
        told = {"classes": C, "groups": owner, "plan": plan, "feature_norm": 1.0}
        least_squares_head(rows, labels, **told, rng=np.random.default_rng(0))
        return tables.pop()

    whole = released(features)
    norms = [
        float((whole - released(np.where(owner[:, None] == unit, np.nan, features))).norm()) for unit in set(owner)
    ]
    assert max(norms) <= 1 + 1e-9
    assert max(norms) > 0.5 or unit == "person"


def test_private_least_squares_learn():
    (seen, labels), (new, truth) = _examples(n=3000), _examples(n=500)
    for unit, units, epsilon, least in (("recording", 3000, 0.5, 0.85), ("person", 300, 4.0, 0.8)):
        plan = _plan(unit, units, epsilon=epsilon, delta=1e-5)
        told = {"classes": C, "groups": np.arange(3000) % 300, "plan": plan, "feature_norm": 5.0}
        head = least_squares_head(seen, labels, **told, rng=np.random.default_rng(0))
        shares = predict(head, new, link="linear")
        assert np.allclose(shares.sum(axis=1), 1)
        assert (shares.argmax(axis=1) == truth).mean() > least


def test_what_cannot_be_trained_is_refused():
    features, labels = _examples()
    with pytest.raises(DataError, match="groups"):
        _fit(features, labels, _plan("person", 12), groups=None)
    with pytest.raises(OptionError, match="one sum"):
        _fit(features, labels, _plan("recording", N, releases=2))
    rng = np.random.default_rng(0)
    with pytest.raises(OptionError, match="once at everybody"):
        least_squares_head(features, labels, classes=C, plan=_plan("recording", N, steps=2), rng=rng)
    with pytest.raises(OptionError, match="feature_norm"):
        least_squares_head(features, labels, classes=C, plan=None, feature_norm=0.0, rng=rng)
    for x, y, groups in ((features, labels + C, OWNER), (features[:, 0], labels, OWNER), (features, labels, OWNER[:3])):
        with pytest.raises(DataError):
            _fit(x, y, None, groups=groups)
    for option in ({"learning_rate": 0.0}, {"momentum": 1.0}, {"clip_norm": 0.0}):
        with pytest.raises(OptionError):
            HeadTraining(**option)
