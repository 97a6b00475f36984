"""Empatica E4: the folders that the wristband's makers give out, one a session, cut in windows."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from personare.core.errors import DataError
from personare.data.reading import Contents, Found, Maker
from personare.data.tables import published
from personare.data.windows import EMPATICA_TRACKS, Sampled, add_sessions, check_windows, empatica, make_windows

__all__ = ["Empatica"]


@dataclass(frozen=True, kw_only=True)
class Empatica:
    """Reads every folder with ``ACC.csv``, ``BVP.csv``, ``EDA.csv``, ``HR.csv`` or ``TEMP.csv``, packed or not.

    A table ``labels.csv`` beside the folders says whose they are: columns ``folder``, ``subject``, if you like
    ``start`` and ``end`` in seconds from the session's start, and labels. Without it each folder of the first level is
    one person, numbered, since folders are named after people. ``IBI.csv`` and ``tags.csv`` are not needed.

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
        check_windows(self.window_s, self.step_s)

    def __call__(self, source: Path) -> Found:
        """Read the signals of every session."""
        if not source.is_dir():
            raise DataError(f"There is no folder {source}. Give the folder that holds the sessions.")
        contents, sessions = Contents(), dict[str, dict[str, tuple[str, Sampled]]]()
        for folder in sorted(Path(folder) for folder, _, _ in os.walk(source)):
            for track in EMPATICA_TRACKS:
                if path := published(folder, f"{track}.csv"):
                    file = path.relative_to(source).as_posix()
                    with contents.listing(file):
                        signal = empatica(path)
                        sessions.setdefault(folder.relative_to(source).as_posix(), {})[track] = (file, signal)
        if not sessions:
            raise DataError(f"{source} holds no Empatica session (a folder with EDA.csv and so on). Unpack zip files.")
        add_sessions(contents, source / "labels.csv", "folder", sessions, self.window_s, self.step_s)
        return contents.all()

    def make(self, source: Path) -> Maker:
        """Return what cuts a window of a signal."""
        return make_windows(lambda file, _: empatica(source / file))
