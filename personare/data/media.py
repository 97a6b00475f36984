"""Which files of a folder are recordings, and of which kind: told by the suffix alone, nothing is opened."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from personare.core.errors import DataError
from personare.core.types import Withheld

if TYPE_CHECKING:  # this list is asked for where nothing else is, and pandas takes its time
    import pandas as pd

__all__ = ["SUFFIXES", "media_files", "member", "not_named", "people_table", "piece", "piece_address", "track_of"]

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

_TRACKS = {
    **SUFFIXES,
    "picture": (".jpg", ".jpeg", ".png", ".pgm", ".bmp"),
    "text": (".txt",),
    "physio": (".tsv.gz",),
}
_MEMBER = ".npz#"


def track_of(name: str) -> str:
    """Return the track a file belongs to; empty if its suffix tells of none.

    Example:
        >>> track_of("Clip.MP4"), track_of("notes.doc")
        ('video', '')
    """
    return next((track for track, suffixes in _TRACKS.items() if name.lower().endswith(suffixes)), "")


def media_files(source: Path, *, tracks: Sequence[str] = ("audio", "video")) -> list[str]:
    """Return the files of these tracks anywhere under a folder, as paths relative to it, sorted.

    Raises:
        DataError: There is no such folder.
    """
    if not source.is_dir():
        raise DataError(f"There is no folder {source}. Give the folder that holds the data set.")
    return sorted(path for path in _walk(source) if track_of(path) in tracks)


def _walk(source: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(source):
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        relative = Path(folder).relative_to(source)
        yield from ((relative / name).as_posix() for name in names if not name.startswith("."))


def member(path: str) -> tuple[str, str]:
    """Split the address of an array in an ``.npz`` file into file and key; the key is empty for any other file.

    Example:
        >>> member("mel/1001.npz#1001_DFA_ANG_XX"), member("a#b.wav")
        (('mel/1001.npz', '1001_DFA_ANG_XX'), ('a#b.wav', ''))
    """
    before, found, key = path.rpartition(_MEMBER)
    return (f"{before}.npz", key) if found else (path, "")


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
    found = re.fullmatch(r"(.+)#t=(\d+(?:\.\d+)?),(\d+(?:\.\d+)?)", address)
    return (found[1], float(found[2]), float(found[3])) if found else None


def not_named(path: str, shape: str) -> Withheld:
    """Say that a file's name does not follow the data set's rule."""
    return Withheld(
        item=path,
        problem=f"its name does not follow the data set's rule {shape}, so nothing is known about it",
        fix="Give it its published name, or import it with the reader 'folder' and a table of labels.",
    )


def people_table(subjects: Iterable[str], known: dict[str, tuple[str | None, float]]) -> "pd.DataFrame":
    """Return the participants' table with ``sex`` (``F``/``M``) and ``age`` (years), NaN where not known.

    Args:
        subjects: Pseudonyms, repeated as often as you like.
        known: Sex and age by pseudonym.
    """
    import pandas as pd

    people = sorted(set(subjects))
    rows = [known.get(subject, (None, float("nan"))) for subject in people]
    columns = {"sex": pd.Series([row[0] for row in rows], dtype=object), "age": [row[1] for row in rows]}
    table = pd.DataFrame(columns)
    table.index = pd.Index(people, name="subject", dtype=object)
    return table
