"""What a track of a cohort is: something recorded, features of it, labels, or the truth behind a made-up person."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

__all__ = ["recorded_as", "usual_tracks"]

_LABELS = ("events",)
_TRUTH = ("truth",)  # what the simulator set: whoever learns from it learns what nobody could have recorded
_SLOW = ("video",)  # seconds a film: read where asked for by name
_TEXTS = ("text",)
_FEATURES: Mapping[str, str] = MappingProxyType(
    {
        "logmel": "audio", "acoustics": "audio", "face": "video", "words": "text",
        "acc": "physio", "activity": "physio", "bvp": "physio", "eda": "physio", "hr": "physio", "temp": "physio",
    }
)  # fmt: skip


def recorded_as(track: str) -> str:
    """Return the recording that a track comes from, itself if it is one: features identify as their source does.

    Example:
        >>> recorded_as("logmel"), recorded_as("video")
        ('audio', 'video')
    """
    return _FEATURES.get(track, track)


def usual_tracks(tracks: Iterable[str], *, texts: bool = True) -> tuple[str, ...]:
    """Return those of a cohort's tracks that are learned from where none are named.

    Args:
        tracks: Those there are.
        texts: Whether words can be learned from; most generators make none.

    Example:
        >>> usual_tracks(["video", "truth", "physio", "audio", "events"])
        ('audio', 'physio')
    """
    return tuple(sorted({*tracks} - {*_LABELS, *_TRUTH, *_SLOW, *(() if texts else _TEXTS)}))
