"""Made-up arrays become files of a recording: numbers as they were, and what can be seen and heard of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from personare.core.errors import DataError
from personare.core.randomness import generator
from personare.core.types import Array, Batch
from personare.data.atomic import write_json
from personare.features import audio
from personare.features.puppetry import Puppet, course_of, knows_face, rest_of
from personare.features.tracks import TrackForm, write_track
from personare.features.visits import VISITS
from personare.features.voicing import voiced

_EXPRESSION = "expression"  # the track of the statistics that a film was drawn from
_TABLE = TrackForm(kind="table", suffix=".npy")
_HEARD = (64, 128)  # numbers of bands of which sound can be made
_MUTE_S = 4.0  # how long a film without sound is


@dataclass(frozen=True, kw_only=True)
class Embodiment:
    """How the recordings of a made-up cohort are written.

    Attributes:
        forms: What the files of each modality are like.
        voice: The modality that is heard; empty: none.
        face: The modality that is shown by the drawn face; empty: none.
        rest: (52,), where the group's faces rest.
        note: Said by every file of itself.
    """

    forms: Mapping[str, TrackForm]
    voice: str
    face: str
    rest: Array
    note: str

    @property
    def suffixes(self) -> dict[str, str]:
        """The suffix of every track that a recording may get."""
        found = {name: form.suffix for name, form in self.forms.items() if form.kind not in ("sound", "film")}
        if self.face and self.forms[self.face].kind == "film":
            found[_EXPRESSION] = _TABLE.suffix
        return found | ({"video": ".mp4"} if self.face else {}) | ({"audio": ".wav"} if self.voice else {})


@dataclass(frozen=True, kw_only=True)
class Task:
    """One recording to write: a batch of it alone, where each track goes, how; all that is random follows from seed."""

    row: Batch
    paths: Mapping[str, Path]
    how: Embodiment
    seed: int


def embodiment_of(batch: Batch, forms: Mapping[str, TrackForm], *, note: str, media: bool = True) -> Embodiment:
    """Choose what is heard and what is seen of a made-up cohort.

    Without ``media``, only what takes no sound and no film for a file of its own.
    """
    heard = [name for name, form in forms.items() if form.kind == "sound"]
    seen = [name for name, form in forms.items() if form.kind == "film"]
    if media and not heard:
        shapes = {name: values.shape[1:] for name, values in batch.arrays.items()}
        heard = [name for name, shape in shapes.items() if len(shape) == 3 and shape[0] == 1 and shape[1] in _HEARD]
    if media and not seen:
        seen = [name for name, columns in batch.columns.items() if knows_face(columns)]
    voice, face = (names[0] if names else "" for names in (heard, seen))
    rest = rest_of(batch.arrays[face], batch.columns[face]) if face else np.zeros(52)
    return Embodiment(forms=forms, voice=voice, face=face, rest=rest, note=note)


def write_recording(task: Task) -> dict[str, Any]:
    """Write every track of one made-up recording; runs in a worker.

    Returns ``tracks``, those written, and ``problems``, a sentence for each that could not be.
    """
    row, how, paths = task.row, task.how, task.paths
    note = {"Synthetic": True, "Description": how.note}
    there = [name for name in row.arrays if row.present[name][0]]
    tracks: list[str] = []
    problems: list[str] = []
    for name in (name for name in there if how.forms[name].kind != "sound"):  # sound is made below
        film = how.forms[name].kind == "film"
        values, track = row.arrays[name][0], _EXPRESSION if film else name
        if name == VISITS:
            values = values[values[:, 0] == 1]  # rows of zeros fill up a batch, not a file
        form = _TABLE if film else how.forms[name]
        write_track(paths[track], values, form, columns=row.columns.get(name, ()), note=note)
        tracks.append(track)
    rng = generator(task.seed, row.ids[0], "media")
    voice = None
    if how.voice in there:
        path = paths["audio"]
        try:
            voice = voiced(row.arrays[how.voice][0, 0], rng=rng)  # (F, T)
            audio.write(path, voice, note=how.note)
            audio.check(path)
        except DataError as error:  # a generator may make silence; that is a recording without sound
            voice = None
            path.unlink(missing_ok=True)
            problems.append(str(error).replace(str(path.parent), "").lstrip("/"))
        else:
            about = {"SamplingFrequency": int(voice.rate_hz), "Channels": 1, "Duration": round(voice.duration_s, 4)}
            write_json(path.with_suffix(".json"), about | note)
            tracks.append("audio")
    if how.face in there:
        path, puppet = paths["video"], Puppet()
        values, columns = row.arrays[how.face][0], row.columns[how.face]
        rate = float(how.forms[how.face].about.get("SamplingFrequency") or 0)
        mute_s = len(values) / rate if values.ndim == 2 and rate > 0 else _MUTE_S
        seconds = voice.duration_s if voice is not None else mute_s
        course = course_of(values, columns, seconds=seconds, rate_hz=puppet.rate_hz, voice=voice, rng=rng)
        puppet.film(path, course, how.rest, voice=voice, note=how.note, rng=rng)
        write_json(path.with_suffix(".json"), {"FrameRate": puppet.rate_hz} | note)
        tracks.append("video")
    return {"tracks": sorted(set(tracks)), "problems": problems}


def mark_labels(path: Path) -> None:
    """Say in the file of a recording's labels that nobody was recorded."""
    write_json(path, json.loads(path.read_text(encoding="utf-8")) | {"Synthetic": True})
