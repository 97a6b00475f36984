"""A cohort on disk: a BIDS-shaped folder of people's recordings, read through its index and written whole."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from personare.core.errors import DataError
from personare.core.types import Cohort, Recording
from personare.data.atomic import make_folder, write_json, write_text
from personare.data.index import index_recordings, recording_id, write_index
from personare.govern.consent import no_consent

__all__ = ["UNFINISHED", "CohortWriter", "Kind", "cohort_kind", "open_cohort", "read_participants", "recording_id"]

Kind = Literal["identifiable", "release", "synthetic"]

UNFINISHED = ".unfinished"
"""Marks a folder that a writer began and did not finish; what lies in it is not a cohort."""

_DESCRIPTION = "dataset_description.json"
_BIDS_VERSION = "1.10.0"
_BIDS_KEYS = frozenset({"License", "Authors", "Acknowledgements", "HowToAcknowledge", "ReferencesAndLinks"})
_IGNORED = (
    "consent.tsv\nindex.parquet\nskipped.tsv\nimported.tsv\nimport.json\n**/*_video.*\n**/*_audio.*\n**/*.npy\n**/*_beh.json\n"
    "**/*_picture.*\n**/*_text.txt\n"
)


def open_cohort(root: Path) -> Cohort:
    """Return the cohort in a folder; no recording is opened.

    Args:
        root: A finished cohort, or any BIDS folder.

    Raises:
        DataError: There is no such folder, or it is not a finished cohort.
    """
    description = _read_description(root)
    name = str(description.get("Name") or root.resolve().name)
    try:
        recordings = index_recordings(root)
    except OSError as error:
        raise DataError(f"The cohort {root} cannot be read: {error}. Check the folder and its rights.") from error
    return Cohort(root=root, name=name, recordings=recordings, participants=read_participants(root))


def cohort_kind(root: Path) -> Kind:
    """Return what a cohort holds; a folder that does not say is taken for identifiable.

    Raises:
        DataError: It is not a finished cohort.
    """
    own = _read_description(root).get("Personare")
    kind = own.get("Kind") if isinstance(own, dict) else None
    return kind if kind in ("release", "synthetic") else "identifiable"


def _read_description(root: Path) -> dict[str, Any]:
    if not root.is_dir():
        raise DataError(f"There is no cohort at {root}. Give a folder; 'personare import' makes one.")
    path = root / _DESCRIPTION
    if not path.is_file():
        why = "holds an unfinished cohort" if (root / UNFINISHED).exists() else f"has no {_DESCRIPTION}"
        raise DataError(f"{root} {why}. Delete it and make it again, or import it with 'personare import'.")
    try:
        description = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} must be JSON, but cannot be read: {error}. Correct the file.") from error
    if not isinstance(description, dict):
        raise DataError(f"{path} must hold a JSON object with the key 'Name'. Correct the file.")
    return description


def read_participants(root: Path) -> pd.DataFrame:
    """Return ``participants.tsv`` indexed by pseudonym; an empty table where there is none.

    Raises:
        DataError: It is not a table with the column ``participant_id``.
    """
    path = root / "participants.tsv"
    if not path.exists():
        return pd.DataFrame(index=pd.Index([], name="subject", dtype=str))
    try:
        table = pd.read_csv(
            path, sep="\t", dtype=str, keep_default_na=False, na_values=["n/a", ""], encoding="utf-8-sig"
        )
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} must be a table separated by tabs, but cannot be read: {error}. Correct it."
        ) from error
    if "participant_id" not in table.columns:
        raise DataError(f"{path} must have the column participant_id (such as sub-01). Add it.")
    table["participant_id"] = table["participant_id"].astype(str).str.removeprefix("sub-")
    if "age" in table.columns:
        table["age"] = pd.to_numeric(table["age"], errors="coerce")
    return table.set_index("participant_id").rename_axis("subject")


class CohortWriter:
    """Writes a cohort file by file; only ``finish`` makes it one.

    **Guarantee**: until ``finish`` has ended well the folder does not open as a cohort, and after it the folder holds
    the files of added recordings only: what an earlier, killed attempt left behind is gone.

    Args:
        root: An empty or absent folder, or one that an earlier writer left unfinished.
        name: The data set's name.
        kind: Whether real people can be seen in it, and consent is asked for.
        description: What else to say in ``dataset_description.json``.

    Raises:
        DataError: The folder is a cohort already, holds other files, or cannot be written.
    """

    def __init__(
        self, root: Path, *, name: str, kind: Kind = "identifiable", description: Mapping[str, Any] | None = None
    ) -> None:
        self.root = root
        self._name = name
        self._kind = kind
        self._description = dict(description or {})
        self._recordings: dict[str, Recording] = {}
        if (root / _DESCRIPTION).exists():
            raise DataError(
                f"{root} is a finished cohort and is not written over. Choose another folder, or delete it."
            )
        make_folder(root)
        marker = root / UNFINISHED
        if not marker.exists() and any(root.iterdir()):
            raise DataError(f"{root} must be an empty folder, but holds files. Choose another folder.")
        write_text(marker, "This folder is being written. If nothing is running, delete it.\n")

    def path(self, recording: Recording | tuple[str, str, str], track: str, suffix: str) -> Path:
        """Return where to write a track's file; its folder is there.

        Args:
            recording: The recording, or its subject, session and task.
            track: ``audio``, ``video``, ``physio``, ``text``, ``events``, or a feature track.
            suffix: With its dot, e.g. ``.wav`` or ``.tsv.gz``.

        Raises:
            DataError: A name that BIDS does not allow, or a folder that cannot be made.
        """
        own = _name_parts(recording) if isinstance(recording, Recording) else recording
        if not (track.isascii() and track.isalnum() and suffix.startswith(".")):
            raise DataError(f"A track must be letters and digits, a suffix start with a dot: {track!r}, {suffix!r}.")
        subject, session, _ = own
        folder = make_folder(self.root / f"sub-{subject}" / f"ses-{session}" / "beh")
        return folder / f"{recording_id(*own)}_{track}{suffix}"

    def add(self, recording: Recording) -> None:
        """Take in a recording whose files are written, and write its labels beside them.

        Args:
            recording: Tracks relative to the cohort's root.

        Raises:
            DataError: A file is not there, the id is taken, or the labels cannot be written.
        """
        own = _name_parts(recording)
        if recording.id in self._recordings:
            raise DataError(f"Recordings must have ids of their own; {recording.id} was added before. Rename one.")
        absent = [path for path in recording.tracks.values() if not (self.root / path).is_file()]
        if absent or not recording.tracks:
            raise DataError(
                f"{recording.id}: there is no file {', '.join(absent) or 'at all'}. Write it before adding it."
            )
        sidecar = self.path(own, "beh", ".json")
        content = {"TaskName": own[2], "Labels": dict(recording.labels)}
        try:
            sidecar.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        except OSError as error:
            raise DataError(f"{sidecar} cannot be written: {error}. Free the disk or choose another folder.") from error
        self._recordings[recording.id] = recording

    def finish(self, participants: pd.DataFrame, consent: pd.DataFrame | None = None) -> Cohort:
        """Write the tables and the index, and make the folder a cohort.

        Args:
            participants: Indexed by pseudonym; people without a row get an empty one.
            consent: Columns of ``consent.tsv``; None for no consent at all.

        Returns:
            The cohort.

        Raises:
            DataError: Something cannot be written.
        """
        recordings = sorted(self._recordings.values(), key=lambda recording: recording.id)
        self._remove_leftovers()
        people = participants.set_axis(participants.index.astype(str)).reindex(
            sorted({r.subject for r in recordings} | {str(subject) for subject in participants.index})
        )
        people.index = pd.Index([f"sub-{subject}" for subject in people.index], name="participant_id")
        write_text(self.root / "participants.tsv", people.to_csv(sep="\t", na_rep="n/a"))
        write_json(self.root / "participants.json", _PARTICIPANT_COLUMNS)
        table = no_consent() if consent is None else consent
        write_text(self.root / "consent.tsv", table.to_csv(sep="\t", index=False))
        write_text(self.root / ".bidsignore", _IGNORED)
        write_index(self.root, recordings)
        write_json(self.root / _DESCRIPTION, self._describe())
        (self.root / UNFINISHED).unlink(missing_ok=True)
        return open_cohort(self.root)

    def _describe(self) -> dict[str, Any]:
        known = {key: value for key, value in self._description.items() if key in _BIDS_KEYS}
        own = {key: value for key, value in self._description.items() if key not in _BIDS_KEYS}
        kind = "raw" if self._kind == "identifiable" else "derivative"
        head = {"Name": self._name, "BIDSVersion": _BIDS_VERSION, "DatasetType": kind, **known}
        return {**head, "GeneratedBy": [{"Name": "personare"}], "Personare": {**own, "Kind": self._kind}}

    def _remove_leftovers(self) -> None:
        """Remove what no added recording owns: a half-made file must never leave with a release."""
        owned = {f"{r.id}_" for r in self._recordings.values()}
        tracks = {path for r in self._recordings.values() for path in r.tracks.values()}
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = Path(folder, name)
                relative = path.relative_to(self.root).as_posix()
                sidecar = name.endswith(".json") and f"{name.rpartition('_')[0]}_" in owned
                if relative.startswith("sub-") and relative not in tracks and not sidecar:
                    path.unlink()


_PARTICIPANT_COLUMNS = {
    "sex": {"Description": "Sex", "Levels": {"F": "female", "M": "male"}},
    "age": {"Description": "Age at the recording", "Units": "years"},
}


def _name_parts(recording: Recording) -> tuple[str, str, str]:
    task = recording.id.partition("_task-")[2]
    parts = (recording.subject, recording.session, task)
    if not task or recording_id(*parts) != recording.id:
        raise DataError(f"A recording's id must be made by recording_id(subject, session, task), not {recording.id!r}.")
    return parts
