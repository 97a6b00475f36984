"""Made-up people are judged right where the answer is known."""

from dataclasses import replace

import numpy as np
import pytest

from personare.core.errors import DataError
from personare.core.registry import find
from personare.core.types import Batch
from personare.evaluate.synthetic import judge_synthetic_use
from personare.evaluate.utility.synthetic_likeness import correlations_kept, kernel_distance, neighborhoods, shuffled


def group(seed: int, people: int = 15, each: int = 12) -> Batch:
    """A voice and a face that go together, a signal, and two classes that show in both."""
    rng = np.random.default_rng(seed)
    n = people * each
    labels, both = np.arange(n) % 2, rng.standard_normal((n, 1))
    tables = {m: both + 0.5 * rng.standard_normal((n, 3)) + labels[:, None] for m in ("voice", "face")}
    arrays = {**tables, "pulse": rng.standard_normal((n, 25, 1)).cumsum(axis=1)}
    return Batch(
        ids=tuple(f"{seed}-{i}" for i in range(n)),
        arrays={m: x.astype(np.float32) for m, x in arrays.items()},
        present={m: np.ones(n, dtype=bool) for m in arrays},
        labels=labels,
        classes=("no", "yes"),
        subjects=np.repeat([f"{seed}-{p}" for p in range(people)], each),
    )


def use(made, test=None):
    return judge_synthetic_use(made, group(0), test or group(1), rng=np.random.default_rng(0))


@pytest.fixture(scope="module")
def judged():
    made = group(2)
    noise = {m: np.random.default_rng(3).standard_normal(x.shape).astype(np.float32) for m, x in made.arrays.items()}
    kinds = {
        "real": made,
        "shuffled": shuffled(made, rng=np.random.default_rng(4)),
        "noise": replace(made, arrays=noise),
        "copies": group(0),
    }
    return {name: {row.name.removeprefix("synthetic."): row for row in use(batch)} for name, batch in kinds.items()}


def test_people_of_the_same_kind_teach_as_much_as_real_ones_and_noise_nothing(judged):
    assert judged["real"]["linear.share_learned"].value > 0.85
    assert judged["copies"]["linear.share_learned"].value == pytest.approx(1)
    assert abs(judged["noise"]["linear.share_learned"].value) < 0.35
    row = judged["real"]["linear.tstr_uar"]
    assert row.low < row.value < row.high
    assert row.control == 0.5


def test_a_measure_draws_the_same_whatever_else_is_measured(judged, monkeypatch):
    only = {name: method for name, method in find("personare.evaluate.utility").items() if name == "synthetic_likeness"}
    monkeypatch.setattr("personare.evaluate.synthetic.find", lambda _: only)
    for row in use(group(2)):
        same = judged["real"][row.name.removeprefix("synthetic.")]
        assert (row.value, row.low) == pytest.approx((same.value, same.low), nan_ok=True)


def test_what_belongs_together_is_seen_across_modalities(judged):
    assert judged["real"]["correlation_across"].value > 0.8
    assert judged["shuffled"]["correlation_across"].value < 0.2
    assert judged["shuffled"]["correlation_within"].value > 0.8
    assert judged["real"]["correlation_across"].control < 0.2
    assert judged["copies"]["correlation_across"].value == pytest.approx(1)


def test_noise_is_told_apart_and_people_of_the_same_kind_are_not(judged):
    assert judged["noise"]["c2st_linear"].value > 0.9
    assert 0.3 < judged["real"]["c2st_linear"].value < 0.7
    assert judged["noise"]["mmd_p"].value < 0.01 < judged["real"]["mmd_p"].value
    assert judged["noise"]["ks"].value > 2 * judged["real"]["ks"].value


def test_signals_keep_their_course(judged):
    for figure in ("autocorrelation", "spectrum"):
        kept, lost = (judged[kind][f"{figure}_error.pulse"].value for kind in ("real", "noise"))
        assert lost > 3 * kept


def test_neighborhoods_tell_what_is_missing_from_what_is_wrong():
    rng = np.random.default_rng(0)
    two = np.concatenate([rng.standard_normal((50, 2)), rng.standard_normal((50, 2)) + 30])
    found = {name: part.mean() for name, part in neighborhoods(two, rng.standard_normal((50, 2))).items()}
    assert found["precision"] > 0.8
    assert 0.3 < found["recall"] <= 0.5
    assert found["coverage"] <= 0.5
    assert not any(part.any() for part in neighborhoods(two, two + 100).values())


def test_kernel_distance_is_unbiased_and_grows():
    rng = np.random.default_rng(0)
    none = [kernel_distance(*rng.standard_normal((2, 40, 2)), rng=rng)[0] for _ in range(40)]
    assert abs(np.mean(none)) < 0.005
    x = rng.standard_normal((2, 40, 2))
    assert kernel_distance(x[0], x[1] + 2, rng=rng)[0] > 0.2


def test_correlations_by_hand():
    x = np.array([[1.0, 1.0], [-1.0, -1.0], [1.0, 1.0], [-1.0, -1.0]])
    opposite = x * [1, -1]
    assert correlations_kept(x, opposite, np.array([0, 1]))[1] == pytest.approx(1 - 4)
    assert np.isnan(correlations_kept(x, opposite, np.array([0, 1]))[0])


def test_people_in_both_and_other_modalities_are_refused():
    with pytest.raises(DataError, match="split by person"):
        use(group(2), test=group(0))
    with pytest.raises(DataError, match="same modalities"):
        use(group(2).only("voice"))
