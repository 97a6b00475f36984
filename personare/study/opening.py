"""A cohort's recordings let out of the vault as arrays, people parted, folders that appear whole or not at all."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np

from personare.core.errors import DataError
from personare.core.types import Array, Batch, Cohort, Withheld
from personare.data.cohort import declared_modalities
from personare.data.roles import usual_tracks
from personare.data.runs import fingerprint
from personare.features.batches import Layout, read_batch
from personare.features.track_writing import TrackForm, form_of
from personare.features.tracks import Track
from personare.govern.ledger import Ledger
from personare.study.admission import admit
from personare.study.datasheet import Sheet
from personare.study.parallel import Workers

__all__ = ["Opened", "Opening", "Written", "building", "content", "open_batch", "part_people"]


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What was let out of a cohort.

    Attributes:
        batch: Its recordings as arrays.
        forms: What the files of each modality are like.
        own: Whether the label is one of recordings; else it is one of people.
        skipped: What was not read.
    """

    batch: Batch
    forms: Mapping[str, TrackForm]
    own: bool
    skipped: Sequence[Withheld]


@dataclass(frozen=True, kw_only=True)
class Opening:
    """Opens a cohort for training; whatever is made of the same recordings has them opened and read once.

    Attributes:
        cohort: Whose recordings.
        ledger: Notes each opening.
        known: Tracks that were read before.
        opened: What was opened by label and tracks; it goes along into other processes.
    """

    cohort: Cohort
    ledger: Ledger
    known: Mapping[str, Mapping[str, Track]] = field(default_factory=dict)
    opened: dict[tuple[str, tuple[str, ...]], Opened] = field(default_factory=dict)

    def __call__(
        self, label: str, modalities: Sequence[str], *, texts: bool = True, workers: Workers | None = None
    ) -> Opened:
        """Open the recordings, or return what was opened before.

        Args:
            label: What they are labelled with.
            modalities: Tracks to read; none: those of ``usual_tracks``.
            texts: Whether words are among the usual tracks.
            workers: Who reads films; None: this process.

        Raises:
            DataError: Nothing may be opened or read.
        """
        key = (label, (*sorted(_tracks(self.cohort, modalities, texts)),))
        if key not in self.opened:
            self.opened[key] = open_batch(
                self.cohort, label, modalities, self.ledger, texts=texts, workers=workers, known=self.known
            )
        return self.opened[key]


@dataclass(frozen=True, kw_only=True)
class Written:
    """A released cohort.

    Attributes:
        cohort: It.
        sheet: What its card says: whom it was made of, what that cost, what was measured.
        skipped: What could not be read or made.
    """

    cohort: Cohort
    sheet: Sheet
    skipped: Sequence[Withheld]


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
    """Open a cohort's recordings.

    Args:
        cohort: Whose.
        label: What they are labelled with.
        modalities: Tracks to read; none: those of ``usual_tracks``.
        ledger: Notes each opening.
        purpose: Consent must allow it.
        texts: Whether words are among the usual tracks.
        workers: Who reads films; None: this process.
        known: Tracks that were read before.

    Raises:
        DataError: Nothing may be opened or read.
    """
    tracks = _tracks(cohort, modalities, texts)
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
        layout=Layout(gaps="indicate"),
        known=known,
        **({"each": partial(workers.run, f"read {cohort.name}")} if workers and "video" in tracks else {}),
    )
    first = {
        name: sources[next(i for i, there in zip(batch.ids, batch.present[name], strict=True) if there)][name]
        for name in batch.arrays
    }
    own = any(label in r.labels for r in recordings)
    forms = {name: form_of(path) for name, path in first.items()}
    return Opened(batch=_held(batch, forms), forms=forms, own=own, skipped=[*refused, *skipped])


def _tracks(cohort: Cohort, modalities: Sequence[str], texts: bool) -> Sequence[str]:
    there = (track for recording in cohort.recordings for track in recording.tracks)
    return modalities or usual_tracks(there, texts=texts, declared=declared_modalities(cohort.root))


def _held(batch: Batch, forms: Mapping[str, TrackForm]) -> Batch:
    """Hold a value that comes once in several rows until the next, so that a course is learned and not its gaps."""
    arrays = dict(batch.arrays)
    for name, form in forms.items():
        for column, step in form.every.items():
            values = arrays[name].copy()
            values[:, :, column] = values[:, np.arange(values.shape[1]) // step * step, column]
            arrays[name] = values
    return replace(batch, arrays=arrays)


def part_people(batch: Batch, held_out: float, *, rng: np.random.Generator) -> tuple[Batch, Batch]:
    """Part a batch into people to learn from and people to judge by.

    Raises:
        DataError: Nobody would be left to learn from.
    """
    people = np.unique(batch.subjects)
    out = rng.permutation(people)[: round(held_out * len(people))] if held_out else people[:0]
    inside = ~np.isin(batch.subjects, out)
    if not inside.any():
        raise DataError(f"Of {len(people)} people nobody is left to learn from. Keep out fewer with held_out.")
    return batch.take(inside), batch.take(~inside)


def content(batch: Batch) -> str:
    """Return a hash of all that is learned from, so that changed recordings are learned anew."""
    arrays = {name: hashlib.sha256(_bytes(values)).hexdigest() for name, values in batch.arrays.items()}
    return fingerprint([batch.ids, batch.classes, batch.labels.tolist(), batch.subjects.tolist(), arrays])


def _bytes(values: Array) -> bytes:
    return values.tobytes() if values.dtype.kind != "O" else json.dumps(values.tolist()).encode()


@contextmanager
def building(out: Path) -> Iterator[Path]:
    """Give a folder beside ``out`` that takes its place only when the block ends well.

    Raises:
        DataError: ``out`` holds something.
    """
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
