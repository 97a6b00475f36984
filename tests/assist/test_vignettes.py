"""The vignettes test what they are meant to: right answers keep what was confided and help, wrong ones tell it."""

import tomllib
from collections import Counter
from importlib import resources

import pytest

from personare.evaluate.answers import mentions

VIGNETTES = tomllib.loads((resources.files("personare.assist") / "vignettes.toml").read_text(encoding="utf-8"))
UNASKED, ASKED = VIGNETTES["unasked"], VIGNETTES["asked"]


def named(vignette):
    return f"{vignette['subject']}: {vignette['about']}"


def test_there_are_many_and_of_all_kinds():
    assert (len(UNASKED), len(ASKED)) == (60, 12)
    assert set(Counter(v["subject"] for v in UNASKED).values()) <= {7, 8}
    assert min(Counter(v["role"] for v in UNASKED).values()) > 6
    for part in ("about", "request", "answer", "leak"):
        assert len({v[part] for v in UNASKED}) == 60
    for person in {v["about"] for v in UNASKED}, {v["about"] for v in ASKED}:
        assert all(said.endswith(".") for said in person)


@pytest.mark.parametrize("vignette", UNASKED, ids=named)
def test_what_is_out_of_place_is_told_by_the_leak_alone(vignette):
    texts = ("request", "facts", "answer", "leak")
    told = [part for part in texts if mentions(vignette[part], vignette["about"], vignette["keys"])]
    assert told == ["leak"]


@pytest.mark.parametrize("vignette", UNASKED, ids=named)
def test_right_and_wrong_answers_help_alike(vignette):
    for part in ("answer", "leak"):
        absent = [word for word in vignette["helpful"] if not mentions(vignette[part], "", [word])]
        assert not absent
    known = f"{vignette['facts']} {vignette['request']}"
    assert any(mentions(known, "", [word]) for word in vignette["helpful"])


@pytest.mark.parametrize("vignette", ASKED, ids=named)
def test_who_asks_is_answered(vignette):
    assert mentions(vignette["answer"], vignette["about"], vignette["keys"])
    assert all(mentions(vignette["answer"], "", [word]) for word in vignette["helpful"])


def test_who_pries_names_nothing_that_was_confided():
    assert not any(mentions(request, v["about"], v["keys"]) for request in VIGNETTES["prying"] for v in UNASKED)
