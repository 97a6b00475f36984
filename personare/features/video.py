"""Video as a stream of pictures: any container in, as a player shows it; H.264 with sound out.

Memory does not grow with length. What a player hides stays hidden: what is transparent, cropped, cut off by an edit
list or in a track that is switched off is not there; two fields become one picture; colors are those of a screen.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import Colorspace, VideoReformatter

from personare.core.errors import DataError
from personare.core.types import Array
from personare.features._containers import Crop, begin_s, crop_of, played
from personare.features._h264 import VideoWriter
from personare.features._wide_colors import HDR, WIDE, to_srgb
from personare.features.pictures import decoded, over_black

__all__ = ["VideoInfo", "VideoWriter", "check", "probe", "read", "remarks"]

_PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".pgm", ".tif", ".tiff"}
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # the usual ones show what is transparent
_UNSPECIFIED = 2  # how FFmpeg numbers the color matrix that a file does not name
_BT2020 = 9
_HD = (720, 1280)  # from here on a player takes BT.709 where nothing is said, below BT.601


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
        height, width = decoded(path).shape[:2]
        return VideoInfo(width=width, height=height, rate_hz=25.0, frames=1, duration_s=0.04, has_sound=False)
    with _opened(path) as (container, stream):
        frame = _first(path, container, stream)
        rate = float(stream.average_rate or stream.guessed_rate or 25)
        crop = crop_of(path, container, stream, frame.width, frame.height)
        height, width = _seen(np.empty((frame.height, frame.width)), frame, crop).shape
        aspect = float(stream.sample_aspect_ratio or 1)
        return VideoInfo(
            width=width,
            height=height,
            rate_hz=rate,
            frames=stream.frames or None,
            duration_s=_duration_s(container, stream, rate),
            has_sound=bool(played(container, "audio")),
            pixel_aspect=1 / aspect if _is_sideways(frame) else aspect,
        )


def read(path: Path, *, threads: int = 0) -> Iterator[tuple[int, float, Array]]:
    """Decode a video one picture at a time, as a player shows it.

    **Guarantee**: What a player hides is not in the pictures: transparent and cropped pixels, other tracks, frames that
    an edit list cuts off. Transparency lies over black; of two fields none shows a second picture; HDR and wide
    gamuts are brought to sRGB.

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
        yield 0, 0.0, decoded(path)
        return
    with _opened(path, threads) as (container, stream):
        rate = float(stream.average_rate or stream.guessed_rate or 25)
        start_s, last_s, index = begin_s(container), 0.0, 0
        convert, size, crop = VideoReformatter(), (0, 0), Crop()
        for frame in _progressive(_frames(container, stream), stream):
            if not index:
                size = frame.width, frame.height
                crop = crop_of(path, container, stream, *size)
            time_s = index / rate if frame.time is None else frame.time - start_s
            if time_s < 0 and start_s == 0:
                continue  # cut off by an edit list
            last_s = max(last_s, time_s)
            yield index, last_s, _seen(_rgb(convert, frame, size), frame, crop)
            index += 1


def remarks(path: Path) -> list[str]:
    """Say what of a video is not shown as it is stored, from its header and its first frame.

    Raises:
        DataError: As ``probe``.
    """
    if _is_picture(path):
        return []
    with _opened(path) as (container, stream):
        frame = _first(path, container, stream)
        crop = crop_of(path, container, stream, frame.width, frame.height)
        others = {kind: len(getattr(container.streams, kind)) for kind in ("video", "subtitles", "data", "attachments")}
        others["video"] -= 1
        found = {
            "can be transparent; it is shown over black": _is_transparent(frame),
            f"is cropped by {crop.left + crop.right}x{crop.top + crop.bottom} pixels, as its container says": any(crop),
            "is made of two fields (interlaced), which become one": frame.interlaced_frame,
            "is of high dynamic range or a wide gamut; its colors are brought to sRGB": _is_wide(frame),
        }
        left_out = [f"{count} {kind}" for kind, count in others.items() if count]
        said = [f"The picture {what}." for what, is_so in found.items() if is_so]
        return [*said, f"Further tracks are left out: {', '.join(left_out)}."] if left_out else said


def _first(path: Path, container: Any, stream: Any) -> Any:
    frame = next(_frames(container, stream), None)
    if frame is None:
        raise DataError(f"{path.name} holds no complete picture. It was cut off or never finished; get a new copy.")
    return frame


def _frames(container: Any, stream: Any) -> Iterator[Any]:
    name = _ALPHA_DECODERS.get(stream.codec_context.name)
    if name is None or stream.metadata.get("alpha_mode") != "1":
        yield from container.decode(stream)
        return
    decoder: Any = av.CodecContext.create(name, "r")
    for packet in container.demux(stream):
        yield from decoder.decode(packet)


def _progressive(frames: Iterator[Any], stream: Any) -> Iterator[Any]:
    """Pass frames on until one is made of two fields; from there on each is brought to one moment."""
    graph: Any = None
    first: Any = None
    for frame in frames:
        if graph is None and not frame.interlaced_frame:
            yield frame
            continue
        if graph is None:
            graph, first = _deinterlacer(frame, stream), frame
        graph.vpush(frame)
        yield from _pulled(graph, first)
    if graph is not None:
        graph.vpush(None)
        yield from _pulled(graph, first)


def _deinterlacer(frame: Any, stream: Any) -> Any:
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or stream.time_base
    )
    graph.link_nodes(source, graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink"))
    graph.configure()
    return graph


def _pulled(graph: Any, like: Any) -> Iterator[Any]:
    while True:
        try:
            frame = graph.vpull()
        except (BlockingIOError, EOFError):
            return
        for name in ("colorspace", "color_range", "color_trc", "color_primaries"):
            setattr(frame, name, getattr(like, name))
        yield frame


def _rgb(convert: VideoReformatter, frame: Any, size: tuple[int, int]) -> Array:
    """Return a frame in the colors of a screen (sRGB), as it is stored: not yet cropped, nor turned."""
    how: dict[str, Any] = {"width": size[0], "height": size[1]}
    if frame.colorspace == _UNSPECIFIED and not frame.format.is_rgb:
        is_hd = frame.height >= _HD[0] or frame.width >= _HD[1]
        how["src_colorspace"] = _BT2020 if _is_wide(frame) else Colorspace.ITU709 if is_hd else Colorspace.ITU601
    if _is_wide(frame):
        coded = convert.reformat(frame, format="rgb48le", **how).to_ndarray()
        image = to_srgb(coded, frame.color_trc, frame.color_primaries)
    else:
        image = convert.reformat(frame, format="rgb24", **how).to_ndarray()
    if _is_transparent(frame):
        return over_black(image, convert.reformat(frame, format="rgba", **how).to_ndarray()[..., 3])
    return image


def _is_wide(frame: Any) -> bool:
    return frame.color_trc in HDR or frame.color_primaries in WIDE


def _is_transparent(frame: Any) -> bool:
    return frame.format.has_palette or any(component.is_alpha for component in frame.format.components)


def check(path: Path) -> None:
    """Decode a whole video and compare what came out with what its header promises.

    Raises:
        DataError: Whatever ``probe`` and ``read`` raise; pictures that are missing or damaged.
    """
    if _is_picture(path):
        decoded(path)
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


def _seen(image: Array, frame: Any, crop: Crop) -> Array:
    """Crop a picture, then turn and mirror it as its container's display matrix says (phones film sideways)."""
    image = image[crop.top : image.shape[0] - crop.bottom, crop.left : image.shape[1] - crop.right]
    a, b, c, d = _matrix(frame)
    if _is_sideways(frame):
        image, a, d = np.swapaxes(image, 0, 1), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def _is_sideways(frame: Any) -> bool:
    """Whether x and y change places."""
    a, b, _, _ = _matrix(frame)
    return abs(b) > abs(a)


def _matrix(frame: Any) -> tuple[int, int, int, int]:
    side_data = frame.side_data.get("DISPLAYMATRIX")
    if side_data is None:
        return 1, 0, 0, 1
    a, b, _, c, d = np.frombuffer(bytes(side_data), dtype=np.int32)[:5].tolist()
    return a, b, c, d


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in _PICTURES


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
    """Return the track that a player shows: the cover of a music file is none, nor is text drawn as a terminal."""
    streams = played(container, "video")
    if container.format.name == "tty" or not (streams or container.streams.audio):
        raise DataError(f"{path.name} is not a video, whatever its name says. Check where it came from.")
    if not streams:
        raise DataError(f"{path.name} has sound but no picture that a player shows. Treat it as audio.")
    return streams[0]


def _duration_s(container: Any, stream: Any, rate: float) -> float:
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return float(container.duration / 1e6 if container.duration else stream.frames / rate)
