"""Sound, (samples, channels) in [-1, 1]: read piece by piece, mended where it can be, checked, written, leveled."""

import itertools
import math
import os
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile
import soxr

from personare.core.atomic import replacing
from personare.core.errors import DataError, OptionError
from personare.core.types import Array, Signal
from personare.features._containers import begin_s, is_mp4, opened, played, wav_header
from personare.govern.storage import is_locked, open_plain

BLOCK_S = 30.0
SILENT_DBFS = -80.0
SHORTEST_S = 0.05
CEILING = 0.99
_CHUNK = 1 << 16  # samples handled at once
_PIECE = 4096  # samples decoded at once: small, so that little is lost where a file is damaged
_LONGEST_GAP_S = 3600.0  # more is a broken time stamp, not a pause
_JITTER_S = 0.1  # time stamps may be off by this without anybody hearing it
_LARGEST = 2.0**31  # samples are at most whole numbers of 32 bits; what is larger is damage
_UNKNOWN_FRAMES = 1 << 62  # libsndfile says more where a FLAC file says nothing
_OVER = 1.01  # beyond full scale by so much is worth a remark
_BY_FFMPEG = ("OGG", "FLAC", "AU")  # of these libsndfile drops pauses, and what is behind a wrong length


def read(path: Path, *, rate_hz: float | None = None) -> Signal:
    """Read any file's sound: surround mixed to stereo, pauses filled with silence, nothing beyond full scale."""
    parts = list(unscaled_blocks(path))
    values = np.concatenate([p.values for p in parts])
    values /= np.float32(max(1.0, float(values.max()), -float(values.min())))
    signal = Signal(values=values, rate_hz=parts[0].rate_hz)
    return signal if rate_hz is None else resample(signal, rate_hz)


def blocks(path: Path, *, block_s: float = BLOCK_S) -> Iterator[Signal]:
    """Read as :func:`read`, in consecutive pieces, the last maybe shorter, so that memory does not grow with length."""
    loudest = max(1.0, _heard(path)[2])  # decoders and floating-point files go beyond it
    for part in unscaled_blocks(path, block_s=block_s):
        yield replace(part, values=part.values / np.float32(loudest))


def unscaled_blocks(path: Path, *, block_s: float = BLOCK_S, repairs: "_Repairs | None" = None) -> Iterator[Signal]:
    """Yield as :func:`blocks`, in one pass: sound beyond full scale is not turned down yet."""
    if not block_s > 0:
        raise OptionError(f"A block must last longer than 0 seconds, {block_s} was given.")
    if not path.is_file():
        raise DataError(f"{path} does not exist or is not a file. Check the name.")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes). Copy it again from where it was recorded.")
    waiting: list[Array] = []  # the decoder hands over pieces of any length
    held, start, rate = 0, 0, 1.0
    for values, rate in _decoded(path, repairs or _Repairs()):
        size = max(1, round(block_s * rate))
        waiting.append(values)
        held += len(values)
        if held >= size:
            together = np.concatenate(waiting)
            whole = held // size * size
            for at in range(0, whole, size):
                yield Signal(values=together[at : at + size], rate_hz=rate, start_s=start / rate)
                start += size
            waiting, held = [together[whole:]], held - whole
    if held:
        yield Signal(values=np.concatenate(waiting), rate_hz=rate, start_s=start / rate)
    elif start == 0:
        raise DataError(f"{path} holds no sound (0 samples). Record or export it again.")


@dataclass
class _Repairs:
    """What had to be mended while a file was decoded."""

    notes: list[str] = field(default_factory=list)
    gaps: list[tuple[float, float]] = field(default_factory=list)  # (where, how long), seconds
    damaged_samples: int = 0
    damaged_packets: int = 0

    def sane(self, values: Array) -> Array:
        """Silence samples that are no numbers of sound."""
        if not np.abs(values).max(initial=0) < _LARGEST:  # NaN too
            bad = ~(np.abs(values) < _LARGEST)
            self.damaged_samples += int(bad.sum())
            values = np.where(bad, 0, values)
        return np.asarray(values, np.float32)


def _by_libsndfile(path: Path) -> Any:
    """Return the opened file, or None where FFmpeg reads it better: it knows time stamps, loudspeakers, lengths."""
    try:
        file = soundfile.SoundFile(_source(path))
    except (soundfile.LibsndfileError, RuntimeError, TypeError):
        return None
    header = wav_header(path)
    if file.format in _BY_FFMPEG or file.channels > 2 or (header and header.is_too_small):
        file.close()
        return None
    return file


def _source(path: Path) -> Any:
    """Return what libsndfile opens; it takes an error for the end, so a locked file is looked through before."""
    if not is_locked(path):
        return os.fsencode(path)
    file = open_plain(path)
    deque(iter(lambda: file.read(_CHUNK), b""), maxlen=0)
    file.seek(0)
    return file


def _decoded(path: Path, repairs: _Repairs) -> Iterator[tuple[Array, float]]:
    """Yield samples as the decoder hands them over, and their rate."""
    file, header = _by_libsndfile(path), wav_header(path)
    if file is not None:
        with file, suppress(soundfile.LibsndfileError):  # damaged from there on: what came before is kept
            while len(values := file.read(_PIECE, dtype="float32", always_2d=True)):
                yield repairs.sane(values), float(file.samplerate)
        return
    with ExitStack() as stack:
        try:
            options = {"ignore_length": "1"} if header and header.is_too_small else {}
            container = stack.enter_context(opened(path, options))
        except (av.FFmpegError, ValueError) as error:
            reason = (getattr(error, "strerror", None) or str(error)).strip().rstrip(".")
            raise DataError(
                f"{path} cannot be read as sound or video ({reason}). Is it a recording? Convert it to WAV or MP4."
            ) from error
        tracks = played(container, "audio")
        if not tracks:
            raise DataError(f"{path} holds no sound track that a player plays. Use it as picture only.")
        yield from _pieces(container, _audible(path, tracks, repairs), repairs)


def _audible(path: Path, tracks: list[Any], repairs: _Repairs) -> Any:
    """Return the track that a player plays, or the first of the others if that one is silent and it is not."""
    if len(tracks) == 1:
        return tracks[0]
    for track in tracks:
        with opened(path) as container:
            pieces = _pieces(container, container.streams[track.index], _Repairs())
            if any(np.abs(values).max(initial=0) >= 10 ** (SILENT_DBFS / 20) for values, _ in pieces):
                if track is not tracks[0]:
                    repairs.notes.append(
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
        repairs.notes.append(
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
    with suppress(av.FFmpegError, ValueError):  # damaged from there on: what came before is kept
        for packet in container.demux(stream):
            try:
                yield from packet.decode()
            except (av.FFmpegError, ValueError):  # the next one may be whole again
                repairs.damaged_packets += 1


def check(path: Path) -> None:
    """Decode a file to its end and say what is wrong with its sound, before anybody relies on it."""
    _, length_s, loudest = _heard(path)
    if shortfall := _shortfall(path, length_s):
        raise DataError(f"{path} {shortfall}")
    if length_s < SHORTEST_S:
        raise DataError(f"{path} lasts {length_s:.3f} s; at least {SHORTEST_S} s are needed. Leave it out.")
    if loudest < 10 ** (SILENT_DBFS / 20):
        raise DataError(
            f"{path} is silent (nothing above {SILENT_DBFS:.0f} dBFS). Was the microphone on? Leave it out."
        )


def remarks(path: Path) -> list[str]:
    """Say what of a file's sound was mended to make it usable, and what could not be."""
    repairs, length_s, loudest = _heard(path)
    notes, announced_s, header = list(repairs.notes), _announced_s(path), wav_header(path)
    late_s = sum(long_s for at_s, long_s in repairs.gaps if at_s == 0)
    pauses = [(at_s, long_s) for at_s, long_s in repairs.gaps if at_s > 0]
    if late_s > _JITTER_S:
        notes.append(f"The sound starts {late_s:.2f} s late: silence is put before it, so that it stays in time.")
    if pauses:
        notes.append(
            f"The sound pauses {len(pauses)} times, {sum(long_s for _, long_s in pauses):.2f} s in all, first at "
            f"{pauses[0][0]:.2f} s: silence is put there, so that it stays in time."
        )
    if repairs.damaged_samples:
        notes.append(f"{repairs.damaged_samples} samples of the sound are no numbers: silenced.")
    if repairs.damaged_packets:
        notes.append(f"{repairs.damaged_packets} pieces of the sound are damaged: silenced or left out.")
    longer = announced_s is not None and not repairs.gaps and length_s > 1.03 * announced_s + 0.05
    if longer or (header and header.is_too_small):
        announced = f"{announced_s:.2f} s" if announced_s else "no length"
        notes.append(f"The header of the sound announces {announced}; all of its {length_s:.2f} s are used.")
    if loudest > _OVER:
        notes.append(
            f"The sound peaks at {loudest:.4g} times full scale: all of it is turned down by "
            f"{20 * np.log10(loudest):.1f} dB, so that nothing is cut off."
        )
    shortfall = _shortfall(path, length_s)
    return [*notes, f"The sound {shortfall}"] if shortfall else notes


def _heard(path: Path) -> tuple[_Repairs, float, float]:
    """Decode a file to its end: what was mended, how many seconds there are, and the largest sample."""
    repairs, length_s, loudest = _Repairs(), 0.0, 0.0
    for block in unscaled_blocks(path, repairs=repairs):
        length_s = block.start_s + block.duration_s
        loudest = max(loudest, float(np.abs(block.values).max()))
    return repairs, length_s, loudest


def _shortfall(path: Path, present_s: float) -> str:
    announced = _announced_s(path)
    if announced is None or present_s >= 0.97 * announced - 0.05:
        return ""
    return (
        f"is cut short: it announces {announced:.2f} s of sound and holds {present_s:.2f} s. "
        "Copy it again from where it was recorded."
    )


def _announced_s(path: Path) -> float | None:
    """Return how many seconds of sound the file's own header announces; None where it does not say."""
    header = wav_header(path)
    if header is not None:
        return header.announced_s
    try:
        info = soundfile.info(_source(path))
        return float(info.duration) if info.frames < _UNKNOWN_FRAMES else None
    except (soundfile.LibsndfileError, RuntimeError, TypeError):
        pass
    with opened(path) as container:
        stream = played(container, "audio")[0]
        if len(container.streams) > 1 and not is_mp4(container):  # FFmpeg then gives the length of the longest track
            return None
        if stream.duration is not None and stream.time_base is not None:
            first = next((packet.pts for packet in container.demux(stream) if packet.pts is not None), 0)
            return float((stream.duration + min(0, first)) * stream.time_base)  # below 0 an edit list cuts off
        return container.duration / 1_000_000 if container.duration else None


def write(path: Path, signal: Signal, *, rest: Iterable[Signal] = (), note: str = "") -> None:
    """Write a WAV file (16 bit) once all of it, ``rest`` too, is there; ``note`` is the file's own comment."""
    size = {"samplerate": round(signal.rate_hz), "channels": signal.values.shape[1]}
    with replacing(path) as part:
        try:
            with soundfile.SoundFile(os.fsencode(part), "w", **size, subtype="PCM_16", format="WAV") as file:
                if note:
                    file.comment = note
                for piece in itertools.chain((signal,), rest):
                    file.write(np.clip(piece.values, -1, 1))
        except soundfile.LibsndfileError as error:
            raise OSError(error.error_string) from error


def extract_sound(video: Path, target_wav: Path) -> bool:
    """Write a film's sound to a WAV file of the same rate and channels, piece by piece; False, and no file, without."""
    parts = blocks(video)
    try:
        first = next(parts)
    except DataError as error:
        if "holds no sound" in str(error):
            return False
        raise
    write(target_wav, first, rest=parts)
    return True


def resample(signal: Signal, rate_hz: float) -> Signal:
    """Return the sound at another number of samples a second (soxr, high quality)."""
    if not rate_hz > 0:
        raise OptionError(f"A rate must be above 0 Hz, {rate_hz} was given.")
    if rate_hz == signal.rate_hz:
        return signal
    size = math.ceil(len(signal.values) * rate_hz / signal.rate_hz)
    values = soxr.resample(np.asarray(signal.values, np.float32), signal.rate_hz, rate_hz)
    values = np.pad(values[:size], ((0, max(0, size - len(values))), (0, 0)))
    return Signal(values=values, rate_hz=rate_hz, start_s=signal.start_s)


def mono(signal: Signal) -> Signal:
    """Return the channels as one, (samples, 1), as :func:`downmix` does."""
    return replace(signal, values=downmix(np.asarray(signal.values, np.float32)))


def downmix(values: Array) -> Array:
    """Return channels (N, C) as one (N, 1), their mean; of many, as loud as the loudest, which may hold all speech."""
    mean = np.asarray(values.mean(axis=1, keepdims=True))
    power = [float(np.square(part, dtype=np.float64).sum(axis=0).max(initial=0)) for part in (values, mean)]
    if values.shape[1] <= 2 or not power[1]:
        return mean
    mean *= min(values.shape[1], (power[0] / power[1]) ** 0.5)
    return np.asarray(mean / max(1.0, float(np.abs(mean).max())))


def match_loudness(signal: Signal, like: Signal) -> Signal:
    """Return the sound with another's effective level (RMS), smoothly limited to 0.99; silence if either is silent."""
    wanted, values = _rms(like.values), np.array(signal.values, np.float32)
    if wanted < 10 ** (SILENT_DBFS / 20) or _rms(values) == 0:
        return replace(signal, values=np.zeros_like(signal.values))
    for _ in range(3):  # the limiter takes a little away, so the level is set again
        gain = wanted / _rms(values)
        if abs(20 * np.log10(gain)) < 0.01:
            break
        values *= np.float32(gain)
        values = _limited(values, max(1, round(0.001 * signal.rate_hz)))
    return replace(signal, values=np.asarray(values, np.float32))


def _rms(values: Array) -> float:
    power = sum(np.square(values[at : at + _CHUNK], dtype=np.float64).sum() for at in range(0, len(values), _CHUNK))
    return float(np.sqrt(power / max(1, values.size)))


def _limited(values: Array, step: int) -> Array:
    """Lower the gain around peaks in place, smoothly over some milliseconds.

    The gain is set every millisecond (``step`` samples) and drawn as straight lines between. It is the mean of local
    minima over a shorter reach than theirs, so no sample gets more than it can bear.
    """
    parts = []
    for at in range(0, len(values), step * _CHUNK):
        peak = np.abs(values[at : at + step * _CHUNK]).max(axis=1)
        parts.append(np.pad(peak, (0, -len(peak) % step)).reshape(-1, step).max(axis=1))
    loudest = np.concatenate(parts)  # (milliseconds,)
    if loudest.max() <= CEILING:
        return values
    needed = np.minimum(1.0, CEILING / np.maximum(loudest, CEILING))
    from scipy.ndimage import minimum_filter1d, uniform_filter1d  # a film without sound need not wait for it

    knots = uniform_filter1d(minimum_filter1d(needed, 13, mode="nearest"), 11, mode="nearest")
    middles = (np.arange(len(loudest)) + 0.5) * step
    for at in range(0, len(values), _CHUNK):  # in place, so that an hour needs little more than itself
        part = values[at : at + _CHUNK]
        part *= np.interp(np.arange(at, at + len(part)), middles, knots)[:, None].astype(np.float32)
        np.clip(part, -CEILING, CEILING, out=part)
    return values
