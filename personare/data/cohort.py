"""A cohort on disk: a BIDS-shaped folder of people's recordings, read through its index and written whole.

The folder is the truth. Its index opens ten thousand recordings at once, and is built again from the folder where it is
absent or its fingerprint (every file's name; size and time of the small files that hold labels) is another.
"""

import csv
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from personare.core.atomic import make_folder, replacing, write_json, write_text
from personare.core.errors import DataError, PersonareError, PolicyError, data_errors
from personare.core.types import Cohort, Recording, Withheld
from personare.data.labels import LABELS, emotion
from personare.govern.consent import no_consent, read_tsv
from personare.govern.storage import open_plain, plain_size

Kind = Literal["identifiable", "release", "synthetic"]

UNFINISHED = ".unfinished"
"""Marks a folder that a writer began and did not finish; what lies in it is not a cohort."""

INDEX = "index.parquet"
DESCRIPTION = "dataset_description.json"
_BIDS_KEYS = frozenset({"License", "Authors", "Acknowledgements", "HowToAcknowledge", "ReferencesAndLinks"})
_IGNORED = (
    "consent.tsv\nconsent/\nindex.parquet\nskipped.tsv\nimported.tsv\nimport.json\n"
    "**/*_video.*\n**/*_audio.*\n**/*.npy\n**/*_beh.json\n**/*_picture.*\n**/*_text.*\n"
)
_PARTICIPANT_COLUMNS = {
    "sex": {"Description": "Sex", "Levels": {"F": "female", "M": "male"}},
    "age": {"Description": "Age at the recording", "Units": "years"},
}
_LABELS_SUFFIX = "_beh.json"
_ABOUT = frozenset({"scans", "sessions", "participants", "channels", "electrodes"})
"""What BIDS calls tables about recordings and people: neither a track nor a fault."""
_NAME = re.compile(
    r"^sub-(?P<subject>[A-Za-z0-9]+)(?:_ses-(?P<session>[A-Za-z0-9]+))?(?:_task-(?P<task>[A-Za-z0-9]+))?"
    r"(?P<rest>(?:_[a-z]+-[A-Za-z0-9]+)*)_(?P<track>[A-Za-z0-9]+)(?P<suffix>\.[A-Za-z0-9.]+)$"
)


class Problems(list[Withheld]):
    """What cannot be used, and why."""

    def note(self, item: str, reason: object) -> None:
        """Add an item; the last sentence of the reason, such as an error, is what to do."""
        problem, _, fix = str(reason).rpartition(". ")
        fix = fix if problem else "Get it again, or leave it out."
        self.append(Withheld(item=item, problem=problem or str(reason), fix=fix))

    @contextmanager
    def listing(self, item: str) -> Iterator[None]:
        """Add the item where the block finds that it cannot be used."""
        try:
            yield
        except PolicyError:  # what is true of every item, such as a passphrase that is not given
            raise
        except PersonareError as error:
            self.note(item, error)


def recording_id(subject: str, session: str, task: str) -> str:
    """Return the name of a recording, the start of all its file names; each part is letters and digits only."""
    for name, value in (("subject", subject), ("session", session), ("task", task)):
        if not re.fullmatch(r"[A-Za-z0-9]+", value):
            raise DataError(f"A {name} must be made of letters A-Z and digits, not {value!r}. Rename it.")
    return f"sub-{subject}_ses-{session}_task-{task}"


def open_cohort(root: Path) -> Cohort:
    """Return the cohort in a folder, finished or any BIDS folder; no recording is opened."""
    name = str(read_description(root).get("Name") or root.resolve().name)
    with data_errors(f"The cohort {root} cannot be read", "Check the folder and its rights."):
        recordings = _indexed(root)
    return Cohort(root=root, name=name, recordings=recordings, participants=read_participants(root))


def cohort_kind(root: Path) -> Kind:
    """Return what a cohort holds; a folder that does not say is taken for identifiable."""
    kind = read_description(root)["Personare"].get("Kind")
    return kind if kind in ("release", "synthetic") else "identifiable"


def declared_modalities(root: Path) -> dict[str, str]:
    """Return what a cohort declares its tracks to be: the recording that each comes from, by track."""
    declared = read_description(root)["Personare"].get("Tracks")
    return {str(track): str(of) for track, of in declared.items()} if isinstance(declared, dict) else {}


def read_description(root: Path) -> dict[str, Any]:
    """Return what a finished cohort says of itself; what only this program says is under ``Personare``."""
    if not root.is_dir():
        raise DataError(f"There is no cohort at {root}. Give a folder; 'personare import' makes one.")
    path = root / DESCRIPTION
    if not path.is_file():
        why = "holds an unfinished cohort" if (root / UNFINISHED).exists() else f"has no {DESCRIPTION}"
        raise DataError(f"{root} {why}. Delete it and make it again, or import it with 'personare import'.")
    with data_errors(f"{path} must be JSON, but cannot be read", "Correct the file."):
        description = json.loads(path.read_text(encoding="utf-8-sig"))
    if not isinstance(description, dict):
        raise DataError(f"{path} must hold a JSON object with the key 'Name'. Correct the file.")
    ours = description.get("Personare")
    return {**description, "Personare": ours if isinstance(ours, dict) else {}}


def read_participants(root: Path) -> pd.DataFrame:
    """Return ``participants.tsv`` indexed by pseudonym; an empty table where there is none."""
    path = root / "participants.tsv"
    if not path.exists():
        return pd.DataFrame(index=pd.Index([], name="subject", dtype=str))
    table = read_tsv(path, ["participant_id"]).replace(["n/a", ""], np.nan)
    table["participant_id"] = table["participant_id"].astype(str).str.removeprefix("sub-")
    if "age" in table.columns:
        table["age"] = pd.to_numeric(table["age"], errors="coerce")
    return table.set_index("participant_id").rename_axis("subject")


def remove_recording(root: Path, name: str) -> Cohort:
    """Take a recording out of a finished cohort, and its person out of the tables where it was the last one.

    **Guarantee**: its files are gone before anything else is done; until the index is written anew, the cohort opens
    without it too. Asked again after a kill, it ends what was begun.
    """
    subject = name.partition("_")[0]
    with data_errors(f"{name} could not be removed from {root}", "Remove its files by hand."):
        for path in list(root.glob(f"{subject}/**/{name}_*")):
            path.unlink()
        cohort = open_cohort(root)
        if subject.removeprefix("sub-") not in {r.subject for r in cohort.recordings}:
            for table in (root / "participants.tsv", root / "consent.tsv"):
                if table.is_file():
                    head, *rows = table.read_text(encoding="utf-8-sig").splitlines(keepends=True)
                    names = (subject, subject.removeprefix("sub-"))
                    kept = [row for row in rows if row.rstrip("\r\n").partition("\t")[0] not in names]
                    write_text(table, "".join([head, *kept]))
    return open_cohort(root)


def _indexed(root: Path) -> tuple[Recording, ...]:
    """Return the recordings of a cohort from its index, building it again where it is absent or out of date."""
    try:
        table = pq.read_table(root / INDEX)
        if (table.schema.metadata or {}).get(b"fingerprint", b"").decode() == _fingerprint(root):
            return tuple(
                Recording(
                    id=row["id"],
                    subject=row["subject"],
                    session=row["session"],
                    tracks={name[6:]: of for name, of in row.items() if name.startswith("track.") and of is not None},
                    labels={name[6:]: of for name, of in row.items() if name.startswith("label.") and of is not None},
                )
                for row in table.to_pylist()
            )
    except (OSError, ValueError, KeyError):  # absent, damaged (pyarrow's errors are ValueErrors) or of another shape
        pass
    recordings, _ = scan(root)
    with suppress(DataError):  # a cohort on a read-only disk is read without an index
        _write_index(root, recordings)
    return tuple(recordings)


def _write_index(root: Path, recordings: Sequence[Recording]) -> None:
    rows = [
        {"id": r.id, "subject": r.subject, "session": r.session}
        | {f"track.{track}": path for track, path in sorted(r.tracks.items())}
        | {f"label.{label}": value for label, value in sorted(r.labels.items())}
        for r in recordings
    ]
    columns = dict.fromkeys(name for row in rows for name in row)
    table = pa.Table.from_pylist(rows, pa.schema([(name, pa.string()) for name in columns]))
    with replacing(root / INDEX) as part:
        pq.write_table(table.replace_schema_metadata({"fingerprint": _fingerprint(root)}), part)


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
            size = stat.st_size if name.endswith(_LABELS_SUFFIX) else plain_size(root / folder / name)
            digest.update(f" {size} {stat.st_mtime_ns}".encode())
        digest.update(b"\n")
    return digest.hexdigest()


def scan(root: Path) -> tuple[list[Recording], Problems]:
    """Return the recordings of a BIDS-shaped folder from its files alone, sorted by id, and which files do not fit."""
    tracks: dict[tuple[str, str, str], dict[str, str]] = {}
    labels: dict[tuple[str, str, str], dict[str, str]] = {}
    problems = Problems()
    if not root.is_dir():
        raise DataError(f"There is no cohort at {root}. Give the folder that holds sub-01, sub-02 ...")
    for folder, name in sorted(_files(root)):
        path, match = f"{folder}/{name}", _NAME.match(name)
        if match is None:
            fix = "Name it like sub-01_ses-01_task-angry01_audio.wav, or move it out of the sub- folders."
            problems.note(path, f"the file's name is not of BIDS shape. {fix}")
            continue
        if match["track"] in _ABOUT and match["suffix"] == ".tsv":
            continue
        # further entities of a BIDS name are part of the task: ``_run-2`` becomes ``run2``
        rest = match["rest"].replace("_", "").replace("-", "")
        key = (match["subject"], match["session"] or "01", (match["task"] or "take") + rest)
        with problems.listing(path):
            if match["suffix"] != ".json":
                first = tracks.setdefault(key, {}).setdefault(match["track"], path)
                if first != path:
                    raise DataError(f"a second file of the track {match['track']}, beside {first}. Remove one of them.")
            if name.endswith(_LABELS_SUFFIX):
                labels[key] = labels.get(key, {}) | _sidecar_labels(root / path)  # which count more than events
            elif name.endswith("_events.tsv"):
                labels[key] = _event_labels(root / path) | labels.get(key, {})
    recordings = [
        Recording(id=recording_id(*key), subject=key[0], session=key[1], tracks=tracks[key], labels=labels.get(key, {}))
        for key in sorted(tracks)
    ]
    return recordings, problems


def _sidecar_labels(path: Path) -> dict[str, str]:
    with data_errors("the labels cannot be read", "Correct or remove the file."):
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    labels = content.get("Labels", {}) if isinstance(content, dict) else None
    if not isinstance(labels, dict):
        raise DataError("the labels must be an object under the key 'Labels'. Correct or remove the file.")
    return {str(key): str(value) for key, value in labels.items() if value is not None}


def _event_labels(path: Path) -> dict[str, str]:
    """Return the labels that are the same in every row of an events file."""
    with (
        data_errors("the events cannot be read", "Correct or remove the file.", csv.Error),
        TextIOWrapper(open_plain(path), encoding="utf-8-sig", newline="") as file,
    ):
        rows = list(csv.DictReader(file, delimiter="\t"))
    trial = {emotion(row.get("trial_type") or "") for row in rows}
    only = trial.pop() if len(trial) == 1 else None
    labels = {"emotion": only} if only else {}
    for label in LABELS:
        values = {row.get(label) or "" for row in rows} - {"", "n/a"}
        if len(values) == 1:
            labels[label] = values.pop()
    return labels


class CohortWriter:
    """Writes a cohort file by file; only ``finish`` makes it one.

    **Guarantee**: until ``finish`` has ended well the folder does not open as a cohort, and after it the folder holds
    the files of added recordings only: what an earlier, killed attempt left behind is gone.

    The root is an empty or absent folder, or one that an earlier writer left unfinished. ``kind`` says whether real
    people can be seen in it, and consent is asked for. ``Tracks`` of the description declares what a track is recorded
    as, by which consent is asked.
    """

    def __init__(
        self, root: Path, *, name: str, kind: Kind = "identifiable", description: Mapping[str, Any] | None = None
    ) -> None:
        self.root, self._name, self._kind = root, name, kind
        self._description = dict(description or {})
        self._recordings: dict[str, Recording] = {}
        if (root / DESCRIPTION).exists():
            raise DataError(f"{root} is a finished cohort and is not written over. Choose another folder.")
        make_folder(root)
        if not (root / UNFINISHED).exists() and any(root.iterdir()):
            raise DataError(f"{root} must be an empty folder, but holds files. Choose another folder.")
        write_text(root / UNFINISHED, "This folder is being written. If nothing is running, delete it.\n")

    def path(self, recording: Recording | tuple[str, str, str], track: str, suffix: str) -> Path:
        """Return where to write a track's file of a recording (or of subject, session and task); its folder is made."""
        parts = _name_parts(recording) if isinstance(recording, Recording) else recording
        if not (track.isascii() and track.isalnum() and suffix.startswith(".")):
            raise DataError(f"A track must be letters and digits, a suffix start with a dot: {track!r}, {suffix!r}.")
        folder = make_folder(self.root / f"sub-{parts[0]}" / f"ses-{parts[1]}" / "beh")
        return folder / f"{recording_id(*parts)}_{track}{suffix}"

    def add(self, recording: Recording, *, about: Mapping[str, Any] = MappingProxyType({})) -> None:
        """Take in a recording whose files are written (tracks relative to the root).

        Its labels are written here, and what else is to be said ``about`` it.
        """
        parts = _name_parts(recording)
        if recording.id in self._recordings:
            raise DataError(f"Recordings must have ids of their own; {recording.id} was added before. Rename one.")
        absent = [path for path in recording.tracks.values() if not (self.root / path).is_file()]
        if absent or not recording.tracks:
            files = ", ".join(absent) or "at all"
            raise DataError(f"{recording.id}: there is no file {files}. Write it before adding it.")
        sidecar = self.path(parts, "beh", ".json")
        content = {"TaskName": parts[2], "Labels": dict(recording.labels), **about}
        # not whole or not at all, which takes a while: the folder is not finished yet
        with data_errors(f"{sidecar} cannot be written", "Free the disk or choose another folder."):
            sidecar.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        self._recordings[recording.id] = recording

    def finish(self, participants: pd.DataFrame, consent: pd.DataFrame | None = None) -> Cohort:
        """Write the tables and the index, and make the folder a cohort.

        Participants are indexed by pseudonym; people without a row get an empty one. None is no consent at all.
        """
        recordings = sorted(self._recordings.values(), key=lambda recording: recording.id)
        # what no added recording owns goes: a half-made file must never leave with a release
        tracks = {path for r in recordings for path in r.tracks.values()}
        for path in [Path(folder, name) for folder, _, names in os.walk(self.root) for name in names]:
            relative = path.relative_to(self.root).as_posix()
            sidecar = path.suffix == ".json" and path.name.rpartition("_")[0] in self._recordings
            if relative.startswith("sub-") and relative not in tracks and not sidecar:
                path.unlink()
        people = participants.set_axis(participants.index.astype(str))
        people = people.reindex(sorted({r.subject for r in recordings} | set(people.index)))
        people.index = pd.Index([f"sub-{subject}" for subject in people.index], name="participant_id")
        write_text(self.root / "participants.tsv", people.to_csv(sep="\t", na_rep="n/a"))
        write_json(self.root / "participants.json", _PARTICIPANT_COLUMNS)
        table = no_consent() if consent is None else consent
        write_text(self.root / "consent.tsv", table.to_csv(sep="\t", index=False))
        write_text(self.root / ".bidsignore", _IGNORED)
        _write_index(self.root, recordings)
        description = {
            "Name": self._name,
            "BIDSVersion": "1.10.0",
            "DatasetType": "raw" if self._kind == "identifiable" else "derivative",
            **{key: value for key, value in self._description.items() if key in _BIDS_KEYS},
            "GeneratedBy": [{"Name": "personare"}],
            "Personare": {k: v for k, v in self._description.items() if k not in _BIDS_KEYS} | {"Kind": self._kind},
        }
        write_json(self.root / DESCRIPTION, description)
        (self.root / UNFINISHED).unlink(missing_ok=True)
        return open_cohort(self.root)


def _name_parts(recording: Recording) -> tuple[str, str, str]:
    task = recording.id.partition("_task-")[2]
    parts = (recording.subject, recording.session, task)
    if not task or recording_id(*parts) != recording.id:
        raise DataError(f"A recording's id must be made by recording_id(subject, session, task), not {recording.id!r}.")
    return parts
