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
CASES = [("joint", algorithm) for algorithm in ALGORITHMS]
CASES += [("private_head", algorithm) for algorithm in ALGORITHMS if algorithm != "personalized"]  # has no other layer
CASES += [("late_fusion", "fedavg"), ("unimodal", "fedavg"), ("mla", "fedavg")]
FEDERATED = [
    name
    for name in registry.find("personare.train")
    if "federation" in {f.name for f in fields(registry.load("personare.train", name))}
]
NEW = recordings(9, 60)
PRIVATE = {"epsilon": 100.0, "delta": 1e-3}


def learner(name, federation=None, **options):
    cls = registry.load("personare.train", name)
    small = {"epochs": 16, "width": 16, "learning_rate": 0.01, "modality": "voice"} | options
    made = cls(**{key: value for key, value in small.items() if key in {f.name for f in fields(cls)}})
    return replace(made, federation=federation) if federation else made


def accuracy(method, train=None):
    rng = generator(3, "fit")
    model = method.fit(train or recordings(0, 24), validation=recordings(1, 8), rng=rng, public=recordings(2, 8))
    return float((model(NEW).argmax(axis=1) == NEW.labels).mean()), model


@pytest.fixture(scope="module")
def pooled():
    return {name: accuracy(learner(name))[0] for name in ("joint", "late_fusion", "unimodal", "mla", "private_head")}


@pytest.mark.parametrize(("name", "algorithm"), CASES)
def test_over_sites_it_learns_nearly_what_it_learns_of_all_people_together(name, algorithm, pooled):
    federation = Federation(sites=4, rounds=8, algorithm=registry.create("personare.federate", algorithm))
    # a site has few recordings, and so few steps in an epoch
    assert accuracy(learner(name, federation, epochs=40))[0] >= pooled[name] - 0.04


@pytest.mark.parametrize("private", [{}, PRIVATE], ids=["open", "private"])
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
    held = registry.create("personare.federate", "fedprox")  # its pull looks at nobody
    method = learner(name, Federation(sites=3, rounds=2, algorithm=held), epsilon=2.0, delta=1e-3, epochs=2)
    fits = [method.fit(recordings(0, 24), validation=recordings(v, 4), rng=generator(0, name)) for v in (1, 5)]
    assert np.array_equal(fits[0](NEW), fits[1](NEW))
    (spend,) = fits[0].spends
    assert 1.9 < spend.epsilon <= 2.0
    assert spend.units == 8


def test_a_poisoned_site_leads_the_mean_and_not_the_trimmed_mean():
    def right(algorithm, poisoned=1, **options):
        rule = registry.create("personare.federate", algorithm, options)
        return accuracy(learner("private_head", Federation(sites=5, algorithm=rule, poisoned=poisoned), steps=5))[0]

    assert right("fedavg", 0) > 0.8
    assert right("fedavg") < 0.4
    assert right("trimmed_mean") > 0.8
    assert right("trimmed_mean", 2, cut=0.5) > 0.8


def test_noise_that_sites_share_leaves_more_than_noise_of_each():
    people = recordings(0, 60)

    def right(**how):
        method = learner("private_head", Federation(sites=12, **how), epsilon=2.0, delta=1e-3, steps=10)
        score, model = accuracy(method, people)
        return score, model.spends[0]

    (own, one), (together, of_all) = right(), right(secure=True, noise="shared")
    assert together > own + 0.05
    assert (one.units, of_all.units) == (5, 60)
    assert of_all.epsilon <= 2.0
    with pytest.raises(OptionError, match="Networks do not"):
        learner("joint", Federation(sites=6, secure=True, noise="shared"))


def test_scales_are_the_mean_of_sites_that_have_the_modality():
    train = recordings(0, 12)
    where = {subject: str(i % 3) for i, subject in enumerate(np.unique(train.subjects))}
    at = np.array([where[subject] for subject in train.subjects])
    moved = train.arrays["voice"] * 10 + 100
    batch = replace(
        train,
        arrays={**train.arrays, "voice": moved},
        present={**train.present, "voice": train.present["voice"] & (at != "2")},
    )
    for secure in (False, True):
        model = accuracy(learner("joint", Federation(site_of=where, secure=secure), epochs=1), batch)[1]
        center = model.net.encoders[0].scaling.center.numpy()
        assert np.allclose(center, moved[batch.present["voice"]].mean(axis=0), rtol=1e-4)
