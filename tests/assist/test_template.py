"""Rules answer with the facts alone, in the style that the profile asks for."""

import pytest

from personare.assist.backends.template import Template
from personare.core.types import Turn

FACTS = "Open the contact. Press the camera sign. Wait for the answer."


def said(profile, facts=FACTS):
    system = f"You are a kind, brief assistant.\nProfile: {profile}\nFacts: {facts}"
    return "".join(Template()([Turn(role="system", text=system), Turn(role="user", text="Tell me.")], most_tokens=99))


@pytest.mark.parametrize(
    ("profile", "answer"),
    [
        ("nothing", FACTS),
        (
            "expression: sadness; age_band: 50 and over; name: Ana; interest: chess",
            "Ana, I am sorry that this is a hard moment. First: Open the contact. Then: Press the camera sign. "
            "Last: Wait for the answer. And there will be time for chess.",
        ),
        ("age_band: under 35; level: beginner", f"In short: {FACTS}"),
        ("hearing: badly", "First: Open the contact. Then: Press the camera sign. Last: Wait for the answer."),
        ("name: {interest}; note: a; b", "{interest}, " + FACTS),
    ],
)
def test_the_profile_says_how_it_is_told(profile, answer):
    assert said(profile) == answer


def test_it_says_so_when_it_has_no_facts():
    assert said("expression: fear", "").startswith("Do not worry, nothing can go wrong. I do not know that")
    assert "".join(Template()([Turn(role="user", text="Hello")], most_tokens=3)) == "I do not "


@pytest.mark.parametrize(("facts", "told"), [("One.", "First: One."), ("One. Two!", "First: One. Last: Two!")])
def test_few_facts_are_told_too(facts, told):
    assert said("age_band: 50 and over", facts) == told


def test_every_sentence_is_a_fact_or_stands_in_the_template():
    from personare.assist.backends.template import _WORDS

    fixed = " ".join([*_WORDS["openings"].values(), *map("".join, _WORDS["styles"].values()), _WORDS["interest"]])
    for profile in ("expression: anger; age_band: 35 to 49", "tempo: slow; expression: happiness"):
        for word in said(profile).split():
            assert word in (FACTS + " " + fixed).split()
