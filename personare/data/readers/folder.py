"""Any folder of sound, film and pictures with a table of file, subject and labels: what most people have."""

import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar, NamedTuple

from personare.core.errors import DataError
from personare.data.labels import sex
from personare.data.media_files import media_files, piece_address, track_of
from personare.data.reading import Contents, Reader
from personare.data.tables import TABLES, number, read_rows

__all__ = ["Folder"]

_STARTS, _ENDS, _DURATIONS = ("start", "start_s", "onset"), ("end", "end_s"), ("duration", "duration_s")
_WHOLE = (0.0, float("inf"))
_ONE_FILE = "Correct the rows, or give each its part of the file as start and end in seconds that do not overlap."


@dataclass(frozen=True, kw_only=True)
class Folder(Reader):
    """Reads a table with the columns ``file`` and ``subject``, and ``sex``, ``age``, ``session``, ``task`` where known.

    Every other column is a label, kept as it is written. Rows with the same subject, session and task become one
    recording, so that sound and film can be two files; without a task, files that differ in their suffix only do.
    With ``start`` and ``end`` (or ``onset`` and ``duration``), a row is that piece of its file. Recordings without a
    task are numbered (``take01``): file names and labels are left behind, because they often hold people's names.

    **Guarantee**: every row is a track of a recording or listed with its line; every sound or film file without a row
    is listed; no part of a file is taken twice, or for two people.

    Args:
        table: The table's name, relative to the folder (CSV with commas, semicolons or tabs, or .xlsx); empty for
            ``labels.csv``, ``labels.tsv`` or ``labels.xlsx``.
    """

    table: str = ""

    tracks: ClassVar[dict[str, str]] = {track: track for track in ("audio", "video", "picture", "text", "physio")}

    def gather(self, source: Path, contents: Contents) -> None:
        files = media_files(source, tracks=tuple(self.tracks))
        names = [f"labels{suffix}" for suffix in TABLES if (source / f"labels{suffix}").is_file()]
        if len(names) > 1 and not self.table:
            raise DataError(f"{source} holds {' and '.join(names)}. Say which one counts with -o table={names[0]}.")
        table = self.table or (names[0] if names else "labels.csv")
        reading = _Reading(table, files)
        for line, row in read_rows(source / table, required=("file", "subject")):
            reading.take(line, row)
        reading.find_clashes()
        reading.add_to(contents)
        for _, refusal in sorted(reading.skipped.items()):
            contents.skipped.note(*refusal)
        for path in files:
            if path not in reading.named and track_of(path) in ("audio", "video"):
                contents.skipped.note(path, f"{table} has no row for it. Add a row, or remove the file.")
        contents.people |= reading.people


class _Row(NamedTuple):
    """A row that fits a file, or a part of one in seconds."""

    line: int
    path: str
    subject: str
    session: str
    task: str
    part: tuple[float, float]
    labels: Mapping[str, str]
    sex: str | None
    age: float


class _Reading:
    """What has been gathered from the rows so far."""

    def __init__(self, table: str, files: Sequence[str]) -> None:
        self.table = table
        self.named: set[str] = set()
        self.people: dict[str, tuple[str | None, float]] = {}
        self.skipped: dict[int, tuple[str, object]] = {}  # item and reason, by line
        self._rows: list[_Row] = []
        # a file is looked up as it is written, and then without regard to case; names of old disks are not UTF-8
        names = [re.sub("[\udc80-\udcff]", lambda b: os.fsencode(b[0]).decode("cp1252", "replace"), f) for f in files]
        self._exact = {unicodedata.normalize("NFC", name): path for name, path in zip(names, files, strict=True)}
        self._alike: dict[str, list[str]] = defaultdict(list)
        for name, path in self._exact.items():
            self._alike[name.casefold()].append(path)

    def take(self, line: int, given: Mapping[str, str]) -> None:
        """Take in one row, or note why not."""
        row = {key: unicodedata.normalize("NFC", value) for key, value in given.items()}
        try:
            name = PurePosixPath(row["file"].replace("\\", "/")).as_posix()
            alike = [self._exact[name]] if name in self._exact else self._alike.get(name.casefold(), [])
            self.named.update(alike)
            if len(alike) > 1:
                raise DataError(f"it may be {' or '.join(alike)}. Write the name with its capitals, as on disk.")
            if not alike:
                raise DataError(
                    "there is no such sound, film, picture, text or physiology file in the folder. Correct the name in "
                    "the table."
                )
            if not row["subject"]:
                raise DataError("the row names no subject. Write whose recording it is.")
            part, not_labels = _part(row)
            if part != _WHOLE and track_of(alike[0]) not in ("audio", "video"):
                raise DataError("only sound and film can be cut. Leave start and end empty.")
        except DataError as error:
            self._skip(line, row["file"], error)
            return
        not_labels |= {"file", "subject", "session", "task", "sex", "age"}
        labels = {key: value for key, value in row.items() if key not in not_labels and value}
        session, task = row.get("session") or "01", row.get("task", "")
        gender, age = sex(row.get("sex", "")), number(row.get("age", ""))
        self._rows.append(_Row(line, alike[0], row["subject"], session, task, part, labels, gender, age))

    def _skip(self, line: int, file: str, reason: object) -> None:
        self.skipped.setdefault(line, (f"{self.table} line {line}: {file}", reason))

    def add_to(self, contents: Contents) -> None:
        """Take in the recordings gathered; rows that contradict each other are noted and left out."""
        takes: dict[tuple[str, ...], list[_Row]] = {}
        for row in self._rows:
            name = row.task or f"/{row.path.rpartition('.')[0]}"  # a task holds no slash
            take = takes.setdefault((row.subject, row.session, name, *map(str, row.part)), [])
            if row.line not in self.skipped and self._agrees(row, take):
                take.append(row)
        firsts = [rows[0] for rows in takes.values() if rows]
        plain_tasks = all(re.fullmatch("[A-Za-z0-9]{0,24}", row.task) for row in firsts)
        plain_sessions = all(re.fullmatch("[A-Za-z]{0,12}[0-9]{0,4}", row.session) for row in firsts)
        sessions: dict[str, dict[str, str]] = defaultdict(dict)  # a date or no plain word: all are numbered in order
        for row in firsts:
            number_of_session = f"{len(sessions[row.subject]) + 1:02d}"
            sessions[row.subject].setdefault(row.session, row.session if plain_sessions else number_of_session)
        counts: Counter[tuple[str, ...]] = Counter()
        for rows in filter(None, takes.values()):
            first, session = rows[0], sessions[rows[0].subject][rows[0].session]
            name = task = first.task if plain_tasks else ""
            if not task or first.part != _WHOLE:
                counts[first.subject, session, task] += 1
                name = f"{task or 'take'}{counts[first.subject, session, task]:02d}"
            paths = [row.path if row.part == _WHOLE else piece_address(row.path, *row.part) for row in rows]
            tracks = {track_of(row.path): path for row, path in zip(rows, paths, strict=True)}
            labels = {key: value for row in rows for key, value in row.labels.items()}
            if first.task and not plain_tasks:
                labels = {"task": first.task, **labels}
            contents.add(first.subject, name, tracks, labels, session)

    def find_clashes(self) -> None:
        """Leave out rows that give a moment of a file to two people, or that give it twice.

        Sound and film of one name count as one file here.
        """
        files: dict[str, list[_Row]] = defaultdict(list)
        for row in self._rows:
            files[row.path.rpartition(".")[0]].append(row)
        for rows in files.values():
            running: list[_Row] = []
            for later in sorted(rows, key=lambda row: (row.part, row.line)):
                running = [row for row in running if row.part[1] > later.part[0]]
                for row in running:
                    first, second = sorted((row, later), key=lambda one: one.line)
                    if row.subject != later.subject:
                        for one, other in ((first, second), (second, first)):
                            problem = f"line {other.line} gives {other.path} to {other.subject}, this line to"
                            self._skip(one.line, one.path, f"{problem} {one.subject}. {_ONE_FILE}")
                    elif row.path == later.path:
                        problem = f"line {first.line} has this part of the file already. {_ONE_FILE}"
                        self._skip(second.line, second.path, problem)
                running.append(later)

    def _agrees(self, row: _Row, others: Sequence[_Row]) -> bool:
        """Whether a row fits the other rows of its recording and its person; if not, it is noted."""
        twin = next((other for other in others if track_of(other.path) == track_of(row.path)), None)
        differing = sorted({k for other in others for k, v in other.labels.items() if row.labels.get(k, v) != v})
        sex_before, age = self.people.get(row.subject, (None, float("nan")))
        fix = "Make the two rows agree."
        if twin:
            problem = f"this subject, session and task has {track_of(row.path)} already: {twin.path}"
            fix = "Give it another task."
        elif differing:
            problem = f"{', '.join(differing)} differs from the row of the same recording"
        elif sex_before and row.sex and sex_before != row.sex:
            problem = f"{row.subject} is {row.sex} here and {sex_before} before, so these may be two people"
        else:
            self.people[row.subject] = (sex_before or row.sex, age if age == age else row.age)
            return True
        self._skip(row.line, row.path, f"{problem}. {fix}")
        return False


def _part(row: Mapping[str, str]) -> tuple[tuple[float, float], set[str]]:
    """Return the piece of the file that a row means, in seconds, and the columns that say so."""
    starts, ends, lengths = ([name for name in names if name in row] for names in (_STARTS, _ENDS, _DURATIONS))
    if not starts and not ends:
        return _WHOLE, set()  # a duration alone describes the file
    columns = {*starts, *ends, *lengths}
    if len(starts) != 1 or len(ends) + len(lengths) != 1:
        raise DataError(
            f"which part of the file is meant must be said by one start and one end or duration, not by "
            f"{', '.join(sorted(columns))}. Remove or rename a column."
        )
    given, last = row[starts[0]], row[(ends or lengths)[0]]
    if not given and not last:
        return _WHOLE, columns
    start, end = _seconds(given), _seconds(last)
    end = end if ends else start + end
    if not 0 <= start < end:
        raise DataError(
            f"start {given!r} and {(ends or lengths)[0]} {last!r} must be seconds (or h:mm:ss), the end after the "
            "start. Correct the row."
        )
    return (start, end), columns


def _seconds(text: str) -> float:
    """Return seconds written as 83.5, 83,5, 1:23.5 or 0:01:23; NaN for anything else."""
    if not re.fullmatch(r"(?:\d+:){0,2}\d+(?:[.,]\d*)?", text):
        return float("nan")
    parts = [number(part) for part in text.split(":")]
    return sum(value * 60.0**power for power, value in enumerate(reversed(parts)))
