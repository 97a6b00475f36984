"""What a person's words ask for, and whether a sentence of an answer stands on what is known: rules, no model."""

import re
import tomllib
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from functools import cache
from importlib import resources
from typing import Any, Final

from personare.assist.prompting import plain_text

_WORDS: Final[dict[str, Any]] = tomllib.loads(
    (resources.files("personare.assist") / "grounding.toml").read_text(encoding="utf-8")
)
_APOSTROPHE: Final = "['’`´]"
_TOKEN: Final = re.compile(r"\d+(?:[.:/-]\d+)*|[^\W\d_]+")
_ADDRESS: Final = re.compile(r"\S*(?:://|www\.|@|\w\.(?:com|org|net|edu|gov|info|io|eu|de|fr|uk)\b)\S*", re.IGNORECASE)
# between sentences: after a mark that ends no title
_END: Final = re.compile(r"(?<=[.!?…])(?<!\bDr\.)(?<!\bMr\.)(?<!\bMs\.)(?<!\bMrs\.)\s+|\n+")
_NUMBER: Final = re.compile(r"\W*\d{1,2}[.)]\s")  # of a list's item
_LONGEST: Final = 400  # characters of a sentence
_MOST: Final = 3000  # characters of an answer
_ALIKE: Final = 0.4  # a long sentence with a smaller share of different words goes in circles


def mentions(text: str, kind: str) -> bool:
    """Return whether a text has a phrase of a kind: ``crisis``, ``others``, ``about_me``, ``confided`` ...

    Example:
        >>> [mentions(t, "crisis") for t in ("I don't want to live any more.", "This homework kills me!")]
        [True, False]
    """
    return _phrases(kind).search(_plain(text)) is not None


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", " ", re.sub(_APOSTROPHE, "", text.casefold())).strip()


@cache
def _phrases(kind: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(_WORDS[kind])})\b")


def tokens(text: str) -> list[str]:
    """Return the words and numbers of a text in lower case, numbers in digits."""
    plain = re.sub(rf"(?<=\d),(?=\d{{3}})|{_APOSTROPHE}", "", text.casefold())
    return [str(_WORDS["numbers"].get(token, token)) for token in _TOKEN.findall(plain)]


def content_words(text: str) -> set[str]:
    """Return what a text is about: its words, without those that stand in any text, and without plural."""
    return {re.sub(r"(?<=\w{3})s$", "", token) for token in tokens(text)} - _list("function_words")


@cache
def _list(name: str) -> frozenset[str]:
    return frozenset(_WORDS[name].split())


def retrieved(request: str, facts: Sequence[str], most: int = 3) -> list[str]:
    """Return the facts that share most words with a request, rare ones counting more; none that shares nothing."""
    words = [content_words(fact) for fact in facts]
    count = Counter(word for fact in words for word in fact)
    asked = content_words(request)
    scores = [sum(1 / count[word] for word in fact & asked) for fact in words]
    best = sorted(range(len(facts)), key=lambda i: -scores[i])[:most]
    return [facts[i] for i in sorted(best) if scores[i]]


def sentences(pieces: Iterator[str]) -> Generator[str, None, None]:
    """Yield an answer sentence by sentence; it ends where it repeats itself or does not end."""
    rest, number, length, earlier = "", "", 0, set[str]()
    try:
        for piece in pieces:
            rest, length = rest + piece, length + len(piece) + 1
            *whole, rest = _END.split(rest)
            for sentence in filter(None, map(plain_text, whole)):
                if _NUMBER.fullmatch(sentence + " "):
                    number = sentence + " "
                    continue
                if sentence in earlier:
                    return
                earlier.add(sentence)
                yield number + sentence
                number = ""
            if len(rest) > _LONGEST or length > _MOST:
                return
        last = plain_text(rest)
        if last and last not in earlier and (not earlier or last[-1] in ".!?…)\"'"):  # else it was cut off
            yield number + last
    finally:
        if close := getattr(pieces, "close", None):
            close()


def fault(sentence: str, ground: str, *, facts: Sequence[str] = (), role: str) -> str:
    """Return why a sentence is not shown, empty where it may be: what it says must stand in ``ground`` or be a fact.

    Checked are numbers and dates, names, addresses, names of illnesses, and the words of whoever is quoted. What is
    wrong and made of the right words is not noticed, and neither is a name at the beginning of a sentence.

    Example:
        >>> fault("You slept 4 hours.", "I slept four hours", role="health"), fault("Ask Dr. Miller.", "", role="tutor")
        ('', 'name')
    """
    sentence = re.sub(rf"^{_NUMBER.pattern}", "", sentence)
    if any(sentence.strip().casefold() in fact.casefold() for fact in facts):
        return ""
    ground = " ".join([ground, *facts])
    grounds, words = set(tokens(ground)), tokens(sentence)
    plain = _plain(sentence)
    quote, illnesses = _phrases("quoting").search(plain), set(tokens(" ".join(_phrases("conditions").findall(plain))))
    capitals = [word.casefold() for word in _TOKEN.findall(re.sub(_APOSTROPHE, "", sentence))[1:] if word[0].isupper()]
    faults = {
        "garbage": sum(c.isalnum() or c.isspace() for c in sentence) < 0.6 * len(sentence)
        or len(set(words)) < _ALIKE * len(words) - 3
        or re.search(r"(\S)\1{7}", sentence),
        "advice": mentions(sentence, "never") or mentions(sentence, "crisis"),
        "diagnosis": illnesses and (mentions(sentence, "of_you") or (role == "health" and not illnesses <= grounds)),
        "number": any((w[0].isdigit() or w in _list("dates")) and w not in grounds for w in words),
        "address": any(
            address.casefold().strip(".,:;!?()") not in ground.casefold() for address in _ADDRESS.findall(sentence)
        ),
        "name": not set(capitals) <= grounds | _list("capitals") | _list("function_words"),
        "quotation": quote and not content_words(plain[quote.end() :]) <= content_words(ground),
    }
    return next((name for name, wrong in faults.items() if wrong), "")
