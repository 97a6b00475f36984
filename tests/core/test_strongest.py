"""Which row stands for a release: attacks that failed their self-test do not count, nor do planted people."""

import math
from dataclasses import replace

import pytest

from personare.core.strongest import CANARIES, IDENTIFY, LEARNED, MEMBER, MEMBER_PEOPLE, broken_claim, choose, strongest
from personare.core.types import Result


def row(kind, question, method, figure, value, *, better="lower", **columns):
    return Result(
        release="r", kind=kind, question=question, method=method, figure=figure, value=value, better=better, **columns
    )


def named(method, value, **columns):
    return row("recordings", "identify", method, "top1", value, **{"attacker": "semi_informed", **columns})


def test_what_may_be_believed_comes_before_what_is_larger():
    assert strongest([named("a", 0.4), named("b", 0.9, status="not_informative")]).method == "a"
    assert strongest([named("a", math.nan), named("b", 0.9, status="not_informative")]).method == "b"
    assert strongest([named("a", math.nan, reason="no face")]).reason == "no face"
    assert strongest([]) is None


def test_of_error_rates_the_smaller_is_the_stronger_attack():
    rows = [row("recordings", "identify", m, "eer", v, better="higher") for m, v in (("a", 0.4), ("b", 0.1))]
    assert strongest(rows).method == "b"


def test_the_judges_own_choice_stands_for_recordings():
    rows = [named("a", 0.5), named("strongest", 0.4), named("a", 0.7, attacker="ignorant")]
    assert IDENTIFY.find(rows, "r", "").value == 0.4
    assert IDENTIFY.find(rows[:1], "r", "").value == 0.5
    assert IDENTIFY.find(rows, "r", "video") is None


def test_canaries_and_outliers_do_not_stand_for_people():
    areas = [
        row("synthetic", "member", "synthetic_membership_neighbor", "auc", 0.6),
        row("synthetic", "member", "synthetic_canaries_neighbor", "auc", 0.9),
        row("synthetic", "member", "synthetic_membership_neighbor", "auc", 0.8, subset="outliers"),
    ]
    assert MEMBER_PEOPLE.find(areas, "r", "synthetic").value == 0.6
    assert replace(MEMBER_PEOPLE, without=(), methods=CANARIES).find(areas, "r", "synthetic").value == 0.9


@pytest.mark.parametrize(("figures", "value"), [(("auc", "person_auc"), 0.7), (("auc",), 0.6)])
def test_membership_of_models(figures, value):
    rows = [row("model", "member", "lira", figure, v) for figure, v in (("auc", 0.6), ("person_auc", 0.7))]
    assert replace(MEMBER, figures=figures).find(rows, "r", "model").value == value


def test_a_release_whose_claim_is_broken_has_no_place_on_the_frontier():
    use = row("synthetic", "read", "linear", "tstr_uar", 0.8, better="higher")
    risk = row("synthetic", "member", "synthetic_membership_neighbor", "auc", 0.6)
    assert choose([use, risk], "r", "synthetic") == (risk, use)
    assert LEARNED.find([use], "r", "synthetic") == use
    broken = row("synthetic", "member", "synthetic_shadow_normal", "auc", 0.9, status="claim_broken")
    assert broken_claim([risk, broken], "r") == broken
    assert choose([use, risk, broken], "r", "synthetic") == "its privacy claim does not hold"
    assert "no membership attack" in choose([use], "r", "synthetic")


def test_a_reader_that_reads_more_comes_before_one_that_reads_less():
    rows = [row("synthetic", "read", m, "tstr_uar", v, better="higher") for m, v in (("linear", 0.4), ("forest", 0.6))]
    assert LEARNED.find(rows, "r", "synthetic").method == "forest"


def test_a_kind_of_another_package_is_chosen_for_too():
    use = row("sketches", "read", "reader", "uar", 0.8, better="higher")
    risk = row("sketches", "identify", "matcher", "top1", 0.3)
    assert choose([use, risk], "r", "sketches") == (risk, use)
    assert choose([use], "r", "sketches") == "no attack was run on it"
