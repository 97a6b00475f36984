"""A recording's file as it came: which tracks a player finds, whether they can be used, and pieces cut out of it."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import numpy as np

from personare.core.errors import DataError
from personare.core.types import Signal
from personare.data.media_files import track_of
from personare.features import audio, video
from personare.features._containers import opened, played

_LATE_S = 1.0  # people round the end of a file up to a whole second
_OUTSIDE = "{} ends before this piece does. Correct its start and end."
_QUALITY = 17  # H.264 rate factor: the cut is drawn anew and should not be seen to be


def tracks(path: Path) -> tuple[str, ...]:
    """Return which of ``audio`` and ``video`` a player finds in a file; both if none, so that ``check`` says why."""
    with suppress(av.FFmpegError, OSError, ValueError), opened(path) as container:
        return tuple(kind for kind in ("audio", "video") if played(container, kind)) or ("audio", "video")
    return ("audio", "video")


def check(path: Path, track: str) -> None:
    """Decode sound, film or picture of a recording from end to end; refuse what is broken, empty, silent or cut off."""
    if decode := {"audio": audio.check, "video": video.check, "picture": video.check}.get(track):
        decode(path)


def remarks(path: Path) -> list[str]:
    """Say what is mended in a recording, and what a player hides of it; nothing of what cannot be used at all."""
    sentences: list[str] = []
    for track in tracks(path):
        with suppress(DataError):
            sentences += (audio if track == "audio" else video).remarks(path)
    return sentences


class _Tape:
    """Plays a file on from where the last piece ended, so that pieces in order of time cost one pass."""

    def __init__(self, play: Callable[[Path], Iterator[tuple[float, Any]]]) -> None:
        self._play = play  # yields what a file holds, each with the second it ends at
        self.last_s = 0.0  # when what was played last ended
        self._source: Path | None = None
        self._until_s = 0.0
        self._items: Iterator[tuple[float, Any]] = iter(())
        self._held: tuple[float, Any] | None = None

    def span(self, source: Path, start_s: float, end_s: float) -> Iterator[tuple[float, Any]]:
        """Yield whatever may belong to the span; the last item is kept, for the next span may begin in it."""
        if source != self._source or start_s < self._until_s:
            self._source, self._items, self._held = source, self._play(source), None
        self._until_s = end_s
        while (item := self._held or next(self._items, None)) is not None:
            self.last_s = item[0]
            self._held = item if item[0] >= end_s else None
            yield item
            if self._held:
                return


class Cutter:
    """Writes the piece of a recording from ``start_s`` up to, not including, ``end_s``; the source stays as it is.

    **Guarantee**: pieces that touch share no sample and no frame, and together they hold all of both.
    """

    def __init__(self) -> None:
        self._film = _Tape(lambda path: ((at_s, image) for _, at_s, image in video.read(path)))
        self._sound = _Tape(lambda path: ((b.start_s + b.duration_s, b) for b in audio.blocks(path)))
        self._last: tuple[tuple[Path, float, float], Signal | None] | None = None

    def __call__(self, source: Path, target: Path, start_s: float, end_s: float) -> bool:
        """Cut a piece, in seconds: its sound (``.wav``), or film with sound (``.mp4``); False where there is none."""
        film = video.probe(source) if track_of(source.name) == "video" else None
        sound = self._heard(source, start_s, end_s) if film is None or film.has_sound else None
        if film is None and sound is None:
            raise DataError(_OUTSIDE.format(source.name))
        if film is None or target.suffix == ".wav":
            if sound is not None:
                audio.write(target, sound)
            return sound is not None
        frames = 0
        with video.VideoWriter(
            target,
            width=film.width,
            height=film.height,
            rate_hz=film.rate_hz,
            pixel_aspect=film.pixel_aspect,
            crf=_QUALITY,
        ) as writer:
            if sound is not None:
                writer.write_sound(sound)
            for time_s, image in self._film.span(source, start_s, end_s):
                if start_s <= time_s < end_s:
                    writer.write(image, time_s=time_s - start_s)
                    frames += 1
            if not frames or end_s > self._film.last_s + 1 / film.rate_hz + _LATE_S:
                raise DataError(_OUTSIDE.format(source.name))
        return True

    def _heard(self, source: Path, start_s: float, end_s: float) -> Signal | None:
        """Return the piece of a sound; None if the sound ends clearly before the piece does."""
        piece = (source, start_s, end_s)
        if self._last is None or self._last[0] != piece:  # asked for twice: in the film, and alone
            parts, rate_hz = [np.empty((0, 1), np.float32)], 1.0
            for _, block in self._sound.span(source, start_s, end_s):
                rate_hz, offset = block.rate_hz, round(block.start_s * block.rate_hz)
                first, last = (max(0, round(at_s * rate_hz) - offset) for at_s in (start_s, end_s))
                parts.append(block.values[first:last])
            values = np.concatenate([part for part in parts if len(part)] or parts[:1])
            whole = len(values) and end_s <= self._sound.last_s + _LATE_S
            self._last = piece, Signal(values=values, rate_hz=rate_hz) if whole else None
        return self._last[1]
