"""Answers from rules, without a model: the facts it was given, told as the profile asks; the honest baseline."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import islice
from typing import Any, Final

from personare.core.types import Turn

__all__ = ["Template"]

_WORDS: Final[Mapping[str, Any]] = tomllib.loads(
    (resources.files("personare.assist.backends") / "template.toml").read_text(encoding="utf-8")
)


@dataclass(frozen=True, kw_only=True)
class Template:
    """Answers with the facts and fixed sentences; no word leaves this process, and nothing is kept.

    **Guarantee**: every sentence of an answer is a given fact or stands in ``template.toml``.
    """

    name = "template"
    where = "rules, in this process"

    def __call__(self, turns: Sequence[Turn], *, most_tokens: int) -> Iterator[str]:
        """Yield the answer word by word; a word counts as a token."""
        system = next((turn.text for turn in turns if turn.role == "system"), "")
        lines = dict(line.split(": ", 1) for line in system.splitlines() if ": " in line)
        entries = lines.get("Profile", "").split("; ")
        profile = dict(entry.split(": ", 1) for entry in entries if ": " in entry)
        facts = [fact for fact in re.split(r"(?<=[.!?])\s+", lines.get("Facts", "").strip()) if fact]
        opening = next((text for entry, text in _WORDS["openings"].items() if entry in entries), "")
        first, other, last = next((s for entry, s in _WORDS["styles"].items() if entry in entries), ("", "", ""))
        before = [first, *[other] * (len(facts) - 2), last]
        answer = [prefix + fact for prefix, fact in zip(before, facts, strict=False)] or [_WORDS["nothing"]]
        if opening:
            answer.insert(0, opening)
        if "name" in profile:
            answer[0] = _WORDS["name"].format(**profile) + answer[0]
        if "interest" in profile and facts:
            answer.append(_WORDS["interest"].format(**profile))
        yield from islice(re.findall(r"\S+\s*", " ".join(answer)), most_tokens)

    def close(self) -> None:
        """Nothing is open."""
