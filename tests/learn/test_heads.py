"""Private linear heads: their gradients are the true clipped ones, and they learn."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from personare.core.errors import DataError, OptionError
from personare.learn.heads import (
    Bags,
    Examples,
    HeadTraining,
    _tables,
    _unit_rows,
    fit_heads,
    least_squares_heads,
    predict,
)
from personare.learn.privacy import PrivacyPlan

N, D, C = 120, 5, 3
ONE_STEP = HeadTraining(learning_rate=1.0, momentum=0.0, average=0.0, clip_norm=0.4)


def _examples(seed=0, n=N, **changes):
    rng = np.random.default_rng(seed)
    centers = 2.0 * rng.standard_normal((C, D))
    labels = rng.integers(C, size=n)
    features = (centers[labels] + rng.standard_normal((n, D))).astype(np.float32)
    return Examples(**{"features": features, "labels": labels, "classes": C, "groups": np.arange(n) % 12} | changes)


def _plan(unit, units, **changes):
    whole = {"epsilon": 100.0, "delta": 1e-6, "unit": unit, "units": units, "expected_batch": units, "steps": 1}
    return PrivacyPlan(**whole | changes)


def _fit(examples, plan, options=ONE_STEP, seed=0):
    return fit_heads(examples, plan=plan, options=options, rng=np.random.default_rng(seed))


def _by_autograd(examples, owner, clip):
    """One clipped step from weights of zero, each unit's gradient taken by itself."""
    total = torch.zeros(C, D + 1)
    for unit in np.unique(owner):
        head = nn.Linear(D, C)
        nn.init.zeros_(head.weight), nn.init.zeros_(head.bias)
        rows = owner == unit
        x, y = torch.from_numpy(examples.features[rows]), torch.from_numpy(examples.labels[rows])
        nn.functional.cross_entropy(head(x), y).backward()
        each = torch.cat([head.weight.grad, head.bias.grad[:, None]], dim=1)
        total += each * min(1.0, clip / float(each.norm()))
    return -(total / len(np.unique(owner))).T.numpy()


@pytest.mark.parametrize("unit", ["recording", "person"])
def test_the_closed_form_is_the_sum_of_clipped_gradients(unit):
    examples = _examples()
    owner = np.arange(N) if unit == "recording" else examples.groups
    plan = _plan(unit, len(np.unique(owner)))
    noisy = _fit(examples, plan)[0]
    silent = _fit(replace(examples, features=np.full((N, D), np.nan, np.float32)), plan)[0]  # the noise alone
    assert np.allclose(noisy - silent, _by_autograd(examples, owner, 0.4), atol=1e-5)
    assert np.abs(silent).max() > 1e-4


def test_shadow_heads_together_are_those_one_after_another():
    inside = np.random.default_rng(3).random((4, N)) < 0.5
    options = HeadTraining(steps=30, learning_rate=0.1)
    together = _fit(_examples(inside=inside), None, options)
    alone = [_fit(_examples(inside=row[None]), None, options)[0] for row in inside]
    assert together.shape == (4, D + 1, C)
    assert np.allclose(together, alone, atol=1e-4)
    assert not np.allclose(together[0], together[1], atol=1e-2)


def test_each_shadow_head_gets_noise_of_its_own():
    same = np.ones((3, N), dtype=bool)
    heads = _fit(_examples(inside=same), _plan("recording", N, epsilon=1.0))
    assert np.abs(heads[0] - heads[1]).min() > 0


@pytest.mark.parametrize("unit", ["recording", "person"])
def test_one_more_unit_moves_a_step_by_no_more_than_the_clip_norm_over_the_constant_divisor(unit):
    examples = _examples()
    owner = np.arange(N) if unit == "recording" else examples.groups
    plan = _plan(unit, len(np.unique(owner)))
    gone = np.where(owner[:, None] == 3, np.nan, examples.features).astype(np.float32)
    loud = np.where(owner[:, None] == 3, 1e6, examples.features).astype(np.float32)
    without, wild = (_fit(replace(examples, features=x), plan)[0] for x in (gone, loud))
    assert np.isfinite(without).all()
    assert np.linalg.norm(wild - without) <= 0.4 / plan.expected_batch * 1.01
    assert np.linalg.norm(wild - without) > 0.1 / plan.expected_batch


def test_a_private_head_learns_and_less_noise_learns_more():
    seen, new = _examples(n=3000), _examples(n=500)
    options = HeadTraining(learning_rate=0.5, clip_norm=1.0)

    def accuracy(epsilon):
        plan = _plan("recording", 3000, epsilon=epsilon, steps=40)
        return float((predict(_fit(seen, plan, options), new.features)[0].argmax(axis=1) == new.labels).mean())

    assert accuracy(1.0) > 0.85
    assert accuracy(1.0) > accuracy(0.002) + 0.1


def test_sampling_is_the_plans():
    plan = _plan("recording", N, expected_batch=1, steps=1, epsilon=1.0, delta=1e-4)
    empty = next(s for s in range(20) if not len(next(plan.batches(np.random.default_rng(s))).units))
    heads = _fit(_examples(), plan, seed=empty)  # nobody drawn: noise, and the divisor is still 1
    assert np.abs(heads).min() > 0


def test_least_squares_without_noise_are_ridge_regression():
    examples = _examples()
    got = least_squares_heads(examples, plan=None, feature_norm=100.0, ridge=1e-9, rng=np.random.default_rng(0))[0]
    x = np.hstack([examples.features, np.ones((N, 1))])
    known = np.linalg.lstsq(x, np.eye(C)[examples.labels], rcond=None)[0]
    assert np.allclose(got, known, atol=1e-2)


@pytest.mark.parametrize("unit", ["recording", "person"])
def test_least_squares_noise_is_joint_and_one_unit_changes_the_tables_by_norm_one_at_most(unit):
    examples = _examples()
    bags = Bags.of(examples, people=unit == "person")
    rows = _unit_rows(bags.features, 1.0)
    targets = torch.eye(C, dtype=rows.dtype)[bags.labels.reshape(-1)]
    width = bags.labels.shape[1]
    norms = []
    for first in range(0, len(rows), width):
        factor = torch.zeros(len(rows), dtype=rows.dtype)
        factor[first : first + width] = bags.factor[0].reshape(-1)[first : first + width]
        norms.append(float(_tables(rows, targets, factor).norm()))
    assert max(norms) <= 1 + 1e-9
    assert max(norms) > 0.5 or unit == "person"


def test_private_least_squares_learn():
    seen, new = _examples(n=3000), _examples(n=500)
    for unit, units, epsilon, least in (("recording", 3000, 0.5, 0.85), ("person", 300, 4.0, 0.8)):
        plan = _plan(unit, units, epsilon=epsilon, delta=1e-5)
        examples = replace(seen, groups=np.arange(3000) % 300)
        heads = least_squares_heads(examples, plan=plan, feature_norm=5.0, rng=np.random.default_rng(0))
        shares = predict(heads, new.features, link="linear")
        assert np.allclose(shares.sum(axis=2), 1)
        assert (shares[0].argmax(axis=1) == new.labels).mean() > least


def test_what_cannot_be_trained_is_refused():
    examples = _examples()
    with pytest.raises(DataError, match="groups"):
        _fit(replace(examples, groups=None), _plan("person", 12))
    with pytest.raises(OptionError, match="one sum"):
        _fit(examples, _plan("recording", N, releases=2))
    with pytest.raises(OptionError, match="once at everybody"):
        least_squares_heads(examples, plan=_plan("recording", N, steps=2), rng=np.random.default_rng(0))
    for change in ({"labels": np.full(N, C)}, {"features": np.zeros(N, np.float32)}, {"inside": np.ones((2, 3), bool)}):
        with pytest.raises(DataError):
            _examples(**change)
    for option in ({"learning_rate": 0.0}, {"momentum": 1.0}, {"clip_norm": 0.0}):
        with pytest.raises(OptionError):
            HeadTraining(**option)
    with pytest.raises(OptionError, match="feature_norm"):
        least_squares_heads(examples, plan=None, feature_norm=0.0, rng=np.random.default_rng(0))
