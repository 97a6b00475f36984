"""Every membership attack: a finite score for each recording, nothing read off the answer, the same each time."""

import inspect
from dataclasses import replace

import numpy as np
import pytest

from personare.core import registry
from personare.evaluate.membership import Signals, split_halves

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
    assert method.modality == "model"
