"""Which files of a folder are recordings, and of which kind: told by the suffix alone, nothing is opened."""

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from personare.core.errors import DataError

SUFFIXES = {
    "audio": (
        ".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".m4b", ".aac", ".ac3", ".aif", ".aiff", ".aifc",
        ".amr", ".ape", ".au", ".caf", ".mka", ".mp2", ".rf64", ".snd", ".spx", ".tta", ".w64", ".wma", ".wv",
    ),
    "video": (
        ".mp4", ".mpg", ".mpeg", ".mov", ".avi", ".mkv", ".webm", ".flv", ".m4v", ".wmv", ".3gp", ".3g2", ".asf", ".dv",
        ".gif", ".m2ts", ".mts", ".mxf", ".ogv", ".ts", ".vob",
    ),
}  # fmt: skip
"""What is read as sound or film, by the end of its name: one list for every verb."""

PICTURES = (".jpg", ".jpeg", ".png", ".pgm", ".bmp", ".webp", ".tif", ".tiff")

_TRACKS = {**SUFFIXES, "picture": PICTURES, "text": (".txt",), "physio": (".tsv.gz",)}


def track_of(name: str) -> str:
    """Return the track a file belongs to; empty if its suffix tells of none."""
    return next((track for track, suffixes in _TRACKS.items() if name.lower().endswith(suffixes)), "")


def suffix_of(path: str) -> str:
    """Return the suffix of a file in small letters, that of a packed table whole."""
    name = path.lower()
    return name[-7:] if name.endswith((".tsv.gz", ".csv.gz")) else PurePosixPath(name).suffix


def media_files(source: Path, *, tracks: Sequence[str] = ("audio", "video")) -> list[str]:
    """Return the files of these tracks anywhere under a folder, as paths relative to it, sorted."""
    return [path for path in files_under(source) if track_of(path) in tracks]


def files_under(source: Path, *suffixes: str) -> list[str]:
    """Return the files anywhere under a folder (that end so), as paths relative to it, sorted; none that is hidden."""
    if not source.is_dir():
        raise DataError(f"There is no folder {source}. Give the folder that holds the data set.")
    files = []
    for folder, folders, names in os.walk(source):
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        relative = Path(folder).relative_to(source)
        files += [(relative / name).as_posix() for name in names if not name.startswith(".")]
    return sorted(path for path in files if not suffixes or path.lower().endswith(suffixes))


def piece_address(path: str, start_s: float, end_s: float) -> str:
    """Return the address of a piece of a sound or a film (a W3C media fragment), to the microsecond.

    Example:
        >>> piece_address("talk.mp4", 1.5, 20), piece("talk.mp4#t=1.5,20"), piece("a#b.wav")
        ('talk.mp4#t=1.5,20', ('talk.mp4', 1.5, 20.0), None)
    """
    start, end = (f"{seconds:.6f}".rstrip("0").rstrip(".") for seconds in (start_s, end_s))
    return f"{path}#t={start},{end}"


def piece(address: str) -> tuple[str, float, float] | None:
    """Split the address of a piece into file, start and end in seconds; None for any other address."""
    match = re.fullmatch(r"(.+)#t=(\d+(?:\.\d+)?),(\d+(?:\.\d+)?)", address)
    return (match[1], float(match[2]), float(match[3])) if match else None
