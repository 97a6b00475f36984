"""Every file of ``train`` keeps the contract: learns from what is there, says what it spent, comes back from arrays."""

from dataclasses import fields, replace

import numpy as np
import pytest

from personare.core import registry
from personare.core.errors import DataError, OptionError
from personare.core.randomness import generator
from personare.core.state import restored, state_of
from personare.core.types import Batch

PACKAGE = "personare.train"
LEARNERS = list(registry.find(PACKAGE))
CLASSES = ("calm", "joy", "anger")


def recordings(seed: int, people: int, each: int = 6) -> Batch:
    """Two tables in which the class shows, each with another half of the story, and some rows missing."""
    rng = generator(seed, "recordings")
    n = people * each
    labels = np.arange(n) % 3
    voice = rng.standard_normal((n, 5)) + 2.0 * np.eye(3, 5)[labels]
    face = rng.standard_normal((n, 4)) - 2.0 * np.eye(3, 4)[labels]
    present = {"voice": rng.random(n) > 0.15, "face": rng.random(n) > 0.15}
    return Batch(
        ids=tuple(f"{seed}-{i}" for i in range(n)),
        arrays={"voice": voice.astype(np.float32), "face": face.astype(np.float32)},
        present=present,
        labels=labels.astype(np.int64),
        classes=CLASSES,
        subjects=np.repeat([f"{seed}-{p}" for p in range(people)], each),
    )


def fitted(name, options=None, train=None):
    cls = registry.load(PACKAGE, name)
    small = {"epochs": 20, "trees": 40, "width": 16, "steps": 40, "learning_rate": 0.01}
    named = {key: value for key, value in small.items() if key in {f.name for f in fields(cls)}}
    learner = registry.create(PACKAGE, name, {**named, **(options or {})})
    train = train if train is not None else recordings(0, 20)
    return learner, learner.fit(train, validation=recordings(1, 8), rng=generator(3, name), public=recordings(2, 8))


@pytest.fixture(scope="module")
def models():
    made = {}

    def get(name):
        if name not in made:
            made[name] = fitted(name)
        return made[name]

    return get


NEW = recordings(9, 12)


@pytest.mark.parametrize("name", LEARNERS)
def test_reads_new_people_better_than_chance(name, models):
    found = models(name)[1](NEW)
    assert found.shape == (len(NEW), 3)
    assert np.allclose(found.sum(axis=1), 1)
    assert (found >= 0).all()
    assert (found.argmax(axis=1) == NEW.labels).mean() > 0.6


@pytest.mark.parametrize("name", LEARNERS)
def test_what_lies_in_a_missing_row_does_not_matter_and_all_missing_is_chance(name, models):
    predict = models(name)[1]
    junk = {m: np.where(NEW.present[m][:, None], x, 1e6).astype(np.float32) for m, x in NEW.arrays.items()}
    assert np.allclose(predict(replace(NEW, arrays=junk)), predict(NEW))
    nothing = {m: np.zeros(len(NEW), dtype=bool) for m in NEW.arrays}
    assert np.allclose(predict(replace(NEW, present=nothing)), 1 / 3)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_recording_is_answered_alike_alone_and_among_others(name, models):
    predict = models(name)[1]
    assert np.allclose(
        predict(NEW)[:3], np.concatenate([predict(NEW.take(np.array([i]))) for i in range(3)]), atol=1e-6
    )


@pytest.mark.parametrize("name", LEARNERS)
def test_weights_sum_to_one_and_a_modality_left_alone_has_all(name, models):
    predict = models(name)[1]
    if not hasattr(predict, "weights"):
        pytest.skip("it has no weights")
    weights = predict.weights(NEW)
    total = np.sum(list(weights.values()), axis=0)
    whole = np.any([NEW.present[m] for m in weights], axis=0)
    assert np.allclose(total[whole], 1)
    if len(weights) > 1:
        alone = NEW.present["voice"] & ~NEW.present["face"]
        assert alone.any()
        assert (weights["voice"][alone] == 1).all()


@pytest.mark.parametrize("name", LEARNERS)
def test_comes_back_from_its_state(name, models):
    learner, predict = models(name)
    tensors, about = state_of(predict)
    assert all(isinstance(value, str) for value in about.values())
    again = restored(learner, {k: np.array(v) for k, v in tensors.items()}, about)
    assert np.allclose(again(NEW), predict(NEW), atol=1e-6)
    assert again.classes == CLASSES
    assert again.spends == predict.spends


@pytest.mark.parametrize("name", LEARNERS)
def test_the_same_seed_gives_the_same_model(name, models):
    assert np.array_equal(fitted(name)[1](NEW), models(name)[1](NEW))


PRIVATE = [name for name in LEARNERS if "epsilon" in {f.name for f in fields(registry.load(PACKAGE, name))}]


@pytest.mark.parametrize("unit", ["person", "recording"])
@pytest.mark.parametrize("name", PRIVATE)
def test_under_privacy_it_says_what_it_spent_and_ignores_validation(name, unit):
    options = {"epsilon": 2.0, "delta": 1e-4, "unit": unit} | ({"modality": "voice"} if name == "unimodal" else {})
    cls = registry.load(PACKAGE, name)
    short = {"epochs": 2, "steps": 2, "width": 8}
    options |= {key: value for key, value in short.items() if key in {f.name for f in fields(cls)}}
    learner = registry.create(PACKAGE, name, options)
    train, rest = recordings(0, 10), [recordings(1, 4), recordings(5, 4)]
    one, other = (learner.fit(train, validation=v, rng=generator(0, name)) for v in rest)
    assert np.array_equal(one(NEW), other(NEW))
    (spend,) = one.spends
    assert 1.9 < spend.epsilon <= 2.0
    assert spend.delta == 1e-4
    assert spend.unit == unit
    assert spend.units == (10 if unit == "person" else len(train))


def spoiled(what: str) -> Batch:
    batch = recordings(0, 6)
    if what == "one class":
        return batch.take(batch.labels == 1)
    if what == "one person":
        return replace(batch, subjects=np.full(len(batch), "1"))
    if what == "absent":
        return replace(batch, present={**batch.present, "face": np.zeros(len(batch), dtype=bool)})
    if what == "NaN":
        broken = np.where(np.arange(4) == 1, np.nan, batch.arrays["face"]).astype(np.float32)
        return replace(batch, arrays={**batch.arrays, "face": broken})
    if what == "shorter":
        return replace(batch, arrays={**batch.arrays, "face": batch.arrays["face"][:-1]})
    if what == "other class":
        return replace(batch, labels=batch.labels + 1)
    return replace(batch, ids=recordings(1, 8).ids[: len(batch)])


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("one class", "2 classes"),
        ("one person", "2 people"),
        ("absent", "face is absent"),
        ("NaN", "NaN"),
        ("shorter", "one row"),
        ("other class", "positions"),
        ("in both", "in training and in validation"),
    ],
)
@pytest.mark.parametrize("name", LEARNERS)
def test_recordings_that_teach_nothing_sound_are_refused(name, what, said):
    with pytest.raises(DataError, match=said):
        fitted(name, train=spoiled(what))


@pytest.mark.parametrize("name", LEARNERS)
def test_other_shapes_than_learned_from_are_refused(name, models):
    other = replace(NEW, arrays={m: x[:, :2] for m, x in NEW.arrays.items()})
    with pytest.raises(DataError, match="learned from"):
        models(name)[1](other)


@pytest.mark.parametrize("name", PRIVATE)
@pytest.mark.parametrize(
    "options", [{"epsilon": 0.0}, {"epsilon": 1.0, "delta": 1.0}, {"epsilon": 1.0, "clip_norm": 0}]
)
def test_impossible_privacy_is_refused(name, options):
    with pytest.raises(OptionError):
        registry.create(PACKAGE, name, options)


@pytest.mark.parametrize("name", PRIVATE)
def test_a_delta_that_may_publish_somebody_whole_is_refused(name):
    options = {"epsilon": 1.0, "delta": 0.2, "unit": "person"} | ({"modality": "voice"} if name == "unimodal" else {})
    with pytest.raises(OptionError, match="delta"):
        fitted(name, options)
