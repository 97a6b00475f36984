"""One file of a recording as an array whose shape says what it is: table, signal, spectrogram, picture or text."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from personare.core.errors import DataError
from personare.core.types import Array
from personare.data.media import track_of
from personare.data.texts import read_text
from personare.features.expression import BLENDSHAPES, FaceLandmarker
from personare.features.pictures import read_picture
from personare.features.views import face_views, voice_views

__all__ = ["Track", "film_of", "read_track", "sound_of"]

_SILENCE_DB = -100.0  # the level under which nothing lies in a log-mel view
_STATISTICS = ("mean", "std", "p10", "p90")
_PICTURES = (".jpg", ".jpeg", ".png", ".pgm", ".bmp", ".webp")
_TABLES = (".parquet", ".tsv", ".tsv.gz", ".csv", ".csv.gz")
_KINDS: Final = {1: "table", 2: "spectrogram", 3: "picture"}


@dataclass(frozen=True, kw_only=True)
class Track:
    """What a file holds.

    Attributes:
        kind: ``table`` (D,), ``signal`` (T, D), ``spectrogram`` (F, T), ``picture`` (3, H, W) or ``text``.
        values: The array; whole numbers of a known range keep their type, so that a cohort fits in memory.
        columns: Names of the columns of a table or a signal, where known.
        rate_hz: Samples a second of a signal; 0 where there is none.
    """

    kind: str
    values: Array | str
    columns: tuple[str, ...] = ()
    rate_hz: float = 0.0


def read_track(path: Path, *, picture: int, landmarker: FaceLandmarker | None) -> Track:
    """Read a file of a recording.

    An array (``.npy``) of one dimension is a table, one of two a signal where its sidecar gives a
    ``SamplingFrequency``, else a spectrogram. Rows of a ``.parquet`` or ``.tsv`` are a table if there is one, else a
    signal. Sound becomes a log-mel spectrogram, 0 at silence and 1 at full level; film becomes statistics over time of
    52 facial expressions.

    Args:
        path: The file.
        picture: Side of a picture in pixels.
        landmarker: Reads expressions off a film; None: films are not read.

    Raises:
        DataError: It cannot be read, or is of a kind that no array is made of.
    """
    name = path.name.lower()
    if name.endswith(".npy"):
        return _array(path)
    if name.endswith(_TABLES):
        return _rows(path)
    if name.endswith(_PICTURES):
        return Track(kind="picture", values=read_picture(path, size=picture))
    read = _OF_TRACK.get(track_of(name))
    if read is None or (track_of(name) == "video" and landmarker is None):
        raise DataError(f"No array is made of {path.name}. Ask for other tracks.")
    return read(path, landmarker)


def _about(path: Path) -> Mapping[str, Any]:
    """Return what a track's sidecar says; nothing where there is none."""
    sidecar = path.with_name(path.name.partition(".")[0] + ".json")
    try:
        content = json.loads(sidecar.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DataError(f"The sidecar {sidecar.name} cannot be read: {error}. Correct it.") from error
    return content if isinstance(content, dict) else {}


def _array(path: Path) -> Track:
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"The array {path.name} cannot be read: {error}. Import it again.") from error
    if values.ndim not in _KINDS or not np.issubdtype(values.dtype, np.number):
        raise DataError(f"{path.name} must be numbers in 1 to 3 dimensions, not {values.dtype} in {values.ndim}.")
    about = _about(path)
    rate_hz = float(about.get("SamplingFrequency") or 0)
    kind = "signal" if values.ndim == 2 and rate_hz > 0 else _KINDS[values.ndim]
    if kind == "picture" and len(values) == 1:
        kind, values = "spectrogram", values[0]
    return Track(kind=kind, values=values, columns=tuple(map(str, about.get("Columns", ()))), rate_hz=rate_hz)


def _rows(path: Path) -> Track:
    about = _about(path)
    names = about.get("Columns")  # BIDS: a table of physiology has no header, its sidecar names the columns
    try:
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
        else:
            sep = "," if ".csv" in path.name else "\t"
            table = pd.read_csv(path, sep=sep, names=names, header=None if names else 0, na_values=["n/a"])
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"The table {path.name} cannot be read: {error}. Get it again.") from error
    numbers = table.select_dtypes("number")
    if numbers.empty:
        raise DataError(f"The table {path.name} holds no numbers. Leave it out.")
    values, columns = numbers.to_numpy(np.float32), tuple(map(str, numbers.columns))
    if len(values) == 1:
        return Track(kind="table", values=values[0], columns=columns)
    return Track(kind="signal", values=values, columns=columns, rate_hz=float(about.get("SamplingFrequency") or 0))


def _text(path: Path, _landmarker: FaceLandmarker | None) -> Track:
    return Track(kind="text", values=read_text(path))


def _sound(path: Path, _landmarker: FaceLandmarker | None) -> Track:
    return sound_of(voice_views(path, ["logmel"])["logmel"])


def _film(path: Path, landmarker: FaceLandmarker | None) -> Track:
    shapes = face_views(path, ["blendshapes"], np.empty((0, 4)), landmarker=landmarker)["blendshapes"]  # (T, 52)
    return film_of(shapes, path.name)


def sound_of(decibel: Array) -> Track:
    """Return the track of a sound whose log-mel spectrogram (T, F), in decibel, was read before."""
    return Track(kind="spectrogram", values=(1 - decibel.T / _SILENCE_DB).astype(np.float32))  # (F, T)


def film_of(shapes: Array, name: str) -> Track:
    """Return the track of a film whose expressions (T, 52) were read before: statistics of each over time.

    Raises:
        DataError: No face was seen.
    """
    seen = shapes[np.isfinite(shapes).all(axis=1)]
    if not len(seen):
        raise DataError(f"No face is seen in {name}. Leave the track out.")
    parts = [seen.mean(axis=0), seen.std(axis=0), *np.percentile(seen, [10, 90], axis=0)]
    columns = tuple(f"{shape}_{what}" for what in _STATISTICS for shape in BLENDSHAPES)
    return Track(kind="table", values=np.concatenate(parts).astype(np.float32), columns=columns)


_OF_TRACK: Mapping[str, Callable[[Path, FaceLandmarker | None], Track]] = {
    "text": _text,
    "audio": _sound,
    "video": _film,
}
