"""What made-up people are drawn from: class means, people and moments, found where each can be told."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from personare.core.errors import DataError
from personare.core.randomness import generator
from personare.core.types import Batch
from personare.learn.federation import Federation
from personare.learn.mixed_effects import MixedEffects, fit_privately

STEP = np.array([[0.0, 0.0, 0.0], [2.0, 0.0, -1.0]])
CLAIM = {"epsilon": 8.0, "delta": 1e-3}


def batch_of(labels, subjects, classes=2):
    names = tuple(f"class{i}" for i in range(classes))
    return Batch(ids=(), arrays={}, present={}, labels=labels, classes=names, subjects=subjects)


def people(seed, count, each=12, *, classes="all", between=0.5):
    """Rows of people who show all classes, or one each; and whose they are."""
    rng = generator(seed, "people")
    whose = np.repeat(np.arange(count), each)
    labels = whose % 2 if classes == "one" else np.arange(len(whose)) % 2
    person = between * rng.standard_normal((count, 3))[whose]
    return rng.standard_normal((len(whose), 3)) + person + STEP[labels], batch_of(labels, whose)


@pytest.mark.parametrize("classes", ["all", "one"])
def test_classes_are_told_apart_within_people_or_between_them(classes):
    means = MixedEffects.of(*people(0, 200, classes=classes)).means
    assert np.allclose(means[1] - means[0], STEP[1], atol=0.2)


def test_people_who_gave_more_of_a_class_do_not_shift_it():
    rows, batch = people(1, 40, between=5.0)
    high = rows[:, 0] > np.median(rows[:, 0])
    kept = ~(high & (batch.labels == 0) & (np.arange(len(rows)) % 6 > 1))  # few of class 0 by people who are high
    means = MixedEffects.of(rows[kept], batch_of(batch.labels[kept], batch.subjects[kept])).means
    assert means[1, 0] - means[0, 0] == pytest.approx(2.0, abs=0.5)


def test_people_with_one_recording_each_tell_classes_too():
    rows, batch = people(12, 400, each=1)
    labels = np.arange(400) % 2
    effects = MixedEffects.of(rows + STEP[labels] - STEP[batch.labels], replace(batch, labels=labels))
    assert np.allclose(effects.means[1] - effects.means[0], STEP[1], atol=0.3)
    made = effects.rows(effects.latents(labels, np.arange(400), rng=(rng := generator(12, "draw"))), rng=rng)
    assert np.allclose(made[labels == 0].std(axis=0), np.sqrt(1.25), atol=0.2)


def test_a_class_that_does_not_occur_has_the_mean_of_all():
    rows, batch = people(2, 20)
    means = MixedEffects.of(rows, replace(batch, classes=("a", "b", "c"))).means
    assert np.allclose(means[2], rows.mean(axis=0))


def test_few_people_keep_how_the_columns_of_two_modalities_go_together():
    rng = generator(3, "ties")
    ties = rng.standard_normal((6, 40))
    who = np.repeat(np.arange(10), 15)
    rows = rng.standard_normal((150, 6)) @ ties + (rng.standard_normal((10, 6)) @ ties)[who]
    rows += rng.standard_normal(rows.shape)
    labels = np.zeros(150, dtype=int)
    effects = MixedEffects.of(rows, batch_of(labels, who, classes=1))
    made = effects.rows(effects.latents(np.zeros(20000, dtype=int), np.repeat(np.arange(2000), 10), rng=rng), rng=rng)
    real, drawn = (np.corrcoef(x, rowvar=False)[:20, 20:] for x in (rows, made))
    assert 1 - ((real - drawn) ** 2).sum() / (real**2).sum() > 0.9


def test_columns_that_few_rows_tie_by_luck_alone_come_out_apart():
    rng = generator(4, "luck")
    rows, who = rng.standard_normal((60, 50)), np.repeat(np.arange(6), 10)
    within = MixedEffects.of(rows, batch_of(np.zeros(60, dtype=int), who, classes=1)).within[0]
    found = within @ within.T
    by_luck = abs(np.cov(rows, rowvar=False))[~np.eye(50, dtype=bool)].mean()
    assert abs(found[~np.eye(50, dtype=bool)]).mean() < 0.3 * by_luck


@pytest.mark.parametrize("classes", ["all", "one"])
def test_private_means_are_nearer_the_truth_than_the_public_ones(classes):
    errors = {"public": 0.0, "private": 0.0}
    for trial in range(8):
        known, group = people(10 + trial, 8, classes=classes), people(50 + trial, 60, classes=classes)
        public = MixedEffects.of(*known)
        moved = fit_privately(*group, *known, **CLAIM, rng=generator(trial, "noise"))[0]
        for name, found in (("public", public), ("private", moved)):
            errors[name] += float((((found.means[1] - found.means[0]) - STEP[1]) ** 2).sum())
    assert errors["private"] < 0.7 * errors["public"]


@pytest.mark.parametrize("noise", ["site", "shared"])
def test_sites_learn_what_they_learn_together_and_each_pays_for_its_own_people(noise):
    federation = Federation(sites=4, secure=noise == "shared", noise=noise)
    errors = {"public": 0.0, "sites": 0.0}
    for trial in range(8):
        known, group = people(10 + trial, 8), people(50 + trial, 120)
        how = {**CLAIM, "federation": federation, "rng": generator(trial, "noise")}
        moved, spend = fit_privately(*group, *known, **how)
        for name, found in (("public", MixedEffects.of(*known)), ("sites", moved)):
            errors[name] += float((((found.means[1] - found.means[0]) - STEP[1]) ** 2).sum())
        assert (spend.epsilon, spend.units) == (pytest.approx(8, rel=0.02), 30 if noise == "site" else 120)
    assert errors["sites"] < 0.8 * errors["public"]


def test_a_group_unlike_the_public_people_is_found():
    known, (rows, group) = people(5, 10), people(6, 300)
    moved = fit_privately(rows + np.eye(3)[0], group, *known, **CLAIM, rng=generator(0, "noise"))[0]
    assert moved.means.mean(axis=0)[0] - STEP[:, 0].mean() == pytest.approx(1.0, abs=0.35)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # of rows that are no numbers
def test_guarantee_one_person_moves_the_sum_by_no_more_than_the_clip():
    known, (rows, group) = people(7, 10), people(8, 60)
    others = [np.where((group.subjects == 3)[:, None], value, rows) for value in (1e9, np.inf, np.nan)]
    found = [fit_privately(some, group, *known, **CLAIM, rng=generator(0, "n"))[0] for some in (rows, *others)]
    # clip 1, nine numbers, 60 people; a person differs here from others by at most about 1.2 in all columns together
    for other in found[1:]:
        assert abs(other.means - found[0].means).max() < 2 * 3 / 60 * 1.2 * 2


def test_too_few_people_for_an_epsilon_are_refused_with_the_number_needed():
    known = people(9, 10)
    group = people(9, 8)
    with pytest.raises(DataError, match=r"epsilon 0.01 needs at least \d+ people here, 8 were given"):
        fit_privately(*group, *known, epsilon=0.01, delta=1e-3, rng=generator(0, "n"))


def tilted() -> MixedEffects:
    """Three columns, two classes, of which the second varies in two directions only beside what people differ by."""
    rng = generator(6, "tilted")
    within = np.eye(3) + 0.2 * rng.standard_normal((2, 3, 3))
    within[1, :, 2] = 0
    return MixedEffects(means=rng.standard_normal((2, 3)), between=rng.standard_normal((3, 1)), within=within)


def test_the_density_of_rows_is_that_of_the_normal_distribution_of_their_class():
    effects, labels = tilted(), np.array([0, 1, 1])
    rows = generator(7, "rows").standard_normal((3, 3))
    density = effects.density(rows, labels, np.array([0.5, 0.5]))
    covariance = effects.between @ effects.between.T + effects.within @ effects.within.swapaxes(1, 2)
    expected = [
        multivariate_normal(effects.means[c], covariance[c]).logpdf(x) for x, c in zip(rows, labels, strict=True)
    ]
    assert np.allclose(density(torch.arange(3)).detach().numpy(), expected)


def test_the_divergence_of_a_trained_density_is_that_of_normal_distributions():
    effects, priors = tilted(), np.array([0.3, 0.7])
    density = effects.density(np.zeros((1, 3)), np.array([0]), priors)
    with torch.no_grad():
        for parameter in density.parameters():
            parameter.add_(0.4)
    trained = density.model()
    divergences = []
    for c in range(2):
        (mean, covariance), (new, wider) = (
            (e.means[c], e.between @ e.between.T + e.within[c] @ e.within[c].T) for e in (effects, trained)
        )
        away, inverse = new - mean, np.linalg.inv(covariance)
        determinants = np.log(np.linalg.det(covariance) / np.linalg.det(wider))
        divergences.append((np.trace(inverse @ wider) + away @ inverse @ away - 3 + determinants) / 2)
    assert density.drift() == pytest.approx(priors @ divergences)
    assert effects.density(np.zeros((1, 3)), np.array([0]), priors).drift() == 0
