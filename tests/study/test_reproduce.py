"""A paper's table with ours beside it: what is compared, averaged, written and doubted."""

import numpy as np
import pandas as pd
import pytest

from personare.core import registry
from personare.govern.ledger import Ledger
from personare.study import reproduce
from personare.study.plan import load_plan


def test_everything_that_is_compared_can_be_made():
    compared = reproduce._compared(1e-5, 2)
    assert len({name for name, _, _ in compared}) == len(compared)
    made = [registry.create("personare.train", method, options) for _, method, options in compared]
    assert all(getattr(m, "epochs", 2) == 2 for m in made)
    assert [m.epsilon for m in made if getattr(m, "epsilon", None)] == [1.0, 2.0, 1.0, 2.0]


def test_a_comparison_prints_and_writes_both_tables(numbers, tmp_path, monkeypatch):
    head = {"epsilon": 1.0, "delta": 1e-3, "unit": "recording", "steps": 3}
    few = [("trees", "forest", {"trees": 5}), ("head_eps1", "private_head", head)]
    monkeypatch.setattr(reproduce, "_compared", lambda delta, epochs: few)
    out, ledger = tmp_path / "out", Ledger(tmp_path / "ledger.sqlite")
    said = reproduce.reproduce_pamrl(numbers, out, ledger=ledger, seeds=2, shadows=0, protocol="person_folds")
    for text in ("62.58", "Ours, on numbers", "head_eps1", "recall IS accuracy", "protocol person_folds"):
        assert text in said
    table = pd.read_csv(out / "table.csv", header=[0, 1], index_col=0)
    assert list(table.index) == ["trees", "head_eps1"]
    np.testing.assert_allclose(table[("Acc", "mean")], table[("Recall", "mean")])
    assert "head\\_eps1" in (out / "table.tex").read_text()
    assert (out / "table.png").read_bytes()[:4] == b"\x89PNG"
    assert load_plan(config=out / "seed-1/study.toml")[0].seed == 1, "each run can be evaluated and audited"


def test_intervals_over_few_seeds_are_those_of_student():
    tables = [pd.DataFrame({"Acc": [value]}, index=["m"]) for value in (0.5, 0.6)]
    found = reproduce._together(tables)
    assert found.loc["m", ("mean", "Acc")] == pytest.approx(0.55)
    assert found.loc["m", ("half", "Acc")] == pytest.approx(12.706 * 0.05, rel=1e-3)
    assert np.isnan(reproduce._together(tables[:1]).loc["m", ("half", "Acc")])


def test_recall_over_classes_and_accuracy_can_only_differ_as_the_doubts_say():
    shares = np.array([1271] * 5 + [1087]) / 7442
    assert np.maximum(shares - 1 / 6, 0).sum() == pytest.approx(0.021, abs=5e-4)
