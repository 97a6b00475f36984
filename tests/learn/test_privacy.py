"""The plan: sampling, clipping, noise and price cannot come apart."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from personare.core.errors import OptionError
from personare.learn import privacy
from personare.learn.accounting import epsilon_of
from personare.learn.privacy import PrivacyPlan, clip_rows, gather, person_means
from personare.learn.secure_aggregation import GRID, secure_sum

PLAN = PrivacyPlan(epsilon=2.0, delta=1e-4, unit="recording", units=1000, expected_batch=100, steps=40)


def test_batches_are_poisson_draws_at_the_rate_that_is_priced():
    plan = replace(PLAN, steps=400)
    sizes = np.array([len(batch.units) for batch in plan.batches(np.random.default_rng(0))])
    assert len(sizes) == 400
    assert abs(sizes.mean() - 100) < 4 * math.sqrt(90 / 400)
    assert 75 < sizes.var() < 108  # binomial: 90; a shuffle has 0
    assert plan.spend().sampling_rate == 0.1


def test_full_participation_draws_everybody_every_time():
    plan = replace(PLAN, expected_batch=1000, steps=3)
    assert all(len(batch.units) == 1000 for batch in plan.batches(np.random.default_rng(0)))


def test_the_noise_is_what_is_priced():
    plan = replace(PLAN, steps=1)
    (batch,) = plan.batches(np.random.default_rng(0))
    noise = batch.add_noise(torch.zeros(20_000), 3.0) * plan.expected_batch
    assert float(noise.std()) == pytest.approx(3.0 * plan.noise_multiplier, rel=0.03)
    assert stats.kstest(noise.numpy() / (3.0 * plan.noise_multiplier), "norm").pvalue > 1e-3
    spend = plan.spend()
    assert spend.epsilon == epsilon_of(spend.noise_multiplier, 0.1, 1, 1e-4) <= 2.0


def test_several_releases_of_a_batch_are_priced_as_the_joint_release_they_are():
    three = replace(PLAN, releases=3)
    assert three.noise_multiplier == pytest.approx(math.sqrt(3) * PLAN.noise_multiplier)
    assert three.spend() == PLAN.spend()


def test_more_sums_than_paid_for_are_refused():
    batch = next(replace(PLAN, releases=2).batches(np.random.default_rng(0)))
    rows = np.zeros((len(batch.units), 3))
    batch.release(rows, 1.0)
    batch.release(rows, 1.0)  # a second modality through the same head
    with pytest.raises(OptionError, match="pays for 2"):
        batch.release(rows, 1.0)


def test_sums_over_others_than_those_drawn_are_refused():
    batch = next(PLAN.batches(np.random.default_rng(0)))
    for count in (len(batch.units) - 1, len(batch.units) + 1, 1000):
        with pytest.raises(OptionError, match="a row for each"):
            batch.release(np.zeros((count, 3)), 1.0)


def test_the_number_of_people_present_changes_neither_rate_nor_divisor_nor_noise():
    # Opacus 571 and 819: with a rate and a batch size read off the data, N = 16 and 17 could be told apart
    one, two = (next(PLAN.batches(np.random.default_rng(5), present=n)) for n in (1000, 999))
    assert set(two.units) == set(one.units) - {999}
    base = [batch.add_noise(torch.zeros(4), 1.0) for batch in (one, two)]
    assert one.noise_multiplier == two.noise_multiplier
    same = [replace(PLAN, expected_batch=1000, steps=1) for _ in range(2)]
    sums = [
        next(plan.batches(np.random.default_rng(5), present=n)).release(np.ones((n, 1)), 1.0)
        for plan, n in zip(same, (1000, 999), strict=True)
    ]
    # the same noise would need the same draws before it; over 1000 always: one person is a 1000th, never 1/999
    assert all(
        abs(s[0] - n / 1000) < 6 * same[0].noise_multiplier / 1000 for s, n in zip(sums, (1000, 999), strict=True)
    )
    assert all(torch.isfinite(b).all() for b in base)


def test_a_broken_row_changes_nothing_but_itself():
    plan = replace(PLAN, units=50, expected_batch=50, steps=1)
    rows = np.random.default_rng(1).normal(size=(50, 4))

    def released(values):
        (batch,) = plan.batches(np.random.default_rng(0))
        return batch.release(values, 1.0)

    for broken in (np.nan, np.inf, -np.inf):
        bad, dropped = rows.copy(), rows.copy()
        bad[7, 2], dropped[7] = broken, 0
        assert np.array_equal(released(bad), released(dropped))


def test_no_row_moves_the_sum_by_more_than_the_clip_norm():
    rows = torch.from_numpy(np.random.default_rng(0).normal(size=(200, 5)) * np.logspace(-8, 25, 200)[:, None])
    cut = clip_rows(rows.float(), 0.7)
    assert float(cut.norm(dim=1).max()) <= 0.7 * (1 + 1e-6)
    small = rows.norm(dim=1) < 0.7
    assert torch.allclose(cut[small], rows[small].float())


def test_an_empty_batch_still_releases_noise():
    plan = PrivacyPlan(epsilon=1, delta=1e-3, unit="person", units=20, expected_batch=0.01, steps=1)
    (batch,) = plan.batches(np.random.default_rng(0))
    assert len(batch.units) == 0
    assert np.abs(batch.release(np.zeros((0, 6)), 1.0)).min() > 0


def test_a_person_counts_once_however_many_recordings_there_are():
    owner = np.array([0] * 50 + [1] * 2 + [2])
    rows, whose = gather(np.array([2, 0]), owner, cap=10, rng=np.random.default_rng(0))
    assert len(rows) == 11 and len(set(rows)) == 11
    assert (owner[rows] == np.array([2, 0])[whose]).all()
    means = person_means(torch.ones(11, 3), torch.from_numpy(whose), 2)
    assert torch.equal(means, torch.ones(2, 3))
    means = person_means(torch.tensor([[1.0], [3.0], [5.0]]), torch.tensor([0, 0, 2]), 3)
    assert means.flatten().tolist() == [2, 0, 5]


def test_a_seed_repeats_the_run():
    runs = [
        np.stack([b.release(np.ones((len(b.units), 2)), 1.0) for b in PLAN.batches(np.random.default_rng(s))])
        for s in (0, 0, 1)
    ]
    assert np.array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


@pytest.mark.parametrize("change", [
    {"epsilon": 0.0},
    {"epsilon": -1.0},
    {"delta": 0.0},
    {"delta": 1e-3},  # one over the units
    {"unit": "clip"},
    {"units": 0},
    {"expected_batch": 0},
    {"expected_batch": 1001},
    {"steps": 0},
    {"releases": 0},
    {"shares": 0},
])  # fmt: skip
def test_plans_that_promise_nothing_are_refused(change):
    with pytest.raises(OptionError):
        replace(PLAN, **change)


@pytest.mark.parametrize("clip_norm", [0.0, -1.0, math.inf, math.nan])
def test_a_clip_norm_must_be_a_bound(clip_norm):
    batch = next(PLAN.batches(np.random.default_rng(0)))
    with pytest.raises(OptionError, match="clip_norm"):
        batch.add_noise(torch.zeros(2), clip_norm)


SHARED = PrivacyPlan(epsilon=8.0, delta=1e-3, unit="person", units=40, expected_batch=40, steps=1, shares=3)


def shares(rows, sites=4, clip_norm=2.0):
    rng = np.random.default_rng(0)
    return [next(SHARED.batches(rng, present=len(rows))).share(rows, clip_norm) for _ in range(sites)]


def test_guarantee_sites_that_must_stay_add_up_to_the_noise_of_the_plan_whoever_drops_out():
    nothing, expected = np.zeros((10, 40_000), np.float32), 2.0 * SHARED.noise_multiplier
    parts = shares(nothing)
    assert parts[0].std() < 0.6 * expected  # a site's own share is not enough, which is why it is sent under a mask
    assert secure_sum([*parts[:3], None]).std() == pytest.approx(expected, rel=0.01)
    assert secure_sum(parts).std() == pytest.approx(expected * math.sqrt(4 / 3), rel=0.01)
    assert np.array_equal(secure_sum(parts), np.sum(parts, axis=0)), "nothing is rounded after the noise"


def test_guarantee_one_unit_moves_a_share_by_the_clip_norm_and_half_a_step_of_the_grid(monkeypatch):
    monkeypatch.setattr(privacy, "discrete_gaussian", lambda deviation, count, rng: np.zeros(count))
    rows = np.random.default_rng(1).normal(size=(10, 500)).astype(np.float32)
    (whole,), (without,) = shares(rows, 1), shares(rows[1:], 1)
    assert 1.999 < np.linalg.norm(whole - without) <= 2.0 + math.sqrt(500) / 2 / GRID + 1e-12


def test_a_share_is_a_release_and_its_numbers_must_fit_the_grid():
    batch = next(SHARED.batches(np.random.default_rng(0), present=2))
    batch.share(np.zeros((2, 3)), 1.0)
    with pytest.raises(OptionError, match="one more"):
        batch.share(np.zeros((2, 3)), 1.0)
    for clip_norm in (1e-9, 1e9):
        with pytest.raises(OptionError, match="too small or too large"):
            shares(np.zeros((2, 3)), 1, clip_norm)
