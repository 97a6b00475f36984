"""Judging representations: what is known by construction comes out, and nobody is in training and in test."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from personare.core.errors import DataError
from personare.core.randomness import generator
from personare.core.types import Batch
from personare.evaluate.representations import identity_carriers, judge_representation, transfer
from personare.learn.standardizing import Standardized, represented


def cohort(seed: int, people: int = 6, each: int = 16) -> tuple[Batch, pd.DataFrame]:
    """Columns: two that tell the class, two that tell the person (and the sex), two of noise."""
    rng = generator(seed, "cohort")
    who = np.repeat(np.arange(people), each)
    labels = np.tile(np.arange(2), len(who) // 2)
    rows = rng.standard_normal((len(who), 6))
    rows[:, :2] += 2.5 * np.eye(2)[labels]
    place = np.stack([np.where(np.arange(people) % 2, 3, -3), rng.permutation(people) * 2.0], axis=1)  # all apart
    rows[:, 2:4] = 0.3 * rows[:, 2:4] + place[who]
    batch = Batch(
        ids=tuple(f"{seed}-{i}" for i in range(len(who))),
        arrays={"x": rows.astype(np.float32)},
        present={"x": np.ones(len(who), dtype=bool)},
        labels=labels.astype(np.int64),
        classes=("calm", "joy"),
        subjects=np.array([f"{seed}-{p}" for p in who]),
        columns={"x": ("class1", "class2", "person1", "person2", "noise1", "noise2")},
    )
    told = {"subject": batch.subjects, "sentence": [f"s{i % 4}" for i in range(len(who))]}
    return batch, pd.DataFrame({**told, "sex": np.where(who % 2, "F", "M")}, index=list(batch.ids))


class Columns:
    """Shows some columns alone."""

    guarantee = "none"
    spends = ()

    def __init__(self, front, columns):
        self.front, self.columns = front, columns

    def __call__(self, batch, *, rng):
        return represented(batch, self.front(batch)[:, self.columns])

    def state(self):
        return {}, {}


@pytest.fixture(scope="module")
def groups():
    known, new = cohort(0), cohort(1)
    return known[0], new[0], pd.concat([known[1], new[1]]), Standardized.of(known[0])


def judged(groups, columns):
    known, new, table, front = groups
    rows = judge_representation(Columns(front, columns), known, new, table, rng=generator(0, "judge"))
    return {row.name: row for row in rows}


@pytest.fixture(scope="module")
def everything(groups):
    return judged(groups, [0, 1, 2, 3, 4, 5])


@pytest.fixture(scope="module")
def behavior(groups):
    return judged(groups, [0, 1])


def test_all_columns_name_people_and_the_behavior_alone_does_not(everything, behavior):
    assert everything["strongest.top1"].value > 0.85
    assert everything["strongest.person_top1"].value == 1
    assert behavior["strongest.top1"].value < 0.4
    assert behavior["strongest.top1"].baseline > 0.85
    assert behavior["strongest.eer"].value > 0.35
    assert behavior["strongest.top1"].control == pytest.approx(1 / 6)


def test_behavior_is_read_as_well_without_the_person(everything, behavior):
    assert behavior["reader.uar"].value > 0.85
    assert behavior["reader.uar"].value >= everything["reader.uar"].value - 0.05
    assert behavior["reader.uar"].low < behavior["reader.uar"].value < behavior["reader.uar"].high


def test_sex_is_read_where_it_shows_and_age_is_not_measured(everything, behavior):
    assert everything["attributes.uar.sex"].value > 0.9
    assert behavior["attributes.uar.sex"].value < 0.65
    assert np.isnan(behavior["attributes.uar.age"].value)
    assert "age" in behavior["attributes.uar.age"].reason


@pytest.mark.slow
def test_an_attack_that_fails_on_raw_rows_is_marked(groups):
    known, new, table, _ = groups
    cut = [replace(b, arrays={"x": b.arrays["x"][:, 4:]}, columns={}) for b in (known, new)]
    front = Standardized.of(cut[0])
    rows = judge_representation(Columns(front, [0, 1]), *cut, table, rng=generator(0, "judge"))
    named = [row for row in rows if row.name.endswith(".top1")]
    assert named
    assert all(row.status == "not_informative" for row in named)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_rows(groups, behavior):
    again = judged(groups, [0, 1])
    assert {m: r.value for m, r in again.items() if r.value == r.value} == {
        m: r.value for m, r in behavior.items() if r.value == r.value
    }


def test_people_on_both_sides_are_refused(groups):
    known, _, table, front = groups
    with pytest.raises(DataError, match="in training and in test"):
        judge_representation(Columns(front, [0]), known, known, table, rng=generator(0, "judge"))


def test_carriers_of_identity_are_the_columns_that_tell_the_person(groups):
    _, new, table, front = groups
    found = identity_carriers(Columns(front, [0, 1, 2, 3, 4, 5]), new, table, rng=generator(0, "carriers"))
    strongest = found.sort_values("drop", ascending=False).head(2)
    assert set(strongest["columns"]) == {"person1", "person2"}
    assert (found.set_index("columns").loc[["noise1", "noise2"], "drop"].abs() < 0.1).all()
    assert (found["low"] <= found["drop"]).all()


def test_transfer_reads_every_task_through_every_representation(groups):
    known, new, _, front = groups
    sex = [replace(b, labels=np.array([int(s[-1]) % 2 for s in b.subjects]), classes=("M", "F")) for b in (known, new)]
    fits = {"behavior": Columns(front, [0, 1]), "person": Columns(front, [2, 3])}
    tasks = {"class": (known, new), "sex": tuple(sex)}
    found = {
        f"{name} -> {task}": transfer(fit, *sides, rng=generator(0, "transfer"))[0]
        for name, fit in fits.items()
        for task, sides in tasks.items()
    }
    assert found["behavior -> class"].value > 0.85 > 0.65 > found["person -> class"].value
    assert found["person -> sex"].value > 0.85 > 0.65 > found["behavior -> sex"].value
    assert found["behavior -> class"].baseline > 0.85
