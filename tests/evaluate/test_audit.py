"""The one-run audit never exceeds what is true, comes close to it, and catches broken training."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.special import expit

from personare.core.errors import DataError, OptionError
from personare.evaluate.audit import audit, epsilon_lower_bound, guess
from personare.learn.heads import HeadTraining, fit_head
from personare.learn.privacy import PaidBatch, PrivacyPlan

CANARIES, COLUMNS, CLASSES, STEPS = 600, 1024, 4, 10


def canaries(m, features, classes, *, norm, rng):
    """Made-up recordings that a head would remember: random directions of one length with random labels."""
    rows = rng.standard_normal((m, features))
    rows *= norm / np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32), rng.integers(classes, size=m)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize(("guesses", "epsilon"), [(20, 1.82), (50, 2.78), (100, 3.49), (1000, 5.78)])
def test_perfect_guesses_give_the_published_bounds(guesses, epsilon):
    assert epsilon_lower_bound(guesses, guesses, canaries=guesses, delta=1e-5) == pytest.approx(epsilon, abs=0.01)


@pytest.mark.parametrize(("guesses", "epsilon"), [(100, 1.63), (1000, 2.02)])
def test_nine_of_ten_right_give_the_published_bounds(guesses, epsilon):
    found = epsilon_lower_bound(guesses, 9 * guesses // 10, canaries=guesses, delta=1e-5)
    assert found == pytest.approx(epsilon, abs=0.01)


def test_guessing_shows_nothing():
    assert epsilon_lower_bound(100, 50, canaries=100, delta=1e-5) == 0
    assert epsilon_lower_bound(0, 0, canaries=100, delta=1e-5) == 0


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 3.0])
def test_randomized_response_is_bounded_by_its_epsilon_and_closely(epsilon):
    draw, found = rng(), []
    for _ in range(100):
        inside = draw.random(4000) < 0.5
        told = inside ^ (draw.random(4000) > expit(epsilon))
        found.append(guess(told.astype(float), inside, delta=0.0, rng=draw)[0])
    assert np.mean(np.array(found) > epsilon) <= 0.1  # 5 % are allowed; 100 draws
    assert np.median(found) > 0.75 * epsilon


@dataclass(frozen=True, kw_only=True)
class Broken:
    """Looks like the plan it claims to be, but adds another noise."""

    plan: PrivacyPlan
    noise_multiplier: float
    unit: str = "recording"
    releases: int = 1
    shares: int = 1

    @property
    def steps(self):
        return self.plan.steps

    @property
    def expected_batch(self):
        return self.plan.expected_batch

    def batches(self, rng, *, present=None):
        for batch in self.plan.batches(rng, present=present):
            yield PaidBatch(units=batch.units, plan=self, noise_multiplier=self.noise_multiplier, rng=rng)


def trained(plan, options, seed):
    """Return what trains a head on made-up recordings and canaries, and asks its weights for the canaries."""

    def fit(rows, labels, inside):
        draw = rng(seed)
        real = draw.standard_normal((600, COLUMNS)).astype(np.float32) / np.sqrt(COLUMNS)
        seen = np.concatenate([real, rows[inside]])
        learned = np.concatenate([draw.integers(CLASSES, size=600), labels[inside]])
        weights = fit_head([seen], [learned], classes=CLASSES, plans=[plan], training=options, rng=draw)  # (D + 1, C)
        scores = (rows / np.linalg.norm(rows, axis=1, keepdims=True)) @ weights[:-1]
        return scores[np.arange(len(rows)), labels] - scores.mean(axis=1)

    return fit


PLAN = PrivacyPlan(epsilon=1.0, delta=1e-5, unit="recording", units=1000, expected_batch=1000, steps=STEPS)
TRAINING = HeadTraining(learning_rate=1.0, momentum=0.0, average=0.0)


def found(plan, *, options=TRAINING, norm=10.0, seed=0):
    rows, labels = canaries(CANARIES, COLUMNS, CLASSES, norm=norm, rng=rng(100 + seed))
    return audit(trained(plan, options, seed), rows, labels, claim=PLAN.spend(), rng=rng(200 + seed))


def test_sound_training_is_never_above_its_claim():
    rows = [found(PLAN, seed=s) for s in range(12)]
    assert all(r.value <= r.control for r in rows)
    assert all("does not contradict" in r.reason for r in rows)


@pytest.mark.parametrize(("share", "what"), [(0.0, "left out"), (0.1, "ten times too small")])
def test_noise_left_out_or_too_small_is_caught(share, what):
    broken = Broken(plan=PLAN, noise_multiplier=share * PLAN.noise_multiplier)
    row = found(broken)
    assert row.value > 1.5, what
    assert row.status == "claim_broken"


def test_clipping_skipped_is_caught():
    # the same noise as that of clip norm 1, and a norm that nothing reaches
    loose = replace(TRAINING, clip_norm=1e6)
    row = found(Broken(plan=PLAN, noise_multiplier=PLAN.noise_multiplier / 1e6), options=loose, norm=40.0)
    assert row.value > 1.5
    assert row.status == "claim_broken"
    assert found(PLAN, norm=40.0).value <= 1


def test_the_row_says_what_so_many_canaries_could_show():
    rows, labels = canaries(100, 8, 2, norm=1.0, rng=rng())
    row = audit(lambda x, y, inside: inside.astype(float), rows, labels, claim=None, rng=rng(1))
    assert row.detail["right"] == row.detail["made"]
    assert row.value <= row.detail["ceiling"] < epsilon_lower_bound(100, 100, canaries=100, delta=0)
    assert np.isnan(row.control)


def test_bad_input_is_told():
    with pytest.raises(OptionError, match="right <= made"):
        epsilon_lower_bound(5, 6, canaries=10, delta=0)
    rows, labels = canaries(10, 3, 2, norm=1, rng=rng())
    with pytest.raises(DataError, match="one score for each"):
        audit(lambda x, y, i: np.zeros(3), rows, labels, claim=None, rng=rng())
