"""Extreme people planted in the data: generators without privacy show them, private ones no more than they claim."""

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "evaluate"))
from made_generators import group

from personare.core import registry
from personare.evaluate.roc import bound_auc
from personare.evaluate.synthetic import judge_shadows

PUBLIC = group(12, first=500)


def generate(name, options, train, rng):
    made = registry.create("personare.synthesize", name, options)
    return made.fit(train, validation=PUBLIC, rng=rng, public=PUBLIC)(10, 20, rng=rng)


def found(name, options, claim=None):
    make = partial(generate, name, options)
    rows = judge_shadows(
        group(32), make, canaries=8, strength=0.6, models=12, claim=claim, rng=np.random.default_rng(1)
    )
    return {row.method: row for row in rows if row.figure == "auc"}


@pytest.mark.parametrize("name", ["copula", "joint"])
def test_canaries_are_found_without_privacy(name):
    assert max(row.low for row in found(name, {}).values()) > 0.6


def test_canaries_stay_under_the_bound_with_privacy():
    options = {"epsilon": 2.0, "delta": 1e-3, "directions": 6}
    fitted = registry.create("personare.synthesize", "joint", options).fit(
        group(20), validation=PUBLIC, rng=np.random.default_rng(0), public=PUBLIC
    )
    [claim] = fitted.spends
    bound = bound_auc(claim.epsilon, claim.delta)
    assert bound < 0.9
    for row in found("joint", options, claim).values():
        assert row.low < bound
        assert row.value < 0.75
        assert "ABOVE" not in row.reason
