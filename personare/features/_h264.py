"""Write H.264 with sound: streamed, under a temporary name until it is complete."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange

from personare.core.errors import DataError, OptionError
from personare.core.types import Array, Signal
from personare.features.audio_files import downmix

__all__ = ["VideoWriter"]

_CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
_TICKS = 90_000  # a second of the written file; divides every usual frame rate
_BT601, _BT709 = 6, 1  # how H.264 names its color matrices
_AAC_RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_AAC_BLOCK = 1024
_AHEAD_S = 0.5  # sound is written this far ahead of the picture, so that players need not seek


class VideoWriter:
    """Write pictures, and optionally sound, as H.264 and AAC. Nothing of the source's metadata is carried over.

    The file appears under its name only when it is complete: it is written beside it under a temporary name, which is
    removed when the ``with`` block ends in an error. A width or height that is odd is made even by repeating the last
    column or row, because H.264 in its playable form has no odd sizes; positions in the picture stay the same.

    Args:
        path: Ends in ``.mp4``, ``.m4v``, ``.mov`` or ``.mkv``; its folder is made.
        width: Of the pictures, pixels.
        height: Of the pictures, pixels.
        rate_hz: Frames a second, where ``write`` is given no times.
        pixel_aspect: Width of a pixel over its height.
        crf: Constant rate factor of x264: 0 lossless ... 51 worst.
        preset: x264's preset.
        threads: Cores to encode with; 0 = all.
        note: The file's own comment, for whoever finds it alone.

    Raises:
        OptionError: A value that cannot be used.
        DataError: The folder cannot be written to, the disk is full, or nothing was written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with VideoWriter(Path(folder) / "gray.mp4", width=64, height=48, rate_hz=25) as writer:
        ...         writer.write(np.full((48, 64, 3), 128, np.uint8))
        ...     (Path(folder) / "gray.mp4").stat().st_size > 0
        True
    """

    def __init__(
        self,
        path: Path,
        *,
        width: int,
        height: int,
        rate_hz: float,
        pixel_aspect: float = 1.0,
        crf: int = 23,
        preset: str = "veryfast",
        threads: int = 0,
        note: str = "",
    ) -> None:
        if path.suffix.lower() not in _CONTAINERS:
            raise OptionError(f"{path.name} must end in {', '.join(_CONTAINERS)}. Choose such a name.")
        if min(width, height) < 1 or not 0 < rate_hz <= 1000:
            raise OptionError(f"A video must have a size and a rate up to 1000 Hz, not {width}x{height} at {rate_hz}.")
        self._path, self._shape = path, (height, width, 3)
        self._temporary = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
        self._step, self._frames, self._last = _TICKS / rate_hz, 0, -1
        self._sound: _Sound | None = None
        with self._faults():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._container = av.open(f"file:{self._temporary}", "w", format=_CONTAINERS[path.suffix.lower()])
        if note:
            self._container.metadata["comment"] = note
        options = {"preset": preset, "crf": str(crf)}
        stream = self._container.add_stream(
            "libx264", rate=Fraction(rate_hz).limit_denominator(100_000), options=options
        )
        stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
        stream.codec_context.time_base = Fraction(1, _TICKS)
        stream.codec_context.thread_count = threads
        stream.codec_context.color_range = ColorRange.MPEG
        stream.codec_context.colorspace = _BT601
        stream.codec_context.color_primaries = stream.codec_context.color_trc = _BT709
        if pixel_aspect != 1:
            stream.codec_context.sample_aspect_ratio = Fraction(pixel_aspect).limit_denominator(255)
        self._stream = stream

    def write_sound(self, signal: Signal) -> None:
        """Give the video its sound. Call it before the first ``write``: a container's tracks are fixed by then."""
        if self._frames or self._sound is not None:
            raise OptionError("Sound must be given once, before the first picture. Call write_sound first.")
        if len(signal.values):
            self._sound = _Sound(self._container, signal)

    def write(self, image: Array, *, time_s: float | None = None) -> None:
        """Append one picture.

        Args:
            image: uint8 RGB (height, width, 3).
            time_s: When it is shown; without it, one frame duration after the last. Uneven times are kept.

        Raises:
            DataError: Another shape or type than promised, or the disk is full.
        """
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
                self._sound.write(until_s=self._last / _TICKS + _AHEAD_S)
            self._container.mux(self._stream.encode(frame))

    def __enter__(self) -> Self:
        """Begin; the file is open already."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Finish the file and give it its name, or remove it."""
        try:
            with self._faults():
                if kind is None and self._frames:
                    self._finish()
                self._container.close()
                if kind is None:
                    self._publish()
        finally:
            self._temporary.unlink(missing_ok=True)

    def _finish(self) -> None:
        if self._sound is not None:
            self._sound.write(until_s=float("inf"))
        self._container.mux(self._stream.encode())

    def _publish(self) -> None:
        if not self._frames:
            raise DataError(f"{self._path.name} got no picture, so it was not written. Check the source.")
        with av.open(f"file:{self._temporary}") as written:  # a disk that filled up at the very end shows here
            next(written.decode(video=0))
        self._temporary.replace(self._path)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except (OSError, av.FFmpegError, StopIteration) as error:
            reason = getattr(error, "strerror", None) or str(error) or "it came out incomplete"
            fix = "Free some space, or choose a folder that can be written to."
            raise DataError(f"{self._path} cannot be written ({reason}). {fix}") from error


class _Sound:
    """The sound track of a file being written, encoded piece by piece as the picture goes on."""

    def __init__(self, container: Any, signal: Signal) -> None:
        channels = signal.values.shape[1]
        self._layout = "stereo" if channels == 2 else "mono"
        self._values = signal.values if channels <= 2 else downmix(signal.values)
        self._rate, self._start_s, self._done = round(signal.rate_hz), signal.start_s, 0
        rate = next((r for r in _AAC_RATES_HZ if r >= self._rate), _AAC_RATES_HZ[-1])
        self._container = container
        self._stream = container.add_stream("aac", rate=rate, layout=self._layout)
        self._stream.bit_rate = 96_000 * self._values.shape[1]
        self._convert = av.AudioResampler(format="fltp", layout=self._layout, rate=rate, frame_size=_AAC_BLOCK)

    def write(self, until_s: float) -> None:
        """Encode up to a time; once it is past the end, flush the encoder."""
        total = len(self._values)
        while self._done < total and self._start_s + self._done / self._rate < until_s:
            block = np.ascontiguousarray(self._values[self._done : self._done + self._rate].T, dtype=np.float32)
            frame = av.AudioFrame.from_ndarray(np.clip(block, -1, 1), format="fltp", layout=self._layout)
            frame.sample_rate, frame.time_base = self._rate, Fraction(1, self._rate)
            frame.pts = round(self._start_s * self._rate) + self._done
            self._encode(self._convert.resample(frame))
            self._done += block.shape[1]
            if self._done >= total:
                self._encode([*self._convert.resample(None), None])

    def _encode(self, frames: list[Any]) -> None:
        for frame in frames:
            self._container.mux(self._stream.encode(frame))
