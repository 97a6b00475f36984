"""Sound files: decode any of them piece by piece, check them, and write WAV files that appear only when complete.

What is wrong with a file but can be mended is mended, and :func:`remarks` says so.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import av
import numpy as np
import soundfile

from personare.core.errors import DataError, OptionError
from personare.core.types import Array, Signal
from personare.features._containers import begin_s, is_mp4, played

__all__ = [
    "BLOCK_S",
    "SILENT_DBFS",
    "blocks",
    "check",
    "downmix",
    "extract_sound",
    "remarks",
    "unscaled_blocks",
    "write",
]

BLOCK_S = 30.0
SILENT_DBFS = -80.0
SHORTEST_S = 0.05
_PIECE = 4096  # samples decoded at once: small, so that little is lost where a file is damaged
_LONGEST_GAP_S = 3600.0  # more is a broken time stamp, not a pause
_JITTER_S = 0.1  # time stamps may be off by this without anybody hearing it
_LARGEST = 2.0**31  # samples are at most whole numbers of 32 bits; what is larger is damage
_UNKNOWN_SIZE = 0x7FFFF000  # what streaming recorders write instead of a length is at least this, or 0
_UNKNOWN_FRAMES = 1 << 62  # libsndfile says more where a FLAC file says nothing
_OVER = 1.01  # beyond full scale by so much is worth a remark
_PADDING_S = 0.1  # so little behind the sound may be anything
_BY_FFMPEG = ("OGG", "FLAC", "AU")  # of these libsndfile drops pauses, and what is behind a wrong length


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
    loudest = max(1.0, _peak(path))
    for part in unscaled_blocks(path, block_s=block_s):
        yield replace(part, values=part.values / np.float32(loudest))


def unscaled_blocks(path: Path, *, block_s: float) -> Iterator[Signal]:
    """Yield as :func:`blocks`, in one pass: sound beyond full scale is not turned down yet."""
    if not block_s > 0:
        raise OptionError(f"A block must last longer than 0 seconds, {block_s} was given.")
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path} does not exist or is not a file. Check the name.")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes). Copy it again from where it was recorded.")
    start = 0
    for values, rate in _regular(_decoded(path, _Repairs()), block_s):
        yield Signal(values=values, rate_hz=rate, start_s=start / rate)
        start += len(values)
    if start == 0:
        raise DataError(f"{path} holds no sound (0 samples). Record or export it again.")


@dataclass
class _Repairs:
    """What had to be mended while a file was decoded."""

    said: list[str] = field(default_factory=list)
    gaps: list[tuple[float, float]] = field(default_factory=list)  # (where, how long), seconds
    damaged_samples: int = 0
    damaged_packets: int = 0

    def sentences(self) -> list[str]:
        """Return what was mended, for people."""
        said = list(self.said)
        late_s = sum(long for where, long in self.gaps if where == 0)
        pauses = [(where, long) for where, long in self.gaps if where > 0]
        if late_s > _JITTER_S:
            said.append(f"The sound starts {late_s:.2f} s late: silence is put before it, so that it stays in time.")
        if pauses:
            said.append(
                f"The sound pauses {len(pauses)} times, {sum(long for _, long in pauses):.2f} s in all, first at "
                f"{pauses[0][0]:.2f} s: silence is put there, so that it stays in time."
            )
        if self.damaged_samples:
            said.append(f"{self.damaged_samples} samples of the sound are no numbers: silenced.")
        if self.damaged_packets:
            said.append(f"{self.damaged_packets} pieces of the sound are damaged: silenced or left out.")
        return said

    def sane(self, values: Array) -> Array:
        """Silence samples that are no numbers of sound."""
        if not np.abs(values).max(initial=0) < _LARGEST:  # NaN too
            bad = ~(np.abs(values) < _LARGEST)
            self.damaged_samples += int(bad.sum())
            values = np.where(bad, 0, values)
        return np.asarray(values, np.float32)


def _peak(path: Path) -> float:
    """Return the largest sample: decoders and floating-point files go beyond 1, integers cannot."""
    file = _by_libsndfile(path) if path.is_file() else None
    if file is not None:
        with file:
            if file.subtype not in ("FLOAT", "DOUBLE", "MPEG_LAYER_III"):
                return 1.0
    return max(float(np.abs(part.values).max()) for part in unscaled_blocks(path, block_s=BLOCK_S))


def _by_libsndfile(path: Path) -> Any:
    """Return the opened file, or None where FFmpeg reads it better: it knows time stamps, loudspeakers, lengths."""
    try:
        file = soundfile.SoundFile(os.fsencode(path))
    except (soundfile.LibsndfileError, RuntimeError, TypeError):
        return None
    header = _wav_header(path)
    if file.format in _BY_FFMPEG or file.channels > 2 or (header and header.is_too_small()):
        file.close()
        return None
    return file


def _decoded(path: Path, repairs: _Repairs) -> Iterator[tuple[Array, float]]:
    file = _by_libsndfile(path)
    if file is None:
        yield from _decoded_by_ffmpeg(path, repairs)
        return
    with file:
        while True:
            try:
                values = file.read(_PIECE, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError:  # damaged from here on: keep what came before
                return
            if len(values) == 0:
                return
            yield repairs.sane(values), float(file.samplerate)


def _decoded_by_ffmpeg(path: Path, repairs: _Repairs) -> Iterator[tuple[Array, float]]:
    header = _wav_header(path)
    too_small = header is not None and header.is_too_small()
    try:
        container: Any = av.open(f"file:{path}", options={"ignore_length": "1"} if too_small else {})
    except (av.FFmpegError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read as sound or video ({_reason(error)}). Is it a recording? Convert it to WAV or MP4."
        ) from error
    with closing(container):
        tracks = played(container, "audio")
        if not tracks:
            raise DataError(f"{path} holds no sound track that a player plays. Use it as picture only.")
        stream = _audible(path, tracks, repairs)
        yield from _pieces(container, stream, repairs)


def _audible(path: Path, tracks: list[Any], repairs: _Repairs) -> Any:
    """Return the track that a player plays, or the first of the others if that one is silent and it is not."""
    if len(tracks) == 1:
        return tracks[0]
    for track in tracks:
        with closing(av.open(f"file:{path}")) as container:
            pieces = _pieces(container, container.streams[track.index], _Repairs())
            if any(np.abs(values).max(initial=0) >= 10 ** (SILENT_DBFS / 20) for values, _ in pieces):
                if track is not tracks[0]:
                    repairs.said.append(
                        f"The sound track that plays first is silent: another one (stream {track.index}) is used."
                    )
                return track
    return tracks[0]


def _pieces(container: Any, stream: Any, repairs: _Repairs) -> Iterator[tuple[Array, float]]:
    """Decode a track; where its time stamps pause there is silence, so that sound stays with picture."""
    rate, layout = stream.codec_context.sample_rate, stream.codec_context.layout
    surround = layout.nb_channels > 2 and any(channel.name == "FL" for channel in layout.channels)
    resampler = av.AudioResampler(format="flt", layout="stereo" if surround else None, rate=rate)
    if surround:
        repairs.said.append(
            f"The sound has {layout.nb_channels} channels ({layout.name}): mixed to stereo, as loud as before."
        )
    begin, done = Fraction(begin_s(container)), 0
    for frame in _audio_frames(container, stream, repairs):
        at = done if frame.pts is None else round((frame.pts * frame.time_base - begin) * rate)
        pause, early = at - done, max(0, -at) if not done else 0  # before the beginning: cut off by an edit list
        if pause > _LONGEST_GAP_S * rate:
            begin += Fraction(pause, rate)
        elif pause > (_JITTER_S if done else 0.001) * rate:
            repairs.gaps.append((done / rate, pause / rate))
            channels = 2 if surround else layout.nb_channels
            for _ in range(0, pause, rate):
                yield np.zeros((min(rate, at - done), channels), np.float32), float(rate)
                done += min(rate, at - done)
        for part in resampler.resample(frame):
            values = part.to_ndarray().reshape(part.samples, -1)[early:]
            early, done = max(0, early - part.samples), done + len(values)
            yield repairs.sane(values), float(rate)


def _audio_frames(container: Any, stream: Any, repairs: _Repairs) -> Iterator[Any]:
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except (av.FFmpegError, ValueError):  # damaged from here on: keep what came before
            return
        if packet is None:
            return
        try:
            yield from packet.decode()
        except (av.FFmpegError, ValueError):  # the next one may be whole again
            repairs.damaged_packets += 1


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).strip().rstrip(".")


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
    for shortfall in _shortfall(Path(path), samples / rate):
        raise DataError(f"{path} {shortfall}")
    if samples / rate < SHORTEST_S:
        raise DataError(f"{path} lasts {samples / rate:.3f} s; at least {SHORTEST_S} s are needed. Leave it out.")
    if loudest < 10 ** (SILENT_DBFS / 20):
        raise DataError(
            f"{path} is silent (nothing above {SILENT_DBFS:.0f} dBFS). Was the microphone on? Leave it out."
        )


def remarks(path: Path) -> list[str]:
    """Say what of a file's sound was mended to make it usable, and what could not be; nothing where it is as it should.

    Raises:
        DataError: The sound cannot be read at all.
    """
    repairs, samples, loudest, rate_hz = _Repairs(), 0, 0.0, 1.0
    for values, rate in _decoded(path, repairs):
        samples, loudest, rate_hz = samples + len(values), max(loudest, float(np.abs(values).max(initial=0))), rate
    said, length_s, announced_s, header = repairs.sentences(), samples / rate_hz, _announced_s(path), _wav_header(path)
    longer = announced_s is not None and not repairs.gaps and length_s > 1.03 * announced_s + 0.05
    if longer or (header is not None and header.is_too_small()):
        announced = f"{announced_s:.2f} s" if announced_s else "no length"
        said.append(f"The header of the sound announces {announced}; all of its {length_s:.2f} s are used.")
    if loudest > _OVER:
        said.append(
            f"The sound peaks at {loudest:.4g} times full scale: all of it is turned down by "
            f"{20 * np.log10(loudest):.1f} dB, so that nothing is cut off."
        )
    return [*said, *(f"The sound {shortfall}" for shortfall in _shortfall(path, length_s))]


def _shortfall(path: Path, present_s: float) -> list[str]:
    announced = _announced_s(path)
    if announced is None or present_s >= 0.97 * announced - 0.05:
        return []
    return [
        f"is cut short: it announces {announced:.2f} s of sound and holds {present_s:.2f} s. "
        "Copy it again from where it was recorded."
    ]


def _announced_s(path: Path) -> float | None:
    """Return how many seconds of sound the file's own header announces; None where it does not say."""
    header = _wav_header(path)
    if header is not None:
        return header.announced_s
    try:
        info = soundfile.info(os.fsencode(path))
        return float(info.duration) if info.frames < _UNKNOWN_FRAMES else None
    except (soundfile.LibsndfileError, RuntimeError, TypeError):
        pass
    with closing(av.open(f"file:{path}")) as container:
        stream = played(container, "audio")[0]
        if len(container.streams) > 1 and not is_mp4(container):  # FFmpeg then gives the length of the longest track
            return None
        if stream.duration is not None and stream.time_base is not None:
            first = next((packet.pts for packet in container.demux(stream) if packet.pts is not None), 0)
            return float((stream.duration + min(0, first)) * stream.time_base)  # below 0 an edit list cuts off
        return container.duration / 1_000_000 if container.duration else None


class _WavHeader(NamedTuple):
    """What a WAV file announces and what it holds; libsndfile believes it, so it must be read here."""

    announced: int
    present: int
    bytes_a_second: int

    @property
    def announced_s(self) -> float | None:
        """Seconds; None where a recorder that streamed did not know them."""
        unknown = self.announced == 0 or self.announced >= _UNKNOWN_SIZE > self.present
        return None if unknown or not self.bytes_a_second else self.announced / self.bytes_a_second

    def is_too_small(self) -> bool:
        """Whether more sound follows than is announced."""
        return self.present - self.announced > _PADDING_S * self.bytes_a_second > 0


def _wav_header(path: Path) -> _WavHeader | None:
    size, bytes_a_second = path.stat().st_size, 0
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return None
        while len(head := file.read(8)) == 8:
            length, at = int.from_bytes(head[4:], "little"), file.tell()
            if head[:4] == b"data":
                rest = size - at
                present = length if _are_chunks(file, at + length + length % 2, size) else rest
                return _WavHeader(length, min(present, rest), bytes_a_second)
            if head[:4] == b"fmt ":
                bytes_a_second = int.from_bytes(file.read(12)[8:], "little")
            file.seek(at + length + length % 2)
    return None


def _are_chunks(file: BinaryIO, at: int, end: int) -> bool:
    """Whether a file goes on with whole chunks from here to its end; sound looks otherwise."""
    while at + 8 <= end:
        file.seek(at)
        head = file.read(8)
        if not all(32 <= letter < 127 for letter in head[:4]):
            return False
        length = int.from_bytes(head[4:], "little")
        at += 8 + length + length % 2
    return at <= end + 1


def downmix(values: Array) -> Array:
    """Return channels (N, C) as one (N, 1), their mean; of more than two, as loud as the loudest of them.

    Of many microphones or loudspeakers one often holds all the speech; a mean alone would make it quieter by 20 log C
    dB.

    Example:
        >>> downmix(np.array([[0.0, 0.6, 0.0], [0.0, -0.6, 0.0]])).tolist()
        [[0.6], [-0.6]]
    """
    mean = np.asarray(values.mean(axis=1, keepdims=True))
    power = [float(np.square(part, dtype=np.float64).sum(axis=0).max(initial=0)) for part in (values, mean)]
    if values.shape[1] <= 2 or not power[1]:
        return mean
    mean *= min(values.shape[1], (power[0] / power[1]) ** 0.5)
    return np.asarray(mean / max(1.0, float(np.abs(mean).max())))


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
