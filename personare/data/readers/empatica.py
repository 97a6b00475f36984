"""Empatica E4: the folders that the wristband's makers give out, one a session, cut in windows."""

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from personare.core.errors import DataError
from personare.core.types import Recording, Withheld
from personare.data.cohort import left_out
from personare.data.reading import Found, Made, people_table
from personare.data.tables import published, read_rows
from personare.data.windows import (
    EMPATICA_TRACKS,
    Sampled,
    Span,
    check_windows,
    empatica,
    make_windows,
    window_recordings,
)

__all__ = ["Empatica"]


@dataclass(frozen=True, kw_only=True)
class Empatica:
    """Reads every folder with ``ACC.csv``, ``BVP.csv``, ``EDA.csv``, ``HR.csv`` or ``TEMP.csv``, packed or not.

    A table ``labels.csv`` beside the folders says whose they are: columns ``folder``, ``subject``, if you like
    ``start`` and ``end`` in seconds from the session's start, and labels. Without it each folder of the first level is
    one person, numbered, since folders are named after people. ``IBI.csv`` and ``tags.csv`` may be empty or missing:
    beats are in ``BVP.csv``, and what a tag means only the table can say.

    **Guarantee**: each file that cannot be read is listed and the others of its session are taken; no window crosses
    the end of a label.

    **Source**: the maker's description of the export, as in ``info.txt`` of every session.

    Args:
        window_s, step_s: Length of a window, and from one window's start to the next one's, in whole seconds.
    """

    window_s: int = 60
    step_s: int = 60

    license: ClassVar[str] = ""
    citation: ClassVar[str] = ""
    home: ClassVar[str] = ""
    tracks: ClassVar[dict[str, str]] = EMPATICA_TRACKS

    def __post_init__(self) -> None:
        """Check the options."""
        check_windows(self.window_s, self.step_s)

    def __call__(self, source: Path) -> Found:
        """Read the signals of every session."""
        if not source.is_dir():
            raise DataError(f"There is no folder {source}. Give the folder that holds the sessions.")
        skipped: list[Withheld] = []
        sessions: dict[str, dict[str, tuple[str, Sampled]]] = {}
        for folder in sorted(Path(folder) for folder, _, _ in os.walk(source)):
            if signals := _signals(source, folder, skipped):
                sessions[folder.relative_to(source).as_posix()] = signals
        if not sessions:
            raise DataError(f"{source} holds no Empatica session (a folder with EDA.csv and so on). Unpack zip files.")
        spans = _spans(source, sessions, skipped)
        recordings: list[Recording] = []
        counts: dict[str, int] = {}
        begun = {name: min(signal.begin_s for _, signal in signals.values()) for name, signals in sessions.items()}
        for name in sorted(spans, key=lambda name: begun[name]):
            subject, labelled = spans[name]
            counts[subject] = counts.get(subject, 0) + 1
            who = (subject, f"{counts[subject]:02d}")
            windows = list(window_recordings(who, sessions[name], labelled, self.window_s, self.step_s))
            recordings += windows
            if not windows:
                said = (
                    f"no window of {self.window_s} s fits into it. Give a smaller window_s, or leave the session out."
                )
                skipped.append(left_out(name, said))
        return recordings, people_table(recordings), skipped

    def make(self, source: Path) -> Callable[[str], Made]:
        """Return what cuts a window of a signal."""
        return make_windows(lambda file, _: empatica(source / file))


def _signals(source: Path, folder: Path, skipped: list[Withheld]) -> dict[str, tuple[str, Sampled]]:
    signals: dict[str, tuple[str, Sampled]] = {}
    for track in EMPATICA_TRACKS:
        if path := published(folder, f"{track}.csv"):
            file = path.relative_to(source).as_posix()
            try:
                signals[track] = (file, empatica(path))
            except DataError as error:
                skipped.append(left_out(file, error))
    return signals


def _spans(source: Path, sessions: Collection[str], skipped: list[Withheld]) -> dict[str, tuple[str, list[Span]]]:
    """Return whose each session is and what is labelled in it."""
    if not (source / "labels.csv").is_file():
        people = sorted({folder.partition("/")[0] for folder in sessions})
        number = {person: f"{i:02d}" for i, person in enumerate(people, start=1)}
        return {folder: (number[folder.partition("/")[0]], []) for folder in sessions}
    spans: dict[str, tuple[str, list[Span]]] = {}
    for _, row in read_rows(source / "labels.csv", required=("folder", "subject")):
        folder = row["folder"].strip("/")
        if folder not in sessions:
            said = "labels.csv names it, but it holds no session. Correct the row or leave it out."
            skipped.append(left_out(folder, said))
            continue
        subject, labelled = spans.setdefault(folder, (row["subject"], []))
        if subject != row["subject"]:
            raise DataError(f"labels.csv gives {folder} to two people, {subject} and {row['subject']}. Correct it.")
        labelled.append(Span.of(row, ("folder", "subject")))
    for folder in sorted(set(sessions) - set(spans)):
        skipped.append(left_out(folder, "labels.csv does not name it. Add a row that says whose it is."))
    return spans
