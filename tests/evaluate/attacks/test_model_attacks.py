"""Attacks on what a model shows find what is in it, and say so where they could not have."""

import numpy as np
import pandas as pd
import pytest

from personare.core.errors import DataError
from personare.core.registry import create
from personare.core.types import Batch

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


def run(name, seen, raw, table):
    original, released = (
        Batch.of(table, {track: dict(zip(table.index, rows, strict=True)) for track, rows in of.items()})
        for of in ({"raw": raw}, seen)
    )
    return create(FOLDER, name)(original, released, rng=rng())


def test_sex_is_read_before_and_not_after_it_was_removed(table):
    raw, clean = described(table, sex=4), described(table, seed=1)
    rows = run("model_attributes", {"kept": raw, "removed": clean}, raw, table)
    found = {r.name.removeprefix("model_attributes_"): r for r in rows}
    assert found["kept.uar.sex"].value > 0.9
    assert found["kept.uar.sex"].value == pytest.approx(found["removed.uar.sex"].baseline, abs=0.02)
    assert found["removed.uar.sex"].value < 0.65
    assert found["removed.uar.sex"].low < 0.5 < found["removed.uar.sex"].high
    assert found["removed.uar.sex"].control == 0.5
    assert found["removed.uar.sex"].reason == ""


def test_an_attack_that_fails_on_the_raw_numbers_is_no_sign_of_safety(table):
    nothing = described(table)
    rows = run("model_attributes", {"answers": nothing}, nothing, table)
    assert all(r.status == "not_informative" for r in rows if np.isfinite(r.value))
    rows = run("model_identity", {"answers": nothing}, nothing, table)
    assert all(r.status == "not_informative" for r in rows if np.isfinite(r.value))


def test_unknown_attributes_are_not_measured(table):
    raw = described(table, sex=4)
    rows = run("model_attributes", {"kept": raw}, raw, table.drop(columns="age"))
    age = next(r for r in rows if r.subset == "age")
    assert np.isnan(age.value)
    assert "nobody's age is known" in age.reason


def test_people_are_named_before_and_not_after(table):
    raw, clean = described(table, identity=3), described(table, seed=1)
    rows = run("model_identity", {"kept": raw, "removed": clean}, raw, table)
    found = {r.name: r for r in rows}
    assert found["model_identity_kept.top1"].value > 0.9
    assert found["model_identity_kept.eer"].value < 0.1
    assert found["model_identity_removed.top1"].value < 0.15
    assert found["model_identity_removed.eer"].value == pytest.approx(0.5, abs=0.08)
    assert found["model_identity_removed.top1"].control == 1 / PEOPLE
    assert found["model_identity_removed.top1"].baseline > 0.9
    assert found["model_identity_removed.top1"].reason == ""


def test_people_who_are_too_few_are_told(table):
    few = table[table["subject"] == "00"]
    with pytest.raises(DataError, match="at least 2 of them"):
        run("model_identity", {"kept": described(table)[:EACH]}, described(table)[:EACH], few)
