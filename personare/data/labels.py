"""The words for what recordings show: one vocabulary for all data sets, and what kind of label other words are."""

import math
import re
from collections.abc import Iterable, Mapping

from personare.core.errors import DataError

EMOTIONS = ("neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise", "boredom")

LABELS = ("emotion", "sentence", "intensity", "repetition")
"""Labels with a meaning for every data set; others are kept as they are."""

KINDS = ("nominal", "ordinal", "continuous")
_LEVELS = 10  # from the lowest to the highest of an ordinal label: a questionnaire's scale
_MOST_CLASSES = 20  # of a label that is written in numbers

_SYNONYMS: Mapping[str, str] = {
    "happy": "happiness", "joy": "happiness", "sad": "sadness", "angry": "anger", "fearful": "fear",
    "afraid": "fear", "anxiety": "fear", "disgusted": "disgust", "surprised": "surprise", "bored": "boredom",
}  # fmt: skip


def emotion(word: str) -> str | None:
    """Return the emotion a word names, or None if it names none we know."""
    lower = word.strip().lower()
    term = _SYNONYMS.get(lower, lower)
    return term if term in EMOTIONS else None


def sex(word: str) -> str | None:
    """Return ``F``, ``M`` or None."""
    words = {"f": "F", "female": "F", "woman": "F", "w": "F", "m": "M", "male": "M", "man": "M"}
    return words.get(word.strip().lower())


def as_number(word: str) -> float:
    """Return the number that a word is; NaN where it is none, or a code such as ``01``."""
    try:
        return math.nan if re.match(r"0\d", word.strip()) else float(word)
    except ValueError:
        return math.nan


def kind_of_label(words: Iterable[str]) -> str:
    """Tell ``nominal`` words (two, or one is no number), ``ordinal`` steps (at most ten) and ``continuous`` numbers."""
    numbers = {as_number(word) for word in set(words)}
    if len(numbers) < 3 or not all(map(math.isfinite, numbers)):
        return "nominal"
    steps = all(number.is_integer() for number in numbers) and max(numbers) - min(numbers) <= _LEVELS
    return "ordinal" if steps else "continuous"


def check_classes(words: Iterable[str], label: str) -> None:
    """Refuse to take measured numbers for the names of classes."""
    classes = set(words)
    if len(classes) > _MOST_CLASSES and kind_of_label(classes) != "nominal":
        raise DataError(
            f"The label {label!r} has {len(classes)} different numbers, which cannot be learned as classes. Treat it "
            'as continuous (kind = "continuous" in the study file), or import a label with a few classes.'
        )
