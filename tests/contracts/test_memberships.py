"""Every membership attack: a finite score for each recording, nothing read off the answer, the same each time."""

import inspect
from dataclasses import replace

import numpy as np
import pytest

from personare.core import registry
from personare.evaluate.membership import Signals, attack_scores, split_halves
from personare.evaluate.roc import roc

FOLDER = "personare.evaluate.attacks"
NAMES = [name for name in registry.find(FOLDER) if name.startswith("membership_")]


def signals():
    rng = np.random.default_rng(0)
    inside = split_halves(np.arange(60), 8, rng=rng)
    labels = rng.integers(3, size=60)
    logits = rng.standard_normal((8, 60, 3)) + 2 * inside[:, :, None] * (labels[:, None] == np.arange(3))
    return Signals(logits=logits, inside=inside, labels=labels, subjects=np.repeat(np.arange(20), 3))


def test_there_are_such_attacks():
    assert len(NAMES) >= 5


@pytest.mark.parametrize("name", NAMES)
def test_a_finite_score_for_each_recording_and_the_same_each_time(name):
    attack, known = registry.create(FOLDER, name), signals()
    scores = attack(known, 2)
    assert scores.shape == (60,)
    assert np.isfinite(scores).all()
    assert np.array_equal(scores, attack(known, 2))


@pytest.mark.parametrize("name", NAMES)
def test_the_answer_is_not_looked_at(name):
    attack, known = registry.create(FOLDER, name), signals()
    turned = known.inside.copy()
    turned[2] = ~turned[2]
    assert np.array_equal(attack(known, 2), attack(replace(known, inside=turned), 2))


@pytest.mark.parametrize("name", NAMES)
def test_members_score_higher(name):
    attack, known = registry.create(FOLDER, name), signals()
    gaps = [attack(known, m)[known.inside[m]].mean() - attack(known, m)[~known.inside[m]].mean() for m in range(8)]
    assert np.mean(gaps) > 0


@pytest.mark.parametrize("name", NAMES)
def test_it_names_its_source(name):
    method = registry.load(FOLDER, name)
    assert "**Source**" in inspect.getdoc(method)
    assert method.kinds == ("model",)


OPTIONS = [(name, {}) for name in NAMES] + [
    ("membership_lira", {"online": False}),
    ("membership_rmia", {"online": False}),
    ("membership_population", {"compare": "population"}),
]


@pytest.mark.parametrize(("name", "options"), OPTIONS)
@pytest.mark.parametrize("models", [4, 16])
def test_the_way_halves_are_drawn_gives_nobody_away(name, options, models):
    # whoever is in the target is in fewer of the other models: no score may depend on that number
    rng = np.random.default_rng(0)
    n = 12_000 // models
    hard = 2 * rng.standard_normal(n)[:, None]
    inside, labels = split_halves(np.arange(n), models, rng=rng), rng.integers(3, size=n)
    logits = rng.standard_normal((models, n, 3)) + hard * (labels[:, None] == np.arange(3))
    blind = Signals(logits=logits, inside=inside, labels=labels, subjects=np.arange(n))
    scores, inside, _ = attack_scores(registry.create(FOLDER, name, options), blind)
    curve = roc(scores.ravel(), inside.ravel())
    assert curve.auc == pytest.approx(0.5, abs=0.03)
    assert curve.tpr_at(0.1)[0] == pytest.approx(0.1, abs=0.03)
