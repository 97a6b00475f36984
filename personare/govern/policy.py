"""What may be inferred of people, where, and by which exception: ``policy.toml`` says it, and alone decides.

It can be checked what a plan states, not whether that is true: whether an exception is lawful is for people to judge.
"""

import re
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib import resources
from typing import Any, Final

from personare.core.errors import PolicyError


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule of ``policy.toml``, which says what each part means."""

    article: str
    since: date
    reason: str
    words: Sequence[str] = ()
    contexts: Sequence[str] = ()
    spares: Sequence[str] = ()
    exceptions: Sequence[str] = ()
    question: str = ""
    purposes: Sequence[str] = ()

    def covers(self, label: str, values: Iterable[str]) -> bool:
        """Whether a label is what the rule is about, by its name or by what it tells apart."""
        named = {value for value in {*values} if self._names(value)}
        return self._names(label) or len(named) > 1

    def _names(self, text: str) -> bool:
        words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).lower())
        return any(word.startswith(tuple(self.words)) for word in words)

    def __str__(self) -> str:
        return f"{self.reason.rstrip('.')} ({self.article}, in force since {self.since})"


_TEXT: Final[dict[str, Any]] = tomllib.loads(
    (resources.files("personare.govern") / "policy.toml").read_text(encoding="utf-8")
)
CONTEXTS: Final[Mapping[str, str]] = _TEXT["contexts"]
"""Where answers are used: a closed list, as of purposes."""

EXCEPTIONS: Final[Mapping[str, str]] = _TEXT["exceptions"]
RULES: Final[Mapping[str, Rule]] = {name: Rule(**rule) for name, rule in _TEXT["rules"].items()}
_LEAST: Final[int] = _TEXT["justification_characters"]


@dataclass(frozen=True, kw_only=True)
class Use:
    """Where answers are used, and the exception that is claimed with its written justification; empty: none."""

    context: str = "research"
    exception: str = ""
    justification: str = ""

    def __post_init__(self) -> None:
        if self.context not in CONTEXTS:
            raise PolicyError(
                f"A context must be one of {', '.join(CONTEXTS)}, not {self.context!r}. Choose from these."
            )
        if self.exception not in {"", *EXCEPTIONS}:
            raise PolicyError(f"An exception must be one of {', '.join(EXCEPTIONS)}, not {self.exception!r}.")
        written = len(" ".join(self.justification.split()))
        if bool(self.exception) != bool(written) or 0 < written < _LEAST:
            raise PolicyError(
                f"An exception must have a justification of {_LEAST} characters or more, and the other way round. "
                f"Given {self.exception or 'no exception'} and {written} characters. Write for whom it is, and why."
            )

    @property
    def statement(self) -> str:
        """What every output must say of the exception; empty where none is claimed."""
        if not self.exception:
            return ""
        where, why = CONTEXTS[self.context], " ".join(self.justification.split())
        return (
            f"Exception claimed for {EXCEPTIONS[self.exception]}, in the context {self.context} ({where}); nobody "
            f"checked whether it is lawful. Justification given: {why}"
        )

    def check_inference(self, label: str, values: Iterable[str], modalities: Collection[str]) -> None:
        """Refuse to infer a label, which has these values, from these modalities (see ``data/roles.py``).

        **Guarantee**: what a rule covers is let through only outside its contexts, from modalities that it spares
        alone, or by an exception that it knows; an unknown modality is not spared.
        """
        for rule in RULES.values():
            told = {*modalities} - {*rule.spares}
            here = not rule.contexts or self.context in rule.contexts
            if not (told and here and self.exception not in rule.exceptions and rule.covers(label, values)):
                continue
            ways = ["another label"]
            if rule.spares:
                ways.append(f"only tracks of {', '.join(rule.spares)}")
            if rule.exceptions:
                reasons = " or ".join(EXCEPTIONS[name] for name in rule.exceptions)
                ways.append(f"if there are {reasons}, state exception and justification")
            raise PolicyError(
                f"{label!r} must not be inferred from {', '.join(sorted(told))} in the context {self.context}. {rule}. "
                f"Choose {'; or '.join(ways)}."
            )


def check_attack(name: str, question: str, purpose: str) -> None:
    """Refuse an attack whose question may not be asked for a purpose."""
    for rule in RULES.values():
        if rule.question == question and purpose not in rule.purposes:
            raise PolicyError(
                f"{name} asks to {question}, and must not run for the purpose {purpose!r}. {rule}. State the purpose "
                f"{' or '.join(rule.purposes)}, or leave the attack out."
            )
