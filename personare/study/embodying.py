"""Made-up arrays become files of a recording: numbers as they were, and what can be seen and heard of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from personare.core.errors import DataError
from personare.core.randomness import generator
from personare.core.types import Array, Batch, Signal
from personare.data.atomic import write_json
from personare.features import audio
from personare.features.puppetry import Puppet, course_of, knows_face, rest_of
from personare.features.tracks import TrackForm, write_track
from personare.features.visits import VISITS
from personare.features.voicing import voiced

__all__ = ["EXPRESSION", "Embodiment", "Task", "embodiment_of", "mark_labels", "write_recording"]

EXPRESSION = "expression"
"""The track of the statistics that a film was drawn from."""

_HEARD = (64, 128)  # numbers of bands of which sound can be made
_MUTE_S = 4.0  # how long a film without sound is


@dataclass(frozen=True, kw_only=True)
class Embodiment:
    """How the recordings of a made-up cohort are written.

    Attributes:
        forms: What the files of each modality are like.
        columns: Names of the columns, by modality.
        voice: The modality that is heard; empty: none.
        face: The modality that is shown by the drawn face; empty: none.
        rest: (52,), where the group's faces rest.
        note: Said by every file of itself.
        puppet: Films the drawn face.
    """

    forms: Mapping[str, TrackForm]
    columns: Mapping[str, tuple[str, ...]]
    voice: str
    face: str
    rest: Array
    note: str
    puppet: Puppet = field(default_factory=Puppet)

    @property
    def suffixes(self) -> dict[str, str]:
        """The suffix of every track that a recording may get."""
        numbers = {name: form.suffix for name, form in self.forms.items() if form.kind not in ("sound", "film")}
        expression = {EXPRESSION: ".npy"} if self._filmed else {}
        seen = {"video": ".mp4"} if self.face else {}
        return numbers | expression | seen | ({"audio": ".wav"} if self.voice else {})

    @property
    def _filmed(self) -> bool:
        return bool(self.face) and self.forms[self.face].kind == "film"


@dataclass(frozen=True, kw_only=True)
class Task:
    """One recording to write.

    Attributes:
        row: A batch of this one recording.
        paths: Where each track goes.
        how: How.
        seed: Everything random follows from it and the recording's name.
    """

    row: Batch
    paths: Mapping[str, Path]
    how: Embodiment
    seed: int


def embodiment_of(batch: Batch, forms: Mapping[str, TrackForm], *, note: str, media: bool = True) -> Embodiment:
    """Choose what is heard and what is seen of a made-up cohort.

    Args:
        batch: The cohort.
        forms: What the files of each modality are like.
        note: Said by every file of itself.
        media: False: only what takes no sound and no film for a file of its own.
    """
    heard = [name for name, form in forms.items() if form.kind == "sound"]
    if media and not heard:
        heard = [name for name, values in batch.arrays.items() if values.ndim == 4 and _can_be_heard(values)]
    seen = [name for name, form in forms.items() if form.kind == "film"]
    if media and not seen:
        seen = [name for name, columns in batch.columns.items() if knows_face(columns)]
    face = seen[0] if seen else ""
    rest = rest_of(batch.arrays[face], batch.columns[face]) if face else np.zeros(52)
    voice = heard[0] if heard else ""
    return Embodiment(forms=forms, columns=batch.columns, voice=voice, face=face, rest=rest, note=note)


def _can_be_heard(values: Array) -> bool:
    return values.shape[1] == 1 and values.shape[2] in _HEARD


def write_recording(task: Task) -> dict[str, Any]:
    """Write every track of one made-up recording; runs in a worker.

    Returns:
        ``tracks``, those written, and ``problems``, a sentence for each that could not be.
    """
    row, how = task.row, task.how
    there = [name for name in row.arrays if row.present[name][0]]
    tracks: list[str] = []
    problems: list[str] = []
    for name in there:
        form, track = how.forms[name], EXPRESSION if how.forms[name].kind == "film" else name
        if form.kind == "sound":
            continue  # made below
        form = TrackForm(kind="table", suffix=".npy") if form.kind == "film" else form
        columns = how.columns.get(name, ())
        values = row.arrays[name][0]
        if name == VISITS:
            values = values[values[:, 0] == 1]  # rows of zeros fill up a batch, not a file
        write_track(task.paths[track], values, form, columns=columns, note=_note(how))
        tracks.append(track)
    rng = generator(task.seed, row.ids[0], "media")
    voice = _said(task, rng, problems) if how.voice in there else None
    if voice is not None:
        tracks.append("audio")
    if how.face in there:
        _show(task, voice, rng)
        tracks.append("video")
    return {"tracks": sorted(set(tracks)), "problems": problems}


def _note(how: Embodiment) -> dict[str, Any]:
    return {"Synthetic": True, "Description": how.note}


def _said(task: Task, rng: np.random.Generator, problems: list[str]) -> Signal | None:
    mel = task.row.arrays[task.how.voice][0, 0]  # (F, T)
    path = task.paths["audio"]
    try:
        sound = voiced(mel, rng=rng)
        audio.write(path, sound, note=task.how.note)
        audio.check(path)
    except DataError as error:  # a generator may make silence; that is a recording without sound
        path.unlink(missing_ok=True)
        problems.append(str(error).replace(str(path.parent), "").lstrip("/"))
        return None
    about = {"SamplingFrequency": int(sound.rate_hz), "Channels": 1, "Duration": round(sound.duration_s, 4)}
    write_json(path.with_suffix(".json"), about | _note(task.how))
    return sound


def _show(task: Task, voice: Signal | None, rng: np.random.Generator) -> None:
    how, path = task.how, task.paths["video"]
    values, columns = task.row.arrays[how.face][0], how.columns[how.face]
    rate = float(how.forms[how.face].about.get("SamplingFrequency") or 0)
    mute_s = len(values) / rate if values.ndim == 2 and rate > 0 else _MUTE_S
    seconds = voice.duration_s if voice is not None else mute_s
    course = course_of(values, columns, seconds=seconds, rate_hz=how.puppet.rate_hz, voice=voice, rng=rng)
    how.puppet.film(path, course, how.rest, voice=voice, note=how.note, rng=rng)
    write_json(path.with_suffix(".json"), {"FrameRate": how.puppet.rate_hz} | _note(how))


def mark_labels(path: Path) -> None:
    """Say in the file of a recording's labels that nobody was recorded."""
    content = json.loads(path.read_text(encoding="utf-8"))
    write_json(path, content | {"Synthetic": True})
