"""Anonymize what a user points at: one file, a folder of files, or a cohort.

Heavy packages are imported where they are needed, so that one file is done at once.
"""

import csv
import hashlib
import io
import os
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from contextvars import copy_context
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import joblib
from tqdm import tqdm

from personare.anonymize._recordings import Disguise, Masks, Outcome, Sources, Work, as_release
from personare.anonymize._video import Locate
from personare.core.errors import DataError
from personare.core.types import Array, Cohort, Recording, Release, Withheld
from personare.data.media_files import SUFFIXES, suffix_of, track_of
from personare.data.roles import source_tracks
from personare.features import audio, video
from personare.features.corrections import Corrections
from personare.features.locations import locate_live
from personare.govern.storage import open_plain, plain_size
from personare.study.parallel import Workers

_TABLES = (".csv", ".csv.gz", ".tsv", ".tsv.gz")  # of a body's signals, or else of a phone's log
_READ: Mapping[str, tuple[str, ...]] = {**SUFFIXES, "physio": _TABLES, "text": (".txt",), "phone": _TABLES}
_BEGINNING = 1 << 20  # bytes of a file that tell it apart
_LINE_S = 30  # between two lines about a long film, where they go to a file


def anonymize_path(
    source: Path,
    target: Path | str,
    disguise: Disguise,
    *,
    background: Path | None = None,
    labels: Sequence[str] = (),
    corrections: Sequence[Corrections] = (),
    seed: int = 0,
    workers: Workers | None = None,
    remark: Callable[[str], None] = lambda _: None,
) -> Release:
    """Hide the people in a file, a folder or a cohort; what could not be hidden is withheld, never copied.

    **Guarantee**: No file that was there is written, replaced or removed. Released files are named by number (those of
    a cohort by pseudonym and number), in an order that tells nothing; whose they are stands in the key beside the
    target, ``key_of(target)``, which only its owner can read. A file that the user names gets that name and no key.

    ``source`` is a file (sound, video, text, a table of signals or of a phone's log), a folder of them (each is taken
    for another person), or a cohort, of which only the ``labels`` named leave. ``target`` is a new file or a new
    folder; for one file, a folder is one that is there or ends in ``/``. A folder that an earlier call with the same
    key began is finished. Methods that learn from a group of people learn from the cohort ``background``, if given.
    Each of the ``corrections`` must be of one of the files, by its content, or nothing is made. What is done to a
    cohort is noted in the ledger beside it, or in the one that ``PERSONARE_LEDGER`` names. ``remark`` is told what was
    mended in an original. ``root`` of what is returned is the file or the folder that was written.
    """
    if not source.exists():
        raise DataError(f"There is no file or folder {source}.")
    work = _Anonymizing(
        disguise=disguise,
        background=background,
        corrections={mended.digest: mended for mended in corrections},
        seed=seed,
        workers=workers or Workers(),
        tell=remark,
    )
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


def passed_over(source: Path, target: Path, hidden: Collection[str] = tuple(SUFFIXES)) -> list[Withheld]:
    """Return a line for each file of a folder that ``anonymize_path`` does not take where these tracks are hidden."""
    if not source.is_dir() or (source / "dataset_description.json").exists():
        return []
    return [problem for _, problem in _files(source, target, hidden) if problem]


@dataclass(frozen=True, kw_only=True)
class _Anonymizing:
    """One call of ``anonymize_path``."""

    disguise: Disguise
    background: Path | None
    corrections: Mapping[str, Corrections]  # by the digest of the original
    seed: int
    workers: Workers
    tell: Callable[[str], None]

    def cohort(self, root: Path, target: Path, labels: Sequence[str]) -> Release:
        """Release a cohort, through the vault and into the ledger."""
        from personare.anonymize._release import release_recordings
        from personare.data.cohort import UNFINISHED, open_cohort, recording_id
        from personare.study.access import open_ledger
        from personare.study.holdings import register

        cohort = open_cohort(root)
        there = sorted({label for r in cohort.recordings for label in r.labels})
        if absent := sorted(set(labels) - set(there)):
            raise DataError(f"There is no label {', '.join(absent)}. Choose from: {', '.join(there) or 'none'}.")
        if not (target / UNFINISHED).exists():
            _must_be_new(target)
        recordings, sources, refused = self._admitted(cohort, "anonymization")
        self._must_fit(path for tracks in sources.values() for path in tracks.values())
        originals: dict[str, Recording] = {}  # by number: the name of a task or a day may be told by nobody
        order = sorted(
            recordings, key=lambda r: (r.subject, r.session, *map(content_digest, sources[r.id].values()), r.id)
        )
        for subject, of_subject in groupby(order, key=lambda r: r.subject):
            for sitting, (_, takes) in enumerate(groupby(of_subject, key=lambda r: r.session), start=1):
                for take, recording in enumerate(takes, start=1):
                    originals[recording_id(subject, f"{sitting:02d}", f"{take:03d}")] = recording
        masks = self._masks(recordings, sources, cohort)
        self._write_key(target, {name: original.id for name, original in originals.items()})
        hide = partial(self._hide, masks, {r.id: r.id for r in recordings})
        release = release_recordings(originals, sources, self.disguise, target, hide, labels=labels)
        detail = {**asdict(self.disguise), "labels": list(labels)}
        ledger = open_ledger(None, cohort.root)
        ledger.append("released", [{"cohort": cohort.name, "purpose": "anonymization", "detail": detail}])
        register(ledger, cohort, "run", target)
        return replace(release, withheld=(*release.withheld, *refused))

    def file(self, source: Path, target: Path) -> Release:
        """Hide one file under the name that the user gave; it has no consent table, so the user answers for it."""
        hidden = self.disguise.modalities
        _must_be_media([source], source, hidden)
        ending = suffix_of(target.name) if track_of(target.name) or _track(target.name, hidden) else ""
        written = target.with_name(target.name[: len(target.name) - len(ending)] + self._suffix(source))
        _must_be_new(written)
        if track_of(written.name) not in SUFFIXES:
            _must_be_new(written.with_name(written.name.partition(".")[0] + ".json"))
        self._must_fit([source])
        written.parent.mkdir(parents=True, exist_ok=True)
        return self._release(written, {source: written}, {source: source.name})

    def folder(self, source: Path, target: Path) -> Release:
        """Hide the files of a folder, or one file into a folder, under numbers."""
        within = source.parent if source.is_file() else source
        hidden = self.disguise.modalities
        names = {path: str(path.relative_to(within)) for path, problem in _files(source, target, hidden) if not problem}
        _must_be_media(list(names), source, hidden)
        files = sorted(names, key=lambda path: (content_digest(path), names[path]))
        targets = {path: target / f"recording-{n:03d}{self._suffix(path)}" for n, path in enumerate(files, start=1)}
        if not key_of(target).exists():
            _must_be_new(target)
        self._must_fit(files)
        self._write_key(target, {targets[path].name: names[path] for path in files})
        target.mkdir(parents=True, exist_ok=True)
        release = self._release(target, targets, names)
        if not release.counts.get("recordings"):
            key_of(target).unlink()
            with suppress(OSError):
                target.rmdir()
        return release

    def _suffix(self, path: Path) -> str:
        """Return the suffix of the one file that is written: of a film a sound file where no face is hidden."""
        track = _track(path.name, self.disguise.modalities)
        if track not in SUFFIXES:
            return self.disguise.suffixes[track]
        film = self.disguise.face and (track_of(path.name) == "video" or not self.disguise.voice)
        return ".mp4" if film else ".wav"

    def _release(self, root: Path, targets: Mapping[Path, Path], names: Mapping[Path, str]) -> Release:
        recordings, sources, work = [], {}, []
        for number, (path, target) in enumerate(targets.items()):
            # randomness hangs on what is in a file, which stays: all know its number, and many could guess its name
            name = f"{content_digest(path)}-{number}"
            recordings.append(Recording(id=name, subject=name, session="01", tracks={}))
            track = _track(path.name, self.disguise.modalities)
            written = track_of(target.name) if track in SUFFIXES else track
            sources[name] = {"audio": path, "video": path} if track == "video" else {track: path}
            if not target.exists():
                work.append((recordings[-1], sources[name], {written: target}))
        shown = {recording.id: names[path] for recording, path in zip(recordings, targets, strict=True)}
        hidden = self._hide(self._masks(recordings, sources), shown, work)
        before = Outcome(recording="", counts={"recordings": len(targets) - len(work)})
        return as_release(self.disguise, root, [before, *sorted(hidden, key=lambda outcome: outcome.recording)])

    def _write_key(self, target: Path, originals: Mapping[str, str]) -> None:
        """Say whose a released file is, where only the owner reads it; the same key again is an interrupted run."""
        settings = (self.disguise, self.seed, self.background, *self.corrections.values())
        how = hashlib.sha256(repr(settings).encode()).hexdigest()[:12]
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

    def _must_fit(self, files: Iterable[Path]) -> None:
        if self.corrections and (others := set(self.corrections) - {content_digest(path) for path in files}):
            names = ", ".join(sorted(self.corrections[digest].name or digest for digest in others))
            raise DataError(
                f"Corrections must be of the files to hide, byte for byte; those of {names} are of another original. "
                "Give that one, or leave its corrections out."
            )

    def _admitted(self, cohort: Cohort, purpose: str) -> tuple[Sequence[Recording], Sources, Sequence[Withheld]]:
        from personare.study.access import admit, open_ledger

        ledger = open_ledger(None, cohort.root)
        tracks = source_tracks(self.disguise.modalities, (track for r in cohort.recordings for track in r.tracks))
        recordings, sources, refused = admit(cohort, tracks, purpose, ledger)
        if not recordings:
            why = f"{refused[0].problem} {refused[0].fix}" if refused else "it has no such recordings."
            raise DataError(f"Nothing of {cohort.name} may be opened for {purpose}: {why}")
        return recordings, sources, refused

    def _masks(self, recordings: Sequence[Recording], sources: Sources, cohort: Cohort | None = None) -> Masks:
        """Fit the disguise to recordings, or else to those of the background, and charge what that costs a cohort.

        Of a cohort it is known whose its recordings are: what was fitted on a background adapts to its people.
        """
        fitted_on, people, files = cohort, recordings, sources
        if self.background is not None:
            from personare.data.cohort import open_cohort

            fitted_on = open_cohort(self.background)
            people, files, _ = self._admitted(fitted_on, "training")
        locate = partial(locate_live, mesh=self.disguise.needs_landmarks)
        outside = self.background is not None
        masks = self.disguise.fit(people, files, lambda _: locate, seed=self.seed, outside=outside)
        if fitted_on and masks.spends:
            from personare.govern.budget import charge
            from personare.learn.accounting import compose
            from personare.study.access import open_ledger

            counts, ledger = Counter(r.subject for r in people), open_ledger(None, fitted_on.root)
            charge(ledger, masks.spends, cohort=fitted_on.name, people=counts, budget=None, compose=compose)
        return masks.adapted_to(recordings, sources, lambda _: locate) if cohort and outside else masks

    def _hide(self, masks: Masks, names: Mapping[str, str], work: Sequence[Work]) -> Iterator[Outcome]:
        """Hide recordings in any order: one alone in this process, at once; many on all cores."""
        hide = partial(_hide_one, masks, self.corrections)
        jobs, quiet = self.workers.jobs, self.workers.quiet
        outcomes: Iterable[Outcome]
        if len(work) == 1 or jobs == 1:
            threads = 1 if jobs == 1 else joblib.cpu_count()
            bars = ["" if quiet else f"hide {number} of {len(work)}" for number in range(1, len(work) + 1)]
            outcomes = (hide(item, threads, bar) for item, bar in zip(work, bars, strict=True))
        else:
            made = self.workers.run("anonymize", {item[0].id: item for item in work}, hide, Outcome.lost)
            outcomes = (outcome for _, outcome in made)
        for outcome in outcomes:
            name = names[outcome.recording]
            for sentence in outcome.remarks:
                self.tell(f"{name}: {sentence}")
            items = [(w, name + w.item.removeprefix(outcome.recording)) for w in outcome.withheld]
            yield replace(outcome, withheld=tuple(replace(w, item=item) for w, item in items))


def _hide_one(
    masks: Masks, corrections: Mapping[str, Corrections], work: Work, threads: int = 1, bar: str = ""
) -> Outcome:
    """Hide one recording in this process, under a bar of seconds of sound or of frames where it has a name."""
    disguise, (_, sources, targets) = masks.disguise, work
    locate: Locate = partial(locate_live, mesh=disguise.needs_landmarks, threads=threads)
    context = copy_context()
    if bar and disguise.voice:
        from personare.features.resynthesis import sound_progress

        context.run(sound_progress.set, _sound_bar(bar))
    if bar and "video" in targets and "video" in sources:
        locate = _film_bar(bar, sources["video"], locate)
    digests = {track: content_digest(path) for track, path in sources.items() if corrections}
    mended = {track: corrections[digest] for track, digest in digests.items() if digest in corrections}
    outcome = context.run(masks, work, locate, mended)
    remarks: list[str] = []
    for track, remarks_of in (("audio", audio.remarks), ("video", video.remarks)):
        if track in disguise.modalities and track in sources and outcome.tracks:
            with suppress(DataError):  # a film without sound
                remarks += remarks_of(sources[track])
    return replace(outcome, remarks=tuple(remarks))


def _bar(label: str, unit: str, **how: Any) -> Any:
    """Return a bar: on one line of a terminal, or a line now and then in a file."""
    if not sys.stderr.isatty():
        lines = "{desc}: {n_fmt} of {total_fmt}{unit}, {rate_fmt}, {remaining} left\n"
        how |= {"bar_format": lines, "mininterval": _LINE_S, "maxinterval": _LINE_S}
    return tqdm(desc=label, unit=unit, delay=1, dynamic_ncols=True, **how)


def _sound_bar(label: str) -> Callable[[float, float], None]:
    bars: list[Any] = []

    def show(done_s: float, total_s: float) -> None:
        if not bars:
            bars.append(_bar(label, " s of sound", total=round(total_s)))
        bars[0].update(round(done_s) - bars[0].n)
        if done_s >= total_s:
            bars[0].close()

    return show


def _film_bar(label: str, path: Path, locate: Locate) -> Locate:
    def shown(frames: Iterator[tuple[int, float, Array]]) -> Iterator[Any]:
        info = video.probe(path)
        total = info.frames or round(info.duration_s * info.rate_hz)
        return locate(iter(_bar(label, " frames", iterable=frames, total=total)))

    return shown


def _track(name: str, hidden: Collection[str]) -> str:
    """Return the track that a file is taken for, empty if it is not; sound and film together: a film has both."""
    taken = {*hidden, *SUFFIXES} if {*SUFFIXES} & {*hidden} else hidden
    return next((t for t, suffixes in _READ.items() if t in taken and name.lower().endswith(suffixes)), "")


def _files(source: Path, target: Path, hidden: Collection[str]) -> Iterator[tuple[Path, Withheld | None]]:
    """Yield each file of a folder (or the one file), and why it is not taken; None: it is."""
    if source.is_file():
        yield source, None
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
                problem, fix = _problem(path, hidden)
                item = str(path.relative_to(source))
                yield path, Withheld(item=item, problem=problem, fix=fix) if problem else None
    for error in closed:
        why = f"it cannot be opened ({error.strerror})"
        yield source, Withheld(item=str(error.filename), problem=why, fix="Change its rights.")


def _problem(path: Path, hidden: Collection[str]) -> tuple[str, str]:
    if path.is_dir():
        return "it is a link to another folder", "Hide that folder on its own."
    if not path.is_file():
        return "it is no file, or a link that leads nowhere", "Remove it."
    if path.name.startswith("."):
        return "it is a hidden file", "Rename it if it is a recording."
    if not _track(path.name, hidden):
        return "its name ends like nothing that is to be hidden", f"Convert it, e.g. to {_READ[[*hidden][-1]][0]}."
    return "", ""


def _must_be_media(files: Sequence[Path], source: Path, hidden: Collection[str]) -> None:
    if not any(_track(path.name, hidden) for path in files):
        kinds = ", ".join(sorted({suffix for track in hidden for suffix in _READ[track]}))
        raise DataError(f"{source} holds no file of what is to be hidden ({kinds}).")


def _must_be_new(target: Path) -> None:
    if os.path.lexists(target) and not (target.is_dir() and not any(target.iterdir())):
        raise DataError(f"{target} exists already. Name another target, or remove it first.")


def content_digest(path: Path) -> str:
    """Return what tells a file apart and can be computed from the file alone; corrections are known by it."""
    try:
        with open_plain(path) as file:
            return hashlib.sha256(file.read(_BEGINNING) + str(plain_size(path)).encode()).hexdigest()
    except OSError:  # whoever reads it next says why
        return ""
