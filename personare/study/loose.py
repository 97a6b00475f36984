"""Anonymize what a user points at: one file, a folder of files, or a cohort."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from personare.anonymize._recordings import Disguise, Locate, Masks, Outcome, anonymize_recording, total
from personare.anonymize._release import Sources, fit_masks, release_recordings
from personare.core.errors import DataError
from personare.core.types import Cohort, Recording, Release, Withheld
from personare.data.cohort import open_cohort
from personare.study.admission import admit, open_ledger
from personare.study.evidence import locate_live
from personare.study.parallel import Workers

__all__ = ["anonymize_path"]

SOUNDS = {".wav", ".flac", ".mp3", ".ogg", ".m4a", ".aiff"}
PICTURES = {".mp4", ".mov", ".mkv", ".avi", ".webm", ".mpg", ".mpeg", ".flv", ".m4v", ".wmv"}


def anonymize_path(
    source: Path,
    target: Path,
    disguise: Disguise,
    *,
    background: Path | None = None,
    seed: int = 0,
    workers: Workers | None = None,
) -> Release:
    """Hide the people in a file, a folder or a cohort; what could not be hidden is withheld, never copied.

    Args:
        source: A sound or video file, a folder of them (each file is taken for another person), or a cohort.
        target: A file, or a new folder.
        disguise: What is done to voices and faces.
        background: A cohort to fit methods on, where they must learn from a group of people.
        seed: Everything random follows from it.
        workers: Who works; all cores by default. What is done to a cohort is noted in the ledger beside it, or in
            the one that ``PERSONARE_LEDGER`` names.

    Returns:
        What was made, covered and withheld.

    Raises:
        DataError: Source is absent or holds no media, or target exists.
        PolicyError: The cohort's consent allows nothing.

    Example:
        >>> from personare import Disguise, anonymize_path
        >>> anonymize_path(Path("absent.mp4"), Path("out.mp4"), Disguise(name="blur", face="face_blur"))
        Traceback (most recent call last):
        ...
        personare.core.errors.DataError: There is no file or folder absent.mp4.
    """
    if not source.exists():
        raise DataError(f"There is no file or folder {source}.")
    if target.exists() and (target.is_file() or any(target.iterdir())):
        raise DataError(f"{target} exists already. Name another target, or remove it first.")
    work = _Work(disguise=disguise, seed=seed, workers=workers or Workers())
    if (source / "dataset_description.json").exists():
        return work.cohort(open_cohort(source), target, background)
    return work.files(source, target, background)


class _Work:
    """One call of ``anonymize_path``."""

    def __init__(self, *, disguise: Disguise, seed: int, workers: Workers) -> None:
        self.disguise, self.seed, self.workers = disguise, seed, workers

    def cohort(self, cohort: Cohort, target: Path, background: Path | None) -> Release:
        """Release a cohort, through the vault and into the ledger."""
        book = open_ledger(None, cohort.root)
        recordings, sources, refused = admit(cohort, self.disguise.modalities, "anonymization", book)
        if not recordings:
            raise DataError(f"Nothing of {cohort.name} can be released: {_first(refused)}")
        masks = self._fit(recordings, sources, background)

        def hide(work: Sequence[tuple[Recording, Mapping[str, Path]]]) -> Iterator[Outcome]:
            return self._hide([(r, sources[r.id], targets) for r, targets in work], masks)

        release = release_recordings(cohort, recordings, self.disguise, target, hide)
        book.append("released", [{"cohort": cohort.name, "purpose": "anonymization", "detail": asdict(self.disguise)}])
        return _with(release, refused)

    def files(self, source: Path, target: Path, background: Path | None) -> Release:
        """Protect loose files; they have no consent table, so the user answers for them."""
        found = _media(source)
        recordings = [Recording(id=name, subject=name, session="01", tracks={}) for name in found]
        sources = {name: _tracks(path) for name, path in found.items()}
        masks = self._fit(recordings, sources, background)
        work = []
        for recording in recordings:
            to = target if source.is_file() else target / found[recording.id].relative_to(source)
            to.parent.mkdir(parents=True, exist_ok=True)
            work.append((recording, sources[recording.id], _targets(found[recording.id], to, self.disguise)))
        outcomes = sorted(self._hide(work, masks), key=lambda o: o.recording)
        release = Release(
            name=self.disguise.name,
            kind="recordings",
            root=target,
            modalities=self.disguise.modalities,
            methods=self.disguise.chosen,
            options=self.disguise.options,
            counts=total(o.counts for o in outcomes),
        )
        return _with(release, [w for o in outcomes for w in o.withheld])

    def _fit(self, recordings: Sequence[Recording], sources: Sources, background: Path | None) -> Masks:
        if background is not None:
            cohort = open_cohort(background)
            recordings, sources, refused = admit(
                cohort, self.disguise.modalities, "training", open_ledger(None, cohort.root)
            )
            if not recordings:
                raise DataError(f"Nothing of {cohort.name} may be learned from: {_first(refused)}")
        return fit_masks(
            self.disguise, recordings, sources, self._locate_for, self.seed, outside=background is not None
        )

    def _locate_for(self, recording: Recording) -> Locate:
        return partial(locate_live, mesh=self.disguise.needs_landmarks())

    def _hide(
        self, work: Sequence[tuple[Recording, Mapping[str, Path], Mapping[str, Path]]], masks: Masks
    ) -> Iterator[Outcome]:
        hidden = partial(_hide_one, self.disguise, masks, self.seed)
        for _, found in self.workers.run("anonymize", {item[0].id: item for item in work}, hidden):
            yield found["outcome"]


def _hide_one(disguise: Disguise, masks: Masks, seed: int, item: Any) -> Mapping[str, Any]:
    recording, sources, targets = item
    locate = partial(locate_live, mesh=disguise.needs_landmarks())
    return {"outcome": anonymize_recording(recording, sources, targets, disguise, masks, (seed, locate))}


def _first(refused: Sequence[Withheld]) -> str:
    return f"{refused[0].problem} {refused[0].fix}" if refused else "it has no such recordings."


def _with(release: Release, more: Sequence[Withheld]) -> Release:
    return replace(release, withheld=(*release.withheld, *more))


def _media(source: Path) -> dict[str, Path]:
    """Find the media files under a path, by a name that tells them apart."""
    files = [source] if source.is_file() else sorted(f for f in source.rglob("*") if f.is_file())
    found = {str(f.relative_to(source)) if f != source else f.name: f for f in files}
    media = {name: f for name, f in found.items() if f.suffix.lower() in SOUNDS | PICTURES}
    if not media:
        raise DataError(f"{source} holds no sound or video file ({', '.join(sorted(SOUNDS | PICTURES))}).")
    return media


def _tracks(path: Path) -> dict[str, Path]:
    return {"audio": path} if path.suffix.lower() in SOUNDS else {"audio": path, "video": path}


def _targets(path: Path, to: Path, disguise: Disguise) -> dict[str, Path]:
    """Return the one file that is written: a video where a face is hidden, a sound file otherwise."""
    if disguise.face and (path.suffix.lower() in PICTURES or not disguise.voice):
        return {"video": to.with_suffix(".mp4")}
    return {"audio": to.with_suffix(".wav")}
