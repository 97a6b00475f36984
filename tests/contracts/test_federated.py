"""Every file of ``federate`` trains every learner that can be trained over sites."""

from dataclasses import fields, replace

import numpy as np
import pytest
from test_learners import recordings

from personare.core import registry
from personare.core.errors import OptionError
from personare.core.randomness import generator
from personare.learn.federation import Federation

ALGORITHMS = list(registry.find("personare.federate"))
CASES = [(name, algorithm) for name in ("joint", "late_fusion", "unimodal", "private_head") for algorithm in ALGORITHMS]
FEDERATED = [
    name
    for name in registry.find("personare.train")
    if "federation" in {f.name for f in fields(registry.load("personare.train", name))}
]
NEW = recordings(9, 60)
PRIVATE = {"epsilon": 100.0, "delta": 1e-3}


def learner(name, federation=None, **options):
    cls = registry.load("personare.train", name)
    small = {"epochs": 24, "width": 16, "learning_rate": 0.01, "modality": "voice"} | options
    made = cls(**{key: value for key, value in small.items() if key in {f.name for f in fields(cls)}})
    return replace(made, federation=federation) if federation else made


def accuracy(method, train=None):
    rng = generator(3, "fit")
    model = method.fit(train or recordings(0, 24), validation=recordings(1, 8), rng=rng, public=recordings(2, 8))
    return float((model(NEW).argmax(axis=1) == NEW.labels).mean()), model


@pytest.fixture(scope="module")
def pooled():
    return {name: accuracy(learner(name))[0] for name in ("joint", "late_fusion", "unimodal", "private_head")}


@pytest.mark.parametrize(("name", "algorithm"), CASES)
def test_over_sites_it_learns_nearly_what_it_learns_of_all_people_together(name, algorithm, pooled):
    federation = Federation(sites=4, rounds=8, algorithm=registry.create("personare.federate", algorithm))
    if (name, algorithm) == ("private_head", "personalized"):
        with pytest.raises(OptionError, match="cannot stay"):
            learner(name, federation)
        return
    assert accuracy(learner(name, federation))[0] >= pooled[name] - 0.06


@pytest.mark.parametrize("private", [{}, PRIVATE])
@pytest.mark.parametrize("name", FEDERATED)
def test_guarantee_one_site_and_one_round_are_plain_training(name, private):
    one = Federation(algorithm=registry.create("personare.federate", "fedavg"))
    federated, plain = (accuracy(learner(name, f, **private, epochs=4))[1] for f in (one, None))
    assert np.array_equal(federated(NEW), plain(NEW))
    assert federated.spends == plain.spends


@pytest.mark.parametrize("name", ["joint", "private_head"])
def test_secure_aggregation_changes_nothing_beyond_quantization(name):
    runs = [learner(name, Federation(sites=4, rounds=3, secure=secure), epochs=6) for secure in (False, True)]
    plain, secure = (accuracy(method)[1](NEW) for method in runs)
    assert np.abs(plain - secure).max() < 1e-4


@pytest.mark.parametrize("name", ["joint", "private_head"])
def test_guarantee_with_privacy_each_site_pays_for_its_own_people_and_validation_is_not_looked_at(name):
    method = learner(name, Federation(sites=3, rounds=2), epsilon=2.0, delta=1e-3, epochs=2)
    fits = [method.fit(recordings(0, 24), validation=recordings(v, 4), rng=generator(0, name)) for v in (1, 5)]
    assert np.array_equal(fits[0](NEW), fits[1](NEW))
    (spend,) = fits[0].spends
    assert 1.9 < spend.epsilon <= 2.0
    assert spend.units == 8
