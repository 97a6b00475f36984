"""Attacks on what a model shows find what is in it, and say so where they could not have."""

import numpy as np
import pandas as pd
import pytest

from personare.core.errors import DataError
from personare.core.registry import create

FOLDER = "personare.evaluate.attacks"
PEOPLE, EACH = 16, 8


def rng():
    return np.random.default_rng(0)


@pytest.fixture
def table():
    n = PEOPLE * EACH
    who = np.repeat(np.arange(PEOPLE), EACH)
    return pd.DataFrame(
        {
            "subject": [f"{p:02d}" for p in who],
            "session": "1",
            "sentence": np.tile(["DFA", "IEO", "IOM", "ITH"], n // 4),
            "sex": np.where(who % 2, "F", "M"),
            "age": 20 + who,
        },
        index=[f"r{i}" for i in range(n)],
    )


def described(table, *, identity=0.0, sex=0.0, seed=0):
    draw = np.random.default_rng(seed)
    who = table["subject"].astype(int).to_numpy()
    rows = draw.standard_normal((len(table), 12)) + identity * draw.standard_normal((PEOPLE, 12))[who]
    rows[:, 0] += sex * (table["sex"] == "F")
    return rows


def test_sex_is_read_before_and_not_after_it_was_removed(table):
    raw, clean = described(table, sex=4), described(table, seed=1)
    rows = create(FOLDER, "model_attributes")({"kept": raw, "removed": clean}, raw, table, rng=rng())
    found = {r.name.removeprefix("model_attributes_"): r for r in rows}
    assert found["kept.uar.sex"].value > 0.9
    assert found["kept.uar.sex"].value == pytest.approx(found["removed.uar.sex"].baseline, abs=0.02)
    assert found["removed.uar.sex"].value < 0.65
    assert found["removed.uar.sex"].low < 0.5 < found["removed.uar.sex"].high
    assert found["removed.uar.sex"].control == 0.5
    assert found["removed.uar.sex"].reason == ""


def test_an_attack_that_fails_on_the_raw_numbers_is_no_sign_of_safety(table):
    nothing = described(table)
    rows = create(FOLDER, "model_attributes")({"answers": nothing}, nothing, table, rng=rng())
    assert all(r.status == "not_informative" for r in rows if np.isfinite(r.value))
    rows = create(FOLDER, "model_identity")({"answers": nothing}, nothing, table, rng=rng())
    assert all(r.status == "not_informative" for r in rows if np.isfinite(r.value))


def test_unknown_attributes_are_not_measured(table):
    raw = described(table, sex=4)
    rows = create(FOLDER, "model_attributes")({"kept": raw}, raw, table.drop(columns="age"), rng=rng())
    age = next(r for r in rows if r.subset == "age")
    assert np.isnan(age.value)
    assert "nobody's age is known" in age.reason


def test_people_are_named_before_and_not_after(table):
    raw, clean = described(table, identity=3), described(table, seed=1)
    rows = create(FOLDER, "model_identity")({"kept": raw, "removed": clean}, raw, table, rng=rng())
    found = {r.name: r for r in rows}
    assert found["model_identity_kept.top1"].value > 0.9
    assert found["model_identity_kept.eer"].value < 0.1
    assert found["model_identity_removed.top1"].value < 0.15
    assert found["model_identity_removed.eer"].value == pytest.approx(0.5, abs=0.08)
    assert found["model_identity_removed.top1"].control == 1 / PEOPLE
    assert found["model_identity_removed.top1"].baseline > 0.9
    assert found["model_identity_removed.top1"].reason == ""


def test_shapes_that_do_not_fit_are_told(table):
    raw = described(table)
    with pytest.raises(DataError, match="N, D"):
        create(FOLDER, "model_identity")({"x": raw[:5]}, raw, table, rng=rng())
    with pytest.raises(DataError, match="N, D"):
        create(FOLDER, "model_attributes")({"x": raw[:5]}, raw, table, rng=rng())
