"""What names somebody is gone from a text, and what replaces it holds together (needs the extra ``text``)."""

import re
from datetime import datetime
from typing import Literal

import pytest

pytest.importorskip("spacy", reason="the extra text is not installed")
pytest.importorskip("faker", reason="the extra text is not installed")

from personare.anonymize.text_redact import TextRedact
from personare.core.randomness import generator
from personare.core.types import Track

DIARY = (
    "On 3 March 2021 my sister Maria Fernandez took me to Lisbon. Maria works at Siemens; call her on +49 160 12345678 "
    "or write to maria.f@mail.example.org, as @mariaf or at 12 Elm Street. Our aunt is 93. On Monday, 10 March 2021, "
    "I took 50 mg and slept for 90 minutes."
)
PLANTED = (
    "Maria",
    "Fernandez",
    "Lisbon",
    "Siemens",
    "12345678",
    "maria.f",
    "@mariaf",
    "Elm",
    "93",
    "2021-03",
    "3 March",
)


def hidden(text: str, subject: str = "01", policy: Literal["person", "common"] = "common") -> str:
    rng = generator(0, subject if policy == "person" else "")
    return str(TextRedact(policy=policy)(Track(kind="text", values=text), subject=subject, rng=rng).values)


def test_guarantee_nothing_that_was_found_leaves() -> None:
    assert not [word for word in PLANTED if word in hidden(DIARY)]
    assert "I took 50 mg and slept for 90 minutes." in hidden(DIARY)


@pytest.mark.parametrize(("policy", "surrogates"), [("common", 1), ("person", 3)])
def test_guarantee_a_surrogate_depends_on_the_name_alone(policy: Literal["person", "common"], surrogates: int) -> None:
    first, last = re.findall(r"my sister (\w+) (\w+)", hidden(DIARY, policy=policy))[0]
    assert f"{first} works at" in hidden(DIARY, policy=policy)
    again = hidden("Yesterday I saw Maria again. It was not the Maria that I know.", policy=policy)
    assert again == f"Yesterday I saw {first} again. It was not the {first} that I know."
    others = [hidden(DIARY, who, policy) for who in ("01", "02", "03")]
    assert len({re.findall(r"my sister (\w+ \w+)", text)[0] for text in others}) == surrogates
    assert len({text.partition(" my sister")[0] for text in others}) == 3  # each person's dates move alone
    assert first != last


def test_days_keep_apart_and_weekdays_stay() -> None:
    days = [datetime.strptime(day, "%d %B %Y") for day in re.findall(r"\d+ [A-Z][a-z]+ \d{4}", hidden(DIARY))]
    assert (days[1] - days[0]).days == 7
    assert days[0].weekday() == datetime(2021, 3, 3).weekday()
    assert days[0] != datetime(2021, 3, 3)


def test_a_text_that_names_nobody_stays_as_it_is() -> None:
    said = "I have not been sleeping well, and the new pills make my mouth dry."
    assert hidden(said) == said
