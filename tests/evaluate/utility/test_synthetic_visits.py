"""Figures about made-up histories, against answers worked by hand."""

from dataclasses import replace

import numpy as np
import pytest

from personare.core.errors import DataError
from personare.core.types import Batch
from personare.evaluate.synthetic import canary_people, judge_synthetic_risk
from personare.evaluate.utility.synthetic_visits import judge_copies, judge_histories, shuffled
from personare.features.visits import histories

COLUMNS = (
    "visit",
    "type=a",
    "type=b",
    "code=x",
    "code=y",
    "code=z",
    "code=w",
    "length=l",
    "gap=first",
    "gap=g",
    "gap=h",
)


def history(*visits: str) -> np.ndarray:
    """Return (4, 11) rows of visits such as ``a xy g``."""
    rows = np.zeros((4, len(COLUMNS)), np.float32)
    for t, told in enumerate(visits):
        kind, codes, gap = told.split(" ")
        on = ["visit", f"type={kind}", *(f"code={c}" for c in codes.strip("-")), "length=l"]
        rows[t, [COLUMNS.index(name) for name in (*on, "gap=first" if t == 0 else f"gap={gap}")]] = 1
    return rows


def batch(rows: list[np.ndarray], name: str) -> Batch:
    who = [f"{name}{i}" for i in range(len(rows))]
    return Batch(
        ids=tuple(who),
        arrays={"visits": np.stack(rows)},
        present={"visits": np.ones(len(rows), bool)},
        labels=np.zeros(len(rows), np.int64),
        classes=("one", "two"),
        subjects=np.array(who),
        columns={"visits": COLUMNS},
    )


def pairs(count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return histories in which x and y, z and w, or y and w come together, and what was comes again."""
    kinds = (["a xy g"] * 4, ["b zw h"] * 3, ["b yw h"] * 2)
    return [history(*kinds[rng.choice(3, p=[0.5, 0.3, 0.2])]) for _ in range(count)]


def judged(train: Batch, test: Batch, made: Batch) -> dict[str, object]:
    return {r.figure: r for r in judge_histories(train, test, made, rng=np.random.default_rng(0))}


def test_figures_worked_by_hand() -> None:
    test = batch([history("a x g", "a x g"), history("b y g", "b xz h"), history("a - g")], "t")
    made = batch([history("a x g", "b x h"), history("a xz g"), history("b y g")], "m")
    found = judged(batch(pairs(20, np.random.default_rng(0)), "r"), test, made)
    # shares of visits with x, y, z: test 3/5, 1/5, 1/5; made 3/4, 1/4, 1/4
    assert found["prevalence"].value == pytest.approx(1.0)
    # people who ever have x, y, z: test 2/3, 1/3, 1/3; made 2/3, 1/3, 1/3
    assert found["prevalence_by_person"].value == pytest.approx(1.0)
    # visits: test 2, 2, 1; made 2, 1, 1: below 2 are 1/3 and 2/3
    assert found["visits"].value == pytest.approx(1 / 3)
    # gaps: test g 1/2, h 1/2; made h only
    assert found["gaps"].value == pytest.approx(1 / 2)


def test_the_anchors_hold_the_figures_between_them() -> None:
    rng = np.random.default_rng(1)
    train, test, made = (batch(pairs(60, rng), name) for name in "rtm")
    found = judged(train, test, made)
    for name in ("co_occurrence", "next_visit_auc"):
        assert found[name].value > found[name].control + 0.2
        assert found[name].value == pytest.approx(found[name].baseline, abs=0.05)
        assert found[name].low <= found[name].value <= found[name].high
    assert found["prevalence"].control > 0.9  # shuffling does not touch it, and this is said
    assert found["transitions"].value < 0.05 < found["transitions"].control
    rows, columns = histories(made)
    mixed = shuffled(rows, columns, rng=rng)
    np.testing.assert_array_equal(mixed.sum(axis=(0, 1)), rows.sum(axis=(0, 1)))
    histories(replace(made, arrays={"visits": mixed}))  # still visits


def test_copies_are_counted_against_strangers() -> None:
    rng = np.random.default_rng(2)
    drawn = lambda n: [  # noqa: E731
        history(*("ab"[int(rng.integers(2))] + " " + "xyz"[int(rng.integers(3))] + " g" for _ in range(4)))
        for _ in range(n)
    ]
    train, test = batch(drawn(40), "r"), batch(drawn(200), "t")
    half = batch([*train.arrays["visits"][:20], *drawn(20)], "m")
    copies, near = judge_copies(train, test, half)
    assert 0.5 <= copies.value < 0.6
    assert copies.baseline < 0.1
    assert near.control <= 0.05 + 1e-9
    assert "not safety" in copies.reason


def test_what_cannot_be_compared_is_refused() -> None:
    rng = np.random.default_rng(3)
    train, test, made = (batch(pairs(20, rng), name) for name in "rtm")
    with pytest.raises(DataError, match="Split by person"):
        judge_histories(train, train, made, rng=rng)
    other = replace(made, columns={"visits": tuple(c.replace("=x", "=q") for c in COLUMNS)})
    with pytest.raises(DataError, match="one vocabulary"):
        judge_histories(train, test, other, rng=rng)
    nothing = batch([history("a - g", "a - g")] * 20, "t")
    assert np.isnan(judged(train, nothing, made)["next_visit_auc"].value)


def strangers(count: int, name: str, rng: np.random.Generator) -> Batch:
    """Return people whose histories hardly ever occur twice."""
    told = lambda: f"{rng.choice(['a', 'b'])} {''.join(c for c in 'xyzw' if rng.random() < 0.5) or '-'} g"  # noqa: E731
    return batch([history(*(told() for _ in range(rng.integers(2, 5)))) for _ in range(count)], name)


def test_who_is_copied_is_found_and_who_is_not_is_not() -> None:
    rng = np.random.default_rng(4)
    train, control, fresh = (strangers(40, name, rng) for name in "rtm")
    padded = {"visits": np.pad(train.arrays["visits"], ((0, 0), (0, 3), (0, 0)))}  # how many zeros follow says nothing
    copied = replace(train, arrays=padded, subjects=np.char.add("synthetic-", train.subjects))
    area = {}
    for name, made in (("copied", copied), ("fresh", fresh)):
        rows = {r.name: r for r in judge_synthetic_risk(made, train, control, rng=np.random.default_rng(5))}
        area[name] = rows["synthetic_membership_neighbor.auc"]
    assert area["copied"].low > 0.9
    assert area["fresh"].low < 0.5 < area["fresh"].high
    assert rows["synthetic_identity"].reason.startswith("not measured")  # nobody has a second history to be named by


def test_canaries_are_histories() -> None:
    real = strangers(30, "r", np.random.default_rng(6))
    planted = canary_people(real, 3, rng=np.random.default_rng(7))
    rows, columns = histories(planted)  # checks every row
    codes = columns.part("code")
    assert planted.subjects[-3:].tolist() == ["canary-0001", "canary-0002", "canary-0003"]
    for canary in rows[-3:]:
        others = np.delete(canary, np.r_[codes], axis=1)
        taken_over = (np.delete(rows[:30], np.r_[codes], axis=2) == others).all(axis=(1, 2))
        assert taken_over.any()
        assert not (rows[:30][taken_over] == canary).all(axis=(1, 2)).any()
