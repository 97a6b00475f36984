"""Every file of ``adapt`` keeps the contract: nearer to a known taste, as far as others agree, and nobody looked at."""

import inspect
from dataclasses import dataclass, fields, replace

import numpy as np
import pytest
import torch
from test_generators import ALL, CLASSES, ONE_PERSON, VISITS, fitted, visits

from personare.core import registry
from personare.core.errors import DataError
from personare.core.randomness import generator
from personare.core.state import state_of
from personare.core.types import Array, Batch, Feedback

PACKAGE = "personare.adapt"
METHODS = list(registry.find(PACKAGE))
QUICK = {"draws": 300, "numbers": (8,), "nats": (1.5,)}


HISTORIES = visits(0, 60)
HISTORIES.arrays["visits"][..., 4] *= 0  # one code that half the people have at every visit: whose it is, not the class
HISTORIES.arrays["visits"][::2, :, 4] = HISTORIES.arrays["visits"][::2, :, 0]


@dataclass(frozen=True)
class Taste:
    """Somebody who likes some columns high and one low, or many visits with a code; and looks at one column more."""

    column: int
    sign: float = 1.0

    def __call__(self, batch: Batch) -> Array:
        if "visits" in batch.arrays:
            rows = batch.arrays["visits"]
            return self.sign * (rows[..., [0, 4]].sum(axis=(1, 2)) + 0.1 * rows[..., self.column].sum(axis=1))
        face = batch.arrays["face"][:, :3]
        return self.sign * (face @ np.array([1.0, 1.0, -1.0]) + 0.3 * face[:, self.column])


RATERS, KEPT_OUT, STRANGERS = Taste(0), Taste(1), Taste(2)


def feedback(sampler, judge=KEPT_OUT):
    items = sampler(60, 3, rng=generator(0, "items"))
    liked = RATERS(items)
    pairs = generator(1, "pairs").integers(len(items), size=(2000, 2))
    pairs = pairs[(items.labels[pairs[:, 0]] == items.labels[pairs[:, 1]]) & (liked[pairs[:, 0]] > liked[pairs[:, 1]])]
    return Feedback(items=items, pairs=pairs[:200], reward=RATERS, judge=judge)


def method(name):
    known = {f.name for f in fields(registry.load(PACKAGE, name))}
    return registry.create(PACKAGE, name, {key: value for key, value in QUICK.items() if key in known})


@pytest.fixture(scope="module")
def samplers():
    made = {}

    def get(name):
        if name not in made:
            options = {"steps": 400, "latent": 3, "beta": 0.1} if name == "trajectories" else None
            made[name] = fitted(name, options, train=HISTORIES if name in VISITS else None)[1]
        return made[name]

    return get


@pytest.fixture(scope="module")
def adapted(samplers):
    made = {}

    def get(name, of):
        """Return what was adapted, once; a test of what cannot be adapted so ends here, if it was refused properly."""
        if (name, of) not in made:
            try:
                made[name, of] = method(name).fit(samplers(of), feedback(samplers(of)), rng=generator(2, name))
            except DataError as error:
                made[name, of] = error
        if isinstance(made[name, of], DataError):
            assert "Adapt it with best_of_n" in str(made[name, of])
            assert name != "best_of_n"
            pytest.skip("this generator cannot be adapted so")
        return made[name, of]

    return get


@pytest.mark.parametrize("name", METHODS)
def test_a_fit_asks_for_a_generator_and_for_what_raters_said_and_for_nobody(name):
    assert list(inspect.signature(registry.load(PACKAGE, name).fit).parameters) == [
        "self",
        "sampler",
        "feedback",
        "rng",
    ]


@pytest.mark.parametrize("of", ALL)
@pytest.mark.parametrize("name", METHODS)
def test_raters_it_never_met_prefer_what_is_made(name, of, adapted, samplers):
    after = adapted(name, of)(300, 1, rng=generator(3, "after"))
    before = samplers(of)(300, 1, rng=generator(4, "before"), labels=after.labels)
    likes, likes_before = STRANGERS(after), STRANGERS(before)
    assert ((likes > likes_before) + (likes == likes_before) / 2).mean() > 0.6


@pytest.mark.parametrize("of", ALL)
@pytest.mark.parametrize("name", METHODS)
def test_it_says_how_far_it_went_and_costs_no_more_privacy(name, of, adapted, samplers):
    sampler = adapted(name, of)
    assert 0 < sampler.drift < np.inf
    assert sampler.spends == samplers(of).spends
    [kept] = [row for row in sampler.course if row["kept"]]
    assert kept["drift"] == sampler.drift
    assert kept["judge"] > 0.5
    assert all(0 <= row[who] <= 1 for row in sampler.course for who in ("reward", "judge"))


@pytest.mark.parametrize("of", ALL)
@pytest.mark.parametrize("name", METHODS)
def test_what_is_made_is_a_batch_like_the_generators(name, of, adapted, samplers):
    asked = np.array([2, 2, 0, 1, 1, 0])
    made, before = (s(2, 3, rng=generator(5, "draw"), labels=asked) for s in (adapted(name, of), samplers(of)))
    assert made.labels.tolist() == asked.tolist()
    assert (made.ids, made.subjects.tolist()) == (before.ids, before.subjects.tolist())
    assert (made.classes, dict(made.columns)) == (before.classes, dict(before.columns))
    for modality, values in made.arrays.items():
        assert (values.shape, values.dtype) == (before.arrays[modality].shape, np.float32)
        assert np.isfinite(values).all()
        assert not np.array_equal(values, before.arrays[modality])


@pytest.mark.parametrize("of", [name for name in ONE_PERSON if name in ("joint", "mvtcae")])
@pytest.mark.parametrize("name", METHODS)
def test_recordings_of_one_made_up_person_still_belong_together(name, of, adapted):
    made = adapted(name, of)(60, 9, rng=generator(6, "draw"), labels=np.tile(np.arange(9) % 3, 60))
    face = made.arrays["face"][:, :3].mean(axis=1).reshape(60, 9)
    voice = made.arrays["voice"].mean(axis=(1, 2)).reshape(60, 9)
    assert np.corrcoef(face.mean(axis=1), voice.mean(axis=1))[0, 1] > 0.5
    assert face.mean(axis=1).var() > 2 * face.var(axis=1).mean() / 9


@pytest.mark.parametrize("of", ALL)
def test_items_that_were_written_and_read_again_are_as_likely_as_before(of, samplers):
    """A release may lack a class, and its series are as long as the longest of them."""
    sampler = samplers(of)
    if not hasattr(sampler, "density"):
        pytest.skip("this generator does not say how likely it finds recordings")
    items = sampler(20, 1, rng=generator(12, "items"), labels=np.full(20, 2))
    longer = {m: np.pad(x, [(0, 0), (0, 5), (0, 0)]) if x.ndim == 3 else x for m, x in items.arrays.items()}
    again = replace(items, arrays=longer, labels=np.zeros(20, np.int64), classes=CLASSES[2:])
    likely, as_likely = (likelihoods(sampler.density(some)) for some in (items, again))
    assert np.allclose(likely, as_likely, rtol=1e-4)
    with pytest.raises(DataError, match="Rated items are boredom"):
        sampler.density(replace(again, classes=("boredom",)))


def likelihoods(density):
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        return density(torch.arange(20)).double().numpy()


@pytest.mark.parametrize("of", ALL)
def test_a_trained_density_is_that_of_the_generator_it_becomes(of, samplers):
    sampler = samplers(of)
    if not hasattr(sampler, "density"):
        pytest.skip("this generator does not say how likely it finds recordings")
    items = sampler(10, 2, rng=generator(10, "items"))
    density = sampler.density(items)
    assert density.drift() == pytest.approx(0, abs=1e-6)
    with torch.no_grad():
        for parameter in density.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.from_numpy(generator(11, "step").standard_normal(parameter.shape)))
    assert density.drift() > 0
    logs = [likelihoods(part) for part in (density, sampler.adapted(density).density(items), sampler.density(items))]
    trained, again, before = (values - values[0] for values in logs)  # the items' own scales are no part of it
    assert np.allclose(trained, again, rtol=1e-3, atol=1e-2)
    assert not np.allclose(trained, before, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("name", METHODS)
def test_it_follows_from_generator_and_feedback_alone_and_leaves_the_generator_as_it_was(name, samplers):
    sampler = samplers("joint")
    before = {key: values.copy() for key, values in state_of(sampler)[0].items()}
    first, again = (
        method(name).fit(sampler, feedback(sampler), rng=generator(7, name))(3, 2, rng=generator(8, "draw"))
        for _ in range(2)
    )
    assert all(np.array_equal(values, again.arrays[modality]) for modality, values in first.arrays.items())
    assert all(np.array_equal(values, before[key]) for key, values in state_of(sampler)[0].items())


@pytest.mark.parametrize("name", METHODS)
def test_it_is_refused_where_the_raters_who_were_kept_out_disagree(name, samplers):
    sampler = samplers("joint")
    with pytest.raises(DataError, match="kept out must prefer"):
        method(name).fit(sampler, feedback(sampler, judge=Taste(0, sign=-1.0)), rng=generator(9, name))
