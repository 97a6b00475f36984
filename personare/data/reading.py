"""What readers of data sets share."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd

from personare.core.errors import OptionError
from personare.core.types import Array, Recording, Withheld
from personare.data.cohort import Problems

DataSet = tuple[Sequence[Recording], pd.DataFrame, Sequence[Withheld]]
"""What a reader returns: recordings, the people with ``sex`` and ``age``, and what cannot be used."""


class Made(NamedTuple):
    """What the import writes for one track: an array (``.npy``) or a text (``.txt``).

    Its sidecar says ``about``: ``Columns``, ``SamplingFrequency`` in Hz, ``Units``.
    """

    values: Array | str
    about: Mapping[str, Any] = MappingProxyType({})


Maker = Callable[[str, str], Made]
"""Makes the track ``FILE#KEY`` of the file's name and the key."""


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A reader of a data set: called with a folder, it returns recordings, people and what is left out.

    ``tracks`` says the recording that each of its tracks comes from, by which consent is asked. A track that is no file
    of its own (a row of a table, a window of a long signal, a text without names) is addressed as ``FILE#KEY``;
    ``make(source)``, where there is one, returns what makes it. Data of one's own have no terms.
    """

    license: ClassVar[str] = ""
    citation: ClassVar[str] = ""
    home: ClassVar[str] = ""
    tracks: ClassVar[Mapping[str, str]] = MappingProxyType({})

    def __call__(self, source: Path) -> DataSet:
        """Read names, tables and signals; no sound, film, photo or text is opened."""
        contents = Contents()
        self.gather(source, contents)
        return contents.all()

    def gather(self, source: Path, contents: "Contents") -> None:
        """Add the recordings in a folder to the contents, and note what cannot be used; for each reader to say."""
        raise NotImplementedError


class Contents:
    """What a reader has gathered so far: recordings, and what cannot be used."""

    def __init__(self) -> None:
        self.recordings: list[Recording] = []
        self.subjects: set[str] = set()
        self.people: dict[str, tuple[str | None, float]] = {}  # F or M, and years: None and NaN where not known
        self.skipped = Problems()

    def add(
        self, subject: str, task: str, tracks: Mapping[str, str], labels: Mapping[str, str], session: str = "01"
    ) -> None:
        """Take in a recording, whose id is made of its subject, session and task."""
        self.subjects.add(subject)
        name = f"sub-{subject}_ses-{session}_task-{task}"  # the import lists it where that is no file's name
        paths = dict(sorted(tracks.items()))
        self.recordings.append(Recording(id=name, subject=subject, session=session, tracks=paths, labels=labels))

    def clips(
        self, files: Iterable[tuple[str, str, str]], pattern: re.Pattern[str], shape: str
    ) -> list[tuple[re.Match[str], dict[str, str]]]:
        """Bring files (path, track, name of the clip) of one clip together: what its name says, its paths by track.

        Of a track's files the first one is taken. ``shape`` is the pattern in words.
        """
        clips: dict[str, tuple[re.Match[str], dict[str, str]]] = {}
        for path, track, clip in files:
            match = pattern.fullmatch(clip)
            if match is None:
                problem = f"its name does not follow the data set's rule {shape}, so nothing is known about it"
                fix = "Give it its published name, or import it with the reader 'folder' and a table of labels."
                self.skipped.note(path, f"{problem}. {fix}")
                continue
            first = clips.setdefault(clip, (match, {}))[1].setdefault(track, path)
            if first != path:
                self.skipped.note(path, f"the same clip is at {first}. Keep one of the two.")
        return [clips[clip] for clip in sorted(clips)]

    def all(self) -> DataSet:
        """Return recordings, the people in them with what is known of each, and what cannot be used."""
        subjects = sorted(self.subjects)
        rows = [self.people.get(subject, (None, float("nan"))) for subject in subjects]
        index = pd.Index(subjects, name="subject", dtype=object)
        table = pd.DataFrame(rows, index=index, columns=["sex", "age"]).astype({"sex": object})
        return self.recordings, table, self.skipped


def check_choice(option: str, value: str, choices: Sequence[str]) -> None:
    """Refuse a value of an option that is not one of its choices."""
    if value not in choices:
        names = f"{', '.join(choices[:-1])} or {choices[-1]}"
        raise OptionError(f"{option} must be {names}, not {value!r}. Choose one of them.")


def made_from_rows(load: Callable[[str], pd.DataFrame]) -> Maker:
    """Return what makes a table track of ``FILE#ROW``, where rows count from 0; a few loaded files are held."""
    loaded = lru_cache(maxsize=8)(load)

    def make(file: str, row: str) -> Made:
        table = loaded(file)
        return Made(table.iloc[int(row)].to_numpy(np.float32), {"Columns": [str(name) for name in table.columns]})

    return make
