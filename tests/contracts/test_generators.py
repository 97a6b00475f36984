"""Every file of ``synthesize`` keeps the contract: people who hang together, nobody's rows, arrays and text only."""

from dataclasses import fields, replace

import numpy as np
import pytest

from personare.core import registry
from personare.core.errors import DataError, OptionError
from personare.core.randomness import generator
from personare.core.state import restored, state_of
from personare.core.types import Batch

PACKAGE = "personare.synthesize"
CLASSES = ("calm", "joy", "anger")


def recordings(seed: int, people: int, each: int = 9) -> Batch:
    """A table and a signal in which class and person show, together; some rows missing, one column constant."""
    rng = generator(seed, "recordings")
    n = people * each
    labels = np.arange(n) % 3
    whose = np.repeat(np.arange(people), each)
    person = 2.0 * rng.standard_normal((people, 1))[whose]
    face = rng.standard_normal((n, 4)) + 3.0 * np.eye(3, 4)[labels] + person
    face[:, 3] = 7.0
    voice = 0.3 * rng.standard_normal((n, 30, 2)).cumsum(axis=1) + person[:, None] + labels[:, None, None]
    return Batch(
        ids=tuple(f"{seed}-{i}" for i in range(n)),
        arrays={"face": face.astype(np.float32), "voice": voice.astype(np.float32)},
        present={"face": rng.random(n) > 0.1, "voice": rng.random(n) > 0.1},
        labels=labels.astype(np.int64),
        classes=CLASSES,
        subjects=np.array([f"{seed}-{p}" for p in whose]),
        columns={"face": ("a", "b", "c", "d")},
    )


def visits(seed: int, people: int) -> Batch:
    """One history of each person: the class shows in the codes, which stay, and in how many visits there are."""
    columns = ("visit", "type=home", "code=x", "code=y", "code=z", "length=short", "gap=first", "gap=week")
    rng, labels = generator(seed, "visits"), np.arange(people) % 3
    rows = np.zeros((people, 6, len(columns)), np.float32)
    for person, label in zip(rows, labels, strict=True):
        count = rng.integers(1, 4) + label
        person[:count, [0, 1, 5, 7]] = 1
        person[0, [6, 7]] = 1, 0
        person[:count, 2 + label] = rng.random(count) < 0.8
    return Batch(
        ids=tuple(f"{seed}-{i}" for i in range(people)),
        arrays={"visits": rows},
        present={"visits": np.ones(people, dtype=bool)},
        labels=labels.astype(np.int64),
        classes=CLASSES,
        subjects=np.array([f"{seed}-{p}" for p in range(people)]),
        columns={"visits": columns},
    )


TRAIN, PUBLIC, NEW = recordings(0, 40), recordings(2, 30), recordings(5, 20)
HISTORIES = visits(0, 40)


ALL = registry.find(PACKAGE)
VISITS = ("trajectories", "visit_chain")  # make histories of visits: rows that nobody reads as numbers
GENERATORS = [name for name in ALL if name not in VISITS]
ALL_PRIVATE = [n for n in ALL if "epsilon" in {f.name for f in fields(registry.load(PACKAGE, n))}]
PRIVATE = [name for name in ALL_PRIVATE if name in GENERATORS]  # which take ranges and scaling from public recordings
ONE_PERSON = [name for name in GENERATORS if name != "copula"]  # which says that it makes no persons


def group(name):
    return HISTORIES if name in VISITS else TRAIN


def fitted(name, options=None, train=None, public=PUBLIC):
    cls = registry.load(PACKAGE, name)
    small = {"epochs": 20 if options and "epsilon" in options else 150, "rounds": 3}
    held, small = (visits(1, 12), {"steps": 40, "longest": 6}) if name in VISITS else (recordings(1, 6), small)
    known = {f.name for f in fields(cls)}
    options = {**{key: value for key, value in small.items() if key in known}, **(options or {})}
    method = registry.create(PACKAGE, name, options)
    train = group(name) if train is None else train
    public = visits(2, 30) if name in VISITS else public
    return method, method.fit(train, validation=held, rng=generator(3, name), public=public)


@pytest.fixture(scope="module")
def samplers():
    made = {}

    def get(name):
        if name not in made:
            made[name] = fitted(name)
        return made[name]

    return get


@pytest.mark.parametrize("name", ALL)
def test_made_up_people_look_like_a_batch_of_the_group(name, samplers):
    made = samplers(name)[1](7, 6, rng=generator(0, "draw"))
    assert len(made) == 42
    assert made.classes == CLASSES
    assert dict(made.columns) == dict(group(name).columns)
    assert sorted(set(made.subjects)) == [f"synthetic-{i + 1:04d}" for i in range(7)]
    assert len(set(made.ids)) == 42
    for modality, values in made.arrays.items():
        assert values.shape[1:] == group(name).arrays[modality].shape[1:]
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
        assert made.present[modality].all()
    assert name in VISITS or np.allclose(made.arrays["face"][:, 3], 7.0)


@pytest.mark.parametrize("name", GENERATORS)
def test_a_reader_trained_on_made_up_people_reads_real_ones(name, samplers):
    made = samplers(name)[1](40, 9, rng=generator(0, "draw"))
    centers = np.stack([made.arrays["face"][made.labels == c].mean(axis=0) for c in range(3)])
    seen = NEW.take(NEW.present["face"])
    # where the person's part cancels: differences of columns
    known, rows = centers[:, :3] - centers[:, :3].mean(axis=1, keepdims=True), seen.arrays["face"][:, :3]
    rows = rows - rows.mean(axis=1, keepdims=True)
    told = ((rows[:, None] - known) ** 2).sum(axis=2).argmin(axis=1)
    assert (told == seen.labels).mean() > 0.75


@pytest.mark.parametrize("name", GENERATORS)
def test_no_row_of_a_real_person_comes_out(name, samplers):
    made = samplers(name)[1](50, 9, rng=generator(0, "draw"))
    for modality, values in made.arrays.items():
        real = np.concatenate([b.arrays[modality][b.present[modality]] for b in (TRAIN, PUBLIC)])
        real, values = real.reshape(len(real), -1), values.reshape(len(values), -1)
        nearest = np.sqrt(((values[:, None] - real) ** 2).sum(axis=2)).min(axis=1)
        assert nearest.min() > 1e-4


@pytest.mark.parametrize("name", ONE_PERSON)
def test_recordings_of_one_made_up_person_belong_together_over_modalities(name, samplers):
    made = samplers(name)[1](60, 9, rng=generator(0, "draw"), labels=np.tile(np.arange(9) % 3, 60))
    face = made.arrays["face"][:, :3].mean(axis=1).reshape(60, 9)
    voice = made.arrays["voice"].mean(axis=(1, 2)).reshape(60, 9)
    for told in (face, voice):
        assert told.mean(axis=1).var() > 1.5 * told.var(axis=1).mean() / 9 * 2
    assert np.corrcoef(face.mean(axis=1), voice.mean(axis=1))[0, 1] > 0.5


@pytest.mark.parametrize("name", ALL)
def test_the_same_randomness_makes_the_same_people_and_other_randomness_others(name, samplers):
    sampler = samplers(name)[1]
    first, again, other = (sampler(3, 4, rng=generator(seed, "draw")) for seed in (0, 0, 1))
    modality = list(group(name).arrays)[-1]
    assert np.array_equal(first.arrays[modality], again.arrays[modality])
    assert not np.array_equal(first.arrays[modality], other.arrays[modality])


@pytest.mark.parametrize("name", ALL)
def test_a_sampler_comes_back_from_arrays_and_text(name, samplers):
    method, sampler = samplers(name)
    tensors, about = state_of(sampler)
    assert all(isinstance(v, np.ndarray) and v.dtype.kind in "fi" for v in tensors.values())
    assert all(isinstance(v, str) for v in about.values())
    back = restored(method, tensors, about)
    before, after = (s(3, 4, rng=generator(0, "draw")) for s in (sampler, back))
    for modality in before.arrays:
        assert np.allclose(before.arrays[modality], after.arrays[modality], atol=1e-5)
    assert back.spends == sampler.spends
    with pytest.raises(DataError, match="not the state"):
        restored(method, {}, {})


@pytest.mark.parametrize("name", ALL)
def test_classes_asked_for_are_made_and_unknown_ones_refused(name, samplers):
    sampler = samplers(name)[1]
    asked = np.array([2, 2, 0, 1])
    assert sampler(2, 2, rng=generator(0, "draw"), labels=asked).labels.tolist() == asked.tolist()
    for wrong in (np.array([0, 1, 2, 3]), np.array([0, 1]), np.array([-1, 0, 0, 0])):
        with pytest.raises(OptionError, match="labels must be"):
            sampler(2, 2, rng=generator(0, "draw"), labels=wrong)
    with pytest.raises(OptionError, match="At least one person"):
        sampler(0, 2, rng=generator(0, "draw"))


@pytest.mark.parametrize("name", ALL)
def test_too_few_people_are_refused(name):
    with pytest.raises(DataError, match="needs recordings of at least"):
        fitted(name, train=group(name).take(np.arange(9)))


@pytest.mark.parametrize("name", GENERATORS)
def test_a_modality_that_most_lack_and_text_are_refused(name):
    most_lack = {**TRAIN.present, "voice": np.arange(len(TRAIN)) < 25}
    text = {**TRAIN.arrays, "voice": np.full(len(TRAIN), "hello")}
    if name == "private_evolution":  # which describes by public recordings alone
        return
    with pytest.raises(DataError, match="voice is in 25 of 360"):
        fitted(name, train=replace(TRAIN, present=most_lack))
    with pytest.raises(DataError, match="voice is text"):
        fitted(name, train=replace(TRAIN, arrays=text))


@pytest.mark.parametrize("name", ALL_PRIVATE)
def test_privacy_costs_what_was_asked(name):
    options = {"epsilon": 8.0, "delta": 1e-4}
    _, sampler = fitted(name, options)
    assert sampler.spends
    assert all(s.unit == "person" and s.units == 40 and s.delta == 1e-4 for s in sampler.spends)
    assert 0.9 * 8 < sum(s.epsilon for s in sampler.spends) <= 8.0 + 1e-6
    with pytest.raises(OptionError, match="epsilon"):
        fitted(name, {"epsilon": 0.0})


@pytest.mark.parametrize("name", PRIVATE)
def test_privacy_needs_public_ranges(name):
    with pytest.raises((OptionError, DataError), match=r"[Pp]ublic recordings"):
        fitted(name, {"epsilon": 8.0, "delta": 1e-4}, public=None)


@pytest.mark.parametrize("name", PRIVATE)
def test_under_privacy_ranges_and_classes_are_the_public_ones(name):
    """One person with huge values moves nothing by more than the noise: values stay in the public range."""
    wild = {
        m: np.where((TRAIN.subjects == "0-0").reshape(-1, *[1] * (x.ndim - 1)), 1e6, x).astype(np.float32)
        for m, x in TRAIN.arrays.items()
    }
    _, sampler = fitted(name, {"epsilon": 8.0, "delta": 1e-4}, train=replace(TRAIN, arrays=wild))
    made = sampler(20, 9, rng=generator(0, "draw"))
    for modality, values in made.arrays.items():
        assert values.max() < 2 * abs(PUBLIC.arrays[modality]).max()


@pytest.mark.parametrize("name", GENERATORS)
def test_a_class_that_hardly_anybody_shows_is_made_like_it(name):
    rare = np.flatnonzero(TRAIN.labels == 2)
    kept = np.ones(len(TRAIN), dtype=bool)
    kept[rare[2:]] = False
    made = fitted(name, train=TRAIN.take(kept))[1](20, 3, rng=generator(1, name), labels=np.full(60, 2))
    column = made.arrays["face"][made.present["face"], 2]  # highest in this class, as both recordings of it say
    assert np.isfinite(column).all() and column.mean() > 1.0
