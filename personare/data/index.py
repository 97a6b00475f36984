"""The derived index of a cohort: one Parquet file, so that ten thousand recordings open at once.

The folder is the truth. The index carries a fingerprint of the folder (every file's name; size and time of the small
files that hold labels), and is built again from the folder whenever the two differ or the index is absent.
"""

import csv
import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from personare.core.errors import DataError
from personare.core.types import Recording, Withheld
from personare.data.atomic import replacing
from personare.data.labels import LABELS, emotion

__all__ = ["INDEX", "index_recordings", "recording_id", "scan", "write_index"]

INDEX = "index.parquet"
_LABELS_SUFFIX = "_beh.json"
_ABOUT = frozenset({"scans", "sessions", "participants", "channels", "electrodes"})
"""What BIDS calls tables about recordings and people: neither a track nor a fault."""
_NAME = re.compile(
    r"^sub-(?P<subject>[A-Za-z0-9]+)(?:_ses-(?P<session>[A-Za-z0-9]+))?(?:_task-(?P<task>[A-Za-z0-9]+))?"
    r"(?P<rest>(?:_[a-z]+-[A-Za-z0-9]+)*)_(?P<track>[A-Za-z0-9]+)(?P<suffix>\.[A-Za-z0-9.]+)$"
)


def recording_id(subject: str, session: str, task: str) -> str:
    """Return the name of a recording, the start of all its file names.

    Args:
        subject: Pseudonym; letters and digits only, as BIDS asks.
        session: Letters and digits only.
        task: Letters and digits only.

    Raises:
        DataError: Another character, or nothing.

    Example:
        >>> recording_id("01", "01", "angry01")
        'sub-01_ses-01_task-angry01'
    """
    for name, value in (("subject", subject), ("session", session), ("task", task)):
        if not re.fullmatch(r"[A-Za-z0-9]+", value):
            raise DataError(f"A {name} must be made of letters A-Z and digits, not {value!r}. Rename it.")
    return f"sub-{subject}_ses-{session}_task-{task}"


def index_recordings(root: Path) -> tuple[Recording, ...]:
    """Return the recordings of a cohort from its index, building it again where it is absent or out of date."""
    fingerprint = _fingerprint(root)
    try:
        table = pq.read_table(root / INDEX)
        if (table.schema.metadata or {}).get(b"fingerprint", b"").decode() == fingerprint:
            return tuple(_from_table(table))
    except (OSError, ValueError, KeyError):  # absent, damaged (pyarrow's errors are ValueErrors) or of another shape
        pass
    recordings, _ = scan(root)
    with suppress(DataError):  # a cohort on a read-only disk is read without an index
        write_index(root, recordings)
    return tuple(recordings)


def write_index(root: Path, recordings: Sequence[Recording]) -> None:
    """Write the index of a cohort.

    Raises:
        DataError: It cannot be written.
    """
    columns: dict[str, list[str | None]] = {
        "id": [r.id for r in recordings],
        "subject": [r.subject for r in recordings],
        "session": [r.session for r in recordings],
    }
    for track in sorted({track for r in recordings for track in r.tracks}):
        columns[f"track.{track}"] = [r.tracks.get(track) for r in recordings]
    for label in sorted({label for r in recordings for label in r.labels}):
        columns[f"label.{label}"] = [r.labels.get(label) for r in recordings]
    table = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
    with replacing(root / INDEX) as part:
        pq.write_table(table.replace_schema_metadata({"fingerprint": _fingerprint(root)}), part)


def _from_table(table: pa.Table) -> Iterator[Recording]:
    columns: dict[str, list[Any]] = table.to_pydict()
    tracks = [(name.removeprefix("track."), values) for name, values in columns.items() if name.startswith("track.")]
    labels = [(name.removeprefix("label."), values) for name, values in columns.items() if name.startswith("label.")]
    for i, (name, subject, session) in enumerate(
        zip(columns["id"], columns["subject"], columns["session"], strict=True)
    ):
        yield Recording(
            id=name,
            subject=subject,
            session=session,
            tracks={track: values[i] for track, values in tracks if values[i] is not None},
            labels={label: values[i] for label, values in labels if values[i] is not None},
        )


def _files(root: Path) -> Iterator[tuple[str, str]]:
    """Yield folder (relative to the root) and name of every file under ``sub-*``, in no order."""
    pending = [entry.name for entry in os.scandir(root) if entry.is_dir() and entry.name.startswith("sub-")]
    while pending:
        folder = pending.pop()
        with os.scandir(root / folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(f"{folder}/{entry.name}")
                elif not entry.name.startswith("."):
                    yield folder, entry.name


def _fingerprint(root: Path) -> str:
    digest = hashlib.sha256()
    for folder, name in sorted(_files(root)):
        digest.update(f"{folder}/{name}".encode("utf-8", "surrogateescape"))
        if name.endswith((_LABELS_SUFFIX, "_events.tsv")):
            stat = os.stat(f"{root}/{folder}/{name}")  # noqa: PTH116 - a Path per file would double the time
            digest.update(f" {stat.st_size} {stat.st_mtime_ns}".encode())
        digest.update(b"\n")
    return digest.hexdigest()


def scan(root: Path) -> tuple[list[Recording], list[Withheld]]:
    """Read the recordings of a BIDS-shaped folder from its files alone.

    Args:
        root: The folder that holds ``sub-*``.

    Returns:
        The recordings sorted by id, and the files that do not fit, each with what to do.
    """
    tracks: dict[tuple[str, str, str], dict[str, str]] = {}
    labels: dict[tuple[str, str, str], dict[str, str]] = {}
    problems: list[Withheld] = []
    for folder, name in sorted(_files(root)):
        path, match = f"{folder}/{name}", _NAME.match(name)
        if match is None:
            problems.append(Withheld(item=path, problem="the file's name is not of BIDS shape", fix=_NAME_FIX))
            continue
        if match["track"] in _ABOUT and match["suffix"] == ".tsv":
            continue
        key = (match["subject"], match["session"] or "01", (match["task"] or "take") + _plain(match["rest"]))
        if match["suffix"] == ".json":
            problem = _read_labels(root / path, labels.setdefault(key, {})) if name.endswith(_LABELS_SUFFIX) else ""
        elif match["track"] in tracks.get(key, {}):
            problem = f"a second file of the track {match['track']}, beside {tracks[key][match['track']]}"
        else:
            tracks.setdefault(key, {})[match["track"]] = path
            problem = _read_events(root / path, labels.setdefault(key, {})) if name.endswith("_events.tsv") else ""
        if problem:
            problems.append(Withheld(item=path, problem=problem, fix="Correct or remove the file."))
    return [_recording(key, tracks[key], labels.get(key, {})) for key in sorted(tracks)], problems


_NAME_FIX = "Name it like sub-01_ses-01_task-angry01_audio.wav, or move it out of the sub- folders."


def _plain(entities: str) -> str:
    """Return further entities of a BIDS name as part of the task: ``_run-2`` becomes ``run2``."""
    return entities.replace("_", "").replace("-", "")


def _recording(key: tuple[str, str, str], tracks: dict[str, str], labels: dict[str, str]) -> Recording:
    subject, session, _ = key
    return Recording(id=recording_id(*key), subject=subject, session=session, tracks=tracks, labels=labels)


def _read_labels(path: Path, labels: dict[str, str]) -> str:
    """Add the labels of a sidecar; return what is wrong with it, or nothing."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        return f"the labels cannot be read: {error}"
    found = content.get("Labels", {}) if isinstance(content, dict) else None
    if not isinstance(found, dict):
        return "the labels must be an object under the key 'Labels'"
    labels.update({str(key): str(value) for key, value in found.items() if value is not None})
    return ""


def _read_events(path: Path, labels: dict[str, str]) -> str:
    """Add the labels that are the same in every row of an events file; return what is wrong with it, or nothing."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
    except (OSError, ValueError, csv.Error) as error:
        return f"the events cannot be read: {error}"
    for label in LABELS:
        values = {row.get(label) or "" for row in rows} - {"", "n/a"}
        if len(values) == 1:
            labels.setdefault(label, values.pop())
    trial = {emotion(row.get("trial_type") or "") for row in rows}
    only = trial.pop() if len(trial) == 1 else None
    if only is not None:
        labels.setdefault("emotion", only)
    return ""
