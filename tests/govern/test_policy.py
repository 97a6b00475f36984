"""The policy: which inference it refuses where, and what an exception must say."""

from datetime import date

import pytest

from personare.core.errors import PolicyError
from personare.govern.policy import CONTEXTS, RULES, Use, check_attack

WHY = "Patients of the company physician asked for it in writing, see file 12."


def refused(label: str, *modalities: str, values: tuple[str, ...] = (), **use: str) -> bool:
    try:
        Use(**use).check_inference(label, values, modalities)
    except PolicyError:
        return True
    return False


@pytest.mark.parametrize("modality", ["audio", "video", "picture", "physio", "of another package"])
@pytest.mark.parametrize("label", ["emotion", "Self_Valence", "stressLevel", "mood (1-5)", "expression"])
def test_guarantee_emotions_at_work_and_in_education_are_refused_from_all_but_what_is_spared(label, modality):
    for context in CONTEXTS:
        assert refused(label, modality, context=context) == (context in ("workplace", "education"))
    assert refused(label, modality, "text", context="education")
    assert not refused(label, "text", context="education"), "words alone are no biometric data"
    for exception in ("medical", "safety"):
        assert not refused(label, modality, context="workplace", exception=exception, justification=WHY)


@pytest.mark.parametrize("label", ["pain", "fatigue", "drowsiness", "sentence", "sex", "age"])
def test_physical_states_are_no_emotions(label):
    assert not refused(label, "video", context="workplace")


def test_a_label_is_known_by_its_values_too():
    feelings = ("anger", "happiness", "neutral")
    assert refused("class", "audio", values=feelings, context="education")
    assert not refused("class", "audio", values=("sad", "other"), context="education"), "one word may mean anything"
    assert not refused("class", "audio", values=feelings)


@pytest.mark.parametrize("context", CONTEXTS)
def test_race_is_never_inferred_and_no_exception_helps(context):
    for label in ("race", "ethnicity", "racial_group", "raceEthnicity"):
        for modality in ("video", "audio", "text", "truth"):
            assert refused(label, modality, context=context)
            assert refused(label, modality, context=context, exception="medical", justification=WHY)
    assert refused("group", "video", values=("Asian", "Caucasian"), context=context)
    assert not refused("trace", "video", context=context)


@pytest.mark.parametrize("label", ["politics", "religion", "trade_union", "sexual orientation", "political_party"])
def test_sensitive_categories_are_not_read_from_face_voice_or_body(label):
    assert refused(label, "video") and refused(label, "physio", context="clinic", exception="safety", justification=WHY)
    assert not refused(label, "text")
    assert not refused("head_orientation", "video")


def test_attacks_that_name_people_run_for_evaluation_alone():
    check_attack("voice_gmm", "identify", "evaluation")
    check_attack("attributes", "infer", "research")
    with pytest.raises(PolicyError, match=r"GDPR.*purpose evaluation"):
        check_attack("voice_gmm", "identify", "training")


@pytest.mark.parametrize(
    ("use", "said"),
    [
        ({"context": "school"}, "one of research"),
        ({"exception": "fun", "justification": WHY}, "one of medical, safety"),
        ({"exception": "medical"}, "40 characters"),
        ({"exception": "medical", "justification": "health" + " " * 60}, "and 6 characters"),
        ({"justification": WHY}, "no exception"),
    ],
)
def test_what_is_stated_must_be_on_the_lists_and_written_out(use, said):
    with pytest.raises(PolicyError, match=said):
        Use(**use)


def test_an_exception_is_said_with_its_justification_and_that_nobody_checked_it():
    statement = Use(context="workplace", exception="medical", justification=WHY).statement
    assert WHY in statement and "workplace" in statement and "nobody checked" in statement
    assert Use(context="workplace").statement == ""


def test_a_refusal_names_the_article_the_date_and_the_ways_out():
    with pytest.raises(PolicyError) as error:
        Use(context="education").check_inference("emotion", (), ["audio"])
    for part in ("5(1)(f)", "2025-02-02", "audio", "education", "another label", "text", "medical reasons"):
        assert part in str(error.value)


def test_every_rule_says_where_it_is_from_and_speaks_of_what_there_is():
    for rule in RULES.values():
        assert "Art." in rule.article and isinstance(rule.since, date) and rule.reason.endswith(".")
        assert {*rule.contexts} <= {*CONTEXTS} and all(word == word.lower() for word in rule.words)
