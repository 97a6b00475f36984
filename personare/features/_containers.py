"""What a player takes out of a container: which tracks, from when on, how much of the picture; how long a WAV is."""

import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from os import SEEK_END
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, NamedTuple

import av
import numpy as np

from personare.core.types import Array
from personare.govern.storage import is_locked, open_plain

_DEFAULT = av.stream.Disposition.default
_COVER = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
_ENTRY = 78  # bytes of an MP4 sample entry for pictures before the boxes inside it
_HEAD = 1 << 22  # Matroska describes its tracks here, before the first picture
_EBML_VIDEO = (0x18538067, 0x1654AE6B, 0xAE, 0xE0)  # segment, tracks, track, its picture
_EBML_CROPS = {0x54BB: "top", 0x54AA: "bottom", 0x54CC: "left", 0x54DD: "right"}
_UNKNOWN_SIZE = 0x7FFFF000  # what streaming recorders write instead of a length is at least this, or 0
_PADDING_S = 0.1  # so little behind the sound may be anything


class Crop(NamedTuple):
    """Rows and columns that a player cuts off before it turns the picture."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0


@contextmanager
def opened(path: Path, options: Mapping[str, str] = MappingProxyType({})) -> Iterator[Any]:
    """Open a sound or a film; of a locked one only what FFmpeg asks for is decrypted, in memory."""
    # FFmpeg takes a name such as a:b.mp4 for a protocol, and would look up http:x.mp4 elsewhere
    with (
        open_plain(path) if is_locked(path) else nullcontext(f"file:{path}") as source,
        av.open(source, options=dict(options)) as container,
    ):
        yield container


def played(container: Any, kind: str) -> list[Any]:
    """Return the tracks of a kind that a player offers, the played one first; no covers, none that are switched off."""
    there = getattr(container.streams, kind)
    streams = [s for s in there if s.codec_context is not None and not s.disposition & _COVER]
    enabled = [s for s in streams if s.disposition & _DEFAULT]
    others = (*container.streams.video, *container.streams.audio)
    if not enabled and is_mp4(container) and any(s.disposition & _DEFAULT for s in others):
        return []
    return enabled + [s for s in streams if s not in enabled]


def begin_s(container: Any) -> float:
    """Return the time stamp at which a player begins: in MP4 and MOV never before 0, where edit lists cut."""
    start_s = (container.start_time or 0) / 1e6
    return max(0.0, start_s) if is_mp4(container) else start_s


def is_mp4(container: Any) -> bool:
    """Whether a container is of the family of MP4 and MOV, with edit lists and switches."""
    return "mp4" in container.format.name.split(",")


def crop_of(path: Path, container: Any, stream: Any, width: int, height: int) -> Crop:
    """Return what the container itself cuts off the decoded picture of a track, beyond what its codec does.

    **Source**: ISO/IEC 14496-12, clean aperture (``clap``); RFC 9559, ``PixelCrop*``.
    """
    crop = Crop()
    if is_mp4(container):
        aperture = next((c for i, c in _clean_apertures(_description(path)) if i == stream.id), None)
        if aperture:  # eight numbers, four fractions; of a row or column that is cut in part all is cut off
            wide, high, right, down = (n / d if d else 0.0 for n, d in zip(aperture[::2], aperture[1::2], strict=True))
            left, top = (width - wide) / 2 + right, (height - high) / 2 + down
            edges = (-(-top // 1), -(-(height - top - high) // 1), -(-left // 1), -(-(width - left - wide) // 1))
            crop = Crop(*map(int, edges))
    elif "matroska" in container.format.name:
        with open_plain(path) as file:
            pictures = list(_inside(_elements, file.read(_HEAD), *_EBML_VIDEO))
        number = container.streams.video.index(stream)
        inner = pictures[number] if number < len(pictures) else b""
        crop = Crop(**{_EBML_CROPS[n]: int.from_bytes(v, "big") for n, v in _elements(inner) if n in _EBML_CROPS})
    fits = min(crop) >= 0 and crop.top + crop.bottom < height and crop.left + crop.right < width
    return crop if fits else Crop()


def _description(path: Path) -> Array:
    """Return what an MP4 or MOV file says of its tracks; its pictures are skipped, not read."""
    with open_plain(path) as file:
        end = file.seek(0, SEEK_END)
        at = 0
        while at + 8 <= end:
            file.seek(at)
            name, used, size = _box(file.read(16), end - at)
            if size < used:
                break
            if name == b"moov":
                file.seek(at)
                return np.frombuffer(file.read(size), np.uint8)
            at += size
    return np.empty(0, np.uint8)


def _clean_apertures(content: Array) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield track id and clean aperture of each track of an MP4 or MOV file that has one."""
    for track in _inside(_boxes, content, b"moov", b"trak"):
        header = next(_inside(_boxes, track, b"tkhd"), np.empty(0, np.uint8)).tobytes()
        at = 20 if header[:1] == b"\1" else 12
        for table in _inside(_boxes, track, b"mdia", b"minf", b"stbl", b"stsd"):
            for _, entry in _boxes(table[8:]):
                for aperture in _inside(_boxes, entry[_ENTRY:], b"clap"):
                    if len(aperture) >= 32 and len(header) >= at + 4:
                        numbers = struct.unpack(">IIIIiIiI", aperture[:32].tobytes())
                        yield struct.unpack_from(">I", header, at)[0], numbers


def _inside(parts: Callable[[Any], Iterator[tuple[Any, Any]]], content: Any, *names: Any) -> Iterator[Any]:
    """Yield what lies at a path of names in boxes within boxes, whose names and contents ``parts`` yields."""
    for name, inner in parts(content):
        if name == names[0]:
            yield from _inside(parts, inner, *names[1:]) if names[1:] else [inner]


def _boxes(content: Array) -> Iterator[tuple[bytes, Array]]:
    at = 0
    while at + 8 <= len(content):
        name, used, size = _box(content[at : at + 16].tobytes(), len(content) - at)
        if size < used:
            return
        yield name, content[at + used : at + size]
        at += size


def _box(head: bytes, left: int) -> tuple[bytes, int, int]:
    """Return a box's name, the length of its head and its size, of the ``left`` bytes that follow."""
    size, used = int.from_bytes(head[:4], "big"), 8
    if size == 1:  # above 4 GB
        size, used = int.from_bytes(head[8:], "big"), 16
    return head[4:8], used, size or left


def _elements(content: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 2 <= len(content) and content[at]:
        start = at + 9 - content[at].bit_length()  # the first bit that is set tells how long a number is
        name, at = int.from_bytes(content[at:start], "big"), start
        if at >= len(content) or not content[at]:
            return
        length = 9 - content[at].bit_length()
        size = int.from_bytes(content[at : at + length], "big") & (1 << 7 * length) - 1
        unknown, at = size == (1 << 7 * length) - 1, at + length
        end = len(content) if unknown else at + size
        yield name, content[at:end]
        at = end


class WavHeader(NamedTuple):
    """What a WAV file announces; libsndfile believes it, so it must be read here."""

    announced_s: float | None  # None where a recorder that streamed did not know
    is_too_small: bool  # whether more sound follows than is announced


def wav_header(path: Path) -> WavHeader | None:
    """Return the header of a WAV file; None for any other file."""
    bytes_a_second = 0
    with open_plain(path) as file:
        size = file.seek(0, SEEK_END)
        file.seek(0)
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return None
        while len(head := file.read(8)) == 8:
            length, at = int.from_bytes(head[4:], "little"), file.tell()
            if head[:4] == b"data":
                present = size - at
                if _are_chunks(file, at + length + length % 2, size):
                    present = min(length, present)
                unknown = not length or length >= _UNKNOWN_SIZE > present or not bytes_a_second
                return WavHeader(
                    announced_s=None if unknown else length / bytes_a_second,
                    is_too_small=present - length > _PADDING_S * bytes_a_second > 0,
                )
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
