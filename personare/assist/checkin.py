"""A check-in: kind questions one by one; what is understood is kept as declared, and a clinician reads no more."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from typing import Any, Final

from personare.assist.grounding import mentions, tokens
from personare.assist.prompting import plain_text

_SAID: Final[dict[str, Any]] = tomllib.loads(
    (resources.files("personare.assist") / "checkin.toml").read_text(encoding="utf-8")
)


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question, and what a clinician reads of its answer."""

    id: str
    ask: str
    period: str
    topic: str
    scale: str
    hint: str = ""  # what could be said, where that is not the options
    crisis_unless: str = ""  # every other answer than this calls for a human

    @property
    def options(self) -> Sequence[str]:
        """What it can be answered with."""
        return tuple(_SAID["scales"][self.scale])

    def understood(self, text: str) -> str | None:
        """Return the option that free words mean, None where none does or several do.

        Example:
            >>> QUESTIONS[2].understood("Well, I'd say most of the days"), QUESTIONS[2].understood("not every day")
            ('more than half the days', None)
        """
        words = " ".join(tokens(text))
        spans = [(m.span(), option) for option, form in _forms(self.scale).items() for m in form.finditer(words)]
        meant = {  # "every day" of "nearly every day" does not count, and neither does what is denied
            option
            for (start, end), option in spans
            if not any(a <= start and end <= b and b - a > end - start for (a, b), _ in spans)
            and not re.search(r"\b(?:not|never|no|isnt|wasnt)(?: \w+)? $", words[:start])
        }
        if len(meant) > 1 and (said := re.fullmatch(r"\W*well\s*,(.*)", text, re.IGNORECASE | re.DOTALL)):
            return self.understood(said[1])  # "Well, it was bad"
        doubt = set(words.split()) & set(_SAID["doubt"].split())
        return meant.pop() if len(meant) == 1 and not doubt else None


@cache
def _forms(scale: str) -> Mapping[str, re.Pattern[str]]:
    return {o: re.compile(rf"\b(?:{'|'.join([o, *forms])})\b") for o, forms in _SAID["scales"][scale].items()}


QUESTIONS: Final = tuple(Question(**about) for about in _SAID["questions"])
"""What is asked, in this order."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line for a clinician; it leaves only if the person approves it."""

    id: str
    text: str
    evidence: str


class CheckIn:
    """Asks one question after the other; of an answer only what was understood is kept, in ``answers``.

    **Guarantee**: a line says what the person said, in the words of its question and its option, and nothing else; no
    score and no diagnosis is made. Words of crisis, and any answer but "not at all" to the question about death, are
    answered with the number of a human.
    """

    def __init__(self, *, today: date, crisis_text: str) -> None:
        self.answers: dict[str, str] = {}  # by question
        self._today, self._crisis_text = today.isoformat(), crisis_text
        self._position, self._asked_again = 0, False

    @property
    def opening(self) -> str:
        """What is said before the first question."""
        return str(_SAID["opening"].format(count=len(QUESTIONS)))

    @property
    def question(self) -> Question | None:
        """The question to answer now; None after the last."""
        return QUESTIONS[self._position] if self._position < len(QUESTIONS) else None

    def answer(self, text: str) -> str:
        """Take an answer and return what is said to it; what was not understood is asked once more, then left out."""
        question, words = self.question, plain_text(text)
        if question is None:
            return str(_SAID["closing"])
        crisis, grave = mentions(words, "crisis"), question.crisis_unless
        if crisis and not grave:
            return self._crisis_text
        option = question.understood(words)
        skipped = re.search(rf"\b(?:{'|'.join(_SAID['skip'])})\b", " ".join(tokens(words)))
        if option is None and not (skipped or self._asked_again or grave):
            self._asked_again = True
            return str(_SAID["again"].format(options=question.hint or ", ".join(question.options)))
        self._asked_again, self._position = False, self._position + 1
        if option and not (crisis and option == grave):  # "no, I want to die"
            self.answers[question.id] = option
        if grave and (crisis or option != grave):
            return self._crisis_text
        return " ".join([_SAID["noted" if option else "skipped"], *([] if self.question else [_SAID["closing"]])])

    def lines(self) -> list[Line]:
        """Return what a clinician would read: a line for each answer, with where it comes from."""
        return [
            Line(
                id=question.id,
                text=_SAID["line"].format(**vars(question), answer=answer, date=self._today),
                evidence=_SAID["evidence"].format(question=question.ask, answer=answer, date=self._today),
            )
            for question in QUESTIONS
            if (answer := self.answers.get(question.id))
        ]
