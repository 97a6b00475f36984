"""GRID: 34 British talkers say six-word commands in front of a camera; no emotion."""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar

from personare.core.errors import OptionError
from personare.data.media_files import media_files, track_of
from personare.data.reading import Contents, Reader

__all__ = ["Grid"]

_NAME = re.compile(r"(?P<speaker>\w+)/(?P<code>[blps][bgrw][abiw][a-z][z0-9][anps])")
_SPEAKER = re.compile(r"s\d{1,2}", re.IGNORECASE)
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
class Grid(Reader):
    """Reads GRID: ``s1/bbaf2n.mpg`` and deeper as published (``s1/video/mpg_6000/...``), or flat files.

    The speaker is the nearest folder named ``s1`` ... ``s34``; film and sound of a sentence become one recording, whose
    label ``sentence`` is the words in full.

    **Guarantee**: every sound or film file is a track of a recording or listed with the reason.

    **Source**: Cooke et al., JASA 120(5), 2006, doi:10.1121/1.2229005.

    Args:
        subject: Whose the files without a speaker's folder are: a pseudonym; ``each`` makes every such clip a person
            of its own, which is only right where all clips show different people.
    """

    subject: str = "unknown"

    license = "free for research, with citation"
    citation = "Cooke et al., JASA 120(5): 2421-2424, 2006"
    home = "https://zenodo.org/records/3625687"
    tracks: ClassVar[dict[str, str]] = {"audio": "audio", "video": "video"}

    def __post_init__(self) -> None:
        if not (self.subject.isascii() and self.subject.isalnum()):
            raise OptionError(f"subject must be letters and digits, not {self.subject!r}. Give a pseudonym.")

    def gather(self, source: Path, contents: Contents) -> None:
        files = []
        for path in media_files(source):
            code = PurePosixPath(path).stem.lower()
            folders = [part.lower() for part in PurePosixPath(path).parts[:-1] if _SPEAKER.fullmatch(part)]
            speaker = folders[-1] if folders else f"of{code}" if self.subject == "each" else self.subject
            files.append((path, track_of(path), f"{speaker}/{code}"))
        for name, tracks in contents.clips(files, _NAME, "of six letters for six words, such as bbaf2n.mpg"):
            words = [table[letter] for table, letter in zip(_WORDS, name["code"], strict=True)]
            contents.add(name["speaker"], name["code"], tracks, {"sentence": " ".join(words)})
