"""A piece of a sound or a film as a file of its own: sound cut by samples, film by frames."""

from pathlib import Path

import numpy as np

from personare.core.errors import DataError
from personare.core.types import Signal
from personare.data.media import track_of
from personare.features import audio, video
from personare.features.audio_files import BLOCK_S

__all__ = ["cut"]

_LATE_S = 1.0  # people round the end of a file up to a whole second
_OUTSIDE = "{} ends before this piece does. Correct its start and end."
_QUALITY = 17  # H.264 rate factor: the cut is drawn anew and should not be seen to be


def cut(source: Path, target: Path, start_s: float, end_s: float) -> bool:
    """Write the piece of a recording from ``start_s`` up to, not including, ``end_s``; the source stays as it is.

    **Guarantee**: pieces that touch share no sample and no frame, and together they hold all of both.

    Args:
        source: A sound or a film.
        target: ``.wav`` for the sound alone, ``.mp4`` for the film with its sound.
        start_s: Seconds from the start of the file.
        end_s: Seconds from the start of the file.

    Returns:
        False, and no file, if the sound of a film without sound is asked for.

    Raises:
        DataError: The piece lies outside of the file, or the file cannot be decoded or written.
    """
    film = video.probe(source) if track_of(source.name) == "video" else None
    sound = _sound(source, start_s, end_s) if film is None or film.has_sound else None
    if film is None and sound is None:
        raise DataError(_OUTSIDE.format(source.name))
    if film is not None and target.suffix != ".wav":
        _film(source, target, (start_s, end_s), film, sound)
        return True
    if sound is not None:
        audio.write(target, sound)
    return sound is not None


def _film(source: Path, target: Path, span_s: tuple[float, float], film: video.VideoInfo, sound: Signal | None) -> None:
    start_s, end_s = span_s
    frames, last_s = 0, 0.0
    with video.VideoWriter(
        target,
        width=film.width,
        height=film.height,
        rate_hz=film.rate_hz,
        pixel_aspect=film.pixel_aspect,
        crf=_QUALITY,
    ) as writer:
        if sound is not None:
            writer.write_sound(sound)
        for _, last_s, image in video.read(source):
            if last_s >= end_s:
                break
            if last_s >= start_s:
                writer.write(image, time_s=last_s - start_s)
                frames += 1
        if not frames or end_s > last_s + 1 / film.rate_hz + _LATE_S:
            raise DataError(_OUTSIDE.format(source.name))


def _sound(source: Path, start_s: float, end_s: float) -> Signal | None:
    """Return the piece of a sound; None if the sound ends clearly before the piece does."""
    parts, rate_hz, length_s = [], 1.0, 0.0
    for block in audio.blocks(source, block_s=BLOCK_S):
        rate_hz, offset = block.rate_hz, round(block.start_s * block.rate_hz)
        first, last = (max(0, round(at_s * rate_hz) - offset) for at_s in (start_s, end_s))
        parts.append(block.values[first:last])
        length_s = block.start_s + len(block.values) / rate_hz
        if length_s >= end_s:
            break
    values = np.concatenate(parts)
    return Signal(values=values, rate_hz=rate_hz) if len(values) and end_s <= length_s + _LATE_S else None
