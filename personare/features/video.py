"""Video as a stream of pictures: any container in, as a player shows it, whatever its length; H.264 with sound out."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, Self

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from personare.core.errors import DataError, OptionError
from personare.core.types import Array, Signal
from personare.data.media_files import PICTURES
from personare.features._containers import Crop, begin_s, crop_of, opened, played
from personare.features.audio import downmix
from personare.features.pictures import HDR, WIDE, decoded, over_black, to_srgb

_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # the usual ones show what is transparent
_UNSPECIFIED = 2  # how FFmpeg numbers the color matrix that a file does not name
_BT2020 = 9
_HD = (720, 1280)  # from here on a player takes BT.709 where nothing is said, below BT.601
_NO_PICTURE = "{} holds no complete picture. It was cut off or never finished; get a new copy."

_CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
_TICKS = 90_000  # a second of the written file; divides every usual frame rate
_BT601, _BT709 = 6, 1  # how H.264 names its color matrices
_AAC_RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_AAC_BLOCK = 1024
_AHEAD_S = 0.5  # sound is written this far ahead of the picture, so that players need not seek


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """What a video's header says."""

    width: int  # pixels, as seen (after rotation)
    height: int
    rate_hz: float  # frames a second, averaged over the video
    frames: int | None  # where the header gives a number; a few may be hidden by an edit list
    duration_s: float
    has_sound: bool
    pixel_aspect: float = 1.0  # width of a pixel over its height


def probe(path: Path) -> VideoInfo:
    """Read the header and the first frame of a video in any container FFmpeg knows, or of a still picture."""
    if _is_picture(path):
        height, width = decoded(path).shape[:2]
        return VideoInfo(width=width, height=height, rate_hz=25.0, frames=1, duration_s=0.04, has_sound=False)
    with _opened(path) as (container, stream):
        frame, crop = _first(path, container, stream)
        rate = _rate_hz(stream)
        height, width = _seen(np.empty((frame.height, frame.width)), frame, crop).shape
        aspect = float(stream.sample_aspect_ratio or 1)
        if stream.duration:
            duration_s = float(stream.duration * stream.time_base)
        else:
            duration_s = float(container.duration / 1e6 if container.duration else stream.frames / rate)
        return VideoInfo(
            width=width,
            height=height,
            rate_hz=rate,
            frames=stream.frames or None,
            duration_s=duration_s,
            has_sound=bool(played(container, "audio")),
            pixel_aspect=1 / aspect if _turn(frame)[0] else aspect,
        )


def read(path: Path) -> Iterator[tuple[int, float, Array]]:
    """Decode a video (or a still picture) one picture at a time, as a player shows it.

    **Guarantee**: What a player hides is not in the pictures: transparent and cropped pixels, other tracks, frames that
    an edit list cuts off. Transparency lies over black; of two fields none shows a second picture; HDR and wide
    gamuts are brought to sRGB.

    Yields:
        Index from 0, time in seconds from the start of the file (never falling), uint8 RGB (height, width, 3), all of
        one size. Where the file is broken, the frames before the fault have been yielded.
    """
    if _is_picture(path):
        yield 0, 0.0, decoded(path)
        return
    with _opened(path) as (container, stream):
        rate = _rate_hz(stream)
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
    """Say what of a video is not shown as it is stored, from its header and its first frame."""
    if _is_picture(path):
        return []
    with _opened(path) as (container, stream):
        frame, crop = _first(path, container, stream)
        others = {kind: len(getattr(container.streams, kind)) for kind in ("video", "subtitles", "data", "attachments")}
        others["video"] -= 1
        remarkable = {
            "can be transparent; it is shown over black": _is_transparent(frame),
            f"is cropped by {crop.left + crop.right}x{crop.top + crop.bottom} pixels, as its container says": any(crop),
            "is made of two fields (interlaced), which become one": frame.interlaced_frame,
            "is of high dynamic range or a wide gamut; its colors are brought to sRGB": _is_wide(frame),
        }
        left_out = [f"{count} {kind}" for kind, count in others.items() if count]
        sentences = [f"The picture {what}." for what, is_so in remarkable.items() if is_so]
        return [*sentences, f"Further tracks are left out: {', '.join(left_out)}."] if left_out else sentences


def check(path: Path) -> None:
    """Decode a whole video and compare what came out with what its header promises."""
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
        raise DataError(_NO_PICTURE.format(path.name))
    if packets < promised:
        raise DataError(f"{path.name} is cut off: {packets} of {promised} frames are there. Get a complete copy.")
    if damaged:
        raise DataError(f"{path.name} is damaged: {damaged} of {frames} frames do not decode cleanly. Get a new copy.")


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURES


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """Open a container and its main moving picture; every fault of FFmpeg becomes a DataError."""
    if not path.is_file():
        raise DataError(f"{path.name} does not exist. Check the name.")
    if not path.stat().st_size:
        raise DataError(f"{path.name} is empty (0 bytes). Copy it again from where it came.")
    try:
        with opened(path) as container:
            streams = played(container, "video")  # the cover of a music file is none
            if container.format.name == "tty" or not (streams or container.streams.audio):  # a terminal draws text
                raise DataError(f"{path.name} is not a video, whatever its name says. Check where it came from.")
            if not streams:
                raise DataError(f"{path.name} has sound but no picture that a player shows. Treat it as audio.")
            stream: Any = streams[0]
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = 0  # all cores
            yield container, stream
    except (av.FFmpegError, OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(
            f"{path.name} cannot be decoded ({reason}). It is not a video, or broken or cut off."
        ) from error


def _rate_hz(stream: Any) -> float:
    return float(stream.average_rate or stream.guessed_rate or 25)


def _first(path: Path, container: Any, stream: Any) -> tuple[Any, Crop]:
    """Return the first frame, and what the container cuts off it."""
    frame = next(_frames(container, stream), None)
    if frame is None:
        raise DataError(_NO_PICTURE.format(path.name))
    return frame, crop_of(path, container, stream, frame.width, frame.height)


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
    for first in frames:
        if first.interlaced_frame:
            break
        yield first
    else:
        return
    graph: Any = av.filter.Graph()
    time_base = first.time_base or stream.time_base
    source = graph.add_buffer(width=first.width, height=first.height, format=first.format, time_base=time_base)
    graph.link_nodes(source, graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink"))
    graph.configure()
    for frame in chain([first], frames, [None]):
        graph.vpush(frame)
        with suppress(BlockingIOError, EOFError):  # it waits for the next field, or has given out all
            while True:
                whole = graph.vpull()
                for name in ("colorspace", "color_range", "color_trc", "color_primaries"):
                    setattr(whole, name, getattr(first, name))
                yield whole


def _rgb(convert: VideoReformatter, frame: Any, size: tuple[int, int]) -> Array:
    """Return a frame in the colors of a screen (sRGB), as it is stored: not yet cropped, nor turned."""
    settings: dict[str, Any] = {"width": size[0], "height": size[1]}
    if frame.colorspace == _UNSPECIFIED and not frame.format.is_rgb:
        is_hd = frame.height >= _HD[0] or frame.width >= _HD[1]
        settings["src_colorspace"] = _BT2020 if _is_wide(frame) else Colorspace.ITU709 if is_hd else Colorspace.ITU601

    def pixels(form: str) -> Array:
        return np.asarray(convert.reformat(frame, format=form, **settings).to_ndarray())

    is_wide = _is_wide(frame)
    image = to_srgb(pixels("rgb48le"), frame.color_trc, frame.color_primaries) if is_wide else pixels("rgb24")
    return over_black(image, pixels("rgba")[..., 3]) if _is_transparent(frame) else image


def _is_wide(frame: Any) -> bool:
    return frame.color_trc in HDR or frame.color_primaries in WIDE


def _is_transparent(frame: Any) -> bool:
    return frame.format.has_palette or any(component.is_alpha for component in frame.format.components)


def _seen(image: Array, frame: Any, crop: Crop) -> Array:
    """Crop a picture, then turn and mirror it as its container's display matrix says (phones film sideways)."""
    image = image[crop.top : image.shape[0] - crop.bottom, crop.left : image.shape[1] - crop.right]
    sideways, down, across = _turn(frame)
    if sideways:
        image = np.swapaxes(image, 0, 1)
    return np.ascontiguousarray(image[::down, ::across])


def _turn(frame: Any) -> tuple[bool, int, int]:
    """Return whether x and y change places, and then the steps down and across in which a picture is shown."""
    side_data = frame.side_data.get("DISPLAYMATRIX")
    if side_data is None:
        return False, 1, 1
    a, b, _, c, d = np.frombuffer(bytes(side_data), dtype=np.int32)[:5].tolist()
    sideways = abs(b) > abs(a)
    down, across = (b, c) if sideways else (d, a)
    return sideways, -1 if down < 0 else 1, -1 if across < 0 else 1


class VideoWriter:
    """Write pictures, and optionally sound, as H.264 and AAC; nothing of the source's metadata is carried over.

    The file appears only when it is complete, not when the ``with`` block ends in an error; its folder is made. An odd
    width or height is made even by repeating the last column or row, for H.264 in its playable form has no odd sizes.
    """

    def __init__(
        self,
        path: Path,
        *,
        width: int,
        height: int,
        rate_hz: float,  # where ``write`` is given no times
        pixel_aspect: float = 1.0,
        crf: int = 23,  # x264's rate factor: 0 lossless ... 51 worst
        preset: str = "veryfast",
        threads: int = 2,  # other numbers give other pictures, so this is not the number of cores
        note: str = "",  # the file's own comment, for whoever finds it alone
    ) -> None:
        if path.suffix.lower() not in _CONTAINERS:
            raise OptionError(f"{path.name} must end in {', '.join(_CONTAINERS)}. Choose such a name.")
        if min(width, height) < 1 or not 0 < rate_hz <= 1000:
            raise OptionError(f"A video must have a size and a rate up to 1000 Hz, not {width}x{height} at {rate_hz}.")
        self._path, self._shape = path, (height, width, 3)
        self._temporary = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
        self._step, self._frames, self._last = _TICKS / rate_hz, 0, -1
        self._sound: Callable[[float], None] | None = None
        with self._faults():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._container = av.open(f"file:{self._temporary}", "w", format=_CONTAINERS[path.suffix.lower()])
        if note:
            self._container.metadata["comment"] = note
        # else x264's fastest code gives other pictures of the same frames from one call to the next
        options = {"preset": preset, "crf": str(crf), "x264-params": "cpu-independent=1"}
        rate = Fraction(rate_hz).limit_denominator(100_000)
        self._stream = self._container.add_stream("libx264", rate=rate, options=options)
        codec = self._stream.codec_context
        codec.width, codec.height, codec.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
        codec.time_base, codec.thread_count = Fraction(1, _TICKS), threads
        codec.color_range, codec.colorspace = ColorRange.MPEG, _BT601
        codec.color_primaries = codec.color_trc = _BT709
        if pixel_aspect != 1:
            codec.sample_aspect_ratio = Fraction(pixel_aspect).limit_denominator(255)

    def write_sound(self, signal: Signal) -> None:
        """Give the video its sound. Call it before the first ``write``: a container's tracks are fixed by then."""
        if self._frames or self._sound is not None:
            raise OptionError("Sound must be given once, before the first picture. Call write_sound first.")
        if len(signal.values):
            self._sound = _sound_track(self._container, signal)

    def write(self, image: Array, *, time_s: float | None = None) -> None:
        """Append one picture, uint8 RGB (height, width, 3); without a time, one frame duration after the last."""
        if image.shape != self._shape or image.dtype != np.uint8:
            raise DataError(f"A picture must be uint8 {self._shape}, not {image.dtype} {image.shape}.")
        odd_rows, odd_columns = self._shape[0] % 2, self._shape[1] % 2
        if odd_rows or odd_columns:
            image = cv2.copyMakeBorder(image, 0, odd_rows, 0, odd_columns, cv2.BORDER_REPLICATE)
        # OpenCV does this ten times as fast as FFmpeg's scaler; it knows BT.601 only, and the stream says so
        frame = av.VideoFrame.from_ndarray(cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420), format="yuv420p")
        ticks = self._frames * self._step if time_s is None else time_s * _TICKS
        self._frames, self._last = self._frames + 1, max(round(ticks), self._last + 1)
        frame.pts, frame.time_base, frame.duration = self._last, Fraction(1, _TICKS), round(self._step)
        with self._faults():
            if self._sound is not None:
                self._sound(self._last / _TICKS + _AHEAD_S)
            self._container.mux(self._stream.encode(frame))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            with self._faults():
                if kind is None and self._frames:
                    if self._sound is not None:
                        self._sound(float("inf"))
                    self._container.mux(self._stream.encode())
                self._container.close()
                if kind is None and not self._frames:
                    raise DataError(f"{self._path.name} got no picture, so it was not written. Check the source.")
                if kind is None:
                    with av.open(f"file:{self._temporary}") as written:  # a disk that filled up at the end shows here
                        next(written.decode(video=0))
                    self._temporary.replace(self._path)
        finally:
            self._temporary.unlink(missing_ok=True)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except (OSError, av.FFmpegError, StopIteration) as error:
            reason = getattr(error, "strerror", None) or str(error) or "it came out incomplete"
            raise DataError(
                f"{self._path} cannot be written ({reason}). Free some space, or choose a folder that you may write."
            ) from error


def _sound_track(container: Any, signal: Signal) -> Callable[[float], None]:
    """Add a sound track; what is returned encodes it up to a time in seconds, and flushes it once that is its end."""
    values = signal.values if signal.values.shape[1] <= 2 else downmix(signal.values)
    layout, rate_hz = ("mono", "stereo")[values.shape[1] - 1], round(signal.rate_hz)
    written_hz = next((rate for rate in _AAC_RATES_HZ if rate >= rate_hz), _AAC_RATES_HZ[-1])
    stream = container.add_stream("aac", rate=written_hz, layout=layout)
    stream.bit_rate = 96_000 * values.shape[1]
    convert = av.AudioResampler(format="fltp", layout=layout, rate=written_hz, frame_size=_AAC_BLOCK)
    done = 0

    def encode(until_s: float) -> None:
        nonlocal done
        while done < len(values) and signal.start_s + done / rate_hz < until_s:
            block = np.ascontiguousarray(values[done : done + rate_hz].T, dtype=np.float32)
            frame = av.AudioFrame.from_ndarray(np.clip(block, -1, 1), format="fltp", layout=layout)
            frame.sample_rate, frame.time_base = rate_hz, Fraction(1, rate_hz)
            frame.pts = round(signal.start_s * rate_hz) + done
            done += block.shape[1]
            ready: list[Any] = list(convert.resample(frame))
            if done >= len(values):
                ready += [*convert.resample(None), None]
            for part in ready:
                container.mux(stream.encode(part))

    return encode
