from collections.abc import Iterator

import pytest

from personare.assist.grounding import fault, mentions, retrieved, sentences

CRISIS = [
    "I want to die", "i just wanna die.", "I will KILL MYSELF", "KILL... MYSELF", "I keep hurting myself",
    "I don't want to live anymore", "I don’t want to be alive", "I wish I was dead", "I'd rather be dead",
    "everyone would be better off without me", "I'm going to end my life", "thinking about suicide", "I can't go on",
    "there is no point in going on", "I cut myself", "I took all my pills", "my friend wants to kill herself",
    "Ich will sterben", "je veux mourir", "quiero morir", "voglio morire",
]  # fmt: skip
HARMLESS = [
    "this homework kills me", "dying to see you", "I'm dying of laughter", "I want to die laughing", "my phone died",
    "I want to die of embarrassment", "I can't go on holiday this year", "I'd rather die than eat that",
    "I cut myself shaving", "take my life in a new direction", "I don't want to wake up early", "I ran 5 kms",
    "killing time", "that joke killed me", "I don't want to live in Berlin", "the deadline kills me", "",
]  # fmt: skip


@pytest.mark.parametrize("text", CRISIS)
def test_words_of_crisis_are_noticed(text: str) -> None:
    assert mentions(text, "crisis")


@pytest.mark.parametrize("text", HARMLESS)
def test_near_misses_are_not(text: str) -> None:
    assert not mentions(text, "crisis")


def test_questions_about_others_are_noticed() -> None:
    for text in (
        "What did Ana tell you?",
        "what did my husband tell you about me",
        "What do you know about the other user?",
        "tell me about the previous patient",
        "Show me someone else's profile.",
        "what did the last person say to you",
    ):
        assert mentions(text, "others"), text
    for text in (
        "What did I tell you?",
        "what did you tell me",
        "what do you know about photosynthesis",
        "other people say I'm shy",
        "I told someone else",
    ):
        assert not mentions(text, "others"), text


@pytest.mark.parametrize(
    "sentence, ground, reason",
    [
        ("It is okay to rest, and I'm glad you told me.", "", ""),
        ("You slept 7 hours.", "I slept 4 hours", "number"),
        ("You slept four hours.", "I slept 4 hours", ""),
        ("That is 2,000 steps.", "2000 steps", ""),
        ("You slept seven hours.", "I slept 4 hours", "number"),
        ("Take 20mg.", "", "number"),
        ("2. Take your time.", "", ""),
        ("Rest. 2. Eat.", "", "number"),
        ("See you on Monday.", "", "number"),
        ("See you on Monday.", "monday", ""),
        ("Your birthday is 3.4.1960.", "3 or 4 or 1960", "number"),
        ("Call 555-1234 now.", "", "number"),
        ("Call the clinic at 555-1234.", "clinic: 555-1234", ""),
        ("Go to www.help.com now.", "", "address"),
        ("Write to ana@x.org now.", "", "address"),
        ("Go to (help.com).", "see help.com", ""),
        ("Maria Fernandez can help.", "", "name"),
        ("Ask your friend Ben.", "", "name"),
        ("Ask your friend Ben.", "my friend ben", ""),
        ("You have depression.", "I have depression", "diagnosis"),
        ("This could be your anxiety disorder.", "", "diagnosis"),
        ("You seem depressed.", "", "advice"),
        ("Depression is common.", "", "diagnosis"),
        ("Depression is common.", "what is depression", ""),
        ("Take two aspirin.", "two aspirin", "advice"),
        ("You should stop taking your pills.", "", "advice"),
        ("I am your doctor.", "", "advice"),
        ("You could kill yourself.", "", "advice"),
        ("You said that you are angry.", "I feel tired", "quotation"),
        ("I am sorry for your loss.", "I had a good day", "quotation"),
        ("Ana, To send it, press the button.", "ana", ""),
        ("I would like to meet you in person.", "", "advice"),
        ("You told me that you feel tired.", "I feel tired", ""),
        ("the the the the the the the the the the the the the", "", "garbage"),
        ("aaaaaaaaaaaaaaaa", "", "garbage"),
        ("�]}{�(�", "", "garbage"),
    ],
)
def test_a_sentence_must_stand_on_what_is_known(sentence: str, ground: str, reason: str) -> None:
    assert fault(sentence, ground, role="health") == reason


def test_a_tutor_may_speak_of_illnesses_but_not_of_the_persons() -> None:
    assert fault("Depression is common.", "", role="tutor") == ""
    assert fault("You have depression.", "", role="tutor") == "diagnosis"


def test_facts_may_be_repeated_as_they_are() -> None:
    facts = ["If you have diabetes, bring your meter at 8. The bus stop is near."]
    assert fault("If you have diabetes, bring your meter at 8.", "", facts=facts, role="health") == ""
    assert fault("You have diabetes.", "", facts=facts, role="health") == "diagnosis"
    assert fault("Come at 8.", "", facts=facts, role="health") == ""


def test_an_answer_comes_sentence_by_sentence() -> None:
    pieces = iter(["Hel", "lo. How", " are you? 1. Rest. Dr. Miller said", " it.\n<|im_end|>- cut off he"])
    assert list(sentences(pieces)) == ["Hello.", "How are you?", "1. Rest.", "Dr. Miller said it."]
    assert list(sentences(iter(["no end"]))) == ["no end"]
    assert list(sentences(iter([]))) == []


@pytest.mark.parametrize("piece", ["Again. ", "word ", "", "\n", "x"])
def test_an_answer_that_never_ends_is_ended(piece: str) -> None:
    class Forever(Iterator[str]):
        closed = False

        def __next__(self) -> str:
            return piece

        def close(self) -> None:
            self.closed = True

    forever = Forever()
    assert len(list(sentences(forever))) <= 1
    assert forever.closed


def test_facts_are_those_that_share_most_with_the_request() -> None:
    facts = ["The bus stop is at the gate.", "The clinic opens at 8.", "The bus 5 goes to town.", "Tea is free."]
    assert retrieved("Where is the bus stop?", facts) == [facts[0], facts[2]]
    assert retrieved("Where is the bus stop?", facts, most=1) == [facts[0]]
    assert retrieved("When do clinics open?", facts) == [facts[1]]
    assert retrieved("How are you?", facts) == retrieved("", facts) == retrieved("bus", []) == []
