"""Empatica E4: the folders that the wristband's makers give out, one a session, cut in windows."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from personare.core.errors import DataError
from personare.data.media_files import files_under
from personare.data.reading import Contents
from personare.data.windows import Sampled, Wristband, empatica

__all__ = ["Empatica"]


@dataclass(frozen=True, kw_only=True)
class Empatica(Wristband):
    """Reads every folder with ``ACC.csv``, ``BVP.csv``, ``EDA.csv``, ``HR.csv`` or ``TEMP.csv``, packed or not.

    A table ``labels.csv`` beside the folders says whose they are: columns ``folder``, ``subject``, if you like
    ``start`` and ``end`` in seconds from the session's start, and labels. Without it each folder of the first level is
    one person, numbered, since folders are named after people. ``IBI.csv`` and ``tags.csv`` are not needed.

    **Guarantee**: each file that cannot be read is listed and the others of its session are taken; no window crosses
    the end of a label.

    **Source**: the maker's description of the export, as in ``info.txt`` of every session.
    """

    def gather(self, source: Path, contents: Contents) -> None:
        sessions: dict[str, dict[str, tuple[str, Sampled]]] = {}
        for file in files_under(source, ".csv", ".csv.gz"):
            path = PurePosixPath(file)
            track = path.name.lower().removesuffix(".gz").removesuffix(".csv")
            if track in self.tracks:
                with contents.skipped.listing(file):
                    signal = (file, empatica(source / file))
                    sessions.setdefault(str(path.parent), {}).setdefault(track, signal)
        if not sessions:
            raise DataError(f"{source} holds no Empatica session (a folder with EDA.csv and so on). Unpack zip files.")
        self.add_sessions(contents, source / "labels.csv", "folder", sessions)
