"""Each representation's guarantee as a test of that name, and where it ends."""

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from personare.core.errors import DataError, OptionError
from personare.core.randomness import generator
from personare.core.state import restored, state_of
from personare.core.types import Batch
from personare.learn.accounting import epsilon_of
from personare.learn.chaining import Chain
from personare.represent.adversarial import Adversarial, CodeNet, reverse_gradient
from personare.represent.bottleneck import Bottleneck, Variational
from personare.represent.leace import Leace
from personare.represent.noise import Noise


def people(seed, count=6, each=40, width=12, offset=2.0):
    """A table in which two classes show in two columns and the person in all others."""
    rng = generator(seed, "people")
    who = np.repeat(np.arange(count), each)
    labels = rng.integers(0, 2, len(who))
    rows = rng.standard_normal((len(who), width)) + 2 * np.eye(2, width)[labels]
    rows[:, 2:] += offset * rng.standard_normal((count, width - 2))[who]
    return Batch(
        ids=tuple(f"{seed}-{i}" for i in range(len(who))),
        arrays={"x": rows.astype(np.float32)},
        present={"x": np.ones(len(who), dtype=bool)},
        labels=labels,
        classes=("no", "yes"),
        subjects=np.array([f"{seed}-{p}" for p in who]),
    )


NOBODY = people(0).take(np.zeros(0, dtype=int))


def fit(method, batch, seed=0):
    return method.fit(batch, validation=NOBODY, rng=generator(seed, "fit"))


def show(transform, batch, seed=1):
    return transform(batch, rng=generator(seed, "show")).arrays["representation"]


def named(rows, batch, model):
    return model.fit(rows, batch.subjects).score(rows, batch.subjects)


@pytest.mark.parametrize("shrinkage", [0.0, 0.3])
def test_leace_no_linear_reader_tells_people_on_the_fitted_recordings(shrinkage):
    batch = people(0)
    before, after = batch.arrays["x"], show(fit(Leace(shrinkage=shrinkage), batch), batch)
    linear = LogisticRegression(C=1e3, max_iter=5000)
    assert named(before, batch, linear) > 0.7
    assert named(after, batch, linear) < 1 / 6 + 0.02  # the weights are zero: everybody is the same person
    assert np.abs(linear.coef_).max() < 1e-2
    assert LogisticRegression().fit(after, batch.labels).score(after, batch.labels) > 0.8


def test_leace_ends_where_readers_are_not_linear_and_where_people_are_new():
    batch, rng = people(0, offset=0.0), generator(3, "spread")
    loud = (1 + 4 * np.isin(batch.subjects, np.unique(batch.subjects)[:3]))[:, None]
    batch = Batch(**{**vars(batch), "arrays": {"x": (rng.standard_normal((len(loud), 12)) * loud).astype(np.float32)}})
    rows = show(fit(Leace(), batch), batch)
    groups = loud[:, 0] > 1  # people who differ by how widely they vary, not by their mean
    assert SVC().fit(rows, groups).score(rows, groups) > 0.9
    new = people(9)
    rows = show(fit(Leace(), people(0)), new)
    assert named(rows, new, LogisticRegression(max_iter=5000)) > 0.4


def test_leace_erases_attributes_of_people_along_with_them():
    batch = people(0)
    sex = np.isin(batch.subjects, np.unique(batch.subjects)[::2])
    rows = show(fit(Leace(), batch), batch).astype(float)
    assert np.abs(rows[sex].mean(axis=0) - rows[~sex].mean(axis=0)).max() < 1e-5


def test_leace_with_fewer_directions_guarantees_nothing_and_changes_less():
    batch = people(0)
    one, every = fit(Leace(directions=1), batch), fit(Leace(), batch)
    assert one.guarantee.startswith("none")
    assert len(one.into) == 1
    assert len(every.into) == 5
    assert "no linear reader" in every.guarantee
    assert named(show(one, batch), batch, LogisticRegression(max_iter=5000)) > 0.5


def test_noise_costs_the_epsilon_asked_for_and_more_for_a_person():
    noised = fit(Noise(epsilon=4.0, delta=1e-5), people(0))
    assert 3.99 < noised.spend().epsilon <= 4.0
    assert noised.spend(10).epsilon == epsilon_of(noised.noise_multiplier, 1.0, 10, 1e-5)
    assert noised.spend(10).epsilon > 12
    assert "10 recordings" in noised.guarantee


def test_noise_has_the_stated_deviation_around_a_row_of_bounded_length():
    noised, batch = fit(Noise(epsilon=6.0, norm=0.5), people(0)), people(2, count=2, each=1)
    draws = np.stack([show(noised, batch, seed) for seed in range(3000)])
    assert draws.std(axis=0) == pytest.approx(np.full(draws.shape[1:], noised.sigma), rel=0.1)
    clean = np.linalg.norm(draws.mean(axis=0), axis=1)
    slack = 4 * noised.sigma * math.sqrt(12 / 3000)
    assert (clean < noised.norm + slack).all()
    assert noised.sigma == pytest.approx(2 * noised.norm * noised.noise_multiplier)


def test_noise_takes_its_scaling_from_public_recordings_alone():
    public = people(5)
    method = Noise(epsilon=8.0)
    one, other = (method.fit(people(s), validation=NOBODY, rng=generator(0, "n"), public=public) for s in (0, 1))
    assert np.array_equal(one.front.center, other.front.center)


def test_vq_shows_so_many_rows_and_no_more_whoever_comes():
    squeezed = fit(Bottleneck(codes=4), people(0))
    assert len(np.unique(show(squeezed, people(8, offset=50.0)), axis=0)) <= 4
    assert squeezed.rate_nats == pytest.approx(math.log(4))
    assert "at most 2 bits" in squeezed.guarantee


def test_vq_an_attacker_names_at_most_codes_over_people_by_one_recording():
    train, new = people(0), people(7, count=12, each=40)
    rows = show(fit(Bottleneck(codes=3), train), new)
    codes = np.unique(rows, axis=0, return_inverse=True)[1].ravel()
    # the best attacker there can be: the likeliest person of each symbol
    best = sum(np.unique(new.subjects[codes == c], return_counts=True)[1].max() for c in np.unique(codes))
    assert best / len(new) <= 3 / 12


def test_vib_rate_is_the_divergence_of_what_it_draws_and_falls_with_its_price():
    torch.manual_seed(0)
    net, x = Variational(3, size=2), torch.randn(50, 3)
    mean, log_variance = net.encode(x).chunk(2, dim=1)
    normal = torch.distributions.Normal(mean, (log_variance.clamp(-8, 4) / 2).exp())
    told = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0)).sum(dim=1)
    assert torch.allclose(net(x)[1], told, atol=1e-5)
    rates = [fit(Bottleneck(kind="vib", beta=b, epochs=10), people(0)).rate_nats for b in (0.001, 0.1, 1.0)]
    assert rates[0] > rates[1] > rates[2] >= 0


def test_vib_draws_anew_with_every_call_and_repeats_with_the_same_generator():
    blurred = fit(Bottleneck(kind="vib", epochs=3), people(0))
    assert not np.array_equal(show(blurred, people(1), 1), show(blurred, people(1), 2))
    assert np.array_equal(show(blurred, people(1), 1), show(blurred, people(1), 1))
    again = restored(Bottleneck(kind="vib"), *state_of(blurred))
    assert np.allclose(show(again, people(1)), show(blurred, people(1)), atol=1e-5)


def test_the_reversed_gradient_is_the_gradient_times_minus_strength():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    reverse_gradient(x, 3.0).pow(2).sum().backward()
    assert x.grad.tolist() == [-6.0, -12.0]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "strength"), [("reversal", 0.5), ("alternating", 1.0)])
def test_an_adversary_makes_the_code_tell_less_about_the_person(kind, strength):
    batch = people(0, offset=1.5)
    options = {"size": 4, "hidden": 32, "epochs": 40, "dropout": 0.0, "reconstruction": 0.3, "modality_dropout": 0.0}
    plain, hiding = (show(fit(Adversarial(kind=kind, strength=s, **options), batch), batch) for s in (0.0, strength))
    attack = SVC(C=10.0)
    assert named(hiding, batch, attack) < named(plain, batch, attack) - 0.1
    assert SVC().fit(hiding, batch.labels).score(hiding, batch.labels) > 0.7


def test_the_adversary_is_not_part_of_what_is_kept():
    encoded = fit(Adversarial(epochs=2, size=3, hidden=8), people(0))
    assert isinstance(encoded.net, CodeNet)
    assert not [name for name in state_of(encoded)[0] if "adversary" in name]
    assert not any(p.requires_grad for p in encoded.net.parameters())


def test_a_chain_keeps_the_bound_of_its_narrowest_link():
    chain = Chain(links=(Leace(directions=1), Bottleneck(codes=4)))
    fitted = chain.fit(people(0), validation=people(1), rng=generator(0, "chain"))
    assert len(np.unique(show(fitted, people(8)), axis=0)) <= 4
    assert fitted.guarantee.count(";") >= 2
    with pytest.raises(DataError, match="links"):
        Chain(links=(Bottleneck(),)).restore(*fitted.state())


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Leace(shrinkage=1.5), "shrinkage"),
        (lambda: Leace(directions=0), "directions"),
        (lambda: Noise(epsilon=0), "epsilon"),
        (lambda: Noise(norm=0), "norm"),
        (lambda: Bottleneck(kind="ib"), "kind"),
        (lambda: Bottleneck(codes=1), "codes"),
        (lambda: Adversarial(kind="gan"), "kind"),
        (lambda: Adversarial(strength=-1), "strength"),
        (lambda: Adversarial(dropout=1.0), "dropout"),
        (lambda: Chain(links=()), "at least one"),
    ],
)
def test_impossible_options_are_refused(make, said):
    with pytest.raises(OptionError, match=said):
        make()
