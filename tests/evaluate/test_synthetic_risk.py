"""All attacks on synthetic people together, shadow generators, and people planted to be found."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from made_generators import averaged, batch, blind, group, memorized, one_shot, rows_of

from personare.core.errors import DataError, OptionError
from personare.evaluate.metrics import wilson
from personare.evaluate.roc import bound_auc
from personare.evaluate.synthetic import canary_people, judge_shadows, judge_synthetic_risk
from personare.evaluate.synthetic_case import most_isolated, nearest

TRAIN, CONTROL = group(16), group(16, first=100)


def test_all_attacks_fire_on_memories_and_are_told_what_they_cost():
    made = memorized(TRAIN, np.random.default_rng(0))
    rows = judge_synthetic_risk(made, TRAIN, CONTROL, rng=np.random.default_rng(0))
    found = {row.name: row for row in rows}
    for measure in (
        "synthetic_membership_neighbor.auc",
        "synthetic_linkability.risk",
        "synthetic_copies.nearer",
    ):
        assert found[measure].low > found[measure].control
        assert found[measure].baseline >= found[measure].value - 0.1
    assert not any(row.status == "not_informative" for row in rows if "outliers" not in row.name)


def test_what_fails_on_real_recordings_is_not_informative():
    # everybody's recordings are alike: whom should a recognizer name, and who should be found by a normal density?
    rng = np.random.default_rng(0)
    train, control = (
        batch(rng.standard_normal((96, 13)), rng.integers(3, size=96), np.repeat([f"{n}{k}" for k in range(12)], 8))
        for n in "tc"
    )
    rows = judge_synthetic_risk(blind(rng, count=200), train, control, rng=np.random.default_rng(0))
    named = [row for row in rows if row.name.startswith("synthetic_identity")]
    assert np.isnan(named[0].value)
    assert "real recordings right" in named[0].reason


@pytest.fixture(scope="module")
def pool():
    """Twenty people and four canaries."""
    return canary_people(group(20), 4, strength=0.8, rng=np.random.default_rng(3))


def everybody_found(pool, make, claim=None):
    return {r.name: r for r in judge_shadows(pool, make, models=16, claim=claim, rng=np.random.default_rng(0))}


def canaries_found(make, claim=None):
    rows = judge_shadows(group(20), make, canaries=4, strength=0.8, claim=claim, rng=np.random.default_rng(3))
    return {r.name: r for r in rows}


def test_canaries_are_extreme_together_but_no_number_is_out_of_range(pool):
    people = rows_of(pool)[~np.char.startswith(pool.subjects, "canary")]
    planted = rows_of(pool)[np.char.startswith(pool.subjects, "canary")]
    assert (planted >= people.min(axis=0) - 1e-4).all()
    assert (planted <= people.max(axis=0) + 1e-4).all()
    names, who = np.unique(pool.subjects, return_inverse=True)
    rows = rows_of(pool) / rows_of(pool).std(axis=0)
    outliers = names[most_isolated(nearest(rows, rows, who), who, np.ones(len(names), dtype=bool))]
    assert {f"canary-{k:04d}" for k in range(1, 5)} < set(outliers)  # of the six, a quarter of 24


def test_canaries_are_found_in_a_generator_that_remembers(pool):
    assert canaries_found(memorized)["synthetic_canaries_neighbor.auc"].value > 0.95
    everybody = everybody_found(pool, memorized)
    assert everybody["synthetic_shadow_neighbor.auc"].low > 0.8
    assert everybody["synthetic_shadow_neighbor.auc.outliers"].value > 0.95


def test_nobody_is_found_in_a_generator_that_never_looked(pool):
    everybody = everybody_found(pool, lambda some, rng: blind(rng))
    assert everybody["synthetic_shadow_neighbor.auc"].low < 0.5 < everybody["synthetic_shadow_neighbor.auc"].high
    assert everybody["synthetic_shadow_normal.auc"].low < 0.5 < everybody["synthetic_shadow_normal.auc"].high
    # leaving the target out tips the scores of four canaries against the truth as often as not: only upwards counts
    assert canaries_found(lambda some, rng: blind(rng))["synthetic_canaries_normal.auc"].value < 0.75


def test_canaries_in_an_average_are_found_without_privacy_and_stay_under_the_bound_with_it(pool):
    plan = one_shot(1.0, 12)  # every generator learns from 12 people: public
    claim = plan.spend()
    bound = bound_auc(claim.epsilon, claim.delta)
    assert max(row.value for row in canaries_found(averaged).values()) > bound
    private = partial(averaged, plan=plan)
    for row in [*canaries_found(private, claim).values(), *everybody_found(pool, private, claim).values()]:
        assert "ABOVE" not in row.reason
        assert "allows" in row.reason or np.isnan(row.value)
        assert not (row.name.endswith("auc") and row.low > bound)


def test_a_false_claim_is_told(pool):
    claim = one_shot(1.0, 12).spend()  # says so, and remembers everybody
    assert everybody_found(pool, memorized, claim)["synthetic_shadow_neighbor.auc"].status == "claim_broken"


def test_a_claim_about_recordings_bounds_no_person(pool):
    claim = replace(one_shot(1.0, 12).spend(), unit="recording")
    rows = everybody_found(pool, memorized, claim).values()
    assert not any("allows" in row.reason for row in rows)


def test_shadows_join_the_other_attacks():
    made = memorized(TRAIN, np.random.default_rng(0))
    rows = judge_synthetic_risk(made, TRAIN, CONTROL, rng=np.random.default_rng(0), make=memorized, models=4)
    assert {"synthetic_shadow_neighbor.auc", "synthetic_shadow_normal.auc.outliers"} <= {row.name for row in rows}


def test_an_odd_number_of_shadows_is_refused(pool):
    with pytest.raises(OptionError, match="even"):
        judge_shadows(pool, lambda some, rng: blind(rng), models=3, rng=np.random.default_rng(0))


def test_nobody_is_nearest_to_themselves_within_one_set():
    rows = np.array([[0.0], [0.0], [5.0]])
    assert nearest(rows, rows, np.array([0, 0, 1])).tolist() == [5.0, 5.0, 5.0]
    assert nearest(rows, rows.copy()).tolist() == [0.0, 0.0, 0.0]


def test_wilson_by_hand():
    # 8 of 10: (0.8 + 1.9207/10) / 1.38415 -+ 1.96 / 1.38415 sqrt(0.016 + 0.009604)
    found = wilson(np.array([1.0] * 8 + [0.0] * 2))
    assert (round(found.low, 3), round(found.high, 3)) == (0.49, 0.943)
    even = wilson(np.full(10, 0.5))  # people who are all alike are not ten tosses more
    assert (round(even.low, 3), round(even.high, 3)) == (0.237, 0.763)


def test_canaries_of_every_shape_and_none_of_text():
    rng = np.random.default_rng(0)
    subjects = np.array(["a", "a", "b"])
    shapes = {"signal": (3, 20, 4), "mel": (3, 1, 8, 10), "picture": (3, 3, 6, 6)}
    arrays = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    some = batch(np.zeros((3, 13)), [0, 1, 2], subjects)
    some = type(some)(**{**vars(some), "arrays": arrays, "present": dict.fromkeys(arrays, np.ones(3, dtype=bool))})
    found = canary_people(some, 2, rng=rng)
    assert {name: values.shape[1:] for name, values in found.arrays.items()} == {n: s[1:] for n, s in shapes.items()}
    text = type(some)(**{**vars(some), "arrays": {"text": np.array(["x", "y", "z"])}})
    with pytest.raises(DataError, match="text"):
        canary_people(text, 1, rng=rng)


def test_an_attack_through_shadows_is_tried_on_the_recordings_themselves():
    rng = np.random.default_rng(0)
    private = canaries_found(lambda some, rng: blind(rng))["synthetic_canaries_neighbor.auc"]
    assert private.baseline > 0.95 > private.high and private.status == "ok"
    # nobody's recordings differ from anybody's: who was learned from cannot be seen in the recordings either
    same = replace(group(20), arrays={name: np.zeros_like(values) for name, values in group(20).arrays.items()})
    train, control = (
        same.take(np.isin(same.subjects, np.unique(same.subjects)[part])) for part in (slice(10), slice(10, 20))
    )
    rows = judge_synthetic_risk(
        blind(rng), train, control, make=lambda some, rng: blind(rng), models=4, rng=np.random.default_rng(0)
    )
    shadow = [row for row in rows if row.name.startswith("synthetic_shadow") and row.name.endswith("auc")]
    assert shadow and all(row.status == "not_informative" for row in shadow if np.isfinite(row.value))
