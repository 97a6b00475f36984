"""The price of noise: pinned figures, two accountants that agree, and bounds that move the right way."""

import math
from dataclasses import replace

import pytest
from dp_accounting import gaussian_mechanism

from personare.core.errors import OptionError
from personare.core.types import Spend
from personare.learn.accounting import compose, epsilon_of, noise_for
from personare.learn.privacy import PrivacyPlan, privacy_table

# (sampling rate, noise, steps): epsilon at delta 1e-5, measured with dp-accounting 0.6.0 and Opacus 1.6.0
PINNED = {(0.01, 1.0, 1000): (1.828, 1.838), (0.01, 1.0, 10_000): (6.188, 6.198), (0.1, 2.0, 500): (5.555, 5.566)}


def _spend(unit="person", noise=10.0, rate=1.0, steps=4):
    return Spend(
        unit=unit,
        sampling_rate=rate,
        noise_multiplier=noise,
        steps=steps,
        epsilon=float("nan"),
        delta=1e-3,
        accountant="pld",
        units=90,
    )


@pytest.mark.parametrize(("mechanism", "known"), PINNED.items())
def test_both_accountants_give_the_pinned_figures(mechanism, known):
    rate, noise, steps = mechanism
    pld, prv = (epsilon_of(noise, rate, steps, 1e-5, accountant) for accountant in ("pld", "prv"))
    assert pld == pytest.approx(known[0], rel=2e-3)
    assert prv == pytest.approx(known[1], rel=2e-3)


@pytest.mark.parametrize(
    ("rate", "epsilon", "steps"), [(0.02, 1.0, 100), (0.1, 0.1, 40), (0.1, 8.0, 100), (1.0, 1.0, 50)]
)
def test_the_accountants_agree_within_two_percent_and_noise_costs_no_more_than_asked(rate, epsilon, steps):
    noise = noise_for(epsilon, rate, steps, 1e-5)
    pld, prv = (epsilon_of(noise, rate, steps, 1e-5, accountant) for accountant in ("pld", "prv"))
    assert 0.99 * epsilon < pld <= epsilon
    assert abs(prv / pld - 1) < 0.02


def test_everybody_in_each_step_is_the_exact_gaussian_mechanism():
    exact = gaussian_mechanism.get_epsilon_gaussian(30 / math.sqrt(200), 1e-3)
    assert epsilon_of(30, 1.0, 200, 1e-3) == pytest.approx(exact, rel=1e-9)
    assert epsilon_of(90, 1.0, 200, 1e-3, recordings=3) == pytest.approx(exact, rel=1e-9)
    assert compose([_spend(noise=30, steps=50)] * 4, 1e-3) == pytest.approx(exact, rel=1e-3)
    assert noise_for(exact, 1.0, 200, 1e-3) == pytest.approx(30, rel=2e-3)


def test_a_failure_beside_the_noise_takes_its_part_of_delta():
    spend = _spend(noise=30, steps=50)
    failing = replace(spend, failure=4e-4)
    assert compose([failing, spend], 1e-3) == compose([spend, spend], 1e-3 - 4e-4) > compose([spend, spend], 1e-3)
    assert math.isinf(compose([failing] * 3, 1e-3))


def test_a_person_with_many_recordings_is_protected_far_less():
    # The row of Charles et al. (2024), recomputed: rate 0.01, noise 1, 1000 steps, delta 1e-4
    known = {1: 1.52, 2: 3.37, 10: 24.9}
    for recordings, epsilon in known.items():
        found = epsilon_of(1.0, 0.01, 1000, 1e-4, recordings=recordings)
        assert found == pytest.approx(epsilon, rel=0.02)
    # all recordings in every step: exactly one Gaussian that moves k times as far
    everybody = [_spend(unit="recording", noise=40.0, steps=1)]
    assert compose(everybody, 1e-4, recordings=8) == pytest.approx(epsilon_of(5.0, 1.0, 1, 1e-4), rel=1e-3)
    assert epsilon_of(40.0, 1.0, 1, 1e-4, recordings=8) == pytest.approx(epsilon_of(5.0, 1.0, 1, 1e-4), rel=1e-9)


def test_several_runs_cost_more_than_one_and_less_than_their_sum():
    one, two = _spend(noise=2.0, rate=0.1, steps=50), _spend(noise=12.0)
    alone = [compose([s], 1e-3) for s in (one, two)]
    together = compose([one, two], 1e-3)
    assert max(alone) < together < sum(alone)
    assert compose([one], 1e-3) == pytest.approx(epsilon_of(2.0, 0.1, 50, 1e-3), rel=1e-3)
    assert compose([_spend(unit="recording"), two], 1e-3, recordings=5) > compose([_spend(), two], 1e-3, recordings=5)
    assert compose([], 1e-3) == 0


@pytest.mark.parametrize("accountant", ["rdp", "gdp"])
def test_loose_and_invalid_accountants_are_not_offered(accountant):
    with pytest.raises(OptionError, match="pld or prv"):
        epsilon_of(1.0, 0.1, 10, 1e-5, accountant)


@pytest.mark.parametrize("call", [
    lambda: noise_for(0.0, 0.1, 10, 1e-5),
    lambda: noise_for(-1.0, 0.1, 10, 1e-5),
    lambda: noise_for(math.inf, 0.1, 10, 1e-5),
    lambda: noise_for(math.nan, 0.1, 10, 1e-5),
    lambda: epsilon_of(0.0, 0.1, 10, 1e-5),
    lambda: epsilon_of(1.0, 1.5, 10, 1e-5),
    lambda: epsilon_of(1.0, 0.1, 0, 1e-5),
    lambda: epsilon_of(1.0, 0.1, 10, 0.0),
    lambda: epsilon_of(1.0, 0.1, 10, 1e-5, recordings=0),
    lambda: compose([_spend(noise=0.0)], 1e-5),
])  # fmt: skip
def test_numbers_that_claim_nothing_are_refused(call):
    with pytest.raises(OptionError):
        call()


def test_there_is_noise_even_where_delta_covers_everybody_who_could_be_drawn():
    assert noise_for(1.0, 1e-6, 1, 1e-3) >= 0.04
    assert noise_for(1.0, 1e-3, 5, 4e-3) >= 0.04


def test_tiny_noise_is_priced_without_exhausting_memory():
    assert epsilon_of(0.5, 1.0, 100, 1e-5, recordings=80) > 1e5


def test_the_table_prices_a_plan_before_training_for_recordings_and_people():
    plan = PrivacyPlan(epsilon=1, delta=1e-5, unit="recording", units=6698, expected_batch=670, steps=50)
    rows = privacy_table(plan, recordings=(1, 8))
    assert [(r.unit, r.recordings, r.accountant) for r in rows] == [
        ("recording", 1, "pld"),
        ("recording", 1, "prv"),
        ("person", 1, "pld"),
        ("person", 8, "pld"),
    ]
    assert rows[0].epsilon <= 1
    assert rows[2].epsilon == pytest.approx(rows[0].epsilon, rel=1e-3)
    assert rows[3].epsilon > 5
    people = PrivacyPlan(epsilon=1, delta=1e-3, unit="person", units=91, expected_batch=91, steps=10)
    assert [(r.unit, r.recordings) for r in privacy_table(people)] == [("person", 0), ("person", 0)]
