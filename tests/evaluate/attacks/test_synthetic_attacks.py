"""Each attack finds people in a generator that remembers, and nobody in one that never looked."""

import inspect
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from made_generators import WIDTHS, batch, blind, group, memorized, rows_of, synthetic_names

from personare.core import registry
from personare.core.errors import DataError, OptionError
from personare.evaluate.synthetic_case import SyntheticCase

FOLDER = "personare.evaluate.attacks"
NAMES = [name for name in registry.find(FOLDER) if name.startswith("synthetic_")]
TRAIN, CONTROL = group(16), group(16, first=100)


def case(synthetic, train=TRAIN, control=CONTROL):
    return SyntheticCase.of(synthetic, train, control, rng=np.random.default_rng(0))


def run(name, about, **options):
    rows = registry.create(FOLDER, name, options)(about, rng=np.random.default_rng(1))
    return {row.name.removeprefix(name): row for row in rows}


@pytest.fixture(scope="module")
def remembered():
    return case(memorized(TRAIN, np.random.default_rng(0)))


def test_there_are_six_and_each_says_what_it_rests_on():
    assert len(NAMES) == 6
    for name in NAMES:
        method = registry.load(FOLDER, name)
        assert "**Source**" in inspect.getdoc(method)
        assert method.kinds == ("synthetic",)


FIGURES = {
    "synthetic_membership": ("_neighbor.auc", "_neighbor.auc.outliers"),
    "synthetic_singling_out": (".risk", ".risk.outliers"),
    "synthetic_linkability": (".risk", ".risk.outliers"),
    "synthetic_inference": ("_label.risk", "_values.risk", "_values.risk.outliers"),
    "synthetic_copies": (".nearer", ".nearer.outliers"),
    "synthetic_identity": (".named", ".named.outliers"),
}


@pytest.mark.parametrize("name", NAMES)
def test_it_finds_people_in_a_generator_that_remembers(name, remembered):
    rows = run(name, remembered)
    for figure in FIGURES[name]:
        assert rows[figure].low > rows[figure].control, figure


@pytest.mark.parametrize("name", NAMES)
def test_it_finds_nobody_in_a_generator_that_never_looked(name):
    found = {figure: [] for figure in FIGURES[name]}
    for seed in range(8):
        train, control = group(12, seed=seed), group(12, seed=seed, first=100)
        rows = run(name, case(blind(np.random.default_rng(seed), count=300), train, control))
        for figure, values in found.items():
            values.append(rows[figure].value - rows[figure].control)
    for figure, values in found.items():
        if "outliers" not in figure:  # four people a side: their mean over eight draws says little
            assert abs(np.nanmean(values)) < 0.12, figure


@pytest.mark.parametrize("name", NAMES)
def test_the_same_each_time_and_every_figure_is_a_risk(name, remembered):
    one, other = run(name, remembered), run(name, remembered)
    for measure, row in one.items():
        assert (row.value, row.low) == pytest.approx((other[measure].value, other[measure].low), nan_ok=True)
    assert all(row.risk and row.better == "lower" for row in one.values())


@pytest.mark.parametrize("name", NAMES)
def test_swapping_the_groups_swaps_the_finding(name, remembered):
    # nothing but the truth tells the groups apart: of those not remembered nobody is found
    turned = replace(remembered, inside=~remembered.inside)
    rows = run(name, turned)
    for figure in FIGURES[name]:
        row = rows[figure]
        assert np.isnan(row.value) or row.value < row.control, figure


def test_normal_densities_find_people_in_fitted_averages():
    rng = np.random.default_rng(0)
    values = rng.multivariate_normal(rows_of(TRAIN).mean(axis=0), np.cov(rows_of(TRAIN).T), size=600)
    about = case(batch(values, rng.integers(3, size=600), synthetic_names(600)))
    assert run("synthetic_membership", about, estimator="normal")["_normal.auc"].low > 0.5


def test_copies_are_counted_and_ties_are_even():
    # one real recording unchanged, and one made-up that two people are exactly as near to
    train, control = rows_of(TRAIN), rows_of(CONTROL)
    middle = (train[0] + control[0]) / 2
    made = batch(np.stack([train[5], middle]), [0, 0], synthetic_names(2))
    rows = run("synthetic_copies", case(made))
    assert rows[".exact"].value == 0.5
    same = replace(CONTROL, arrays=TRAIN.arrays)  # everybody has a twin in the other group
    assert (
        run("synthetic_copies", case(memorized(TRAIN, np.random.default_rng(0)), control=same))[".nearer"].value == 0.5
    )


def test_a_guess_of_few_columns_is_narrow_still():
    one = [replace(b.only("voice"), arrays={"voice": b.arrays["voice"][:, :2]}) for b in (TRAIN, CONTROL)]
    made = memorized(TRAIN, np.random.default_rng(0), noise=0.0).only("voice")
    made = replace(made, arrays={"voice": made.arrays["voice"][:, :2]})
    rows = run("synthetic_singling_out", case(made, *one))
    assert rows[".risk"].value > 0.3


def test_constant_columns_and_missing_modalities_do_no_harm():
    def poorer(some):
        arrays = {"voice": np.ones_like(some.arrays["voice"]), "face": some.arrays["face"]}
        present = {"voice": some.present["voice"], "face": np.arange(len(some)) % 5 > 0}
        return replace(some, arrays=arrays, present=present)

    about = case(*(poorer(some) for some in (memorized(TRAIN, np.random.default_rng(0)), TRAIN, CONTROL)))
    for name in NAMES:
        for row in run(name, about).values():
            assert np.isfinite(row.value) or row.reason


def test_who_cannot_be_judged_is_refused():
    made = blind(np.random.default_rng(0), count=20)
    few = TRAIN.take(np.isin(TRAIN.subjects, ["p000", "p001"]))
    with pytest.raises(DataError, match="at least 4 real people"):
        case(made, few)
    with pytest.raises(DataError, match="split by person"):
        case(made, TRAIN, TRAIN)
    with pytest.raises(DataError, match="same modalities"):
        case(made.only("voice"))
    broken = replace(made, arrays={**made.arrays, "voice": np.full((20, WIDTHS["voice"]), np.nan, np.float32)})
    with pytest.raises(DataError, match="NaN"):
        case(broken)
    wide = replace(made, arrays={**made.arrays, "voice": np.zeros((20, 9), np.float32)})
    with pytest.raises(DataError, match=r"\(7,\)"):
        case(wide)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("synthetic_membership", {"estimator": "guess"}),
        ("synthetic_singling_out", {"weight": 0.0}),
        ("synthetic_linkability", {"among": 1}),
        ("synthetic_inference", {"tolerance": 0.0}),
        ("synthetic_copies", {"most": 0}),
        ("synthetic_identity", {"enrolled": 0}),
    ],
)
def test_options_that_cannot_be_are_refused(name, options):
    with pytest.raises(OptionError, match=r"must be|given"):
        registry.create(FOLDER, name, options)
