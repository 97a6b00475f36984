"""Spends add up by person over runs, and a run past the budget is refused before it starts."""

import pytest

from personare.core.errors import DataError, OptionError, PolicyError
from personare.core.types import Spend
from personare.govern.budget import Budget, charge, charges
from personare.govern.ledger import Ledger
from personare.learn.accounting import compose

SPEND = Spend(
    unit="recording",
    sampling_rate=1.0,
    noise_multiplier=40.0,
    steps=4,
    epsilon=0.1,
    delta=1e-3,
    accountant="pld",
    units=90,
)
LIMIT = Budget(epsilon=1.0, delta=1e-3)


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "ledger.sqlite")


def _charge(ledger, people, *, spends=(SPEND,), budget=LIMIT, cohort="c"):
    return charge(ledger, list(spends), cohort=cohort, people=people, budget=budget, compose=compose)


def test_charges_add_up_over_runs_by_the_mechanisms_not_by_their_epsilons(ledger):
    first = _charge(ledger, {"01": 1, "02": 4})
    assert first["01"] < first["02"]  # four recordings are four times as exposed
    second = _charge(ledger, {"01": 1})
    assert second["01"] == pytest.approx(compose([SPEND, SPEND], 1e-3))
    assert {name: len(account) for name, account in charges(ledger, "c").items()} == {"01": 2, "02": 1}
    assert charges(ledger, "other") == {}
    assert ledger.verify().ok
    assert ledger.rows()["action"].tolist() == ["spent"] * 3


def test_a_spent_budget_refuses_the_run_and_writes_nothing(ledger):
    runs = 0
    with pytest.raises(PolicyError, match=r"1 of 2 people in c does not suffice.*02 would have cost epsilon"):
        while runs < 50:
            _charge(ledger, {"01": 1, "02": 3})
            runs += 1
    assert 0 < runs < 50
    assert len(ledger.rows()) == 2 * runs
    _charge(ledger, {"01": 1})  # the other one can go on


def test_people_of_other_cohorts_and_no_budget_are_not_refused(ledger):
    big = Spend(**{name: getattr(SPEND, name) for name in SPEND.__dataclass_fields__} | {"noise_multiplier": 0.5})
    with pytest.raises(PolicyError):
        _charge(ledger, {"01": 1}, spends=(big,))
    assert _charge(ledger, {"01": 1}, spends=(big,), budget=None) == {}  # nothing is priced
    with pytest.raises(PolicyError):  # it was counted all the same
        _charge(ledger, {"01": 1})
    _charge(ledger, {"01": 1}, cohort="d")


def test_an_infinite_or_unknown_price_is_refused(ledger):
    with pytest.raises(PolicyError):
        charge(ledger, [SPEND], cohort="c", people={"01": 1}, budget=LIMIT, compose=lambda *a, **k: float("nan"))


def test_a_database_url_keeps_the_account_too(tmp_path):
    ledger = Ledger(f"sqlite:///{tmp_path}/book.sqlite")
    assert charges(ledger, "c") == {}
    _charge(ledger, {"01": 2})
    assert charges(ledger, "c")["01"][0].recordings == 2


def test_nothing_to_charge_and_nobody_in_it(ledger):
    assert _charge(ledger, {}) == {}
    assert _charge(ledger, {"01": 1}, spends=()) == {}
    with pytest.raises(DataError):
        _charge(ledger, {"01": 0})
    with pytest.raises(OptionError):
        Budget(epsilon=0, delta=1e-3)
