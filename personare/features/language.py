"""The words of a text, and whether they are English: what was made for one language must refuse all others."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from personare.core.errors import DataError

LISTS: Mapping[str, Any] = tomllib.loads(Path(__file__).with_name("language.toml").read_text(encoding="utf-8"))
_OWN = ENGLISH_STOP_WORDS.difference(LISTS["elsewhere"].split())
_CONTRACTED = ("n't", "'m", "'re", "'ve", "'ll")


def words_of(text: str) -> list[str]:
    """Return the words of a text in small letters and plain apostrophes, without digits and marks."""
    return re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)*", plain_apostrophes(text).lower())


def plain_apostrophes(text: str) -> str:
    """Return a text of the same length whose apostrophes are all typed alike."""
    return re.sub("[’‘`´ʼ]", "'", text)


def check_english(text: str) -> None:
    """Refuse a text without words or in another language; fewer than five words pass if their letters are ASCII."""
    words = words_of(text)
    if not words:
        raise DataError("A text without a word cannot be changed. Leave it out.")
    own = sum(word.partition("'")[0] in _OWN or word.endswith(_CONTRACTED) for word in words)
    if own < len(words) / 10 if len(words) >= 5 else not "".join(words).isascii():
        raise DataError(
            f"The text must be English, but {own} of its {len(words)} words are common English ones. Leave texts in "
            "other languages out: what names somebody in them is not known here."
        )
