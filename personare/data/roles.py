"""What a track of a cohort is: something recorded, features of it, labels, or the truth behind a made-up person."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

RECORDED = ("audio", "events", "phone", "physio", "picture", "text", "truth", "video")
_USUAL: Mapping[str, str] = {
    "logmel": "audio", "acoustics": "audio", "face": "video", "words": "text",
    "acc": "physio", "activity": "physio", "bvp": "physio", "eda": "physio", "hr": "physio", "temp": "physio",
    "ecg": "physio", "resp": "physio", "chestacc": "physio", "chesteda": "physio", "chesttemp": "physio",
}  # fmt: skip


def recorded_as(track: str, declared: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return the recording that a track comes from, itself if it is one: features identify as their source does.

    The cohort may declare it, as its reader did; but not what names say that mean the same in every cohort.
    """
    return track if track in RECORDED else _USUAL.get(track) or declared.get(track, track)


def source_tracks(released: Iterable[str], present: Iterable[str]) -> list[str]:
    """Return those of a cohort's tracks that releases of some are made of: for ``physio`` every signal of a body."""
    wanted = {*released}
    return sorted(t for t in {*present} if t in wanted or ("physio" in wanted and recorded_as(t) == "physio"))


def usual_tracks(
    tracks: Iterable[str], *, texts: bool = True, declared: Mapping[str, str] = MappingProxyType({})
) -> tuple[str, ...]:
    """Return those of a cohort's tracks that are learned from where none are named.

    No labels (``events``, and what is declared to be such); nothing that the simulator set (``truth``), which nobody
    could have recorded; no film, which takes seconds to read; words only where ``texts`` can be learned from.
    """
    left_out = {"video"} if texts else {"video", "text"}
    return tuple(sorted(t for t in {*tracks} - left_out if recorded_as(t, declared) not in ("events", "truth")))
