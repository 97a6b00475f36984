"""Writes an array as a file of a recording, in the form that a cohort's own files have; reading turns it round."""

import gzip
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from PIL import Image, PngImagePlugin

from personare.core.errors import DataError
from personare.core.types import Array
from personare.data.atomic import replacing, write_json, write_text
from personare.data.media import track_of
from personare.features.tracks import read_track

__all__ = ["TrackForm", "form_of", "write_track"]

_MISSING = "_missing"
_KEPT = ("Units", "SamplingFrequency")  # of a sidecar: nothing that a person could have put there


@dataclass(frozen=True, kw_only=True)
class TrackForm:
    """What the files of a track have in common: their format, nothing of their content.

    Attributes:
        kind: ``table``, ``signal``, ``spectrogram``, ``picture``, ``text``, ``sound`` or ``film``.
        suffix: With its dot.
        about: Rate and units.
        whole: Values are whole numbers 0 to 255.
        every: By column of a signal, how many rows apart its values are; in the rows between it has none.
    """

    kind: Literal["table", "signal", "spectrogram", "picture", "text", "sound", "film"]
    suffix: str
    about: Mapping[str, Any] = field(default_factory=dict)
    whole: bool = False
    every: Mapping[int, int] = field(default_factory=dict)


def form_of(path: Path) -> TrackForm:
    """Return the form of a track, from one of its files.

    Args:
        path: Sound, film, text, picture, or a table of numbers.

    Raises:
        DataError: It cannot be read.
    """
    media: Mapping[str, TrackForm] = {
        "audio": TrackForm(kind="sound", suffix=".wav"),
        "video": TrackForm(kind="film", suffix=".mp4"),
        "text": TrackForm(kind="text", suffix=".txt"),
    }
    if track_of(path.name) in media:
        return media[track_of(path.name)]
    track = read_track(path, picture=8, landmarker=None)
    values = np.asarray(track.values)
    if track.kind == "picture" and path.suffix != ".npy":
        return TrackForm(kind="picture", suffix=".png", whole=True)
    about = {key: value for key, value in _sidecar(path).items() if key in _KEPT}
    return TrackForm(
        kind=track.kind,  # type: ignore[arg-type]
        suffix=".tsv.gz" if track_of(path.name) == "physio" else ".npy",
        about=about,
        whole=values.dtype == np.uint8,
        every=_steps(values) if track.kind == "signal" else {},
    )


def write_track(
    path: Path, values: Array | str, form: TrackForm, *, columns: tuple[str, ...], note: Mapping[str, Any]
) -> None:
    """Write a track and its sidecar.

    A column ``NAME_missing`` that ``read_batch`` added is taken out again: where it says so, NAME has no value.

    Args:
        path: Ends in the form's suffix.
        values: One row of a batch: (D,), (T, D), (1, F, T), (3, H, W) or a text.
        form: How; not sound or film.
        columns: Names of the columns of a table or a signal.
        note: Said in the sidecar (and in a picture itself).

    Raises:
        DataError: It cannot be written, or is sound or film.
    """
    about = {**form.about, **note}
    if form.kind == "text":
        write_text(path, f"{values}\n")
    elif form.kind == "picture" and form.suffix == ".png":
        _write_picture(path, np.asarray(values), note)
    elif form.kind in ("sound", "film"):
        raise DataError(f"{path.name} cannot be written as an array. Make sound or film of it.")
    else:
        rows, names = _with_gaps(np.asarray(values, np.float32), columns, form)
        about |= {"Columns": list(names)} if names else {}
        _write_numbers(path, rows, form)
    write_json(path.with_name(path.name.partition(".")[0] + ".json"), about)


def _sidecar(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.with_name(path.name.partition(".")[0] + ".json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return content if isinstance(content, dict) else {}


def _steps(values: Array) -> dict[int, int]:
    """Return the columns that have a value in every n-th row only, such as a heart rate once a second."""
    found = {}
    for column, there in enumerate(np.isfinite(values).T):
        rows = np.flatnonzero(there)
        step = int(rows[1] - rows[0]) if len(rows) > 1 else 1
        if step > 1 and np.array_equal(rows, np.arange(0, len(values), step)):
            found[column] = step
    return found


def _with_gaps(values: Array, columns: tuple[str, ...], form: TrackForm) -> tuple[Array, tuple[str, ...]]:
    if form.kind == "signal":
        out = values.copy()
        for column, step in form.every.items():
            out[np.arange(len(out)) % step != 0, column] = np.nan
        return out, columns
    if form.kind == "table":
        told = {name: at for at, name in enumerate(columns)}
        out, kept = values.copy(), [at for at, name in enumerate(columns) if not name.endswith(_MISSING)]
        for at in kept:
            if values[told.get(f"{columns[at]}{_MISSING}", at)] > 0.5 and f"{columns[at]}{_MISSING}" in told:
                out[at] = np.nan
        return (out[kept], tuple(columns[at] for at in kept)) if columns else (values, ())
    return values[0] if form.kind == "spectrogram" else values, ()  # (F, T)


def _write_numbers(path: Path, values: Array, form: TrackForm) -> None:
    if form.suffix == ".tsv.gz":
        text = io.StringIO()
        pd.DataFrame(values).to_csv(text, sep="\t", header=False, index=False, na_rep="n/a", float_format="%.6g")
        content = gzip.compress(text.getvalue().encode(), mtime=0)
    else:
        buffer = io.BytesIO()
        np.save(buffer, _levels(values) if form.whole else values)
        content = buffer.getvalue()
    with replacing(path) as part:
        part.write_bytes(content)


def _levels(values: Array) -> Array:
    return np.asarray(np.round(np.clip(values, 0, 1) * 255).astype(np.uint8))


def _write_picture(path: Path, values: Array, note: Mapping[str, Any]) -> None:
    told = PngImagePlugin.PngInfo()
    told.add_text("Comment", json.dumps(dict(note)))
    with replacing(path) as part:
        Image.fromarray(_levels(values).transpose(1, 2, 0)).save(part, format="PNG", pnginfo=told)  # (H, W, 3)
