"""Dialogues with known right answers: what is right follows from who asks, by rules that anybody can check."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

import numpy as np

from personare.assist.prompting import system_text

_DATA: Final[Mapping[str, Any]] = tomllib.loads(
    (resources.files("personare.assist") / "dialogues.toml").read_text(encoding="utf-8")
)
EXPRESSIONS: Final = (*_DATA["openings"],)
AGE_BANDS: Final = (*_DATA["styles"],)
_TEST_SHARE: Final = 4  # every fourth topic is never learned from


@dataclass(frozen=True, kw_only=True)
class Dialogue:
    """One request of one person, and what is right to say to this person."""

    subject: str
    domain: str
    profile: Mapping[str, str]  # what is true of the person: by cue, seen ones first
    request: str
    steps: Sequence[str]

    def system(self, profile: str) -> str:
        """Return the system's text, with a profile in words (or a place for visual tokens)."""
        return system_text(profile, [f"{step.capitalize()}." for step in self.steps])

    def answer(self, *, cues: bool = True) -> str:
        """Return the right answer to this person, or to anybody of whom nothing is known."""
        profile = self.profile if cues else {}
        opening = _DATA["openings"][profile.get("expression", "neutral")]["text"]
        style = _DATA["styles"][profile.get("age_band", "35 to 49")]["text"].format(*self.steps)
        name, interest = profile.get("name", ""), profile.get("interest", "")
        parts = [f"{name}, {opening[0].lower()}{opening[1:]}" if name and opening[0] != "I" else opening, style]
        if name and opening[0] == "I":
            parts[0] = f"{name}, {opening}"
        return " ".join([*parts, *([_DATA["closing"]["text"].format(interest=interest)] if interest else [])])

    def rules(self, answer: str) -> dict[str, bool]:
        """Say by cue of the profile whether an answer fits it."""
        words, profile = answer.lower(), self.profile
        signs = {
            "expression": {name: opening["word"] for name, opening in _DATA["openings"].items()},
            "age_band": {name: style["word"] for name, style in _DATA["styles"].items()},
        }
        held = {}
        for cue, value in profile.items():
            if cue in signs:  # the sign of this value is there, and that of no other
                held[cue] = [name for name, sign in signs[cue].items() if re.search(rf"\b{sign}\b", words)] == [value]
            elif cue in ("name", "interest"):
                held[cue] = value.lower() in words
        return held

    def helpfulness(self, answer: str) -> float:
        """Return the share of the steps that an answer names, in [0, 1], by their words of four letters or more."""
        words = set(re.findall(r"[a-z]{4,}", answer.lower()))
        keys = [set(re.findall(r"[a-z]{4,}", step)) for step in self.steps]
        return float(np.mean([key <= words for key in keys]))


def dialogues(
    people: Sequence[Mapping[str, str]], *, each: int, test: bool, rng: np.random.Generator
) -> list[Dialogue]:
    """Make up what people ask: of each the ``subject`` and the cues that are known, such as ``expression``.

    A name and an interest are declared, each by two of three. Topics of a ``test`` are never among the others.
    """
    topics = [topic for i, topic in enumerate(_DATA["topics"]) if (i % _TEST_SHARE == 0) == test]
    made = []
    for person in people:
        for number in rng.choice(len(topics), each, replace=each > len(topics)):
            topic = topics[int(number)]
            profile = {cue: value for cue, value in person.items() if cue != "subject"}
            for cue in ("name", "interest"):
                if rng.random() < 2 / 3:
                    profile[cue] = str(rng.choice(_DATA[f"{cue}s"]))
            made.append(
                Dialogue(
                    subject=person["subject"],
                    domain=topic["domain"],
                    profile=profile,
                    request=str(rng.choice(topic["asks"])),
                    steps=topic["steps"],
                )
            )
    return made
