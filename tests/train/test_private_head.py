"""The private head: what it pays, what it may look at, and what it reads on real people."""

from dataclasses import replace
from itertools import starmap

import numpy as np
import pytest
from people import recordings

from personare.core.errors import DataError, OptionError
from personare.core.randomness import generator
from personare.core.types import Batch
from personare.data.readers.crema_d import CremaD
from personare.data.splits import leaky_random_9_1
from personare.learn.accounting import compose, epsilon_of
from personare.learn.heads import fit_head
from personare.learn.privacy import PaidBatch
from personare.learn.public_rows import PublicMap, PublicRows
from personare.train import private_head
from personare.train.private_head import PrivateHead

TRAIN, TEST, PUBLIC = recordings(0, 100), recordings(1, 40), recordings(2, 30)
NOBODY = recordings(3, 2).take(np.zeros(0, dtype=np.int64))


def right(model, batch: Batch = TEST) -> float:
    return float((model(batch).argmax(axis=1) == batch.labels).mean())


def fit(train: Batch = TRAIN, seed: int = 0, public: Batch | None = PUBLIC, **options):
    learner = PrivateHead(**({"delta": 1e-4, "unit": "recording"} | options))
    return learner.fit(train, validation=NOBODY, rng=generator(seed, "fit"), public=public)


def test_reads_new_people_with_and_without_privacy():
    assert right(fit()) > 0.9
    assert right(fit(epsilon=2.0)) > 0.85
    assert right(fit(epsilon=8.0, solver="least_squares")) > 0.8


def test_a_smaller_epsilon_means_more_noise():
    def spread(epsilon: float) -> float:
        heads = [fit(seed=seed, epsilon=epsilon).head for seed in range(4)]
        return float(np.std(heads, axis=0).mean())

    assert spread(0.5) > 2 * spread(8.0)


def test_guarantee_the_mean_and_the_head_together_cost_epsilon():
    plans = PrivateHead(epsilon=1.0, delta=1e-5, unit="recording").plans(3000, 79, 1)
    assert plans.mean is not None
    parts = [plans.mean.spend(), plans.head.spend()]
    assert (plans.mean.steps, plans.head.steps, plans.whole.steps) == (1, 20, 21)
    assert compose(parts, 1e-5) <= 1.002  # the parts' noise is found anew, to 1 in 2000
    assert all(part.noise_multiplier >= 0.999 * plans.whole.noise_multiplier for part in parts)
    spend = plans.whole.spend()
    assert 0.995 < epsilon_of(spend.noise_multiplier, 1.0, spend.steps, 1e-5) <= 1.0


def test_a_mean_that_noise_would_hide_is_not_paid_for():
    learner = PrivateHead(epsilon=1.0, delta=1e-3)
    plans = learner.plans(30, 79, 1)
    assert plans.mean is None
    assert plans.head == plans.whole
    assert plans.whole.steps == learner.steps


@pytest.mark.parametrize("worth", [0.0, 100.0])  # the first sum released is of gradients, or of rows
@pytest.mark.parametrize("unit", ["recording", "person"])
def test_guarantee_one_unit_moves_a_released_sum_by_the_clip_norm_at_most(unit, worth, monkeypatch):
    sums: list[np.ndarray] = []
    add_noise = PaidBatch.add_noise

    def watch(self, total, clip_norm):
        sums.append(total.detach().numpy() / clip_norm)
        return add_noise(self, total, clip_norm)

    monkeypatch.setattr(PaidBatch, "add_noise", watch)
    monkeypatch.setattr(private_head, "_WORTH", worth)
    fit(epsilon=1.0, unit=unit, steps=2)
    (whole, *rest), sums[:] = list(sums), []
    assert len(rest) == (2 if worth else 1)
    without = TRAIN.subjects != TRAIN.subjects[0] if unit == "person" else np.arange(len(TRAIN)) > 0
    fit(TRAIN.take(without), epsilon=1.0, unit=unit, steps=2)
    assert 0 < np.linalg.norm(whole - sums[0]) <= 1 + 1e-4


def test_guarantee_the_description_comes_from_public_people_alone():
    other = replace(TRAIN, arrays={m: 100 * x + 7 for m, x in TRAIN.arrays.items()})
    options = {"components": 4, "discriminants": 2, "copies": 0}
    one, two = (PublicRows.of(t, PUBLIC, **options, rng=generator(0, "d")) for t in (TRAIN, other))
    for m, found in one.maps.items():
        assert all(np.array_equal(value, getattr(two.maps[m], name)) for name, value in vars(found).items())
    nobody, again = (PublicRows.of(t, None, **options, rng=generator(0, "d")) for t in (TRAIN, other))
    pairs = zip(vars(nobody.maps["voice"]).values(), vars(again.maps["voice"]).values(), strict=True)
    assert all(starmap(np.array_equal, pairs))
    assert np.array_equal(nobody.maps["voice"].matrix, np.eye(5))


@pytest.mark.parametrize(("steps", "momentum", "average"), [(1, 0.8, 0.4), (20, 0.8, 0.4), (12, 0.0, 1.0)])
def test_answers_are_softened_by_the_noise_that_weights_really_have(steps, momentum, average):
    learner = PrivateHead(epsilon=2.0, delta=1e-4, unit="recording", steps=steps, momentum=momentum, average=average)
    training, plan = learner.training(), learner.plans(500, 100, 1).head
    nothing, labels = np.zeros((500, 800), np.float32), np.arange(500) % 3
    rng = generator(0, "noise")
    weights = fit_head([nothing], [labels], classes=3, plans=[plan], training=training, rng=rng)[
        :-1
    ]  # noise and no more
    expected = np.sqrt(1 + np.pi / 8 * (private_head._LENGTH * weights.std()) ** 2)
    assert private_head.moderation(plan, training) == pytest.approx(expected, rel=0.05)


def test_an_answer_made_of_noise_is_no_longer_sure():
    made = fit(recordings(0, 40), epsilon=2.0, unit="person", delta=1e-3)
    too_sure = [m(TEST).max(axis=1).mean() - right(m) for m in (made, replace(made, temperature=1.0))]
    assert too_sure[1] > 0.1 and abs(too_sure[0]) < too_sure[1] / 2


def test_validation_people_are_looked_at_only_without_privacy():
    learner = PrivateHead(epsilon=1.0, delta=1e-4, unit="recording")
    one, other = (learner.fit(TRAIN, validation=v, rng=generator(0, "v"), public=PUBLIC) for v in (TEST, NOBODY))
    assert np.array_equal(one(TEST), other(TEST))
    free = PrivateHead()
    assert free.fit(TRAIN, validation=TEST, rng=generator(0, "v"), public=PUBLIC).temperature != 1


def test_many_are_each_like_one_alone():
    inside = np.ones((2, len(TRAIN)), dtype=bool)
    inside[1, ::2] = False
    learner = PrivateHead()
    many = learner.fit_many(TRAIN, inside, rng=generator(0, "m"), public=PUBLIC)
    for model, rows in zip(many, inside, strict=True):
        alone = learner.fit(TRAIN.take(rows), validation=NOBODY, rng=generator(0, "m"), public=PUBLIC)
        assert np.allclose(model(TEST), alone(TEST), atol=1e-5)


def test_a_missing_modality_has_no_weight_and_public_people_may_lack_it():
    half = recordings(5, 60, missing=0.3)
    model = fit(half, public=PUBLIC.only("voice"), epsilon=4.0)
    weights = model.weights(half)
    alone = half.present["voice"] & ~half.present["face"]
    assert alone.any()
    assert (weights["voice"][alone] == 1).all()
    assert right(model) > 0.7


def test_directions_that_part_classes_are_found_in_public_people():
    rng = generator(0, "lda")
    labels, subjects = np.arange(600) % 3, np.arange(600) // 60
    loud = 20 * rng.standard_normal((600, 1))  # large, and says nothing
    rows = np.concatenate([loud, rng.standard_normal((600, 6)) + 1.5 * np.eye(3, 6)[labels]], axis=1)
    learned = PublicMap.of(rows, labels=labels, subjects=subjects, components=1, discriminants=2)
    means = np.stack([learned(rows)[labels == c].mean(axis=0) for c in range(3)])
    assert np.linalg.norm(means[:, :2] - means[:, :2].mean(axis=0), axis=1).min() > 0.2


def test_one_public_class_and_few_public_people_do():
    calm = PUBLIC.take(PUBLIC.labels == 0)
    assert right(fit(public=calm)) > 0.8
    with pytest.raises(DataError, match="at least 10 public"):
        fit(public=PUBLIC.take(np.arange(5)))


@pytest.mark.parametrize(
    "options",
    [{"solver": "forest"}, {"components": 0}, {"discriminants": -1}, {"copies": -1}, {"steps": 0}, {"average": 2.0}],
)
def test_impossible_options_are_refused(options):
    with pytest.raises(OptionError):
        PrivateHead(**options)


@pytest.fixture(scope="module")
def actors(real_data) -> Batch:
    """Eight actors of CREMA-D."""
    source = real_data / "crema-d"
    found = [r for r in CremaD()(source)[0] if "logmel" in r.tracks]
    people = sorted({r.subject for r in found})[:8]
    found = [r for r in found if r.subject in people]
    mel = []
    for r in found:
        file, _, clip = r.tracks["logmel"].partition("#")
        with np.load(source / file) as arrays:
            mel.append(arrays[clip][None].astype(np.float32) / 255)
    classes = tuple(sorted({r.labels["emotion"] for r in found}))
    return Batch(
        ids=tuple(r.id for r in found),
        arrays={"logmel": np.stack(mel)},
        present={"logmel": np.ones(len(found), dtype=bool)},
        labels=np.array([classes.index(r.labels["emotion"]) for r in found]),
        classes=classes,
        subjects=np.array([r.subject for r in found]),
    )


@pytest.mark.real
@pytest.mark.slow
def test_emotion_of_real_voices_is_read_under_privacy_with_other_people_as_public(actors):
    subjects = np.unique(actors.subjects)
    public = actors.take(np.isin(actors.subjects, subjects[:3]))
    private = actors.take(~np.isin(actors.subjects, subjects[:3]))
    split = leaky_random_9_1(private.ids, rng=generator(0, "split"))
    rows = [np.isin(private.ids, part) for part in (split.train, split.test)]
    train, test = (private.take(r) for r in rows)
    learner = PrivateHead(epsilon=8.0, delta=1e-5, unit="recording", copies=0)
    model = learner.fit(train, validation=train.take(np.arange(0)), rng=generator(1, "fit"), public=public)
    assert right(model, test) > 0.3  # chance is 0.17
