"""The words for what recordings show: one vocabulary for all data sets."""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["EMOTIONS", "LABELS", "emotion", "sex"]

EMOTIONS = ("neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise", "boredom")

LABELS = ("emotion", "sentence", "intensity", "repetition")
"""Labels with a meaning for every data set; others are kept as they are."""

_SYNONYMS: Mapping[str, str] = MappingProxyType(
    {
        "happy": "happiness", "joy": "happiness", "sad": "sadness", "angry": "anger", "fearful": "fear",
        "afraid": "fear", "anxiety": "fear", "disgusted": "disgust", "surprised": "surprise", "bored": "boredom",
    }
)  # fmt: skip


def emotion(word: str) -> str | None:
    """Return the emotion a word names, or None if it names none we know.

    Example:
        >>> emotion("Angry"), emotion("hangry")
        ('anger', None)
    """
    lower = word.strip().lower()
    known = _SYNONYMS.get(lower, lower)
    return known if known in EMOTIONS else None


def sex(word: str) -> str | None:
    """Return ``F``, ``M`` or None.

    Example:
        >>> sex("Female"), sex("m"), sex("?")
        ('F', 'M', None)
    """
    return {"f": "F", "female": "F", "woman": "F", "w": "F", "m": "M", "male": "M", "man": "M"}.get(
        word.strip().lower()
    )
