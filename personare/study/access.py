"""A cohort's recordings let out of the vault as arrays, people parted, folders that appear whole or not at all."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd

from personare.core.errors import DataError
from personare.core.types import Batch, Cohort, Recording, Withheld
from personare.data.cohort import declared_modalities
from personare.data.roles import usual_tracks
from personare.data.vault import Vault
from personare.features.batches import read_batch
from personare.features.tracks import Track, TrackForm, form_of
from personare.govern.ledger import Ledger
from personare.govern.storage import check_passphrase
from personare.study.parallel import Workers


def admit(
    cohort: Cohort, tracks: Sequence[str], purpose: str, ledger: Ledger
) -> tuple[tuple[Recording, ...], dict[str, dict[str, Path]], list[Withheld]]:
    """Ask the vault for every recording of a cohort; each opening and each refusal is a row of the ledger.

    Returns the recordings that may be opened, their files by recording and track, and what was refused.
    """
    check_passphrase(cohort.root)
    vault = Vault(cohort, purpose=purpose, ledger=ledger)
    sources: dict[str, dict[str, Path]] = {}
    refused: list[Withheld] = []
    for track in tracks:
        opened, withheld = vault.admit([r for r in cohort.recordings if track in r.tracks], track)
        refused += withheld
        for name, path in opened.items():
            sources.setdefault(name, {})[track] = path
    return tuple(r for r in cohort.recordings if r.id in sources), sources, refused


def open_ledger(given: str | None, folder: Path) -> Ledger:
    """Open the ledger that was named, that ``PERSONARE_LEDGER`` names, or ``ledger.sqlite`` in a folder."""
    return Ledger(given or os.environ.get("PERSONARE_LEDGER") or folder / "ledger.sqlite")


def table(cohort: Cohort, recordings: Sequence[Recording], label: str = "") -> pd.DataFrame:
    """Return what is known about recordings and their people, by recording id.

    ``label``, a column of the participants, is added unless recordings have it.
    """
    rows = [{**r.labels, "id": r.id, "subject": r.subject, "session": r.session} for r in recordings]
    labelled = pd.DataFrame(rows).set_index("id")
    names = ["sex", "age"] + [label] * bool(label and label not in (*labelled, "sex", "age"))
    people = cohort.participants.reindex(columns=names)
    # a label of one of these names would stand for another thing
    return labelled.drop(columns=people.columns, errors="ignore").join(people, on="subject")


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What was let out of a cohort."""

    batch: Batch  # its recordings as arrays
    forms: Mapping[str, TrackForm]  # what the files of each modality are like
    recording_label: bool  # whether the label is one of recordings; else it is one of people
    skipped: Sequence[Withheld]  # what was not read


def tracks_of(cohort: Cohort, modalities: Sequence[str], texts: bool) -> Sequence[str]:
    """Return the tracks to read: those named, or else the usual ones that a cohort has, with or without words."""
    present = (track for recording in cohort.recordings for track in recording.tracks)
    return modalities or usual_tracks(present, texts=texts, declared=declared_modalities(cohort.root))


def open_batch(
    cohort: Cohort,
    label: str,
    modalities: Sequence[str],
    ledger: Ledger,
    *,
    purpose: str = "training",
    texts: bool = True,
    workers: Workers | None = None,
    known: Mapping[str, Mapping[str, Track]] = MappingProxyType({}),
) -> Opened:
    """Open a cohort's recordings for a purpose that consent must allow; each opening is noted in the ledger.

    Reads the tracks that ``tracks_of`` names, films by ``workers``; those in ``known`` were read before.
    """
    tracks = tracks_of(cohort, modalities, texts)
    recordings, sources, refused = admit(cohort, tracks, purpose, ledger)
    if not recordings:
        why = refused[0].problem if refused else f"no recording has the track {' or '.join(tracks) or 'of a modality'}"
        raise DataError(f"No recording of {cohort.name} may be opened for {purpose}: {why}. See consent.tsv.")
    batch, skipped = read_batch(
        recordings,
        sources,
        label=label,
        modalities=modalities,
        participants=cohort.participants,
        gaps="indicate",
        known=known,
        each=partial(workers.run, f"read {cohort.name}") if workers and "video" in tracks else None,
    )
    forms, arrays = {}, dict(batch.arrays)
    for name, values in batch.arrays.items():
        first = batch.ids[int(np.argmax(batch.present[name]))]
        forms[name] = form_of(sources[first][name])
        for column, step in forms[name].every.items():
            # a value that comes once in several rows is held until the next: a course is learned and not its gaps
            held = arrays[name].copy()
            held[:, :, column] = values[:, np.arange(values.shape[1]) // step * step, column]
            arrays[name] = held
    recording_label = any(label in r.labels for r in recordings)
    batch, skipped = replace(batch, arrays=arrays), [*refused, *skipped]
    return Opened(batch=batch, forms=forms, recording_label=recording_label, skipped=skipped)


def part_people(batch: Batch, held_out: float, *, rng: np.random.Generator) -> tuple[Batch, Batch]:
    """Part a batch into people to learn from and people to judge by."""
    people = np.unique(batch.subjects)
    out = rng.permutation(people)[: round(held_out * len(people))] if held_out else people[:0]
    inside = ~np.isin(batch.subjects, out)
    if not inside.any():
        raise DataError(f"Of {len(people)} people nobody is left to learn from. Keep out fewer with held_out.")
    return batch.take(inside), batch.take(~inside)


@contextmanager
def building(out: Path) -> Iterator[Path]:
    """Give a folder beside ``out``, which must hold nothing, that takes its place only when the block ends well."""
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise DataError(f"{out} must be an empty folder or absent, but holds something. Choose another folder.")
    part = out.with_name(f".{out.name}.unfinished")
    shutil.rmtree(part, ignore_errors=True)  # what a killed attempt left
    try:
        yield part
        if out.is_dir():
            out.rmdir()
        part.rename(out)
    except OSError as error:
        raise DataError(f"{out} cannot be written: {error}. Free the disk or choose another folder.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
