"""Makes a cohort of somebody's folder: every file is looked at, copied in its place, or listed with the reason."""

import errno
import json
import shutil
import wave
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from personare.core.atomic import write_json, write_text
from personare.core.errors import DataError
from personare.core.registry import create
from personare.core.types import Cohort, Recording, Withheld
from personare.data.cohort import DESCRIPTION, UNFINISHED, CohortWriter, Problems, declared_modalities, open_cohort
from personare.data.media_files import piece, suffix_of
from personare.data.pseudonyms import Subjects, without_copies
from personare.data.reading import Maker, check_choice
from personare.govern.consent import check_purposes, consent_again, consent_all, read_consent
from personare.govern.storage import is_locked

READERS = "personare.data.readers"

Check = Callable[[Path, str], Sequence[str] | None]
"""Decodes a file of a track from start to end; returns what was repaired, raises DataError if it cannot be used."""

Cut = Callable[[Path, Path, float, float], bool]
"""Writes a piece of a sound or film, from start to end in seconds; False if there is no such track in it."""

_NOTE = "import.json"  # what an import notes of itself in the cohort
_DISK_ERRORS = (errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EFBIG)


def _no_cut(source: Path, _target: Path, _start_s: float, _end_s: float) -> bool:
    raise DataError(f"{source.name} is to be cut, and nothing here can cut. Import from the command line.")


def import_cohort(  # noqa: PLR0913 - from check on they are lent: this layer decodes and shows nothing
    source: Path,
    target: Path,
    *,
    reader: str,
    options: Mapping[str, Any] | None = None,
    consent_purposes: Sequence[str] = (),
    pseudonyms: str = "names",
    check: Check = lambda path, track: None,
    extract_sound: Callable[[Path, Path], bool] = lambda video, sound: False,
    cut: Cut = _no_cut,
    progress: Callable[[Sequence[Recording]], Iterable[Recording]] = iter,
    remark: Callable[[str], None] = lambda sentence: None,
) -> tuple[Cohort, list[Withheld]]:
    """Copy a data set into a new cohort, or bring the cohort up to date that was made of it before.

    Returns also what was not taken in. A film with sound gets a ``video`` and an ``audio`` track. A ``consent.tsv`` in
    the source is taken over; its rows win over ``consent_purposes``, so nobody's withdrawal is undone. In a cohort that
    is brought up to date, labels, people and recordings become what the source says now; ``consent.tsv`` stays as it
    was edited there.

    **Guarantee**: one bad file stops nothing; each is listed, here and in ``skipped.tsv`` of the cohort. An import that
    fails leaves nothing behind, and an older cohort as it was; one that is killed leaves a folder that does not open
    as a cohort. No name of a source's folder or file is in a name, id or description of the cohort. People of one's own
    source whose subject is no code get numbers; only the key beside the cohort tells whose they are.

    The target does not exist, is empty, or was made by an import of the same source. A consent to the purposes is
    written down for each person; none: nothing can be opened yet. ``pseudonyms`` says who gets a number: ``names`` (who
    is called by no code), ``all`` or ``none``. ``extract_sound`` writes a film's sound to a WAV file, or returns False
    if it has none; ``remark`` is told what looks like a name, a date or an address, and what was repaired.
    """
    check_purposes(consent_purposes)
    check_choice("pseudonyms", pseudonyms, ("names", "all", "none"))
    read = create(READERS, reader, options)
    is_own = not read.citation
    made_by = {"source": str(source.resolve()), "reader": reader, "pseudonyms": pseudonyms}
    before = _import_before(target, made_by)
    recordings, people, unusable = read(source)
    skipped = Problems(w for w in unusable if target.resolve() not in (source / w.item).resolve().parents)
    policy = pseudonyms if is_own or pseudonyms == "all" else "none"
    subjects = Subjects(recordings, target=target, policy=policy, again=before.get("numbered", False))
    if is_own:
        for sentence in subjects.remarks(recordings, people):
            remark(sentence)
        recordings = list(without_copies(source, recordings, skipped))
    place = _beside(target, "import") if before else target
    try:
        name = subjects.cohort_name(target) if is_own else reader
        intake = _Intake(
            source=source,
            writer=CohortWriter(place, name=name, description=_origin(read, source, reader, options)),
            make=read.make(source) if hasattr(read, "make") else None,
            check=check,
            extract_sound=extract_sound,
            cut=cut,
            remark=remark,
            skipped=skipped,
        )
        for recording in progress(list(subjects.renamed(recordings, skipped))):
            intake.take(recording)
        if not intake.subjects:
            why = "; ".join(f"{w.item}: {w.problem}" for w in skipped[:5]) or "no file of a known kind"
            raise DataError(f"The reader {reader} found no usable recording in {source} ({why}). Check both.")
        consent = subjects.consent(source, remark)
        consent = consent[consent["subject"].isin(intake.subjects)]
        others = sorted(intake.subjects - set(consent["subject"]))
        if others and consent_purposes:
            consent = pd.concat([consent, consent_all(others, consent_purposes)], ignore_index=True)
        if before:
            people_before = {recording.subject for recording in open_cohort(target).recordings}
            edited, added = read_consent(target / "consent.tsv"), set(consent_purposes) - set(before["consent"])
            consent = consent_again(edited, consent, before=people_before, purposes=added)
        write_text(place / "imported.tsv", _tsv(intake.origins, ("recording", "track", "source")))
        listed = [(withheld.item, withheld.problem, withheld.fix) for withheld in skipped]
        write_text(place / "skipped.tsv", _tsv(listed, ("item", "problem", "fix")))
        purposes = [*before.get("consent", ()), *consent_purposes]
        write_json(place / _NOTE, {**made_by, "numbered": bool(subjects.key), "consent": purposes})
        subjects.write_key()
        people.index = pd.Index(map(subjects.pseudonym, people.index), name="subject", dtype=object)
        cohort = intake.writer.finish(people.loc[people.index.isin(intake.subjects)], consent)
        if before and is_locked(target):
            remark(f"{target} was encrypted and is not any more, for its source is not. Run 'personare lock' again.")
        return _exchange(place, target) if before else cohort, skipped
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise


def _origin(read: Any, source: Path, reader: str, options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what the cohort's description says of its source, and the recording that each track comes from."""
    before = declared_modalities(source) if (source / DESCRIPTION).is_file() else {}
    origin = {
        "License": read.license,
        "HowToAcknowledge": read.citation,
        "ReferencesAndLinks": [read.home] if read.home else [],
        "Tracks": {track: of for track, of in (before | read.tracks).items() if of != track},
    }
    how = {"ReaderOptions": dict(options or {})} if read.citation else {}  # the name of one's own table may be a name
    return {**{key: value for key, value in origin.items() if value}, "Reader": reader, **how}


def _tsv(rows: Sequence[tuple[str, str, str]], columns: Sequence[str]) -> str:
    # as objects: pandas' own texts hold no file name that is not UTF-8
    table = pd.DataFrame(rows, columns=list(columns), dtype=object).replace(r"[\t\r\n]+", " ", regex=True)
    return str(table.to_csv(sep="\t", index=False))


def _import_before(target: Path, made_by: Mapping[str, str]) -> dict[str, Any]:
    """Return what the import that made the target noted; nothing where the target is new."""
    aside = _beside(target, "before")
    if (aside / _NOTE).is_file():  # an exchange was killed before its end
        if target.exists():
            shutil.rmtree(aside)
        else:
            aside.rename(target)
    if (target / UNFINISHED).exists():
        raise DataError(f"{target} holds an import that did not finish. Delete the folder and import again.")
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return {}
    if not (target / _NOTE).is_file():
        raise DataError(f"{target} must be a new or an empty folder, but holds files. Choose another one.")
    before: dict[str, Any] = json.loads((target / _NOTE).read_text(encoding="utf-8"))
    for what, now in made_by.items():
        if before[what] != now:
            raise DataError(
                f"{target} was imported with {what} {before[what]}, not {now}. Import into a new folder, or give the "
                "same command as then to bring the cohort up to date."
            )
    return before


def _beside(target: Path, word: str) -> Path:
    return target.resolve().with_name(f".{target.resolve().name}.{word}")


def _exchange(place: Path, target: Path) -> Cohort:
    """Put a finished cohort in the place of an older one; what others laid there (the ledger) is taken along."""
    aside, target = _beside(target, "before"), target.resolve()
    for path in target.iterdir():
        if not path.name.startswith("sub-") and not (place / path.name).exists():
            copy = shutil.copytree if path.is_dir() else shutil.copy2
            copy(path, place / path.name)
    target.rename(aside)
    place.rename(target)
    shutil.rmtree(aside)
    return open_cohort(target)


@dataclass(kw_only=True)
class _Intake:
    """Takes recordings into a cohort one file at a time; a bad file is listed with the reason and stops nothing."""

    source: Path
    writer: CohortWriter
    make: Maker | None
    check: Check
    extract_sound: Callable[[Path, Path], bool]
    cut: Cut
    remark: Callable[[str], None]
    skipped: Problems
    origins: list[tuple[str, str, str]] = field(default_factory=list)  # what was taken in: recording, track, file
    subjects: set[str] = field(default_factory=set)  # people with at least one recording
    _checked: set[Path] = field(default_factory=set)

    def take(self, recording: Recording) -> None:
        """Copy the good tracks of a recording; list the others."""
        taken: dict[str, str] = {}
        for track, path in recording.tracks.items():
            self._bring(recording, track, path, taken)
        if "video" in taken and "audio" not in taken:
            self._bring(recording, "audio", recording.tracks["video"], taken, of_film=True)
        if taken:
            self.subjects.add(recording.subject)
            self.writer.add(replace(recording, tracks=taken))

    def _bring(
        self, recording: Recording, track: str, path: str, taken: dict[str, str], *, of_film: bool = False
    ) -> None:
        """Bring one track; whatever goes wrong with the file itself is listed and does not stop the import."""
        part, to = piece(path), None
        source = self.source / (part[0] if part else path)
        try:
            if part is None and "#" in path and not source.exists():
                to = self._make(recording, track, path)
            elif of_film:
                to = self.writer.path(recording, track, ".wav")
                if not (self.cut(source, to, *part[1:]) if part else self.extract_sound(source, to)):
                    to.unlink(missing_ok=True)
                    return
                self._note(path, self.check(to, track))
            else:
                suffix = {"audio": ".wav", "video": ".mp4"}[track] if part else suffix_of(path)
                to = self.writer.path(recording, track, suffix)
                self._copy(source, to, track, path)
            if to.suffix == ".wav":
                _describe_wav(to)
            taken[track] = to.relative_to(self.writer.root).as_posix()
            self.origins.append((recording.id, track, path))
        except Exception as error:  # a decoder may fail on a bad file in any way it likes
            with suppress(OSError):
                if to is not None:
                    to.unlink(missing_ok=True)
            for fault in (error, error.__cause__):  # a fault of the place we write to ends the import
                if isinstance(fault, OSError) and fault.errno in _DISK_ERRORS:
                    raise DataError(
                        f"{self.writer.root} cannot be written: {fault}. Free the disk and import again."
                    ) from error
            again = "Get the file again from where it came from, or remove it."
            odd = f"it cannot be read: {type(error).__name__}: {error}. {again}"
            item = f"{path} (its sound)" if of_film else path
            self.skipped.note(item, error if isinstance(error, DataError) else odd)

    def _copy(self, source: Path, to: Path, track: str, path: str) -> None:
        """Copy a file, or cut a piece of it, once it was looked at from start to end."""
        part = piece(path)
        size = source.stat().st_size
        if size == 0:
            raise DataError("the file is empty (0 bytes)")
        if is_locked(source):
            raise DataError("the file is encrypted: unlock its cohort first")
        if size < 1024 and source.read_bytes().startswith(b"version https://git-lfs"):
            raise DataError("this is a Git LFS pointer, not the recording; run 'git lfs pull' in the data set")
        if not part or source not in self._checked:
            self._note(part[0] if part else path, self.check(source, track))
            self._checked.add(source)
        if part:
            self.cut(source, to, *part[1:])
            self.check(to, track)
        else:
            shutil.copyfile(source, to)

    def _make(self, recording: Recording, track: str, address: str) -> Path:
        """Write a track that is no file of its own."""
        if self.make is None:
            raise DataError(f"there is no file {address}")
        file, _, key = address.rpartition("#")
        values, about = self.make(file, key)
        to = self.writer.path(recording, track, ".txt" if isinstance(values, str) else ".npy")
        if isinstance(values, str):
            if not values.strip():
                raise DataError("the text is empty")
            to.write_text(values, encoding="utf-8")
        else:
            if not values.size or not np.issubdtype(values.dtype, np.number) or np.isinf(values).any():
                raise DataError("the values must be finite numbers, or NaN where one is missing")
            if np.isnan(values).all():
                raise DataError("every value is missing")
            np.save(to, values)
        if about:
            to.with_suffix(".json").write_text(json.dumps(dict(about)) + "\n", encoding="utf-8")
        return to

    def _note(self, item: str, repaired: Sequence[str] | None) -> None:
        for what in repaired or ():
            self.remark(f"{item}: {what}")


def _describe_wav(path: Path) -> None:
    """Write rate, channels and length beside a WAV file, where its header tells."""
    try:
        with wave.open(str(path), "rb") as file:
            rate, channels, frames = file.getframerate(), file.getnchannels(), file.getnframes()
    except (wave.Error, EOFError):
        return  # a WAV of floats or more than two channels: good, but not one that this header reader knows
    about = {"SamplingFrequency": rate, "Channels": channels, "Duration": round(frames / rate, 4)}
    path.with_suffix(".json").write_text(json.dumps(about) + "\n", encoding="utf-8")
