"""What names somebody in a text is found, and a text in which it cannot be is refused."""

import re
from typing import Any, NamedTuple

import pytest

from personare.core.errors import DataError, MissingModelError
from personare.features import identifiers
from personare.features.identifiers import find_identifiers
from personare.features.language import check_english

LABELS = {"Maria": "PERSON", "Gomez": "PERSON", "Lisbon": "GPE", "Siemens": "ORG", "Monday": "DATE", "Germans": "NORP"}


class Token(NamedTuple):
    text: str
    idx: int
    ent_type_: str
    tag_: str

    @property
    def lower_(self) -> str:
        return self.text.lower()

    def __len__(self) -> int:
        return len(self.text)


class Entity(NamedTuple):
    text: str
    start_char: int
    end_char: int
    label_: str


class Document(list[Token]):
    @property
    def ents(self) -> list[Entity]:
        return [Entity(t.text, t.idx, t.idx + len(t), t.ent_type_) for t in self if t.ent_type_]


def reads(text: str) -> Document:
    """A language model that knows a few words, and takes other capitals inside a sentence for proper nouns."""
    document = Document()
    for match in re.finditer(r"\w+|[^\w\s]", text):
        inside = match.start() > 0 and text[match.start() - 2] not in ".!?"
        tag = "NNPS" if match[0] == "Germans" else "NNP" if match[0][0].isupper() and inside else "NN"
        document.append(Token(match[0], match.start(), LABELS.get(match[0], ""), tag))
    return document


@pytest.fixture(autouse=True)
def language_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identifiers, "_reader", lambda: reads)


def kinds(text: str) -> list[tuple[str, str]]:
    return [(text[start:end], kind) for start, end, kind in find_identifiers(text)]


def test_names_are_found_word_by_word_and_places_whole() -> None:
    text = "I told Maria Gomez that Astrid works with Germans in Lisbon at Siemens on Monday."
    names = [("Maria", "name"), ("Gomez", "name"), ("Astrid", "name")]
    assert kinds(text) == [*names, ("Lisbon", "place"), ("Siemens", "organization")]


def test_what_was_a_name_once_is_one_everywhere() -> None:
    assert kinds("Astrid left. I was with Astrid before.") == [("Astrid", "name")] * 2


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("ana_22@mail.example.org", "email"),
        ("www.example.net/ana", "link"),
        ("@ana22", "handle"),
        ("2021-03-04", "date"),
        ("the 3rd of March", "date"),
        ("Mar 3, 2021", "date"),
        ("12 Elm Street", "address"),
        ("+49 160 12345678", "number"),
        ("123-45-6789", "number"),
        ("A1234567", "number"),
        ("QQ 12 34 56 C", "number"),
    ],
)
def test_patterns_are_found_and_nothing_beside_them(said: str, kind: str) -> None:
    assert kinds(f"Well, it is {said} and nothing else that I know.") == [(said.removeprefix("the "), kind)]


@pytest.mark.parametrize(
    "text", ["My aunt is 93 now and well.", "He, a man of 93, lives with us.", "A 93-year-old was next."]
)
def test_ages_from_ninety_on_are_found(text: str) -> None:
    assert kinds(text) == [("93", "age")]


@pytest.mark.parametrize(
    "text",
    [
        "I took 50 mg for 90 minutes and my pulse was 95 then.",
        "My score is 14 and I am 34 years old.",
        "It was so from 2010-2015 and in 1999.",
        "He weighs 92 kg, and it is 95 % sure.",
    ],
)
def test_doses_scores_and_years_are_no_identifiers(text: str) -> None:
    assert kinds(text) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Ich habe heute schlecht geschlafen und war den ganzen Tag sehr müde.", "must be English"),
        ("No he dormido bien y he estado cansado todo el día con mi hermana.", "must be English"),
        ("Je n'ai pas bien dormi et j'étais fatigué toute la journée.", "must be English"),
        ("Jag har sovit dåligt och varit trött hela dagen med min syster.", "must be English"),
        ("我昨晚没睡好，整天都很累。", "must be English"),
        ("  12! ", "without a word"),
        ("my sister maria called me and i cried", "with capitals"),
        ("MY SISTER MARIA CALLED ME AND I CRIED", "with capitals"),
    ],
)
def test_what_cannot_be_protected_is_refused(text: str, why: str) -> None:
    with pytest.raises(DataError, match=why):
        find_identifiers(text)


@pytest.mark.parametrize("text", ["OK!", "Thanks, Maria.", "I'd rather not say.", "You're all that I’ve got."])
def test_english_is_taken_however_short(text: str) -> None:
    check_english(text)


def test_without_the_extra_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    absent: Any = lambda package: None  # noqa: E731
    monkeypatch.setattr(identifiers, "find_spec", absent)
    identifiers._reader.cache_clear()
    with pytest.raises(MissingModelError, match=r"pip install 'personare\[text\]'"):
        find_identifiers("I told Maria about it.")
