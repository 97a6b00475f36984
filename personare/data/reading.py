"""What readers of data sets share: files told by their names, tracks that are no files of their own, and the people.

A reader is a frozen dataclass in ``data/readers/``. It says ``license``, ``citation`` and ``home``, and by ``tracks``
the recording that each of its tracks comes from, by which consent is asked. Called with a folder it returns recordings,
people and what is left out. A track that is no file of its own (a row of a table, a window of a long signal, a text
without names) is addressed as ``FILE#KEY``; ``make(source)`` returns a function from such an address to its content.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from personare.core.errors import OptionError
from personare.core.types import Array, Recording, Withheld
from personare.data.cohort import left_out, recording_id
from personare.data.texts import read_text, without_addresses

Found = tuple[Sequence[Recording], pd.DataFrame, Sequence[Withheld]]
"""What a reader returns: recordings, the people with ``sex`` and ``age``, and what cannot be used."""

People = Mapping[str, tuple[str | None, float]]
"""Sex (``F``, ``M``) and age in years by pseudonym; None and NaN where not known."""

_NOBODY: People = MappingProxyType({})


class Made(NamedTuple):
    """What the import writes for one track: an array (``.npy``) or a text (``.txt``).

    Its sidecar says ``about``: ``Columns``, ``SamplingFrequency`` in Hz, ``Units``.
    """

    values: Array | str
    about: Mapping[str, Any] = MappingProxyType({})


def check_choice(option: str, value: str, choices: Sequence[str]) -> None:
    """Refuse a value of an option that is not one of its choices."""
    if value not in choices:
        named = f"{', '.join(choices[:-1])} or {choices[-1]}"
        raise OptionError(f"{option} must be {named}, not {value!r}. Choose one of them.")


def recording(
    subject: str, task: str, tracks: Mapping[str, str], labels: Mapping[str, str], *, session: str = "01"
) -> Recording:
    """Return a recording whose id is made of its subject, session and task."""
    name = recording_id(subject, session, task)
    return Recording(id=name, subject=subject, session=session, tracks=dict(sorted(tracks.items())), labels=labels)


def people_table(recordings: Iterable[Recording], known: People = _NOBODY) -> pd.DataFrame:
    """Return the participants' table, with what is known of everybody in these recordings."""
    people = sorted({recording.subject for recording in recordings})
    rows = [known.get(subject, (None, float("nan"))) for subject in people]
    columns = {"sex": pd.Series([row[0] for row in rows], dtype=object), "age": [row[1] for row in rows]}
    return pd.DataFrame(columns).set_axis(pd.Index(people, name="subject", dtype=object))


def clips_by_name(
    files: Iterable[tuple[str, str, str]], pattern: re.Pattern[str], shape: str
) -> tuple[dict[str, tuple[re.Match[str], dict[str, str]]], list[Withheld]]:
    """Bring files of one clip together by their names.

    Args:
        files: Path, track and name of the clip; of a track's files the first one is taken.
        pattern: What the name of a clip says; what it captures and the paths by track are returned by clip.
        shape: The pattern in words.
    """
    clips: dict[str, tuple[re.Match[str], dict[str, str]]] = {}
    skipped: list[Withheld] = []
    for path, track, clip in files:
        match = pattern.fullmatch(clip)
        if match is None:
            problem = f"its name does not follow the data set's rule {shape}, so nothing is known about it"
            fix = "Give it its published name, or import it with the reader 'folder' and a table of labels."
            skipped.append(left_out(path, f"{problem}. {fix}"))
            continue
        first = clips.setdefault(clip, (match, {}))[1].setdefault(track, path)
        if first != path:
            skipped.append(left_out(path, f"the same clip is at {first}. Keep one of the two."))
    return clips, skipped


def address(file: str, key: object) -> str:
    """Return the address of a part of a file.

    Example:
        >>> address("table.csv.gz", 3), parted("table.csv.gz#3")
        ('table.csv.gz#3', ('table.csv.gz', '3'))
    """
    return f"{file}#{key}"


def parted(address: str) -> tuple[str, str]:
    """Return file and key of an address."""
    file, _, key = address.rpartition("#")
    return file, key


def made_from_rows(load: Callable[[str], pd.DataFrame]) -> Callable[[str], Made]:
    """Return what makes a table track of ``FILE#ROW``, where rows count from 0; a few loaded files are held.

    Example:
        >>> make = made_from_rows(lambda file: pd.DataFrame({"pitch": [1.0, 2.0]}))
        >>> float(make("voices.csv#1").values[0]), make("voices.csv#1").about
        (2.0, {'Columns': ['pitch']})
    """
    loaded = lru_cache(maxsize=8)(load)

    def make(address: str) -> Made:
        file, row = parted(address)
        table = loaded(file)
        values = table.iloc[int(row)].to_numpy(np.float32)
        return Made(values=values, about={"Columns": [str(name) for name in table.columns]})

    return make


def post(source: Path, stem: str, number: str, labels: Mapping[str, str]) -> Recording | str:
    """Return a pair of ``stem.jpg`` and ``stem.txt``, which is a person of its own; or what is wrong with it."""
    sentiments = ("negative", "neutral", "positive")
    odd = [word for word in labels.values() if word not in sentiments]
    if odd:
        return f"the sentiment {odd[0]!r} is not known: it must be one of {', '.join(sentiments)}"
    absent = [file for file in (f"{stem}.jpg", f"{stem}.txt") if not (source / file).is_file()]
    if absent:
        return f"there is no file {absent[0]}"
    tracks = {"picture": f"{stem}.jpg", "text": address(f"{stem}.txt", "text")}
    return recording(f"pair{number}", "post", tracks, labels)


def make_posts(source: Path, encoding: str) -> Callable[[str], Made]:
    """Return what makes a text without addresses of a published one."""

    def make(address: str) -> Made:
        return Made(values=without_addresses(read_text(source / parted(address)[0], otherwise=encoding)))

    return make
