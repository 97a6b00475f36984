"""Any folder of sound, film and pictures with a table (CSV) of file, subject and labels: what most people have."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import ClassVar

import pandas as pd

from personare.core.errors import OptionError
from personare.core.types import Recording, Withheld
from personare.data.index import recording_id
from personare.data.labels import EMOTIONS, emotion, sex
from personare.data.media import media_files, people_table, track_of
from personare.data.tables import read_rows

__all__ = ["Folder"]

_OWN_COLUMNS = ("file", "subject", "session", "task", "sex", "age")


@dataclass(frozen=True, kw_only=True)
class Folder:
    """Reads a table with the columns ``file`` and ``subject``, and ``sex``, ``age``, ``session``, ``task`` where known.

    Every other column is a label; ``emotion`` must be one of the known words (or their adjectives, such as ``angry``).
    Rows with the same subject, session and task become one recording, so that sound and film can be two files; without
    a task, files that differ in their suffix only do. Such recordings are numbered within their emotion (``anger01``):
    file names are left behind, because they often hold people's names.

    **Guarantee**: every row is a track of a recording or listed with its line; every sound or film file without a row
    is listed.

    **Source**: ours.

    Args:
        table: The CSV's name, relative to the folder; commas, semicolons or tabs.
        pseudonyms: ``keep`` takes subjects as they are (letters and digits), ``number`` gives people numbers in the
            order in which they appear, for tables that hold names.
    """

    table: str = "labels.csv"
    pseudonyms: str = "keep"

    license: ClassVar[str] = ""
    citation: ClassVar[str] = ""
    home: ClassVar[str] = ""

    def __post_init__(self) -> None:
        """Check the options."""
        if self.pseudonyms not in ("keep", "number"):
            raise OptionError(f"pseudonyms must be keep or number, not {self.pseudonyms!r}. Choose one of them.")

    def __call__(self, source: Path) -> tuple[Sequence[Recording], pd.DataFrame, Sequence[Withheld]]:
        """Read the table and compare it with the files; no recording is opened.

        Returns:
            Recordings, the people with sex and age, and every row or file that cannot be used.

        Raises:
            DataError: There is no such folder or table, or a column is missing.
        """
        files = media_files(source, tracks=("audio", "video", "picture", "text", "physio"))
        rows = read_rows(source / self.table, required=("file", "subject"))
        on_disk = {unicodedata.normalize("NFC", path): path for path in files}
        reading = _Reading(table=self.table, files=on_disk, numbered=self.pseudonyms == "number")
        for line, row in enumerate(rows, start=2):  # line 1 holds the names of the columns
            reading.take(line, row)
        named = reading.named | {self.table}
        reading.skipped += [
            Withheld(item=path, problem=f"{self.table} has no row for it", fix="Add a row, or remove the file.")
            for path in files
            if path not in named and track_of(path) in ("audio", "video")
        ]
        recordings = list(reading.recordings())
        return recordings, people_table((r.subject for r in recordings), reading.people), reading.skipped


@dataclass(kw_only=True)
class _Reading:
    """What has been gathered from the rows so far."""

    table: str
    files: Mapping[str, str]
    numbered: bool
    named: set[str] = field(default_factory=set)
    people: dict[str, tuple[str | None, float]] = field(default_factory=dict)
    skipped: list[Withheld] = field(default_factory=list)
    _numbers: dict[str, str] = field(default_factory=dict)
    _takes: dict[tuple[str, str, str], tuple[dict[str, str], dict[str, str]]] = field(default_factory=dict)
    _counts: dict[tuple[str, str, str], int] = field(default_factory=dict)
    _tasks: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def take(self, line: int, row: Mapping[str, str]) -> None:
        """Take in one row, or note why not."""
        path = self.files.get(
            unicodedata.normalize("NFC", PurePosixPath(row["file"].replace("\\", "/")).as_posix()), ""
        )
        self.named.add(path)
        labels = {key: value for key, value in row.items() if key not in _OWN_COLUMNS and value}
        problem, fix = self._problem(row, path, labels)
        if not problem:
            labels.update({"emotion": emotion(labels["emotion"]) or ""} if "emotion" in labels else {})
            problem, fix = self._place(row, path, labels)
        if problem:
            self.skipped.append(Withheld(item=f"{self.table} line {line}: {row['file']}", problem=problem, fix=fix))

    def _problem(self, row: Mapping[str, str], path: str, labels: Mapping[str, str]) -> tuple[str, str]:
        if not row["file"] or not path:
            return (
                "there is no such sound, film, picture, text or physiology file in the folder",
                "Correct the name in the table.",
            )
        if not row["subject"]:
            return "the row names no subject", "Write whose recording it is."
        parts = [row.get("session") or "01", row.get("task") or "x", "x" if self.numbered else row["subject"]]
        if not all(part.isascii() and part.isalnum() for part in parts):
            return (
                "subject, session and task must be letters A-Z and digits only",
                "Write pseudonyms such as 01, or use the option pseudonyms=number.",
            )
        if "emotion" in labels and emotion(labels["emotion"]) is None:
            return f"the emotion {labels['emotion']!r} is not known", "Use one of: " + ", ".join(EMOTIONS) + "."
        return "", ""

    def _place(self, row: Mapping[str, str], path: str, labels: dict[str, str]) -> tuple[str, str]:
        """Put a row's file where it belongs; return what is wrong, if anything."""
        subject = self._subject(row["subject"])
        session = row.get("session") or "01"
        tracks, known = self._takes.setdefault(
            (subject, session, row.get("task") or self._task(subject, session, path, labels)), ({}, {})
        )
        track = track_of(path)
        if track in tracks:
            return f"this subject, session and task has {track} already: {tracks[track]}", "Give it another task."
        differing = sorted(key for key in labels.keys() & known.keys() if labels[key] != known[key])
        if differing:
            return f"{', '.join(differing)} differs from the row of the same recording", "Make the two rows agree."
        tracks[track] = path
        known.update(labels)
        own, age = self.people.get(subject, (None, float("nan")))
        self.people[subject] = (own or sex(row.get("sex", "")), age if age == age else _years(row.get("age", "")))
        return "", ""

    def _subject(self, given: str) -> str:
        return self._numbers.setdefault(given, f"{len(self._numbers) + 1:02d}") if self.numbered else given

    def _task(self, subject: str, session: str, path: str, labels: Mapping[str, str]) -> str:
        """Return the name of a take without one; ``talk.wav`` and ``talk.mp4`` of a person are the same take."""
        stem = (subject, session, path.rpartition(".")[0])
        if stem not in self._tasks:
            kind = labels.get("emotion", "take")
            count = self._counts[subject, session, kind] = self._counts.get((subject, session, kind), 0) + 1
            self._tasks[stem] = f"{kind}{count:02d}"
        return self._tasks[stem]

    def recordings(self) -> Iterator[Recording]:
        """Yield the recordings gathered."""
        for (subject, session, task), (tracks, labels) in sorted(self._takes.items()):
            if tracks:
                name = recording_id(subject, session, task)
                yield Recording(id=name, subject=subject, session=session, tracks=tracks, labels=labels)


def _years(text: str) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return float("nan")
