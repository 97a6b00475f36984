from datetime import date

import numpy as np
import pytest

from personare.assist.checkin import QUESTIONS, CheckIn

TODAY = date(2026, 11, 29)
BY_ID = {question.id: question for question in QUESTIONS}


@pytest.fixture
def check_in() -> CheckIn:
    return CheckIn(today=TODAY, crisis_text="CALL 555")


@pytest.mark.parametrize(
    "question, text, option",
    [
        ("interest", "Not at all.", "not at all"),
        ("interest", "never really", "not at all"),
        ("interest", "No, not at all", "not at all"),
        ("interest", "Several days", "several days"),
        ("interest", "oh, a few days I guess", "several days"),
        ("interest", "two days", "several days"),
        ("interest", "once or twice", "several days"),
        ("interest", "more than half the days", "more than half the days"),
        ("interest", "More than half of the time", "more than half the days"),
        ("interest", "most of the days", "more than half the days"),
        ("interest", "nearly every day", "nearly every day"),
        ("interest", "EVERYDAY!!", "nearly every day"),
        ("interest", "not every day", None),
        ("interest", "sometimes, or almost always", None),
        ("interest", "never a day without it", None),
        ("interest", "not at all, but today", None),
        ("interest", "3", None),
        ("interest", "blue", None),
        ("interest", "", None),
        ("mood", "7", "7 of 10"),
        ("mood", "I'd say seven", "7 of 10"),
        ("mood", "7/10", "7 of 10"),
        ("mood", "a 10 out of 10", "10 of 10"),
        ("mood", "0", "0 of 10"),
        ("mood", "11", None),
        ("mood", "-3 or 4", None),
        ("mood", "very bad", "very low"),
        ("mood", "not so good", "low"),
        ("mood", "not bad", "in between"),
        ("sleep", "Pretty well", "well"),
        ("sleep", "not so well", "badly"),
        ("sleep", "ok", "fairly"),
        ("sleep", "Well, badly", "badly"),
        ("sleep", "Well, I think", "well"),
        ("sleep", "Well, well", "well"),
        ("sleep", "terribly", "badly"),
    ],
)
def test_free_words_are_understood_or_asked_again(question: str, text: str, option: str | None) -> None:
    assert BY_ID[question].understood(text) == option


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.id)
def test_every_option_is_understood_as_itself(question) -> None:
    assert [question.understood(option) for option in question.options] == list(question.options)


def test_questions_come_one_by_one_and_lines_say_what_was_said(check_in: CheckIn) -> None:
    assert "11 short questions" in check_in.opening
    replies = []
    answers = iter(["6", "badly", "several days", "blue", "green", "skip", "I'd rather not say", *["never"] * 5])
    while check_in.question:
        replies.append(check_in.answer(next(answers)))
    assert replies[2] == "Thank you."
    assert replies[3].startswith("I did not quite understand. You could say not at all, several days")
    assert replies[4] == replies[5] == replies[6] == "That is fine, we leave it out."
    assert "last question" in replies[-1]
    assert "last question" in check_in.answer("more")
    assert set(check_in.answers) == set(BY_ID) - {"low", "rest", "energy"}
    line = {line.id: line for line in check_in.lines()}["interest"]
    assert line.text == ("In the last two weeks: little interest or pleasure, several days (said on 2026-11-29).")
    assert line.evidence.startswith("Asked “Over the last two weeks, how often did you have little interest")
    assert "“several days”" in line.evidence
    assert [line.id for line in check_in.lines()] == list(check_in.answers)


@pytest.mark.parametrize(
    "answer",
    ["several days", "nearly every day", "maybe", "skip", "not really", "never a day without", "no, I want to die"],
)
def test_guarantee_thoughts_of_death_get_a_human(check_in: CheckIn, answer: str) -> None:
    while check_in.question and not check_in.question.crisis_unless:
        check_in.answer("skip")
    assert check_in.answer(answer) == "CALL 555"
    assert check_in.question is None
    assert check_in.answers == ({"death": answer} if " days" in answer or "every" in answer else {})


def test_no_thoughts_of_death_are_no_crisis(check_in: CheckIn) -> None:
    while check_in.question and not check_in.question.crisis_unless:
        check_in.answer("skip")
    assert check_in.answer("Not at all").startswith("Thank you.")
    assert check_in.answers == {"death": "not at all"}


def test_guarantee_words_of_crisis_get_a_human_at_any_question(check_in: CheckIn) -> None:
    first = check_in.question
    assert check_in.answer("0, I want to kill myself") == "CALL 555"
    assert check_in.question is first
    assert check_in.answers == {}
    assert check_in.answer("1") == "Thank you."


def test_guarantee_nothing_is_invented_in_200_check_ins() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        check_in, told = CheckIn(today=TODAY, crisis_text="CALL 555"), {}
        while question := check_in.question:
            option = str(rng.choice(question.options))
            text = str(rng.choice([option, f"Well, {option}!", "skip", "hmm blue"]))
            if option in text:
                told[question.id] = option
            check_in.answer(text)
            if text == "hmm blue" and check_in.question is question:
                check_in.answer("green")
        expected = {i: f"{BY_ID[i].period}: {BY_ID[i].topic}, {o} (said on 2026-11-29)." for i, o in told.items()}
        assert {line.id: line.text for line in check_in.lines()} == expected
