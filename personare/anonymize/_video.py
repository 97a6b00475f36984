"""Carry a face method over one video: every frame protected, covered whole, or the video is not written."""

import json
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from personare.core.errors import DataError
from personare.core.protocols import FaceAnonymizer
from personare.core.types import Array, LocatedFrame, Signal
from personare.features import video
from personare.features.marks import mark
from personare.features.masking import COVER_LEVEL

Locate = Callable[[Iterator[tuple[int, float, Array]]], Iterator[LocatedFrame]]


@dataclass(kw_only=True)
class Tally:
    """What was done to one video."""

    frames: int = 0  # written, as many as were read
    covered_whole: int = 0  # frames shown as plain gray, because their faces or people could not be vouched for
    faces_seen: int = 0  # frames in which at least one face was seen and treated
    seconds: float = 0.0  # length of the video in its own time
    smallest_face_px: float = float("nan")  # width of the smallest face promised to be found; NaN: nothing promised


class _Waiting(NamedTuple):
    """What must be known of a frame until its picture comes; the picture itself would fill the memory."""

    number: int
    time_s: float
    shape: tuple[int, ...]
    certain: bool
    has_faces: bool
    original: weakref.ref[Array]


def anonymize_video(
    source: Path,
    target: Path,
    method: FaceAnonymizer,
    *,
    subject: str,
    rng: np.random.Generator,
    locate: Locate,
    sound: Signal | None,
) -> Tally:
    """Write a video in which a method has treated every face, and say what was done.

    **Guarantee**: One frame out for each frame in, shown at the same time. A frame whose faces are uncertain is gray
    all over, whatever the method gave for it. If anything fails, also where the method did not give one new frame of
    the same size for each frame, or where no frame has a face or is covered, no file is left under the target's name.

    The film is heard saying ``sound``; None: it is silent.
    """
    info = video.probe(source)
    tally = Tally()
    waiting: deque[_Waiting] = deque()

    def remembered() -> Iterator[LocatedFrame]:
        for frame in locate(video.read(source)):
            tally.smallest_face_px = float(np.fmax(tally.smallest_face_px, frame.smallest_face_px))
            seen = (frame.certain, bool(frame.faces), weakref.ref(frame.image))
            waiting.append(_Waiting(frame.index, frame.time_s, frame.image.shape, *seen))
            yield frame

    with video.VideoWriter(
        target,
        width=info.width,
        height=info.height,
        rate_hz=info.rate_hz,
        pixel_aspect=info.pixel_aspect,
        note=json.dumps(mark("anonymized")),
    ) as writer:
        if sound is not None:
            writer.write_sound(sound)
        for image in method(remembered(), subject=subject, rng=rng):
            if not waiting:
                raise DataError(
                    f"The face method gave more pictures than frames (after frame {tally.frames}); it is at fault."
                )
            frame = waiting.popleft()
            if image.shape != frame.shape or image.dtype != np.uint8:
                given = f"{image.dtype} {image.shape}"
                raise DataError(f"The face method turned a picture {frame.shape} into {given}; it is at fault.")
            if image is frame.original() and frame.has_faces:
                raise DataError(f"The face method passed frame {frame.number} through as it was; it is at fault.")
            writer.write(image if frame.certain else np.full_like(image, COVER_LEVEL), time_s=frame.time_s)
            tally.frames += 1
            # one row, which is fast, tells of nearly all frames that they are not
            gray = frame.has_faces and (image[0] == COVER_LEVEL).all() and (image == COVER_LEVEL).all()
            tally.covered_whole += bool(gray) or not frame.certain
            tally.faces_seen += frame.has_faces
            tally.seconds = frame.time_s + 1 / info.rate_hz
        if waiting:
            raise DataError(f"The face method left out {len(waiting)} frames at the end; it is at fault.")
        if not (tally.faces_seen or tally.covered_whole):
            raise DataError("No face was found in any frame, so nothing could be protected; check the video by eye.")
    return tally
