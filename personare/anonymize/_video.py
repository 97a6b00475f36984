"""Carry a face method over one video: every frame protected, covered whole, or the video is not written."""

import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from personare.core.errors import DataError
from personare.core.protocols import FaceAnonymizer
from personare.core.types import Array, LocatedFrame, Signal
from personare.features import video

__all__ = ["COVER_LEVEL", "Tally", "anonymize_video"]

COVER_LEVEL = 128  # gray of a frame that is covered whole; it tells nothing of what was there


def anonymize_video(
    source: Path,
    target: Path,
    method: FaceAnonymizer,
    *,
    subject: str,
    rng: np.random.Generator,
    locate: Callable[[Iterator[tuple[int, float, Array]]], Iterator[LocatedFrame]],
    sound: Signal | None,
) -> "Tally":
    """Write a video in which a method has treated every face, and say what was done.

    **Guarantee**: One frame out for each frame in, shown at the same time. A frame whose faces are uncertain is gray
    all over, whatever the method gave for it. If anything fails, also where the method did not give one new frame of
    the same size for each frame, no file is left under the target's name.

    The film is heard saying ``sound``; None: it is silent.
    """
    info = video.probe(source)
    tally = Tally()
    with video.VideoWriter(
        target, width=info.width, height=info.height, rate_hz=info.rate_hz, pixel_aspect=info.pixel_aspect
    ) as writer:
        if sound is not None:
            writer.write_sound(sound)
        for image in method(tally.watched(locate(video.read(source))), subject=subject, rng=rng):
            frame = tally.next(image)
            writer.write(image if frame.certain else np.full_like(image, COVER_LEVEL), time_s=frame.time_s)
            tally.seconds = frame.time_s + 1 / info.rate_hz
        tally.close()
    return tally


class _Waiting(NamedTuple):
    """What must be known of a frame until its picture comes; the picture itself would fill the memory."""

    number: int
    time_s: float
    shape: tuple[int, ...]
    certain: bool
    has_faces: bool
    original: weakref.ref[Array]


class Tally:
    """Watches frames go into a method and pictures come out of it, and counts what was done to one video."""

    def __init__(self) -> None:
        self._waiting: deque[_Waiting] = deque()
        self.frames = 0  # written, as many as were read
        self.covered_whole = 0  # frames shown as plain gray, because the faces in them could not be vouched for
        self.faces_seen = 0  # frames in which at least one face was seen and treated
        self.seconds = 0.0  # length of the video in its own time
        self.smallest_face_px = float("nan")  # width of the smallest face promised to be found; NaN: nothing promised

    def watched(self, frames: Iterable[LocatedFrame]) -> Iterator[LocatedFrame]:
        """Yield the frames to the method, and remember what must be known of each."""
        for frame in frames:
            image = frame.image
            self.smallest_face_px = float(np.fmax(self.smallest_face_px, frame.smallest_face_px))
            seen = (frame.certain, bool(frame.faces), weakref.ref(image))
            self._waiting.append(_Waiting(frame.index, frame.time_s, image.shape, *seen))
            yield frame

    def next(self, image: Array) -> _Waiting:
        """Return what is known of the frame that a picture belongs to."""
        if not self._waiting:
            raise DataError(
                f"The face method gave more pictures than frames (after frame {self.frames}); it is at fault."
            )
        frame = self._waiting.popleft()
        if image.shape != frame.shape or image.dtype != np.uint8:
            given = f"{image.dtype} {image.shape}"
            raise DataError(f"The face method turned a picture {frame.shape} into {given}; it is at fault.")
        if image is frame.original() and frame.has_faces:
            raise DataError(f"The face method passed frame {frame.number} through as it was; it is at fault.")
        self.frames += 1
        self.covered_whole += not frame.certain
        self.faces_seen += frame.has_faces
        return frame

    def close(self) -> None:
        """Refuse a film of which the method left out the end."""
        if self._waiting:
            raise DataError(f"The face method left out {len(self._waiting)} frames at the end; it is at fault.")
