"""What a track of a cohort is: something recorded, features of it, labels, or the truth behind a made-up person."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

_NOT_LEARNED_FROM = (
    "events",  # labels
    "truth",  # what the simulator set: whoever learns from it learns what nobody could have recorded
    "video",  # seconds a film: read where asked for by name
)
_RECORDED = ("audio", "events", "physio", "picture", "text", "video")
_USUAL: Mapping[str, str] = {
    "logmel": "audio", "acoustics": "audio", "face": "video", "words": "text",
    "acc": "physio", "activity": "physio", "bvp": "physio", "eda": "physio", "hr": "physio", "temp": "physio",
}  # fmt: skip


def recorded_as(track: str, declared: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return the recording that a track comes from, itself if it is one: features identify as their source does.

    The cohort may declare it, as its reader did; but not what names say that mean the same in every cohort.

    Example:
        >>> recorded_as("logmel"), recorded_as("ecg", {"ecg": "physio"}), recorded_as("video", {"video": "text"})
        ('audio', 'physio', 'video')
    """
    return track if track in _RECORDED else _USUAL.get(track) or declared.get(track, track)


def usual_tracks(tracks: Iterable[str], *, texts: bool = True) -> tuple[str, ...]:
    """Return those of a cohort's tracks that are learned from where none are named.

    ``texts`` says whether words can be learned from; most generators make none.

    Example:
        >>> usual_tracks(["video", "truth", "physio", "audio", "events"])
        ('audio', 'physio')
    """
    return tuple(sorted({*tracks} - {*_NOT_LEARNED_FROM, *(() if texts else ("text",))}))
