"""Made-up arrays become files of a recording: numbers as they were, and what can be seen and heard of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from personare.core.atomic import write_json
from personare.core.errors import DataError
from personare.core.randomness import generator
from personare.core.types import Array, Batch
from personare.features import audio
from personare.features.face_animation import FILM_HZ, course_of, film_course, knows_face, rest_of
from personare.features.tracks import TrackForm, write_track
from personare.features.voicing import voiced
from personare.features.watermark import embed_watermark

_EXPRESSION = "expression"  # the track of the statistics that a film was drawn from
_TABLE = TrackForm(kind="table", suffix=".npy")
_BANDS = (64, 128)  # of a spectrogram of which sound can be made
_MUTE_S = 4.0  # how long a film without sound is


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """How the recordings of a made-up cohort are written."""

    forms: Mapping[str, TrackForm]  # what the files of each modality are like
    voice: str  # the modality that is heard; empty: none
    face: str  # the modality that is shown by the drawn face; empty: none
    rest: Array  # (52,), where the group's faces rest
    note: Mapping[str, Any]  # said by every file of itself; see features/marks.py
    watermark: bool = False  # whether what is heard carries one

    @property
    def suffixes(self) -> dict[str, str]:
        """The suffix of every track that a recording may get."""
        suffixes = {name: form.suffix for name, form in self.forms.items() if form.kind not in ("sound", "film")}
        if self.face and self.forms[self.face].kind == "film":
            suffixes[_EXPRESSION] = _TABLE.suffix
        return suffixes | ({"video": ".mp4"} if self.face else {}) | ({"audio": ".wav"} if self.voice else {})


def rendering_of(
    batch: Batch,
    forms: Mapping[str, TrackForm],
    *,
    note: Mapping[str, Any],
    media: bool = True,
    watermark: bool = False,
) -> Rendering:
    """Choose what is heard and what is seen of a made-up cohort.

    Without ``media``, only what takes no sound and no film for a file of its own.
    """
    voices = [name for name, form in forms.items() if form.kind == "sound"]
    faces = [name for name, form in forms.items() if form.kind == "film"]
    if media:
        shapes = {name: values.shape[1:] for name, values in batch.arrays.items()}
        bands = [name for name, shape in shapes.items() if len(shape) == 3 and shape[0] == 1 and shape[1] in _BANDS]
        voices = voices or bands
        faces = faces or [name for name, columns in batch.columns.items() if knows_face(columns)]
    voice, face = (names[0] if names else "" for names in (voices, faces))
    rest = rest_of(batch.arrays[face], batch.columns[face]) if face else np.zeros(52)
    return Rendering(forms=forms, voice=voice, face=face, rest=rest, note=note, watermark=watermark)


def write_recording(how: Rendering, seed: int, made: tuple[Batch, Mapping[str, Path]]) -> tuple[list[str], list[str]]:
    """Write one made-up recording, a batch of it alone, and each track where it goes; runs in a worker.

    Returned are the tracks that were written, and a sentence for each that could not be. All that is random follows
    from the seed.
    """
    row, paths = made
    comment = json.dumps(dict(how.note))
    there = [name for name in row.arrays if row.present[name][0]]
    tracks: list[str] = []
    problems: list[str] = []
    for name in there:
        form, track, values = how.forms[name], name, row.arrays[name][0]
        if form.kind == "sound":  # it is made below
            continue
        if form.kind == "film":
            form, track = _TABLE, _EXPRESSION
        write_track(paths[track], _ended(values), form, columns=row.columns.get(name, ()), note=how.note)
        tracks.append(track)
    rng = generator(seed, row.ids[0], "media")
    voice = None
    if how.voice in there:
        path = paths["audio"]
        try:
            voice = voiced(row.arrays[how.voice][0, 0], rng=rng)  # (F, T)
            voice = embed_watermark(voice) if how.watermark else voice
            audio.write(path, voice, note=comment)
            audio.check(path)
        except DataError as error:  # a generator may make silence; that is a recording without sound
            voice = None
            path.unlink(missing_ok=True)
            problems.append(str(error).replace(str(path.parent), "").lstrip("/"))
        else:
            about = {"SamplingFrequency": int(voice.rate_hz), "Channels": 1, "Duration": round(voice.duration_s, 4)}
            write_json(path.with_suffix(".json"), about | dict(how.note))
            tracks.append("audio")
    if how.face in there:
        path = paths["video"]
        values, columns = _ended(row.arrays[how.face][0]), row.columns[how.face]
        rate = float(how.forms[how.face].about.get("SamplingFrequency") or 0)
        mute_s = len(values) / rate if values.ndim == 2 and rate > 0 else _MUTE_S
        seconds = voice.duration_s if voice is not None else mute_s
        course = course_of(values, columns, seconds=seconds, voice=voice, rng=rng)
        film_course(path, course, how.rest, voice=voice, note=comment, rng=rng)
        write_json(path.with_suffix(".json"), {"FrameRate": FILM_HZ} | dict(how.note))
        tracks.append("video")
    return sorted(set(tracks)), problems


def _ended(values: Array) -> Array:
    """Return a signal or a history (T, D) as far as it goes, all else as it is: zeros fill up a batch, not a file."""
    there = np.flatnonzero(values.any(axis=1)) if values.ndim == 2 else np.empty(0, int)
    return values[: there[-1] + 1] if len(there) else values
