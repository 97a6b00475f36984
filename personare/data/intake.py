"""Takes recordings into a new cohort one file at a time; a bad file is listed with the reason and stops nothing."""

import errno
import json
import shutil
import wave
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from personare.core.errors import DataError
from personare.core.types import Recording, Withheld
from personare.data.cohort import CohortWriter
from personare.data.labels import emotion
from personare.data.made import Made
from personare.data.media import member, piece

__all__ = ["Check", "Intake"]

Check = Callable[[Path, str], Sequence[str] | None]
"""Decodes a file of a track from start to end; returns what was repaired, raises DataError if it cannot be used."""

Cut = Callable[[Path, Path, float, float], bool]
"""Writes a piece of a sound or film, from start to end in seconds; False if there is no such track in it."""

_DISK_ERRORS = (errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EFBIG)
_LFS = b"version https://git-lfs"
_AGAIN = "Get the file again from where it came from, or remove it."


def _nothing(address: str) -> Made:
    raise DataError(f"there is no file {address}")


@dataclass(kw_only=True)
class Intake:
    """Takes recordings into a cohort one by one.

    Attributes:
        source: Where the files are.
        writer: Where they go.
        check: Whether a file can be used.
        extract_sound: Writes a film's sound to a WAV file and returns True, or returns False if it has none.
        cut: Cuts a piece out of a sound or film.
        known_words: Whether emotions are given one word for all data sets; otherwise labels stay as they are written.
        make: Makes a track that is no file of its own, from its address.
        skipped: What is not taken in is added here.
        remark: Is told what was repaired in a file.
        origins: What was taken in: recording, track, file.
        subjects: People with at least one recording.
    """

    source: Path
    writer: CohortWriter
    check: Check
    extract_sound: Callable[[Path, Path], bool]
    cut: Cut
    known_words: bool
    remark: Callable[[str], None]
    make: Callable[[str], Made] = _nothing
    skipped: list[Withheld]
    origins: list[tuple[str, str, str]] = field(default_factory=list)
    subjects: set[str] = field(default_factory=set)
    _arrays: dict[str, Any] = field(default_factory=dict)
    _ids: set[str] = field(default_factory=set)
    _checked: set[str] = field(default_factory=set)

    def take_all(self, recordings: Iterable[Recording]) -> None:
        """Take in recordings one by one."""
        try:
            for recording in recordings:
                self.take(recording)
        finally:
            self.close()

    def take(self, recording: Recording) -> None:
        """Copy the good tracks of a recording; list the others."""
        labels = dict(recording.labels)
        if recording.id.casefold() in self._ids:  # on many disks Rest and rest are one file
            self._skip(recording.id, "another recording has this id", "Give it another session or task.")
            return
        self._ids.add(recording.id.casefold())
        taken: dict[str, str] = {}
        for track, path in recording.tracks.items():
            if to := self._attempt(path, lambda track=track, path=path: self._bring(recording, track, path)):  # type: ignore[misc]
                taken[track] = to
                self.origins.append((recording.id, track, path))
        if "video" in taken and "audio" not in taken:  # noqa: SIM102 - a sentence of its own
            if to := self._attempt(f"{recording.tracks['video']} (its sound)", lambda: self._extract(recording)):
                taken["audio"] = to
                self.origins.append((recording.id, "audio", recording.tracks["video"]))
        if taken:
            self.subjects.add(recording.subject)
            if self.known_words and "emotion" in labels:
                labels["emotion"] = emotion(labels["emotion"]) or labels["emotion"]
            self.writer.add(replace(recording, tracks=taken, labels=labels))

    def _attempt(self, item: str, work: Callable[[], str]) -> str:
        """Do one file's work; whatever goes wrong with the file itself is listed and does not stop the import."""
        try:
            return work()
        except Exception as error:  # a decoder may fail on a bad file in any way it likes
            _stop_if_disk_is_full(error, self.writer.root)
            self._skip(item, *_told(error))
        return ""

    def _bring(self, recording: Recording, track: str, path: str) -> str:
        """Copy or make a track; return where it lies in the cohort."""
        part = piece(path)
        if part is None and "#" in path and not (self.source / path).exists():
            return self._write(recording, track, self._made(path))
        file = part[0] if part else path
        to = self.writer.path(recording, track, {"audio": ".wav", "video": ".mp4"}[track] if part else _suffix(path))
        with _unless_good(to):
            _look_at(self.source / file)
            if not part or file not in self._checked:
                self._note(file, self.check(self.source / file, track))
                self._checked.add(file)
            if part:
                self.cut(self.source / file, to, *part[1:])
                self.check(to, track)
            else:
                shutil.copyfile(self.source / file, to)
        _describe_wav(to)
        return self._relative(to)

    def _made(self, path: str) -> Made:
        file, key = member(path)
        return Made(values=self._array(file, key)) if key else self.make(path)

    def _write(self, recording: Recording, track: str, made: Made) -> str:
        text = made.values if isinstance(made.values, str) else ""
        to = self.writer.path(recording, track, ".txt" if isinstance(made.values, str) else ".npy")
        with _unless_good(to):
            if isinstance(made.values, str):
                _must_say(text)
                to.write_text(text, encoding="utf-8")
            else:
                _must_measure(made.values)
                np.save(to, made.values)
            if made.about:
                to.with_suffix(".json").write_text(json.dumps(dict(made.about)) + "\n", encoding="utf-8")
        return self._relative(to)

    def _extract(self, recording: Recording) -> str:
        to, film = self.writer.path(recording, "audio", ".wav"), recording.tracks["video"]
        part = piece(film)
        with _unless_good(to):
            if not (
                self.cut(self.source / part[0], to, *part[1:]) if part else self.extract_sound(self.source / film, to)
            ):
                to.unlink(missing_ok=True)
                return ""
            self._note(film, self.check(to, "audio"))
        _describe_wav(to)
        return self._relative(to)

    def _array(self, file: str, key: str) -> Any:
        if file not in self._arrays:
            self.close()  # recordings come in order, so one open file at a time is enough
            self._arrays[file] = np.load(self.source / file, allow_pickle=False)
        try:
            values = self._arrays[file][key]
        except (KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"the array {key} of {file} cannot be read: {error}") from error
        if not values.size or not np.issubdtype(values.dtype, np.number) or not np.isfinite(values).all():
            raise DataError(f"the array {key} of {file} must hold finite numbers")
        return values

    def close(self) -> None:
        """Close the file of arrays that is open, if any."""
        for arrays in self._arrays.values():
            arrays.close()
        self._arrays.clear()

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.writer.root).as_posix()

    def _note(self, item: str, repaired: Sequence[str] | None) -> None:
        for what in repaired or ():
            self.remark(f"{item}: {what}")

    def _skip(self, item: str, problem: str, fix: str) -> None:
        self.skipped.append(Withheld(item=item, problem=problem, fix=fix))


def _told(error: Exception) -> tuple[str, str]:
    """Return problem and fix; our own errors end with the sentence that says what to do."""
    if not isinstance(error, DataError):
        return f"it cannot be read: {type(error).__name__}: {error}", _AGAIN
    problem, _, fix = str(error).rpartition(". ")
    return (problem, fix) if problem else (fix, _AGAIN)


def _stop_if_disk_is_full(error: Exception, root: Path) -> None:
    """Tell a fault of the place we write to, which ends the import, from a fault of one file, which does not."""
    for fault in (error, error.__cause__):
        if isinstance(fault, OSError) and fault.errno in _DISK_ERRORS:
            raise DataError(f"{root} cannot be written: {fault}. Free the disk and import again.") from error


def _suffix(path: str) -> str:
    double = [s for s in (".tsv.gz", ".csv.gz") if path.lower().endswith(s)]
    return double[0] if double else PurePosixPath(path).suffix.lower()


def _look_at(path: Path) -> None:
    """Say what is wrong with a file that needs no decoder to see it."""
    size = path.stat().st_size
    if size == 0:
        raise DataError("the file is empty (0 bytes)")
    with path.open("rb") as file:
        if size < 1024 and file.read(len(_LFS)) == _LFS:
            raise DataError("this is a Git LFS pointer, not the recording; run 'git lfs pull' in the data set")


def _must_say(text: str) -> None:
    if not text.strip():
        raise DataError("the text is empty")


def _must_measure(values: Any) -> None:
    """Refuse an array with nothing in it; single gaps (NaN) are data and stay."""
    if not values.size or not np.issubdtype(values.dtype, np.number) or np.isinf(values).any():
        raise DataError("the values must be finite numbers, or NaN where one is missing")
    if np.isnan(values).all():
        raise DataError("every value is missing")


@contextmanager
def _unless_good(path: Path) -> Iterator[None]:
    """Remove a file that did not become a good track."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        raise


def _describe_wav(path: Path) -> None:
    """Write rate, channels and length beside a WAV file, where its header tells."""
    if path.suffix != ".wav":
        return
    try:
        with wave.open(str(path), "rb") as file:
            rate, channels, frames = file.getframerate(), file.getnchannels(), file.getnframes()
    except (wave.Error, EOFError):
        return  # a WAV of floats or more than two channels: good, but not one that this header reader knows
    about = {"SamplingFrequency": rate, "Channels": channels, "Duration": round(frames / rate, 4)}
    path.with_suffix(".json").write_text(json.dumps(about) + "\n", encoding="utf-8")
