"""Made-up histories: they are histories, they keep what belongs together, and they cost what the plan says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from histories import COLUMNS, LONGEST, people

from personare.core.errors import DataError, OptionError
from personare.core.state import restored, state_of
from personare.core.types import Batch
from personare.data.importing import import_cohort
from personare.evaluate.utility.synthetic_visits import judge_copies, judge_histories
from personare.features.batches import read_batch
from personare.features.visits import histories
from personare.learn.accounting import epsilon_of
from personare.synthesize.trajectories import Trajectories, TrajectorySampler
from personare.synthesize.visit_chain import VisitChain

SMALL = Trajectories(steps=150, hidden=24, profiles=4, latent=4, batch_size=20)


@pytest.fixture(scope="module")
def groups() -> tuple[Batch, Batch, Batch]:
    rng = np.random.default_rng(0)
    return people(80, rng=rng), people(30, rng=rng, name="v"), people(60, rng=rng, name="t")


@pytest.fixture(scope="module")
def sampler(groups: tuple[Batch, Batch, Batch]) -> TrajectorySampler:
    return SMALL.fit(groups[0], validation=groups[1], rng=np.random.default_rng(1))


def test_made_up_histories_are_histories_of_nobody(sampler: TrajectorySampler) -> None:
    made = sampler(200, 2, rng=np.random.default_rng(2))
    rows, columns = histories(made)  # checks every row
    assert rows.shape == (400, LONGEST, len(COLUMNS))
    assert made.subjects[:3].tolist() == ["synthetic-0001", "synthetic-0001", "synthetic-0002"]
    assert (rows[:, 0, columns.first] == 1).all()
    assert rows[:, 1:, columns.first].sum() == 0
    assert len(set(made.ids)) == 400


def test_people_and_what_belongs_together_are_kept(
    groups: tuple[Batch, Batch, Batch], sampler: TrajectorySampler
) -> None:
    train, _, test = groups
    rng = np.random.default_rng(3)
    found = {r.figure: r for r in judge_histories(train, test, sampler(300, 1, rng=rng), rng=rng)}
    assert found["prevalence"].value > 0.95
    assert found["co_occurrence"].value > 0.9
    assert found["next_visit_auc"].value > 0.9 * found["next_visit_auc"].baseline
    chain = VisitChain().fit(train, validation=test, rng=rng)
    plain = {r.figure: r for r in judge_histories(train, test, chain(300, 1, rng=rng), rng=rng)}
    # a chain knows no lengths but those that follow from its steps
    assert found["visits"].value < plain["visits"].value


def test_labels_asked_for_are_made(sampler: TrajectorySampler) -> None:
    labels = np.repeat([0, 1], 50)
    made = sampler(100, 1, rng=np.random.default_rng(4), labels=labels)
    visits = made.arrays["visits"][..., 0].sum(axis=1)
    assert visits[labels == 1].mean() > 1.5 * visits[labels == 0].mean()
    for wrong in (np.array([0]), np.full(100, 2)):
        with pytest.raises(OptionError, match="labels"):
            sampler(100, 1, rng=np.random.default_rng(4), labels=wrong)


def test_the_same_seed_makes_the_same_people_after_restoring(sampler: TrajectorySampler) -> None:
    again = restored(SMALL, *state_of(sampler))
    one, two = (s(20, 1, rng=np.random.default_rng(5)).arrays["visits"] for s in (sampler, again))
    np.testing.assert_array_equal(one, two)
    with pytest.raises(DataError, match="not the state"):
        restored(SMALL, {}, {})


def test_guarantee_codes_of_few_people_are_left_out(groups: tuple[Batch, Batch, Batch]) -> None:
    train, validation, _ = groups
    rows = train.arrays["visits"].copy()
    rows[:2, 0, COLUMNS.index("code=rare")] = 1
    marked = replace(train, arrays={"visits": rows})
    fitted = replace(SMALL, steps=20, holders=3).fit(marked, validation=validation, rng=np.random.default_rng(6))
    assert fitted.never == (COLUMNS.index("code=rare"),)
    made = fitted(500, 1, rng=np.random.default_rng(7)).arrays["visits"]
    assert made[..., COLUMNS.index("code=rare")].sum() == 0
    assert rows[:2, 0, COLUMNS.index("code=rare")].all()  # the caller's people are as they were


def test_guarantee_privacy_costs_what_was_asked(groups: tuple[Batch, Batch, Batch]) -> None:
    train, validation, _ = groups
    private = replace(SMALL, steps=15, epsilon=8.0, longest=6)
    fitted = private.fit(train, validation=validation, rng=np.random.default_rng(8))
    (spend,) = fitted.spends
    assert (spend.unit, spend.units, spend.delta) == ("person", 80, 1e-3)
    assert spend.sampling_rate == 20 / 80
    assert 7 < epsilon_of(spend.noise_multiplier, spend.sampling_rate, spend.steps, spend.delta) <= 8
    made = fitted(50, 1, rng=np.random.default_rng(9))
    assert histories(made)[0].shape[1] == 6
    # nothing but the released gradients: shares of classes and the prior are public constants
    assert fitted.population.priors.tolist() == [0.5, 0.5]
    assert np.all(fitted.prior["deviations"] == 1)
    assert restored(private, *state_of(fitted)).spends == fitted.spends


def test_guarantee_under_privacy_the_start_is_the_public_peoples(groups: tuple[Batch, Batch, Batch]) -> None:
    train, validation, public = groups
    private = replace(SMALL, steps=10, epsilon=1.0, longest=6)
    fit = lambda some: private.fit(train, validation=validation, rng=np.random.default_rng(8), public=some)  # noqa: E731
    fitted, alone = fit(replace(public, labels=np.where(np.arange(len(public)) < 6, 0, 1))), fit(None)
    assert fitted.population.priors.tolist() == [0.1, 0.9]
    assert alone.population.priors.tolist() == [0.5, 0.5]
    assert fitted.spends == alone.spends
    other = replace(public, classes=("ill", "well"))
    with pytest.raises(DataError, match="columns and classes"):
        fit(other)


def test_bad_input_is_refused(groups: tuple[Batch, Batch, Batch]) -> None:
    train, validation, _ = groups
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match="at least 20 people"):
        SMALL.fit(train.take(np.arange(19)), validation=validation, rng=rng)
    twice = replace(train, subjects=np.repeat(train.subjects[:40], 2))
    with pytest.raises(DataError, match="one history of each person"):
        SMALL.fit(twice, validation=validation, rng=rng)
    with pytest.raises(DataError, match="columns"):
        SMALL.fit(replace(train, columns={}), validation=validation, rng=rng)
    with pytest.raises(DataError, match="0 and 1"):
        SMALL.fit(replace(train, arrays={"visits": train.arrays["visits"] * 0.5 + 0.5}), validation=validation, rng=rng)
    with pytest.raises(OptionError, match="delta must be below"):
        replace(SMALL, epsilon=1.0, longest=5, delta=0.1).fit(train, validation=validation, rng=rng)
    for wrong in ({"epsilon": 1.0}, {"longest": 1}, {"latent": 0}, {"dropout": 1.0},
                  {"epsilon": 1.0, "longest": 5, "holders": 2}):  # fmt: skip
        with pytest.raises(OptionError):
            Trajectories(**wrong)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="20 people"):
        VisitChain().fit(train.take(np.arange(5)), validation=validation, rng=rng)


def test_the_chain_follows_its_counts(groups: tuple[Batch, Batch, Batch]) -> None:
    train = groups[0]
    fitted = VisitChain(smoothing=0).fit(train, validation=train, rng=np.random.default_rng(0))
    steps = fitted.tables["transitions"]
    # the ill have planned visits only, the others urgent ones only
    assert steps[0, 1] == steps[1, 0] == 0
    assert steps[-1, 1] == pytest.approx((train.labels == 0).mean())
    made = fitted(2000, 1, rng=np.random.default_rng(1))
    rows, _ = histories(made)
    assert rows[:, 0, 2].mean() == pytest.approx(steps[-1, 1], abs=0.04)
    again = restored(VisitChain(), *state_of(fitted))(2000, 1, rng=np.random.default_rng(1))
    np.testing.assert_array_equal(again.arrays["visits"], made.arrays["visits"])


def test_what_is_learned_by_heart_is_found(groups: tuple[Batch, Batch, Batch], sampler: TrajectorySampler) -> None:
    train, _, test = groups
    parrot = replace(train, subjects=np.char.add("synthetic-", train.subjects))
    copies, near = judge_copies(train, test, parrot)
    assert (copies.value, near.value) == (1.0, 1.0) or near.control == 0
    fresh, _ = judge_copies(train, test, sampler(200, 1, rng=np.random.default_rng(2)))
    assert fresh.value < copies.value


@pytest.mark.real
@pytest.mark.slow
def test_real_histories_are_met_better_than_by_a_chain(real_data: Path, tmp_path: Path) -> None:
    cohort, _ = import_cohort(real_data / "synthea", tmp_path / "c", reader="synthea")
    sources = {r.id: {"visits": cohort.root / r.tracks["visits"]} for r in cohort.recordings}
    # 20 visits are enough to see who stays ill, and fast
    batch, _ = read_batch(cohort.recordings, sources, label="mortality", modalities=("visits",))
    batch = replace(batch, arrays={"visits": batch.arrays["visits"][:, :20]})
    rng = np.random.default_rng(0)
    train, validation, test = (batch.take(part) for part in np.split(rng.permutation(59), [30, 39]))
    auc = {}
    for maker in (Trajectories(), VisitChain()):
        made = maker.fit(train, validation=validation, rng=rng)(150, 1, rng=rng)
        judged = {r.figure: r for r in judge_histories(train, test, made, rng=rng)}
        auc[type(maker).__name__] = judged["next_visit_auc"].value
        back = judge_histories(test, train, made, rng=rng)[0]
        assert back.value > 0.9  # prevalence, against those learned from
    assert auc["Trajectories"] > auc["VisitChain"] + 0.08
