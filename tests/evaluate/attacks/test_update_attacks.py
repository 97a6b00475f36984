"""Attacks on the updates of sites: they work on plain updates, and find nothing where these are protected."""

import inspect
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from personare.core.errors import DataError
from personare.core.registry import create, find, load
from personare.core.types import Batch
from personare.evaluate.unmeasured import answers
from personare.evaluate.updates import Updates
from personare.learn.federation import Federation
from personare.train.joint import Joint
from personare.train.private_head import PrivateHead

FOLDER = "personare.evaluate.attacks"
ATTACKS = [name for name in find(FOLDER) if answers(load(FOLDER, name), "updates")]
FIGURES = {
    "update_attribute": "auc",
    "update_inversion": "recovered",
    "update_membership": "person_auc",
    "update_site": "top1",
}
SITES, PEOPLE, EACH = 4, 20, 4  # of the people the last twelve are strangers
LEARNERS = {
    "head": PrivateHead(steps=1),
    "private head": PrivateHead(steps=4, epsilon=1.0, delta=1e-2),
    "network": Joint(epochs=12, width=16, learning_rate=0.02),
}


def recordings() -> Batch:
    rng = np.random.default_rng(0)
    rows = np.repeat(rng.standard_normal((PEOPLE, 48)), EACH, axis=0) + rng.standard_normal((PEOPLE * EACH, 48))
    n = len(rows)
    return Batch(
        ids=tuple(f"r{i}" for i in range(n)),
        arrays={"voice": rows.astype(np.float32)},
        present={"voice": np.ones(n, dtype=bool)},
        labels=rng.integers(3, size=n),
        classes=("anger", "calm", "joy"),
        subjects=np.repeat([f"p{i:02d}" for i in range(PEOPLE)], EACH),
    )


@cache
def updates(learner, secure=False) -> Updates:
    rounds = []
    pool, site_of = recordings(), {f"p{i:02d}": f"site{i // 2}" for i in range(2 * SITES)}
    train = pool.take(np.arange(2 * SITES * EACH))
    federation = Federation(rounds=4, secure=secure, site_of=site_of, observe=rounds.append)
    predictor = replace(LEARNERS[learner], federation=federation).fit(
        train, validation=pool.take(np.arange(0)), rng=np.random.default_rng(1)
    )
    sites = np.where(np.arange(len(pool)) < len(train), np.arange(len(pool)) // (2 * EACH), -1)
    return Updates(rounds=rounds, predictor=predictor, batch=pool, sites=sites)


def attacked(name, *what):
    (row,) = create(FOLDER, name)(updates(*what), rng=np.random.default_rng(2))
    return row


def test_these_are_the_attacks_on_updates():
    assert list(FIGURES) == ATTACKS


@pytest.mark.parametrize("learner", ["head", "network"])
@pytest.mark.parametrize("name", ATTACKS)
def test_it_finds_people_in_plain_updates_of_small_sites(name, learner):
    row = attacked(name, learner)
    assert (row.figure, row.attacker) == (FIGURES[name], "server")
    assert row.value > 0.6 and (row.low > row.control or name == "update_attribute")  # pairs of four sites are few


@pytest.mark.parametrize("name", ["update_attribute", "update_inversion", "update_site"])
def test_of_one_sum_of_all_sites_nobody_is_told_which_is_whose(name):
    row = attacked(name, "head", True)
    assert row.value == row.control == (0.5 if name == "update_attribute" else 1 / SITES)


def test_that_somebody_is_in_the_sum_is_still_told():
    assert attacked("update_membership", "head", True).low > 0.5


@pytest.mark.parametrize("name", ATTACKS)
def test_under_epsilon_it_guesses(name):
    row = attacked(name, "private head")
    assert row.low < row.control < row.high


@pytest.mark.parametrize("name", ATTACKS)
def test_it_names_its_source(name):
    assert "**Source**" in inspect.getdoc(load(FOLDER, name))


def test_updates_of_nobody_are_refused():
    with pytest.raises(DataError, match="a site for each recording"):
        Updates(rounds=[], predictor=updates("head").predictor, batch=recordings(), sites=np.zeros(3))
