"""Sound files: decode any of them piece by piece, check them, and write WAV files that appear only when complete."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile

from personare.core.errors import DataError, OptionError
from personare.core.types import Array, Signal

__all__ = ["BLOCK_S", "SILENT_DBFS", "blocks", "check", "extract_sound", "write"]

BLOCK_S = 30.0
SILENT_DBFS = -80.0
SHORTEST_S = 0.05
_PIECE = 4096  # samples decoded at once: small, so that little is lost where a file is damaged
_MAX_LEAD_S = 10.0  # sound that starts later than this after its picture is a broken time stamp, not a pause


def blocks(path: Path, *, block_s: float) -> Iterator[Signal]:
    """Read the sound of any file piece by piece, so that memory does not grow with its length.

    Args:
        path: The file.
        block_s: Length of a piece in seconds; the last one may be shorter.

    Yields:
        Consecutive pieces; ``start_s`` says where each begins.

    Raises:
        DataError: As :func:`read`.
    """
    if not block_s > 0:
        raise OptionError(f"A block must last longer than 0 seconds, {block_s} was given.")
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path} does not exist or is not a file. Check the name.")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes). Copy it again from where it was recorded.")
    start = 0
    for values, rate in _regular(_decoded(path), block_s):
        yield Signal(values=values, rate_hz=rate, start_s=start / rate)
        start += len(values)
    if start == 0:
        raise DataError(f"{path} holds no sound (0 samples). Record or export it again.")


def _decoded(path: Path) -> Iterator[tuple[Array, float]]:
    try:
        file = soundfile.SoundFile(os.fsencode(path))
    except (soundfile.LibsndfileError, RuntimeError, TypeError):
        yield from _decoded_by_ffmpeg(path)
        return
    with file:
        while True:
            try:
                values = file.read(_PIECE, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError:  # damaged from here on: keep what came before
                return
            if len(values) == 0:
                return
            yield _sane(values), float(file.samplerate)


def _decoded_by_ffmpeg(path: Path) -> Iterator[tuple[Array, float]]:
    try:
        container: Any = av.open(f"file:{path}")
    except (av.FFmpegError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read as sound or video ({_reason(error)}). Is it a recording? Convert it to WAV or MP4."
        ) from error
    with closing(container):
        if not container.streams.audio:
            raise DataError(f"{path} holds no sound track. Leave it out, or use it as picture only.")
        stream = container.streams.audio[0]
        rate = stream.codec_context.sample_rate
        resampler = av.AudioResampler(format="fltp", rate=rate)
        lead = _lead_s(container, stream)
        if lead > 0:
            yield np.zeros((round(lead * rate), stream.codec_context.channels), np.float32), float(rate)
        for frame in _frames(container):
            for part in resampler.resample(frame):
                yield _sane(part.to_ndarray().T), float(rate)


def _frames(container: Any) -> Iterator[Any]:
    try:
        yield from container.decode(audio=0)
    except (av.FFmpegError, ValueError):  # damaged from here on: keep what came before
        return


def _lead_s(container: Any, stream: Any) -> float:
    """Seconds by which the sound starts after the file does; kept as silence, so that sound stays with picture."""
    if stream.start_time is None or container.start_time is None:
        return 0.0
    lead = float(stream.start_time * stream.time_base) - container.start_time / 1_000_000
    return lead if 0.001 < lead < _MAX_LEAD_S else 0.0


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).strip().rstrip(".")


def _sane(values: Array) -> Array:
    return np.asarray(np.clip(np.nan_to_num(values, nan=0.0, posinf=1.0, neginf=-1.0), -1, 1), np.float32)


def _regular(parts: Iterator[tuple[Array, float]], block_s: float) -> Iterator[tuple[Array, float]]:
    """Cut whatever the decoder hands over into pieces of equal length."""
    waiting: list[Array] = []
    held, rate = 0, 0.0
    for values, rate in parts:
        size = max(1, round(block_s * rate))
        waiting.append(values)
        held += len(values)
        if held >= size:
            together = np.concatenate(waiting)
            for i in range(held // size):
                yield together[i * size : (i + 1) * size], rate
            waiting, held = [together[held // size * size :]], held % size
    if held:
        yield np.concatenate(waiting), rate


def check(path: Path) -> None:
    """Decode a file to its end and say what is wrong with its sound, before anybody relies on it.

    Args:
        path: The file.

    Raises:
        DataError: It is missing, empty, broken, without sound, cut short, silent, or shorter than 0.05 s.

    Example:
        >>> check(Path("nothing.wav"))
        Traceback (most recent call last):
        ...
        personare.core.errors.DataError: nothing.wav does not exist or is not a file. Check the name.
    """
    samples, loudest, rate = 0, 0.0, 1.0
    for block in blocks(path, block_s=BLOCK_S):
        samples, rate = samples + len(block.values), block.rate_hz
        loudest = max(loudest, float(np.abs(block.values).max()))
    announced = _announced_s(Path(path))
    if announced is not None and samples / rate < 0.97 * announced - 0.05:
        raise DataError(
            f"{path} is cut short: it announces {announced:.2f} s of sound and holds {samples / rate:.2f} s. "
            "Copy it again from where it was recorded."
        )
    if samples / rate < SHORTEST_S:
        raise DataError(f"{path} lasts {samples / rate:.3f} s; at least {SHORTEST_S} s are needed. Leave it out.")
    if loudest < 10 ** (SILENT_DBFS / 20):
        raise DataError(
            f"{path} is silent (nothing above {SILENT_DBFS:.0f} dBFS). Was the microphone on? Leave it out."
        )


def _announced_s(path: Path) -> float | None:
    """Return how many seconds of sound the file's own header announces; None where it does not say."""
    riff = _riff_seconds(path)
    if riff is not None:
        return riff
    try:
        return float(soundfile.info(os.fsencode(path)).duration)
    except (soundfile.LibsndfileError, RuntimeError, TypeError):
        pass
    with closing(av.open(f"file:{path}")) as container:
        stream = container.streams.audio[0]
        if stream.duration is not None and stream.time_base is not None:
            return float(stream.duration * stream.time_base)
        only_sound = len(container.streams) == 1 and container.duration is not None
        return container.duration / 1_000_000 if only_sound and container.duration else None


def _riff_seconds(path: Path) -> float | None:
    """Seconds announced by a WAV header; libsndfile mends the header silently, so it must be read here."""
    with path.open("rb") as file:
        head = file.read(1 << 16)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    bytes_a_second, at = 0, 12
    while at + 8 <= len(head):
        name, size = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "little")
        if name == b"fmt " and len(head) >= at + 20:
            bytes_a_second = int.from_bytes(head[at + 16 : at + 20], "little")
        if name == b"data":
            # recorders that stream write 0 or the largest number here: then nothing is announced
            return size / bytes_a_second if bytes_a_second and 0 < size < 0xFFFFFF00 else None
        at += 8 + size + size % 2
    return None


def extract_sound(video: Path, target_wav: Path) -> bool:
    """Write the sound track of a video to a WAV file of the same rate and channels.

    Args:
        video: Any file with a sound track; read piece by piece.
        target_wav: The file to write; it appears only when complete.

    Returns:
        False (and no file) if the video has no sound track.

    Raises:
        DataError: The video cannot be read at all.
    """
    parts = blocks(video, block_s=BLOCK_S)
    try:
        first = next(parts)
    except DataError as error:
        if "holds no sound" in str(error):
            return False
        raise
    _write_parts(Path(target_wav), first, parts)
    return True


def write(path: Path, signal: Signal, *, note: str = "") -> None:
    """Write a WAV file (16 bit). The file appears only when complete; what exceeds [-1, 1] is limited.

    Args:
        path: The file to write; its folder must exist.
        signal: (samples, channels).
        note: The file's own comment, for whoever finds it alone.

    Raises:
        DataError: The folder is missing, read-only or full.
    """
    _write_parts(Path(path), signal, iter(()), note)


def _write_parts(path: Path, first: Signal, rest: Iterator[Signal], note: str = "") -> None:
    handle, name = -1, ""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".wav")
        os.close(handle)
        with soundfile.SoundFile(
            os.fsencode(name), "w", round(first.rate_hz), first.values.shape[1], subtype="PCM_16", format="WAV"
        ) as file:
            if note:
                file.comment = note
            file.write(np.clip(first.values, -1, 1))
            for part in rest:
                file.write(np.clip(part.values, -1, 1))
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except (OSError, soundfile.LibsndfileError) as error:
        raise DataError(
            f"{path} cannot be written ({_reason(error)}). Is there room, and may you write there?"
        ) from error
    finally:
        if name:
            Path(name).unlink(missing_ok=True)
