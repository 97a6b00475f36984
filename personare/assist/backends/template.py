"""Answers from rules, without a model: the facts it was given, told as the profile asks; the honest baseline."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from personare.core.types import Turn

__all__ = ["Template"]


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
        facts = re.split(r"(?<=[.!?])\s+", lines.get("Facts", "").strip())
        yield from islice(re.findall(r"\S+\s*", _answer(entries, profile, [f for f in facts if f])), most_tokens)

    def close(self) -> None:
        """Nothing is open."""


def _answer(entries: Sequence[str], profile: dict[str, str], facts: Sequence[str]) -> str:
    words = _words()
    told = [text for entry, text in words["first"].items() if entry in entries]
    if facts and not set(entries).isdisjoint(words["steps"]["cues"]):
        told.append(words["steps"]["words"])
        facts = [f"{i}. {fact}" for i, fact in enumerate(facts, 1)]
    told += facts or [words["nothing"]]
    if "interest" in profile and facts:
        told.append(words["interest"].format(**profile))
    if "name" in profile:
        told[0] = words["name"].format(**profile) + told[0]
    return " ".join(told)


@cache
def _words() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
