"""Video as a stream of pictures: any container in, H.264 with sound out; memory does not grow with length."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from personare.core.errors import DataError
from personare.core.types import Array
from personare.features._h264 import VideoWriter

__all__ = ["VideoInfo", "VideoWriter", "check", "probe", "read"]

_PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".pgm", ".tif", ".tiff"}


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """What a video's header says.

    Attributes:
        width: Pixels, as seen (after rotation).
        height: Pixels, as seen.
        rate_hz: Frames a second, averaged over the video.
        frames: Number of frames, where the header gives one; a few may be hidden by an edit list.
        duration_s: Length in seconds.
        has_sound: Whether there is a sound track.
        pixel_aspect: Width of a pixel over its height; 1 for square pixels.
    """

    width: int
    height: int
    rate_hz: float
    frames: int | None
    duration_s: float
    has_sound: bool
    pixel_aspect: float = 1.0


def probe(path: Path) -> VideoInfo:
    """Read a video's header and its first frame.

    Args:
        path: A video in any container FFmpeg knows, or a still picture (a video of one frame).

    Returns:
        Size, rate, length, and whether there is sound.

    Raises:
        DataError: Absent, empty, not a video, without a picture, or broken.

    Example:
        >>> probe(Path("nobody.mp4"))
        Traceback (most recent call last):
        personare.core.errors.DataError: nobody.mp4 does not exist. Check the name.
    """
    if _is_picture(path):
        height, width = _picture(path).shape[:2]
        return VideoInfo(width=width, height=height, rate_hz=25.0, frames=1, duration_s=0.04, has_sound=False)
    with _opened(path) as (container, stream):
        frame = next(container.decode(stream), None)
        if frame is None:
            raise DataError(f"{path.name} holds no complete picture. It was cut off or never finished; get a new copy.")
        rate = float(stream.average_rate or stream.guessed_rate or 25)
        height, width = _turned(np.empty((frame.height, frame.width)), frame).shape
        return VideoInfo(
            width=width,
            height=height,
            rate_hz=rate,
            frames=stream.frames or None,
            duration_s=_duration_s(container, stream, rate),
            has_sound=bool(container.streams.audio),
            pixel_aspect=float(stream.sample_aspect_ratio or 1),
        )


def read(path: Path, *, threads: int = 0) -> Iterator[tuple[int, float, Array]]:
    """Decode a video one picture at a time, turned as its rotation says.

    Args:
        path: A video, or a still picture.
        threads: Cores to decode with; 0 = all.

    Yields:
        Index from 0, time in seconds from the start of the file (never falling), uint8 RGB (height, width, 3). Every
        picture has the size of the first.

    Raises:
        DataError: Not a video, or broken somewhere; frames before the fault have been yielded by then.
    """
    if _is_picture(path):
        yield 0, 0.0, _picture(path)
        return
    with _opened(path, threads) as (container, stream):
        rate = float(stream.average_rate or stream.guessed_rate or 25)
        start_s, last_s = (container.start_time or 0) / 1e6, 0.0
        convert = VideoReformatter()
        size: dict[str, int] = {}
        for index, frame in enumerate(container.decode(stream)):
            size = size or {"width": frame.width, "height": frame.height}
            time_s = index / rate if frame.time is None else frame.time - start_s
            last_s = max(last_s, time_s)
            image = convert.reformat(frame, format="rgb24", **size).to_ndarray()
            yield index, last_s, _turned(image, frame)


def check(path: Path) -> None:
    """Decode a whole video and compare what came out with what its header promises.

    Raises:
        DataError: Whatever ``probe`` and ``read`` raise; pictures that are missing or damaged.
    """
    if _is_picture(path):
        _picture(path)
        return
    packets = frames = damaged = 0
    with _opened(path) as (container, stream):
        promised = stream.frames
        for packet in container.demux(stream):
            packets += packet.size > 0
            for frame in packet.decode():
                frames += 1
                damaged += bool(frame.is_corrupt)
    if not frames:
        raise DataError(f"{path.name} holds no complete picture. It was cut off or never finished; get a new copy.")
    if packets < promised:
        raise DataError(f"{path.name} is cut off: {packets} of {promised} frames are there. Get a complete copy.")
    if damaged:
        raise DataError(f"{path.name} is damaged: {damaged} of {frames} frames do not decode cleanly. Get a new copy.")


def _turned(image: Array, frame: Any) -> Array:
    """Turn and mirror a picture as its container's display matrix says (phones film sideways)."""
    side_data = frame.side_data.get("DISPLAYMATRIX")
    if side_data is None:
        return image
    a, b, _, c, d = np.frombuffer(bytes(side_data), dtype=np.int32)[:5]
    if abs(b) > abs(a):  # x and y change places
        image, a, d = np.swapaxes(image, 0, 1), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in _PICTURES


def _picture(path: Path) -> Array:
    _must_exist(path)
    image: Array | None = cv2.imdecode(
        np.fromfile(path, dtype=np.uint8), cv2.IMREAD_COLOR_RGB
    )  # turns it as its EXIF says
    if image is None:
        raise DataError(f"{path.name} cannot be read as a picture. Check that it is one, or get a new copy.")
    return image


def _must_exist(path: Path) -> None:
    if not path.is_file():
        raise DataError(f"{path.name} does not exist. Check the name.")
    if not path.stat().st_size:
        raise DataError(f"{path.name} is empty (0 bytes). Copy it again from where it came.")


@contextmanager
def _opened(path: Path, threads: int = 0) -> Iterator[tuple[Any, Any]]:
    """Open a container and its main moving picture; every fault of FFmpeg becomes a DataError."""
    _must_exist(path)
    try:
        # FFmpeg takes a name such as a:b.mp4 for a protocol, and would look up http:x.mp4 elsewhere
        with av.open(f"file:{path}") as container:
            stream = _moving_picture(path, container)
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = threads
            yield container, stream
    except (av.FFmpegError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(
            f"{path.name} cannot be decoded ({reason}). It is not a video, or broken or cut off."
        ) from error


def _moving_picture(path: Path, container: Any) -> Any:
    """Return the stream that moves: the cover picture of a music file is none, nor is text drawn as a terminal."""
    cover = av.stream.Disposition.attached_pic
    moving = [s for s in container.streams.video if not s.disposition & cover and s.codec_context is not None]
    if container.format.name == "tty" or not (moving or container.streams.audio):
        raise DataError(f"{path.name} is not a video, whatever its name says. Check where it came from.")
    if not moving:
        raise DataError(f"{path.name} has sound but no picture. Treat it as audio.")
    return moving[0]


def _duration_s(container: Any, stream: Any, rate: float) -> float:
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return float(container.duration / 1e6 if container.duration else stream.frames / rate)
