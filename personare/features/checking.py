"""Whether a file can be used, decoded from end to end: what an import asks of every file."""

from pathlib import Path

from personare.features import audio, video
from personare.features.pictures import check_picture

__all__ = ["check"]


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
