"""GRID: 34 British talkers say six-word commands in front of a camera; no emotion."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar

import pandas as pd

from personare.core.errors import OptionError
from personare.core.types import Recording, Withheld
from personare.data.index import recording_id
from personare.data.media import media_files, not_named, people_table, track_of

__all__ = ["Grid"]

_NAME = re.compile(r"^[blps][bgrw][abiw][a-z][z0-9][anps]$")
_SPEAKER = re.compile(r"^s\d{1,2}$", re.IGNORECASE)
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_WORDS = (
    {"b": "bin", "l": "lay", "p": "place", "s": "set"},
    {"b": "blue", "g": "green", "r": "red", "w": "white"},
    {"a": "at", "b": "by", "i": "in", "w": "with"},
    {letter: letter for letter in "abcdefghijklmnopqrstuvwxyz"},
    {"z": "zero", **{str(n): word for n, word in enumerate(_DIGITS)}},
    {"a": "again", "n": "now", "p": "please", "s": "soon"},
)


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Reads GRID: ``s1/bbaf2n.mpg`` and deeper as published (``s1/video/mpg_6000/...``), or flat files.

    The speaker is the nearest folder named ``s1`` ... ``s34``; film and sound of a sentence become one recording.

    **Guarantee**: every sound or film file is a track of a recording or listed with the reason.

    **Source**: Cooke, Barker, Cunningham, Shao: An audio-visual corpus for speech perception and automatic speech
    recognition. JASA 120(5), 2006. doi:10.1121/1.2229005.

    Args:
        subject: Whose the files without a speaker's folder are: a pseudonym; ``each`` makes every such clip a person
            of its own, which is only right where all clips show different people.
    """

    subject: str = "unknown"

    license: ClassVar[str] = "free for research, with citation"
    citation: ClassVar[str] = "Cooke et al., JASA 120(5): 2421-2424, 2006"
    home: ClassVar[str] = "https://zenodo.org/records/3625687"

    def __post_init__(self) -> None:
        """Check the options."""
        if not (self.subject.isascii() and self.subject.isalnum()):
            raise OptionError(f"subject must be letters and digits, not {self.subject!r}. Give a pseudonym.")

    def __call__(self, source: Path) -> tuple[Sequence[Recording], pd.DataFrame, Sequence[Withheld]]:
        """Read the names of the files under ``source``; nothing is opened.

        Returns:
            Recordings (tracks ``audio``, ``video``; label ``sentence``, the words in full), the speakers, and files
            that cannot be used.

        Raises:
            DataError: There is no such folder.
        """
        takes: dict[tuple[str, str], dict[str, str]] = {}
        skipped: list[Withheld] = []
        for path in media_files(source):
            code = PurePosixPath(path).stem.lower()
            if _NAME.match(code) is None:
                skipped.append(not_named(path, "of six letters for six words, such as bbaf2n.mpg"))
                continue
            tracks = takes.setdefault((self._speaker(path, code), code), {})
            first = tracks.setdefault(track_of(path), path)
            if first != path:
                skipped.append(Withheld(item=path, problem=f"the same clip is at {first}", fix="Keep one of the two."))
        recordings = [_recording(subject, code, tracks) for (subject, code), tracks in takes.items()]
        return recordings, people_table((r.subject for r in recordings), {}), skipped

    def _speaker(self, path: str, code: str) -> str:
        folders = [part.lower() for part in PurePosixPath(path).parts[:-1] if _SPEAKER.match(part)]
        alone = f"of{code}" if self.subject == "each" else self.subject
        return folders[-1] if folders else alone


def _recording(subject: str, code: str, tracks: dict[str, str]) -> Recording:
    words = [table[letter] for table, letter in zip(_WORDS, code, strict=True)]
    return Recording(
        id=recording_id(subject, "01", code),
        subject=subject,
        session="01",
        tracks=dict(sorted(tracks.items())),
        labels={"sentence": " ".join(words)},
    )
