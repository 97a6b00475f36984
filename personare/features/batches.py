"""Recordings as one batch: every track an array of one shape, a mask of what is missing, labels, and whose they are."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from itertools import compress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from personare.core.errors import DataError, OptionError, reason
from personare.core.types import Array, Batch, Recording, Withheld
from personare.data.roles import usual_tracks
from personare.features.expression import FaceLandmarker
from personare.features.tracks import Track, read_track

_TIME = {"signal": 0, "spectrogram": 1}  # the axis along which tracks may differ in length
Each = Callable[[Mapping[str, Any], Callable[[Any], Any]], Iterable[tuple[str, Any]]]
"""Does the same work on each item, in any order and any process; yields its name and what came of it."""


def read_batch(
    recordings: Sequence[Recording],
    sources: Mapping[str, Mapping[str, Path]],
    *,
    label: str,
    modalities: Sequence[str] = (),
    participants: pd.DataFrame | None = None,
    gaps: str = "refuse",
    each: Each | None = None,
    known: Mapping[str, Mapping[str, Track]] = MappingProxyType({}),
) -> tuple[Batch, list[Withheld]]:
    """Decode recordings that were let out of the vault into arrays.

    **Guarantee**: a recording without the label, or with no track that can be read, is listed and not in the batch; a
    track that cannot be read is listed and counts as missing, and one that can be read of nobody is an error only where
    it was asked for by name.

    The label is one of the recordings, such as ``emotion``, or a column of ``participants``, indexed by pseudonym; no
    modalities are those of ``usual_tracks``. Single values that are missing are refused, or with ``indicate`` become 0
    and, in a table, 1 in a further column ``NAME_missing``: nothing is filled in from other people, so that no private
    mean slips into anybody's row. ``each`` reads, for films take seconds; tracks that are ``known`` are not read again.
    """
    if gaps not in ("refuse", "indicate"):
        raise OptionError(f"gaps must be refuse or indicate, not {gaps!r}. Choose one of them.")
    targets = _targets(recordings, label, participants)
    labelled = [r for r in recordings if r.id in targets]
    skipped = [
        Withheld(item=r.id, problem=f"it has no label {label!r}", fix="Label it, or learn another label.")
        for r in recordings
        if r.id not in targets
    ]
    names = tuple(modalities) or usual_tracks(t for r in labelled for t in sources.get(r.id, {}))

    tracks: dict[str, dict[str, Track]] = {}
    items: dict[str, tuple[str, dict[str, Path]]] = {}
    for r in labelled:
        files = {name: sources[r.id][name] for name in names if name in sources.get(r.id, {})}
        tracks[r.id] = {name: known[r.id][name] for name in files if name in known.get(r.id, {})}
        items[r.id] = (r.id, {name: path for name, path in files.items() if name not in tracks[r.id]})
    done = dict(each(items, _read)) if each else {name: _read(item) for name, item in items.items()}
    for r in labelled:
        read, broken = done[r.id]
        tracks[r.id] |= read
        skipped += broken

    stacked: dict[str, tuple[Array, tuple[str, ...]]] = {}
    for name in names:
        try:
            stacked[name] = _stack(name, [tracks[r.id].get(name) for r in labelled], gaps)
        except DataError as error:
            if modalities:
                raise
            skipped.append(Withheld(item=f"track {name}", problem=str(error), fix="Leave it out, or mend its files."))
    if not stacked:
        why = f" ({skipped[-1].item}: {skipped[-1].problem})" if skipped else ""
        raise DataError(f"No recording has a track that can be read{why}. Ask for tracks it has.")

    there = {name: np.array([name in tracks[r.id] for r in labelled]) for name in stacked}
    readable = np.any([*there.values()], axis=0)
    kept = list(compress(labelled, readable))
    skipped += [
        Withheld(item=r.id, problem="none of the tracks asked for can be read", fix="Ask for others.")
        for r in compress(labelled, ~readable)
    ]
    classes = tuple(sorted({targets[r.id] for r in kept}))
    if len(classes) < 2:
        only = f"all {len(kept)} recordings are {classes[0]!r}" if classes else "no recording could be read"
        raise DataError(f"Learning {label!r} takes at least two classes, but {only}. Add recordings of another class.")
    batch = Batch(
        ids=tuple(r.id for r in kept),
        arrays={name: values[readable] for name, (values, _) in stacked.items()},
        present={name: values[readable] for name, values in there.items()},
        labels=np.array([classes.index(targets[r.id]) for r in kept], np.int64),
        classes=classes,
        subjects=np.array([r.subject for r in kept]),
        columns={name: columns for name, (_, columns) in stacked.items() if columns},
    )
    return batch, skipped


def _targets(recordings: Sequence[Recording], label: str, participants: pd.DataFrame | None) -> dict[str, str]:
    """Return the label of every recording that has it."""
    if not recordings:
        raise DataError("There is no recording to read. Check the consent, the purpose and the tracks asked for.")
    targets = {r.id: r.labels[label] for r in recordings if r.labels.get(label)}
    if not targets and participants is not None and label in participants:
        people = participants[label].dropna().astype(str).to_dict()
        targets = {r.id: people[r.subject] for r in recordings if r.subject in people}
    if not targets:
        labels = {key for r in recordings for key in r.labels}
        labels |= set() if participants is None else set(map(str, participants))
        raise DataError(f"No recording has the label {label!r}. Choose one of: {', '.join(sorted(labels)) or 'none'}.")
    return targets


def _read(item: tuple[str, Mapping[str, Path]]) -> tuple[dict[str, Track], list[Withheld]]:
    """Return one recording's tracks, and those that cannot be read; runs in any process."""
    recording, paths = item
    read: dict[str, Track] = {}
    broken: list[Withheld] = []
    with FaceLandmarker() if "video" in paths else nullcontext() as landmarker:
        for name, path in paths.items():
            try:
                read[name] = read_track(path, landmarker=landmarker)
            except Exception as error:  # a file that nobody foresaw is one recording's fault
                problem, _, fix = reason(error).rpartition(". ")
                broken.append(Withheld(item=f"{recording} {name}", problem=problem or fix, fix=fix))
    return read, broken


def _stack(name: str, tracks: Sequence[Track | None], gaps: str) -> tuple[Array, tuple[str, ...]]:
    """Return the tracks of a modality as one array, filled with zeros at their end, and the names of its columns."""
    there = [track for track in tracks if track is not None]
    if not there:
        raise DataError(f"No recording has the track {name} in a form that can be read. Ask for tracks it has.")
    facts: dict[str, Sequence[Any]] = {
        "kind": [track.kind for track in there],
        "columns": [track.columns for track in there],
        "rate": [track.rate_hz for track in there],
        "size": [tuple(n for axis, n in enumerate(np.shape(t.values)) if axis != _TIME.get(t.kind)) for t in there],
    }
    for what, values in facts.items():
        counts = Counter(values).most_common(2)
        if len(counts) > 1:
            one, other = (f"{value!s:.60} ({count} times)" for value, count in counts)
            raise DataError(
                f"All {name} tracks must have the same {what}, but there are {one} and {other}. Import them in one "
                "way, or ask for other tracks."
            )
    if there[0].kind == "text":
        return np.array(["" if track is None else str(track.values) for track in tracks]), ()
    stacked = np.zeros((len(tracks), *np.max([np.shape(track.values) for track in there], axis=0)), np.float32)
    for row, track in zip(stacked, tracks, strict=True):
        if track is not None:
            part = np.asarray(track.values)
            # whole numbers of a fixed range are brought to [0, 1] by a constant, so nobody's data decide it
            scale = np.float32(255 if part.dtype == np.uint8 else 1)
            np.divide(part, scale, out=row[tuple(slice(n) for n in part.shape)], casting="same_kind")
    stacked, columns = _without_gaps(name, stacked, there[0].columns, gaps)
    return (stacked[:, None] if there[0].kind == "spectrogram" else stacked), columns  # (N, 1, F, T) for spectrograms


def _without_gaps(name: str, values: Array, columns: tuple[str, ...], gaps: str) -> tuple[Array, tuple[str, ...]]:
    missing = ~np.isfinite(values)
    if not missing.any():
        return values, columns
    rows = int(missing.reshape(len(values), -1).any(axis=1).sum())
    if gaps == "refuse":
        raise DataError(
            f"{rows} of {len(values)} {name} tracks hold values that are missing or infinite. Leave the track out, or "
            "set gaps=indicate, which writes 0 for them and says so in further columns."
        )
    filled = np.where(missing, np.float32(0), values)
    if values.ndim != 2:
        return filled, columns
    holes = np.flatnonzero(missing.any(axis=0))
    names = columns or tuple(f"{name}{n + 1}" for n in range(values.shape[1]))
    added = tuple(f"{names[hole]}_missing" for hole in holes)
    return np.concatenate([filled, missing[:, holes].astype(np.float32)], axis=1), names + added
