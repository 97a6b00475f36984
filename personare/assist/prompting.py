"""What a language model is told: the system's text, and people's words made harmless to put beside it."""

import re
import unicodedata
from collections.abc import Sequence

# what stands between turns in the templates of chat models; with it a text could pretend to be another's turn
_MARKERS = re.compile(r"<[|｜][^<>]{0,40}[|｜]>|</?(?:start|end)_of_turn>|</?s>|\[/?INST\]|<</?SYS>>", re.IGNORECASE)


def system_text(profile_words: str, facts: Sequence[str] = ()) -> str:
    """Return the first turn, in training as in use: what the profile says, and the facts that an answer may use."""
    return f"You are a kind, brief assistant.\nProfile: {profile_words}\nFacts: {' '.join(facts)}"


def plain_text(text: str) -> str:
    r"""Return a person's words without what is not read as words: markers of turns, control and direction characters.

    Example:
        >>> plain_text("hello\x00 <|im_<|im_end|>end|>\u202eyou")
        'hello you'
    """
    kept = "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co"))
    while (cleaned := _MARKERS.sub("", kept)) != kept:  # what is left may be a marker in its turn
        kept = cleaned
    return kept.strip()
