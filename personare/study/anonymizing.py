"""Anonymize what a user points at: one file, a folder of files, or a cohort.

Heavy packages are imported where they are needed, so that one file is done at once.
"""

import csv
import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personare.anonymize._recordings import Disguise, Locate, Masks, Outcome, anonymize_recording, counted
from personare.anonymize._release import Sources, fit_masks, release_recordings
from personare.core.errors import DataError
from personare.core.types import Array, Recording, Release, Withheld
from personare.data.media import SUFFIXES, track_of
from personare.features import audio, video
from personare.features.locations import locate_live

if TYPE_CHECKING:
    from personare.study.parallel import Workers

__all__ = ["anonymize_path", "key_of", "passed_over"]

_Work = tuple[Recording, Mapping[str, Path], Mapping[str, Path]]
_BEGINNING = 1 << 20  # bytes of a file that tell it apart
_LINE_S = 30  # between two lines about a long film, where they go to a file


def anonymize_path(
    source: Path,
    target: Path | str,
    disguise: Disguise,
    *,
    background: Path | None = None,
    labels: Sequence[str] = (),
    seed: int = 0,
    workers: "Workers | None" = None,
    remark: Callable[[str], None] = lambda _: None,
) -> Release:
    """Hide the people in a file, a folder or a cohort; what could not be hidden is withheld, never copied.

    **Guarantee**: No file that was there is written, replaced or removed. Released files are named by number (those of
    a cohort by pseudonym and number), in an order that tells nothing; whose they are stands in the key beside the
    target, ``key_of(target)``, which only its owner can read. A file that the user names gets that name and no key.

    Args:
        source: A sound or video file, a folder of them (each file is taken for another person), or a cohort.
        target: A new file, or a new folder; for one file, a folder is one that is there or ends in ``/``. A folder
            that an earlier call with the same key began is finished.
        disguise: What is done to voices and faces.
        background: A cohort to fit methods on, where they must learn from a group of people.
        labels: Which labels of a cohort leave with it; every other one stays.
        seed: Everything random follows from it.
        workers: Who works; all cores by default. What is done to a cohort is noted in the ledger beside it, or in
            the one that ``PERSONARE_LEDGER`` names.
        remark: Is told what had to be mended in an original, or is left out of it.

    Returns:
        What was made, covered and withheld; ``root`` is the file or the folder that was written.

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
    work = _Anonymizing(disguise=disguise, background=background, seed=seed, workers=workers, remark=remark)
    if (source / "dataset_description.json").exists():
        return work.cohort(source, Path(target), labels)
    if labels:
        raise DataError("Only a cohort has labels. Leave --label out, or import the files first.")
    if source.is_file() and not (str(target).endswith(("/", os.sep)) or Path(target).is_dir()):
        return work.file(source, Path(target))
    return work.folder(source, Path(target))


def key_of(target: Path) -> Path:
    """Return where the key of a released folder lies: beside it, because it must not leave with it."""
    absolute = Path(os.path.abspath(target))  # noqa: PTH100 - resolve() would follow links to another place
    return absolute.with_name(f"{absolute.name}.key.tsv")


def passed_over(source: Path, target: Path) -> list[Withheld]:
    """Return a line for each file of a folder that ``anonymize_path`` does not take."""
    if not source.is_dir() or (source / "dataset_description.json").exists():
        return []
    return [Withheld(item=name, problem=why, fix=fix) for name, _, (why, fix) in _files(source, target) if why]


@dataclass(frozen=True, kw_only=True)
class _Anonymizing:
    """One call of ``anonymize_path``."""

    disguise: Disguise
    background: Path | None
    seed: int
    workers: "Workers | None"
    remark: Callable[[str], None]

    def cohort(self, root: Path, target: Path, labels: Sequence[str]) -> Release:
        """Release a cohort, through the vault and into the ledger."""
        from personare.data.cohort import UNFINISHED, open_cohort
        from personare.study.opening import admit, open_ledger

        cohort = open_cohort(root)
        there = sorted({label for r in cohort.recordings for label in r.labels})
        if absent := sorted(set(labels) - set(there)):
            raise DataError(f"There is no label {', '.join(absent)}. Choose from: {', '.join(there) or 'none'}.")
        if not (target / UNFINISHED).exists():
            _must_be_new(target)
        ledger = open_ledger(None, cohort.root)
        recordings, sources, refused = admit(cohort, self.disguise.modalities, "anonymization", ledger)
        if not recordings:
            raise DataError(f"Nothing of {cohort.name} can be released: {_first(refused)}")
        numbered = _numbered(recordings, sources)
        masks = self._fit(recordings, sources)

        def hide(work: Sequence[tuple[Recording, Mapping[str, Path]]]) -> Iterator[Outcome]:
            originals = [numbered[released.id] for released, _ in work]
            released_as = {r.id: released.id for r, (released, _) in zip(originals, work, strict=True)}
            hidden = [(r, sources[r.id], targets) for r, (_, targets) in zip(originals, work, strict=True)]
            for outcome in self._hide(hidden, masks, {r.id: r.id for r in originals}):
                yield replace(outcome, recording=released_as[outcome.recording])

        released = [_as(name, original) for name, original in numbered.items()]
        self._write_key(target, {name: original.id for name, original in numbered.items()})
        release = release_recordings(released, self.disguise, target, hide, labels=labels)
        detail = {**asdict(self.disguise), "labels": list(labels)}
        ledger.append("released", [{"cohort": cohort.name, "purpose": "anonymization", "detail": detail}])
        return replace(release, withheld=(*release.withheld, *refused))

    def file(self, source: Path, target: Path) -> Release:
        """Hide one file under the name that the user gave; it has no consent table, so the user answers for it."""
        _must_be_media([source], source)
        suffix = _suffix(source, self.disguise)
        written = target.with_suffix(suffix) if track_of(target.name) else target.with_name(target.name + suffix)
        _must_be_new(written)
        written.parent.mkdir(parents=True, exist_ok=True)
        return self._release(written, [(source, written)], {source: source.name})

    def folder(self, source: Path, target: Path) -> Release:
        """Hide the files of a folder, or one file into a folder, under numbers."""
        names = {path: name for name, path, (why, _) in _files(source, target) if not why}
        _must_be_media(list(names), source)
        files = sorted(names, key=lambda path: (_digest(path), names[path]))
        taken = {path: f"recording-{n:03d}{_suffix(path, self.disguise)}" for n, path in enumerate(files, start=1)}
        if not key_of(target).exists():
            _must_be_new(target)
        self._write_key(target, {taken[path]: names[path] for path in files})
        target.mkdir(parents=True, exist_ok=True)
        release = self._release(target, [(path, target / taken[path]) for path in files], names)
        if not release.counts.get("recordings"):
            key_of(target).unlink()
            with suppress(OSError):
                target.rmdir()
        return release

    def _release(self, root: Path, files: Sequence[tuple[Path, Path]], names: Mapping[Path, str]) -> Release:
        # randomness hangs on what is in a file, which stays: everybody knows its number, and many could guess its name
        ids = {path: f"{_digest(path)}-{number}" for number, (path, _) in enumerate(files)}
        recordings = [Recording(id=i, subject=i, session="01", tracks={}) for i in ids.values()]
        sources = {i: _tracks(path) for path, i in ids.items()}
        left = [
            (recording, sources[recording.id], {_track(to): to})
            for recording, (_, to) in zip(recordings, files, strict=True)
            if not to.exists()
        ]
        masks = self._fit(recordings, sources)
        outcomes = sorted(self._hide(left, masks, {i: names[p] for p, i in ids.items()}), key=lambda o: o.recording)
        done = Outcome(recording="", counts={"recordings": len(files) - len(left)})
        return Release(
            name=self.disguise.name,
            kind="recordings",
            root=root,
            modalities=self.disguise.modalities,
            methods=self.disguise.chosen,
            options=self.disguise.options,
            counts=counted([done, *outcomes]),
            withheld=tuple(w for o in outcomes for w in o.withheld),
        )

    def _write_key(self, target: Path, originals: Mapping[str, str]) -> None:
        """Say whose a released file is, where only the owner reads it; the same key again is an interrupted run."""
        how = hashlib.sha256(repr((self.disguise, self.seed, self.background)).encode()).hexdigest()[:12]
        text = io.StringIO()
        rows = ((released, original, how) for released, original in sorted(originals.items()))
        csv.writer(text, delimiter="\t", lineterminator="\n").writerows([("released", "original", "settings"), *rows])
        content = text.getvalue().encode("utf-8", "surrogateescape")
        key = key_of(target)
        if key.exists():
            if key.read_bytes() != content:
                raise DataError(f"{key} is the key of another release. Name another target, or move the key away.")
            return
        key.parent.mkdir(parents=True, exist_ok=True)
        with open(key, "xb", opener=partial(os.open, mode=0o600)) as file:
            file.write(content)

    def _fit(self, recordings: Sequence[Recording], sources: Sources) -> Masks:
        if self.background is not None:
            from personare.data.cohort import open_cohort
            from personare.study.opening import admit, open_ledger

            cohort = open_cohort(self.background)
            ledger = open_ledger(None, cohort.root)
            recordings, sources, refused = admit(cohort, self.disguise.modalities, "training", ledger)
            if not recordings:
                raise DataError(f"Nothing of {cohort.name} may be learned from: {_first(refused)}")
        locate = partial(locate_live, mesh=self.disguise.needs_landmarks())
        return fit_masks(
            self.disguise, recordings, sources, lambda _: locate, self.seed, outside=self.background is not None
        )

    def _hide(self, work: Sequence[_Work], masks: Masks, names: Mapping[str, str]) -> Iterator[Outcome]:
        """Hide recordings in any order: one alone in this process, at once; many on all cores."""
        hide = partial(_hide_one, self.disguise, masks, self.seed)
        jobs, quiet = (self.workers.jobs, self.workers.quiet) if self.workers else (-1, False)
        outcomes: Iterable[Outcome]
        if len(work) == 1 or jobs == 1:
            threads = 1 if jobs == 1 else _cores()
            shown = ["" if quiet else f"hide {number} of {len(work)}" for number in range(1, len(work) + 1)]
            outcomes = (hide(item, threads, label) for item, label in zip(work, shown, strict=True))
        else:
            from personare.study.parallel import Workers

            workers = self.workers or Workers()
            found = workers.run("anonymize", {item[0].id: item for item in work}, hide, _lost)
            outcomes = (outcome for _, outcome in found)
        for outcome in outcomes:
            said = [replace(w, item=names[outcome.recording] + w.item.removeprefix(outcome.recording)) for w in
                    outcome.withheld]  # fmt: skip
            for sentence in outcome.remarks:
                self.remark(f"{names[outcome.recording]}: {sentence}")
            yield replace(outcome, withheld=tuple(said))


def _hide_one(disguise: Disguise, masks: Masks, seed: int, item: _Work, threads: int = 1, shown: str = "") -> Outcome:
    recording, sources, targets = item
    locate: Locate = partial(locate_live, mesh=disguise.needs_landmarks(), threads=threads)
    if shown and "video" in targets:
        locate = _watched(locate, sources.get("video"), shown)
    with _sound_watched(shown) if shown and disguise.voice else nullcontext():
        outcome = anonymize_recording(recording, sources, targets, disguise, masks, seed=seed, locate=locate)
    remarks: list[str] = []
    for track, mended in (("audio", audio.remarks), ("video", video.remarks)):
        if track in disguise.modalities and track in sources and outcome.files:
            with suppress(DataError):  # a film without sound
                remarks += mended(sources[track])
    return replace(outcome, remarks=tuple(remarks))


def _lost(name: str, error: Exception) -> Outcome:
    """Say what a recording comes to whose process died."""
    lost = Withheld(item=name, problem=str(error), fix="Run again with --jobs 1; if it stays so, leave the file out.")
    return Outcome(recording=name, withheld=(lost,))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _bar(label: str, unit: str, **how: Any) -> Any:
    """Return a bar: on one line of a terminal, or a line now and then in a file."""
    import sys

    from tqdm import tqdm

    if not sys.stderr.isatty():
        lines = "{desc}: {n_fmt} of {total_fmt}{unit}, {rate_fmt}, {remaining} left\n"
        how |= {"bar_format": lines, "mininterval": _LINE_S, "maxinterval": _LINE_S}
    return tqdm(desc=label, unit=unit, delay=1, dynamic_ncols=True, **how)


@contextmanager
def _sound_watched(label: str) -> Iterator[None]:
    """Show how many seconds of sound are done."""
    from personare.features.rework import watched

    bars: list[Any] = []

    def told(done_s: float, total_s: float) -> None:
        if not bars:
            bars.append(_bar(label, " s of sound", total=round(total_s)))
        bars[0].update(round(done_s) - bars[0].n)
        if done_s >= total_s:
            bars[0].close()

    token = watched.set(told)
    try:
        yield
    finally:
        watched.reset(token)


def _watched(locate: Locate, path: Path | None, label: str) -> Locate:
    """Show frames a second and the time that is left: on one line of a terminal, or a line now and then in a file."""

    def watched(frames: Iterator[tuple[int, float, Array]]) -> Iterator[Any]:
        info = video.probe(path) if path else None
        total = (info.frames or round(info.duration_s * info.rate_hz)) if info else None
        return locate(iter(_bar(label, " frames", iterable=frames, total=total)))

    return watched


def _files(source: Path, target: Path) -> Iterator[tuple[str, Path, tuple[str, str]]]:
    """Yield name, path, and problem and fix (empty if it is taken) of each file of a folder, or of one file."""
    if source.is_file():
        yield source.name, source, ("", "")
        return
    apart = {os.path.realpath(target), os.path.realpath(key_of(target))}
    closed: list[OSError] = []
    for folder, folders, names in os.walk(source, onerror=closed.append):
        here = Path(folder)
        links = [name for name in folders if (here / name).is_symlink()]
        folders[:] = [
            name
            for name in sorted(set(folders) - set(links))
            if not name.startswith(".") and os.path.realpath(here / name) not in apart
        ]
        for name in sorted([*names, *links]):
            path = here / name
            if os.path.realpath(path) not in apart:
                yield str(path.relative_to(source)), path, _problem(path)
    for error in closed:
        yield str(error.filename), source, (f"it cannot be opened ({error.strerror})", "Change its rights.")


def _problem(path: Path) -> tuple[str, str]:
    if path.is_dir():
        return "it is a link to another folder", "Hide that folder on its own."
    if not path.is_file():
        return "it is no file, or a link that leads nowhere", "Remove it."
    if path.name.startswith("."):
        return "it is a hidden file", "Rename it if it is a recording."
    if track_of(path.name) not in SUFFIXES:
        return "its name ends like no sound or film that can be read", f"Convert it, e.g. to {SUFFIXES['video'][0]}."
    return "", ""


def _must_be_media(files: Sequence[Path], source: Path) -> None:
    if not any(track_of(path.name) in SUFFIXES for path in files):
        kinds = ", ".join(sorted(suffix for suffixes in SUFFIXES.values() for suffix in suffixes))
        raise DataError(f"{source} holds no sound or video file ({kinds}).")


def _must_be_new(target: Path) -> None:
    if os.path.lexists(target) and not (target.is_dir() and not any(target.iterdir())):
        raise DataError(f"{target} exists already. Name another target, or remove it first.")


def _digest(path: Path) -> str:
    """Return what tells a file apart and can be computed from the file alone."""
    try:
        with path.open("rb") as file:
            return hashlib.sha256(file.read(_BEGINNING) + str(path.stat().st_size).encode()).hexdigest()
    except OSError:  # whoever reads it next says why
        return ""


def _numbered(recordings: Sequence[Recording], sources: Sources) -> dict[str, Recording]:
    """Return the originals by what they are called in the release: a task's or a day's name may be told by nobody."""
    from personare.data.cohort import recording_id

    numbered: dict[str, Recording] = {}
    for subject in sorted({r.subject for r in recordings}):
        own = [r for r in recordings if r.subject == subject]
        for sitting, session in enumerate(sorted({r.session for r in own}), start=1):
            takes = [r for r in own if r.session == session]
            takes.sort(key=lambda r: (*map(_digest, sources[r.id].values()), r.id))
            for take, recording in enumerate(takes, start=1):
                numbered[recording_id(subject, f"{sitting:02d}", f"{take:03d}")] = recording
    return numbered


def _as(name: str, recording: Recording) -> Recording:
    """Return a recording under its released name."""
    return replace(recording, id=name, session=name.partition("_ses-")[2].partition("_")[0])


def _first(refused: Sequence[Withheld]) -> str:
    return f"{refused[0].problem} {refused[0].fix}" if refused else "it has no such recordings."


def _tracks(path: Path) -> dict[str, Path]:
    return {"audio": path} if track_of(path.name) == "audio" else {"audio": path, "video": path}


def _suffix(path: Path, disguise: Disguise) -> str:
    """Return the suffix of the one file that is written: a video where a face is hidden, a sound file otherwise."""
    film = disguise.face and (track_of(path.name) == "video" or not disguise.voice)
    return ".mp4" if film else ".wav"


def _track(written: Path) -> str:
    return "video" if written.suffix == ".mp4" else "audio"
