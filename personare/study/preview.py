"""One recording hidden for somebody who looks at the result before it leaves: how far it is, what was found when."""

import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from personare.anonymize._recordings import Disguise
from personare.core.atomic import write_json
from personare.core.errors import DataError, reason
from personare.core.types import Array, LocatedFrame, Recording
from personare.features import audio, video
from personare.features.corrections import Corrections
from personare.features.locations import locate_live

LONGEST_S = 3600.0
_MEMORY_BYTES = 16 << 30  # of addresses; networks reserve more than they use
_PEAKS = 600
_PEAK_S = 0.05
_TELL_S = 0.5


def start(task: Callable[..., Mapping[str, Any]], answer: Path, *arguments: Any, seconds: int) -> BaseProcess:
    """Run a task on a file that nobody has checked, in a process that cannot take more than it is given.

    What the task returns, or ``error`` and what went wrong, is in the JSON file ``answer`` once the process has ended;
    no file: it was killed. ``seconds`` are of one core.
    """
    answer.unlink(missing_ok=True)
    arguments = (task, answer, seconds, arguments)
    process = multiprocessing.get_context("spawn").Process(target=_limited, args=arguments, daemon=True)
    process.start()
    return process


def _limited(task: Callable[..., Mapping[str, Any]], answer: Path, seconds: int, arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it ends it, and it ends with that
    Thread(target=_end_with, args=[multiprocessing.parent_process()], daemon=True).start()
    for kind, most in ((resource.RLIMIT_AS, _MEMORY_BYTES), (resource.RLIMIT_CPU, seconds), (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))
    try:
        content = task(*arguments)
    except Exception as error:
        content = {"error": reason(error)}
    write_json(answer, content)


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def look_at(path: Path) -> dict[str, Any]:
    """Say what a file is, after its header, its first picture and all of its sound were decoded."""
    about = {"kind": "sound", "width": 0, "height": 0, "rate_hz": 0.0}
    sound_s, film_s, peaks = 0.0, 0.0, []
    with suppress(DataError):
        info = video.probe(path)
        film_s, about = info.duration_s, {"kind": "film", **{name: getattr(info, name) for name in list(about)[1:]}}
    if about["kind"] == "sound" or info.has_sound:
        for block in audio.unscaled_blocks(path, block_s=_PEAK_S):
            peaks.append(float(np.abs(block.values).max()))
            sound_s = block.start_s + block.duration_s
            if sound_s > LONGEST_S:
                break
    if (length_s := max(film_s, sound_s)) > LONGEST_S:
        raise DataError(
            f"A recording must be at most {LONGEST_S / 60:.0f} minutes long to be corrected here; this one has "
            f"{length_s / 60:.0f} or more. Cut it into parts, or use `personare anonymize`, which takes any length."
        )
    step = -(-len(peaks) // _PEAKS) or 1
    loudest = [min(1.0, max(peaks[at : at + step])) for at in range(0, len(peaks), step)]
    return {**about, "duration_s": film_s or sound_s, "sound_s": sound_s, "peaks": np.round(loudest, 3)}


def make(original: Path, folder: Path, film: bool, face: str, voice: str, corrections: Corrections) -> dict[str, Any]:
    """Hide the person in an original that the vault opened, as ``personare anonymize`` does it with these corrections.

    The folder gets the result, ``faces.npy`` (rows of time, track, and left, top, right, bottom as shares of the
    picture) and, meanwhile, ``progress.json``. Returns the result's name, a ``stamp`` that no other has, and what was
    found when: ``stretches`` of [from_s, to_s, state], of states ``face``, ``nobody``, ``covered`` (whole, as a
    correction says) and ``unsure`` (covered whole, since a face or a box was lost). An error where nothing could be
    made.
    """
    import joblib

    from personare.features.resynthesis import sound_progress

    disguise = Disguise(name="preview", face=face if film else "", voice=voice)
    track, name = ("video", "hidden.mp4") if disguise.face else ("audio", "hidden.wav")
    recording = Recording(id=f"{corrections.digest}-0", subject=f"{corrections.digest}-0", session="01", tracks={})
    sources = {"audio": original, "video": original}
    notes = _Notes(progress=folder / "progress.json", corrections=corrections)
    if disguise.face:
        info = video.probe(original)
        notes.step_s, notes.frames = 1 / info.rate_hz, info.frames or round(info.duration_s * info.rate_hz)
    live = partial(locate_live, mesh=disguise.needs_landmarks, threads=joblib.cpu_count())
    masks = disguise.fit([recording], {recording.id: sources}, lambda _: live, seed=0)
    mended = corrections.correct(original, lambda images: notes.before(live(images)))
    heard = {track: replace(corrections, add=(), remove=(), cover=())}  # the picture is mended where it is noted
    context = copy_context()
    context.run(sound_progress.set, lambda done_s, total_s: notes.tell("sound", done_s / max(total_s, 1e-9)))
    work = (recording, sources, {track: folder / name})
    outcome = context.run(masks, work, lambda images: notes.after(mended(images)), heard)
    if outcome.withheld:
        raise DataError(outcome.withheld[0].problem)
    np.save(folder / "faces.npy", np.array(notes.faces, np.float32).reshape(-1, 6))
    counts = {**outcome.counts, **(corrections.counts("add", "remove", "cover") if disguise.face else {})}
    made = {"stamp": str(time.time_ns()), "file": name, "face": disguise.face, "voice": voice}
    return {**made, "stretches": notes.stretches, "counts": counts}


@dataclass(kw_only=True)
class _Notes:
    """What is noted while frames pass by, before and after they are corrected."""

    progress: Path
    corrections: Corrections
    frames: int = 0  # to come, about
    step_s: float = 0.0  # for which a frame is shown, about
    faces: list[Array] = field(default_factory=list)
    stretches: list[list[Any]] = field(default_factory=list)
    _told: float = 0.0

    def before(self, frames: Iterable[LocatedFrame]) -> Iterator[LocatedFrame]:
        """Note what the detector found."""
        for frame in frames:
            self._note_faces(frame, found=True)
            yield frame

    def after(self, frames: Iterable[LocatedFrame]) -> Iterator[LocatedFrame]:
        """Note what will be seen of each frame."""
        for number, frame in enumerate(frames):
            self._note_faces(frame, found=False)
            shown_s = frame.time_s, frame.time_s + self.step_s
            covered = any(stretch.holds(*shown_s) for stretch in self.corrections.cover)
            seen = "face" if frame.faces else "nobody"
            state = seen if frame.certain else "covered" if covered else "unsure"
            if not self.stretches or self.stretches[-1][2] != state:
                self.stretches.append([*shown_s, state])
            self.stretches[-1][1] = shown_s[1]
            self.tell("picture", (number + 1) / max(self.frames, number + 1))
            yield frame

    def _note_faces(self, frame: LocatedFrame, *, found: bool) -> None:
        size = np.tile(frame.image.shape[1::-1], 2)
        rows = [[frame.time_s, face.track, *(face.box / size)] for face in frame.faces if (face.track >= 0) == found]
        self.faces += [np.array(row, np.float32) for row in rows]

    def tell(self, stage: str, share: float) -> None:
        """Say how far it is, now and then."""
        if time.monotonic() > self._told + _TELL_S:
            self._told = time.monotonic()
            write_json(self.progress, {"stage": stage, "share": share})
