"""Whether a file can be used, decoded from end to end: what an import asks of every file."""

from contextlib import suppress
from pathlib import Path

import av

from personare.core.errors import DataError
from personare.features import audio, video
from personare.features._containers import played
from personare.features.pictures import check_picture

__all__ = ["check", "remarks", "tracks"]


def check(path: Path, track: str) -> None:
    """Check one file of a recording.

    Args:
        path: The file.
        track: What it is meant to be; other tracks than ``audio``, ``video`` and ``picture`` are not decoded.

    Raises:
        DataError: It is broken, empty, silent, truncated or not what it is named.
    """
    if track == "audio":
        audio.check(path)
    elif track == "video":
        video.check(path)
    elif track == "picture":
        check_picture(path)


def tracks(path: Path) -> tuple[str, ...]:
    """Return which of ``audio`` and ``video`` a player finds in a file; both if none, so that ``check`` says why."""
    with suppress(av.FFmpegError, OSError, ValueError), av.open(f"file:{path}") as container:
        return tuple(kind for kind in ("audio", "video") if played(container, kind)) or ("audio", "video")
    return ("audio", "video")


def remarks(path: Path) -> list[str]:
    """Say what is mended in a recording to make it usable, and what a player hides of it; sentences, for people.

    A file that cannot be used at all has no remarks: ``check`` says why.
    """
    said: list[str] = []
    for track in tracks(path):
        with suppress(DataError):
            said += (audio if track == "audio" else video).remarks(path)
    return said
