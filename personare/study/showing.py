"""What is shown of a recording to people: players of its files, pictures of its signals, words, a history's visits."""

import base64
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from personare.core.errors import DataError
from personare.core.types import Array, Recording
from personare.data.visit_codes import GAPS_DAYS
from personare.features import audio
from personare.features.tracks import Track, read_track
from personare.features.visits import VisitColumns, summarize_visits

PLAYED = {".wav": "audio", ".mp4": "video"}
"""What a browser plays of a release, by suffix."""

_LINES, _POINTS = 4, 400  # of a signal that are drawn, and of each


def shown_items(root: Path, recording: Recording) -> Iterator[Mapping[str, Any]]:
    """Yield players of a recording's files, pictures of its signals, texts and visits."""
    for track, relative in sorted(recording.tracks.items()):
        path = root / relative
        if kind := PLAYED.get(path.suffix):
            if track != "audio" or "video" not in recording.tracks:  # a film carries its sound
                yield {"kind": kind, "track": track, "source": relative}
            continue
        try:
            read = read_track(path, picture=96)
        except DataError:
            continue  # nothing that a picture could be made of
        values = np.asarray(read.values)
        if read.kind == "text":
            yield {"kind": "text", "text": str(read.values)}
        elif track == "visits":
            yield {"kind": "visits", "visits": _visits(values, VisitColumns(names=read.columns))}
        elif read.kind in ("spectrogram", "picture"):
            if read.kind == "spectrogram":
                levels = cv2.normalize(values, np.empty(0), 0, 255, cv2.NORM_MINMAX, cv2.CV_8U)
                image = cv2.applyColorMap(np.ascontiguousarray(levels[::-1]), cv2.COLORMAP_MAGMA)
            else:
                image = np.ascontiguousarray(values.transpose(1, 2, 0)[..., ::-1])
            png = base64.b64encode(cv2.imencode(".png", image)[1].tobytes()).decode()
            yield {"kind": "image", "track": track, "source": f"data:image/png;base64,{png}"}
        else:
            seconds = len(values) / read.rate_hz if read.kind == "signal" and read.rate_hz else 0.0
            lines = _lines(values, read)
            yield {"kind": "lines", "track": track, "lines": lines, "seconds": seconds, "start": read.start_s}


def waves(root: Path, recording: Recording) -> Iterator[Mapping[str, Any]]:
    """Yield the waveforms of a recording's sound as paths in a box of 400 by 100, and its seconds."""
    for track in ("audio", "video"):
        if Path(recording.tracks.get(track, "")).suffix not in PLAYED:
            continue
        with suppress(DataError):  # a film without sound
            sound = audio.mono(audio.read(root / recording.tracks[track]))
            values, count = sound.values[:, 0], min(_POINTS, len(sound.values))
            starts = np.arange(count) * len(values) // count
            ends = zip(np.maximum.reduceat(values, starts), np.minimum.reduceat(values, starts), strict=True)
            path = "".join(
                f"M{400 * (n + 0.5) / count:.1f} {50 - 48 * a:.1f}V{50 - 48 * b:.1f}" for n, (a, b) in enumerate(ends)
            )
            yield {"kind": "wave", "track": track, "path": path, "seconds": sound.duration_s}
            return


def _visits(rows: Array, columns: VisitColumns) -> list[dict[str, object]]:
    """Return a history in words, with the day of each visit, about, as its time since the one before tells."""
    starts = [*GAPS_DAYS.values(), 2 * max(GAPS_DAYS.values())]
    middle = {name.replace("_", " "): sum(starts[n : n + 2]) / 2 for n, name in enumerate(GAPS_DAYS)}
    visits, day = summarize_visits(rows, columns), 0.0
    for visit in visits:
        day += middle.get(str(visit["after"]), 0.0)
        visit["day"] = round(day)
    return visits


def _lines(values: Array, track: Track) -> list[dict[str, str]]:
    """Return a signal's first columns, or a table's values, as paths in a box of 400 by 100."""
    if track.kind != "signal":
        # Values of different units at one height each: sign and order of size can be seen.
        numbers = np.nan_to_num(values)  # what a recording has no value of stands at 0
        heights = np.sign(numbers) * np.log1p(np.abs(numbers))
        heights = heights / max(float(np.abs(heights).max()), 1e-9) * 46
        bars = "".join(f"M{400 * (i + 0.5) / len(values):.1f} 50v{-v:.1f}" for i, v in enumerate(heights))
        return [{"path": bars, "words": f"{len(values)} values", "width": f"{max(360 / len(values), 0.5):.2f}"}]
    lines = []
    seconds = f"{len(values) / track.rate_hz:.3g} s" if track.rate_hz else f"{len(values)} steps"
    for n, column in enumerate(values.T[:_LINES]):
        name, path, words = track.columns[n] if track.columns else f"{n + 1}", "", "nothing"
        finite = np.flatnonzero(np.isfinite(column))
        if len(finite):
            low, high = float(column[finite].min()), float(column[finite].max())
            finite = finite[:: max(1, len(finite) // _POINTS)]
            heights = 96 - 92 * (column[finite] - low) / max(high - low, 1e-9)
            points = [f"{400 * at / len(column):.1f},{y:.1f}" for at, y in zip(finite, heights, strict=True)]
            path, words = f"M{' '.join(points)}", f"{low:.3g} to {high:.3g} in {seconds}"
        lines.append({"path": path, "words": f"{name}: {words}", "width": "1.2"})
    return lines
