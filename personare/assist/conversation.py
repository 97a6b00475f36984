"""One person's conversation: what they say goes to a model with their profile, and only what is checked comes back."""

import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import date
from importlib import resources
from typing import Any, Final

import numpy as np

from personare.assist.checkin import CheckIn, Line
from personare.assist.grounding import content_words, fault, mentions, retrieved, sentences, tokens
from personare.assist.profile import CUES, SOURCES, Gate, Profile
from personare.assist.prompting import plain_text, system_text
from personare.core.errors import OptionError, PersonareError, PolicyError, reason
from personare.core.protocols import Backend
from personare.core.types import Turn

MOST_CHARACTERS: Final = 4000
"""The longest text that is read at once."""

_SAID: Final[dict[str, Any]] = tomllib.loads(
    (resources.files("personare.assist") / "conversation.toml").read_text(encoding="utf-8")
)
_HISTORY: Final = 2000  # characters of earlier turns that a model is told
_MOST_TOKENS: Final = 160
_PHRASE: Final = 5  # words in a row that repeat what was confided


class Conversation:
    """What one person says is answered, from their profile and the facts; it is in memory alone, and theirs alone.

    **Guarantee**: words of crisis are answered by a fixed text with the number of a human, questions about other people
    by another; no model hears of either, and neither is kept. What the person writes reaches a model as a turn of the
    user only, whatever markers it has. Of the answer no sentence is shown that fails ``grounding.fault``; what was told
    in confidence reaches the model, and is spoken of, only after the person's own words asked for it. What the profile
    brings along that the gate does not let through is removed. ``history`` is empty unless ``keep_history`` is set,
    which it is when the person agrees.

    ``withheld`` counts the sentences that were not shown, by reason; ``problem`` says why the last answer failed.
    """

    def __init__(
        self,
        *,
        role: str,
        backend: Backend,
        gate: Gate,
        profile: Profile,
        facts: Sequence[str] = (),
        crisis_line: str = "",
        rng: np.random.Generator,
    ) -> None:
        if role != gate.role:
            raise OptionError(f"The gate must be one of the role {role!r}, given one of {gate.role!r}.")
        self.role, self.gate, self._profile, self._backend, self._rng = role, gate, profile, backend, rng
        self._facts = [" ".join(plain_text(fact).split()) for fact in facts]
        self.crisis_text = str(_SAID["crisis"]).format(line=crisis_line or _SAID["no_crisis_line"])
        self.turns: list[Turn] = []
        self.keep_history = False
        self.withheld: Counter[str] = Counter()
        self.problem = ""
        self.check_in: CheckIn | None = None

    @property
    def profile(self) -> Profile:
        """What is noted of the person, without what the gate does not let through any more."""
        for name, entry in self._profile.entries.items():
            if self.gate.refusal(entry.source, name):
                self._profile.remove(name)
        return self._profile

    def observe(self, source: str, cues: Mapping[str, str | Mapping[str, float]]) -> Mapping[str, str]:
        """Take what a camera or a microphone read through the gate into the profile; returns what was let through."""
        passed = self.gate.through(source, cues, rng=self._rng)
        for name, value in passed.items():
            self.profile.put(name, value, source=source, epsilon=self.gate.spent(f"{source}.{name}"))
        return passed

    def declare(self, cue: str, value: str) -> None:
        """Note what the person says of themselves; it stands above whatever is inferred."""
        self.profile.put(cue, value)

    def withdraw(self, cue: str) -> None:
        """Remove a cue, and the consent to infer it."""
        self.profile.remove(cue)
        self.gate.consents -= {f"{source}.{cue}" for source in SOURCES}

    def say(self, text: str) -> Iterator[str]:
        """Yield the answer to what the person says, sentence by sentence, each checked before it is shown."""
        words = plain_text(text)
        if reply := self._reply(words):
            yield reply
            return
        notes = [entry.value for name, entry in self.profile.entries.items() if CUES[name].confided]
        asked = mentions(words, "confided") or any(content_words(note) & content_words(words) for note in notes)
        facts = retrieved(words, self._facts)
        profile_words = self.profile.words(confided=asked)
        own_words = [turn.text for turn in self.turns if turn.role == "user"]
        ground = " ".join([profile_words, *own_words, words])
        system = Turn(role="system", text=system_text(profile_words, facts))
        answer: list[str] = []
        self.problem = ""
        turns = [system, *self._recent(), Turn(role="user", text=words)]
        try:
            with closing(sentences(self._backend(turns, most_tokens=_MOST_TOKENS))) as whole:
                for sentence in whole:
                    volunteered = not asked and any(_repeats(sentence, note) for note in notes)
                    if problem := "confided" if volunteered else fault(sentence, ground, facts=facts, role=self.role):
                        self.withheld[problem] += 1
                        continue
                    answer.append(sentence)
                    yield sentence + " "
            if not answer:
                yield _SAID["withheld"]
        except Exception as error:
            self.problem = reason(error)
            yield _SAID["failed"] + (f" {error}" if isinstance(error, PersonareError) else "")
        finally:
            if answer:
                self.turns += [Turn(role="user", text=words), Turn(role="assistant", text=" ".join(answer))]

    def _reply(self, words: str) -> str:
        """Return what is answered without a model, empty where a model is asked."""
        if mentions(words, "crisis"):
            return self.crisis_text
        if len(words) > MOST_CHARACTERS:
            return str(_SAID["too_long"].format(count=len(words), most=MOST_CHARACTERS))
        if mentions(words, "about_me"):
            return self.about_me()
        return str(_SAID["others"] if mentions(words, "others") else "" if words else _SAID["empty"])

    def _recent(self) -> list[Turn]:
        """Return the last turns that are not too long together, beginning with one of the person."""
        for start in range(0, len(self.turns), 2):
            if sum(len(turn.text) for turn in self.turns[start:]) <= _HISTORY:
                return self.turns[start:]
        return []

    @property
    def history(self) -> Sequence[Turn]:
        """The turns that may be kept when the conversation ends."""
        return tuple(self.turns) if self.keep_history else ()

    def begin_check_in(self, today: date) -> CheckIn:
        """Begin to ask how the person is; it is for health alone."""
        if self.role != "health":
            raise PolicyError(f"A check-in is for the role health, this conversation is of a {self.role}.")
        self.check_in = CheckIn(today=today, crisis_text=self.crisis_text)
        return self.check_in

    def summary(self) -> list[Line]:
        """Return lines for a clinician, each of which the person approves or not: made by rule, no model is asked."""
        if self.role != "health":
            raise PolicyError(f"A summary is for the role health, this conversation is of a {self.role}.")
        return self.check_in.lines() if self.check_in else []

    def about_me(self) -> str:
        """Return all that is noted of the person, in words: read from the profile, no model is asked."""
        about = _SAID["about"]
        lines = [
            about["entry"].format(
                label=CUES[name].label,
                value=entry.value,
                source=SOURCES[entry.source],
                epsilon=about["epsilon"].format(epsilon=entry.epsilon) if entry.epsilon else "",
            )
            for name, entry in self.profile.entries.items()
        ]
        if self.check_in and self.check_in.answers:
            lines.append(about["answers"].format(count=len(self.check_in.answers)))
        opening = [about["opening"], *lines] if lines else [about["nothing"]]
        return "\n".join([*opening, about["kept" if self.keep_history else "not_kept"], about["fix"]])


def _repeats(sentence: str, note: str) -> bool:
    """Return whether a sentence gives away a confidence: some words of it in a row, or what it is about."""
    said, words, about = f" {' '.join(tokens(sentence))} ", tokens(note), content_words(note)
    rows = (" ".join(words[i : i + _PHRASE]) for i in range(len(words) - _PHRASE + 1))
    shared = len(about & content_words(sentence))
    return any(f" {row} " in said for row in rows) or shared >= (1 if len(about) < 4 else 2)
