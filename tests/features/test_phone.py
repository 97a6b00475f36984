"""A phone's log: what is refused, and what is made of it, worked by hand."""

from dataclasses import replace

import numpy as np
import pytest

from personare.core.errors import DataError
from personare.core.types import Track
from personare.features.phone import COLUMNS, HOUR_HZ, coarse, hourly, routine, unicity


def log(rows: np.ndarray, **how: object) -> Track:
    return replace(Track(kind="signal", values=rows, columns=COLUMNS, rate_hz=HOUR_HZ), **how)


def hours(count: int, **columns: object) -> np.ndarray:
    rows = np.zeros((count, len(COLUMNS)))
    for name, values in columns.items():
        rows[:, COLUMNS.index(name)] = values
    return rows


@pytest.mark.parametrize(
    ("track", "problem"),
    [
        (log(hours(24, calls=-1)), "from 0"),
        (log(hours(24, talk_min=np.inf)), "from 0"),
        (log(hours(24, lat=91)), "on the globe"),
        (log(hours(24, lon=-181)), "on the globe"),
        (log(hours(5)), "a day or more"),
        (log(hours(0)), "a day or more"),
        (log(hours(24), rate_hz=1.0), "a row an hour"),
        (log(np.zeros(8), kind="table", rate_hz=0.0), "a row an hour"),
        (log(np.zeros((24, 1)), columns=("heart",)), "not heart"),
        (log(np.zeros((24, 1)), columns=()), "no names"),
        (log(np.zeros((24, 2)), columns=("calls", "calls")), "not calls, calls"),
        (log(hours(24, locked_min=3600)), "more than 120 minutes"),  # seconds
        (log(np.full((24, 8), np.nan)), "this one is empty"),
        (log(hours(24), start_s=86400 + 4 * 3600), "at a midnight"),  # midnight in another zone
        (log(hours(24), start_s=np.nan), "at a midnight"),
        (log(hours(24), rate_hz=HOUR_HZ * 60), "a row an hour"),  # a row a minute
    ],
)
def test_what_is_no_log_is_refused(track: Track, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        hourly(track)


def test_columns_may_be_missing_and_in_any_order() -> None:
    rows = hourly(log(np.array([[44.0, 3.0]] * 24), columns=("lat", "calls")))
    assert rows[0].tolist()[0] == 3 and rows[0, 6] == 44 and np.isnan(rows[:, 1:6]).all()


def test_rows_become_coarser() -> None:
    rows = hours(24, calls=[2] * 12 + [0] * 12, lat=[43.71, 43.76, np.nan] * 8, lon=-72.3)
    rows[12:, 1] = np.nan
    out = coarse(rows, 12, 0.1, 2)
    assert out.shape == (2, 8)
    assert out[:, 0] == pytest.approx([np.expm1(4), 0])  # 24 calls: ln 25 = 3.2, in steps of 2
    assert out[0, 6] == pytest.approx(43.7) and out[0, 7] == pytest.approx(-72.3)
    assert out[0, 1] == 0 and np.isnan(out[1, 1])  # what is missing all over stays missing
    assert np.allclose(coarse(rows, 1), rows, equal_nan=True)


def test_routine_by_hand() -> None:
    week = hours(168, calls=np.tile([0] * 12 + [1] * 12, 7), lat=[43.7] * 126 + [43.8] * 42, lon=-72.3)
    entropy, alike, night, main, places = routine(week)
    assert entropy == pytest.approx(np.log(12) / np.log(24)) and alike == pytest.approx(1) and night == 0
    assert main == 0.75 and places == pytest.approx(0.8113, abs=1e-4)
    assert routine(coarse(week, 12), 12) == pytest.approx([entropy, 1, 0, 10 / 14, 0.6908], abs=1e-4)
    days = routine(coarse(week, 24), 24)
    assert np.isnan(days[:3]).all() and days[3] == pytest.approx(5 / 7)  # nothing is told of hours
    never = hours(24, lat=np.nan)
    assert np.isnan(routine(never)).all()
    assert np.isnan(routine(np.full((24, 8), np.nan))).all()


def test_unicity_by_hand() -> None:
    home, calls = hours(24, lat=43.7, lon=-72.3), [1] * 6 + [0] * 18
    people = {"a": hours(24, lat=43.7, lon=-72.3, calls=calls), "b": home, "c": hours(24, lat=43.9, lon=-72.3)}

    def found(*level: float) -> dict[str, dict[str, float]]:
        logs = [(who, 0.0, rows, coarse(rows, *level)) for who, rows in people.items()]
        return unicity(logs, points=2, rng=np.random.default_rng(0))

    assert found(1)["place"] == {"a": 0, "b": 0, "c": 1}  # a and b live together
    assert found(1)["use"] == {"a": 1}  # nothing is known of who did nothing
    assert found(1, 1, 3)["place"] == {"a": 0, "b": 0, "c": 0}
    assert found(1, 1, 3)["use"] == {"a": 0}  # one call in an hour is rounded away
    gone = [(who, 0.0, rows, np.full((24, 8), np.nan)) for who, rows in people.items()]
    assert set(unicity(gone, points=2, rng=np.random.default_rng(0))["any"].values()) == {0}  # what is not shown
    other = [(who, 3600.0 * (who == "b"), rows, rows) for who, rows in people.items()]
    assert unicity(other, points=2, rng=np.random.default_rng(0))["place"]["b"] == 1  # nobody else has those hours
