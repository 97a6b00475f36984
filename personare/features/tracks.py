"""A recording's files as arrays, tracks for learners and views of sound and film for judges, each decoded once."""

import gzip
import json
from collections import UserDict, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import pandas as pd
from numpy.lib.recfunctions import unstructured_to_structured
from PIL import Image

from personare.core.atomic import replacing, write_json, write_text
from personare.core.channels import CHANNELS
from personare.core.errors import DataError, MissingModelError
from personare.core.types import Array, Batch, LocatedFrame, TrackKind
from personare.core.types import Track as Track  # which readers of tracks look for here
from personare.data.media_files import PICTURES, track_of
from personare.data.roles import source_tracks
from personare.data.texts import read_text
from personare.features import audio, physio, video
from personare.features.expression import BLENDSHAPES, FaceLandmarker, normalize_landmarks
from personare.features.face import square
from personare.features.functionals import VIEWS, describe
from personare.features.locations import Locations, locate_live
from personare.features.marks import png_comment
from personare.features.models import find_model
from personare.features.pictures import read_picture
from personare.govern.storage import open_plain

FACE_VIEWS = ("crops", "frames", "blendshapes", "landmarks", "faces112")

_SILENCE_DB = -100.0  # the level under which nothing lies in a log-mel view
_STATISTICS = ("mean", "std", "p10", "p90")
_TABLES = (".parquet", ".tsv", ".tsv.gz", ".csv", ".csv.gz")
_KINDS: Final[Mapping[int, TrackKind]] = {1: "table", 2: "spectrogram", 3: "picture"}
_MISSING = "_missing"
_KEPT = ("Units", "SamplingFrequency")  # of a sidecar: nothing that a person could have put there
_NO_BOXES = np.empty((0, 4))

_PICTURES_HZ = 8.0
_MOTION_HZ = 12.5
_LONGEST_S = 60.0  # of a longer recording the first minute is judged, so that memory stays bounded
_SIZE = 64


def read_track(path: Path, *, picture: int = 64, landmarker: FaceLandmarker | None = None) -> Track:
    """Read a file of a recording; pictures become squares of ``picture`` pixels.

    An array (``.npy``) of one dimension is a table, one of two a signal where its sidecar gives a
    ``SamplingFrequency``, else a spectrogram. Rows of a ``.parquet`` or ``.tsv`` are a table if there is one, else a
    signal. Sound becomes a log-mel spectrogram, 0 at silence and 1 at full level; film becomes statistics over time of
    52 facial expressions, and is not read without a landmarker.
    """
    name = path.name.lower()
    try:
        if name.endswith(".npy"):
            return _array(path)
        if name.endswith(_TABLES):
            return _rows(path)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path.name} cannot be read: {error}. Get it again.") from error
    if name.endswith(PICTURES):
        return Track(kind="picture", values=read_picture(path, size=picture))
    kind = track_of(name)
    if kind == "text":
        return Track(kind="text", values=read_text(path))
    if kind == "audio":
        return _sound(voice_views(path, ["logmel"])["logmel"])
    if kind == "video" and landmarker is not None:
        return _film(face_views(path, ["blendshapes"], _NO_BOXES, landmarker=landmarker)["blendshapes"], path.name)
    raise DataError(f"No array is made of {path.name}. Ask for other tracks.")


def read_channel(name: str, files: Mapping[str, Path]) -> Track:
    """Return the track of a channel that is neither sound nor film; of a body, all signals of ``files`` as one.

    Signals are put together at the highest rate, the columns of those that are slower NaN between their values.
    """
    tracks = {track: read_track(files[track]) for track in source_tracks([name], files)}
    if not tracks:
        raise DataError(f"The recording has no {name}.")
    if len(tracks) == 1:
        return next(iter(tracks.values()))
    if any(track.kind != "signal" or not track.rate_hz for track in tracks.values()):
        raise DataError(f"{', '.join(tracks)} must be signals whose sidecar says their SamplingFrequency. Mend it.")
    rate_hz, start_s = max(t.rate_hz for t in tracks.values()), min(t.start_s for t in tracks.values())
    columns: dict[str, pd.Series] = {}
    for track, read in tracks.items():
        at = np.round((read.start_s - start_s + np.arange(len(read.values)) / read.rate_hz) * rate_hz).astype(int)
        names = read.columns or tuple(map(str, range(1, np.shape(read.values)[1] + 1)))
        for column, values in zip(names, np.asarray(read.values).T, strict=True):
            columns[column if column == track else f"{track}_{column}"] = pd.Series(values, at)
    table = pd.DataFrame(columns)
    values = table.reindex(range(table.index.max() + 1)).to_numpy(np.float32)
    return Track(kind="signal", values=values, columns=tuple(columns), rate_hz=rate_hz, start_s=start_s)


def _channel_view(track: Track) -> Array:
    """Return a text as (1,), and rows as (T,) records: ``time_s`` and the track's columns."""
    if isinstance(track.values, str):
        return np.array([track.values])
    values = np.atleast_2d(track.values)
    times = track.start_s + np.arange(len(values)) / (track.rate_hz or 1)
    names = track.columns or map(str, range(1, values.shape[1] + 1))
    return unstructured_to_structured(np.column_stack([times, values]), names=["time_s", *names])


def _sidecar(path: Path) -> dict[str, Any]:
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
    about = _sidecar(path)
    with open_plain(path) as file:
        values = np.load(file, allow_pickle=False)
    if values.ndim not in _KINDS or not np.issubdtype(values.dtype, np.number):
        raise DataError(f"{path.name} must be numbers in 1 to 3 dimensions, not {values.dtype} in {values.ndim}.")
    rate_hz, start_s = float(about.get("SamplingFrequency") or 0), float(about.get("StartTime") or 0)
    kind = "signal" if values.ndim == 2 and rate_hz > 0 else _KINDS[values.ndim]
    if kind == "picture" and len(values) == 1:
        kind, values = "spectrogram", values[0]
    columns = tuple(map(str, about.get("Columns", ())))
    return Track(kind=kind, values=values, columns=columns, rate_hz=rate_hz, start_s=start_s)


def _rows(path: Path) -> Track:
    about = _sidecar(path)
    names = about.get("Columns")  # BIDS: a table of physiology has no header, its sidecar names the columns
    with open_plain(path) as file:
        if path.suffix == ".parquet":
            table = pd.read_parquet(file)
        else:
            sep, packed = "," if ".csv" in path.name else "\t", "gzip" if path.name.lower().endswith(".gz") else None
            how: dict[str, Any] = {"header": None if names else 0, "na_values": ["n/a"], "compression": packed}
            table = pd.read_csv(file, sep=sep, names=names, **how)
    numbers = table.select_dtypes("number")
    if numbers.empty:
        raise DataError(f"The table {path.name} holds no numbers. Leave it out.")
    values, columns = numbers.to_numpy(np.float32), tuple(map(str, numbers.columns))
    if len(values) == 1:
        return Track(kind="table", values=values[0], columns=columns)
    rate_hz, start_s = float(about.get("SamplingFrequency") or 0), float(about.get("StartTime") or 0)
    return Track(kind="signal", values=values, columns=columns, rate_hz=rate_hz, start_s=start_s)


def _sound(decibel: Array) -> Track:
    """Return the track of a sound from its log-mel view (T, F)."""
    return Track(kind="spectrogram", values=(1 - decibel.T / _SILENCE_DB).astype(np.float32))  # (F, T)


def _film(shapes: Array, name: str) -> Track:
    """Return the track of a film from its expressions (T, 52): statistics of each over time."""
    seen = shapes[np.isfinite(shapes).all(axis=1)]
    if not len(seen):
        raise DataError(f"No face is seen in {name}. Leave the track out.")
    parts = [seen.mean(axis=0), seen.std(axis=0), *np.percentile(seen, [10, 90], axis=0)]
    columns = tuple(f"{shape}_{what}" for what in _STATISTICS for shape in BLENDSHAPES)
    return Track(kind="table", values=np.concatenate(parts).astype(np.float32), columns=columns)


def has_landmarker() -> bool:
    """Whether the face mesh can be read on this machine."""
    with suppress(MissingModelError):
        return find_model("face_landmarker").is_file()
    return False


def voice_views(path: Path, names: Sequence[str]) -> dict[str, Array]:
    """Describe the sound of one recording, from the sound alone; shapes as ``functionals.describe`` gives them."""
    return describe(next(audio.blocks(path, block_s=_LONGEST_S)), [name for name in names if name in VIEWS])


class _SmallPictures:
    """What is kept of the pictures of a film as it goes by: whole frames of a long one would fill the memory."""

    def __init__(self, path: Path) -> None:
        self.rate_hz = video.probe(path).rate_hz
        self.motion_step = max(1, round(self.rate_hz / _MOTION_HZ))
        self.end = _LONGEST_S * self.rate_hz
        self._step = max(1, round(self.rate_hz / _PICTURES_HZ))
        self._kept: dict[str, list[Array]] = {"crops": [], "frames": [], "faces112": []}

    def look(self, index: int, image: Array, box: Array | None) -> None:
        """Shrink a picture, and the face in it."""
        if index % self._step or index >= self.end:
            return
        self._kept["frames"].append(cv2.resize(image, (_SIZE, _SIZE), interpolation=cv2.INTER_AREA))
        if box is not None and not np.isnan(box).any():
            self._kept["crops"].append(square(image, box, size=_SIZE))
            self._kept["faces112"].append(square(image, box, size=112))

    def views(self) -> dict[str, Array]:
        """Return ``crops`` and ``frames`` (F, 64, 64, 3) uint8 at about 8 a second, ``faces112`` (4, 112, 112, 3)."""
        faces = self._kept["faces112"]
        few = np.unique(np.linspace(0, max(len(faces) - 1, 0), 4).astype(int))
        self._kept["faces112"] = [faces[i] for i in few if faces]
        return {name: np.stack(images) for name, images in self._kept.items() if images}


def face_views(
    path: Path, names: Sequence[str], boxes: Array, *, landmarker: FaceLandmarker | None
) -> dict[str, Array]:
    """Describe the picture of one recording, its face cut out where the original's was: a mask that stays shows that.

    ``boxes`` are (frames, 4) in pixels, NaN where there is no face. To ``crops``, ``frames`` and ``faces112`` come
    ``blendshapes`` (M, 52) and ``landmarks`` (M, 478, 2) at about 12.5 a second, read off the picture itself, if there
    is a landmarker.
    """
    small = _SmallPictures(path)

    def passing() -> Iterator[Array]:
        for index, _, image in video.read(path):
            if index >= small.end:
                return
            small.look(index, image, boxes[index] if index < len(boxes) else None)
            if index % small.motion_step == 0:
                yield image

    if landmarker is None or not {"blendshapes", "landmarks"} & set(names):
        deque(passing(), maxlen=0)
        return small.views()
    shapes, mesh = landmarker.measure(passing(), rate_hz=min(small.rate_hz, _MOTION_HZ))
    return small.views() | {"blendshapes": shapes, "landmarks": normalize_landmarks(mesh)}


def _searched_views(path: Path, names: Sequence[str], kept: Path) -> dict[str, Array]:
    """Find the faces of a recording, keep where they are in ``kept``, and describe its picture in the same pass."""
    small, mesh = _SmallPictures(path), has_landmarker()

    def passing() -> Iterator[LocatedFrame]:
        for frame in locate_live(video.read(path), mesh=mesh):
            small.look(frame.index, frame.image, frame.faces[0].box if frame.faces else None)  # largest first
            yield frame

    locations = Locations.of(passing())
    locations.save(kept)
    if not mesh or not {"blendshapes", "landmarks"} & set(names):
        return small.views()
    if not len(locations.frame):  # the landmarker may see whom the detector does not
        with FaceLandmarker() as landmarker:
            return face_views(path, names, _NO_BOXES, landmarker=landmarker)
    shapes, landmarks = (
        locations.largest(name, step=small.motion_step, end=small.end) for name in ("blendshapes", "landmarks")
    )
    return small.views() | {"blendshapes": shapes, "landmarks": normalize_landmarks(landmarks)}


def observe(
    item: tuple[str, Mapping[str, Path]], *, folder: Path, views: Sequence[str], locations: Path, search: bool
) -> dict[str, Any]:
    """Keep a recording's (its id, its files by track) views as ``folder/<recording>.npz``; runs in a worker.

    Faces are searched in an original, and where a mask moved them (``search``), and kept as
    ``locations/<recording>.npz``; any other release has them where its original has. Returns ``views``: what was read;
    ``problems``: what was not, and why.
    """
    name, files = item
    faces = locations / f"{name}.npz"
    arrays: dict[str, Array] = {}
    problems: list[str] = []
    for track in [channel.track for channel in CHANNELS if source_tracks([channel.track], files)]:
        try:
            if track not in ("audio", "video"):
                look = physio.view if track == "physio" else _channel_view
                arrays |= {track: look(read_channel(track, files))} if track in views else {}
            elif track == "audio":
                arrays |= voice_views(files[track], views)
            elif search:
                locations.mkdir(parents=True, exist_ok=True)
                arrays |= _searched_views(files[track], views, faces)
            else:
                boxes = Locations.load(faces).largest("box") if faces.exists() else _NO_BOXES
                with FaceLandmarker() if has_landmarker() else nullcontext() as landmarker:
                    arrays |= face_views(files[track], views, boxes, landmarker=landmarker)
        except DataError as error:
            problems.append(f"{track}: {error}")
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {view: arrays[view] for view in views if view in arrays}
    np.savez_compressed(folder / f"{name}.npz", **arrays)  # type: ignore[arg-type]
    return {"views": sorted(arrays), "problems": problems}


def observed_tracks(folder: Path) -> dict[str, dict[str, Track]]:
    """Return the tracks of sound and film by recording, as ``read_track`` would, of what was observed already."""
    tracks: dict[str, dict[str, Track]] = {}
    for path in sorted(folder.glob("*.npz")):
        with np.load(path, allow_pickle=False) as views:
            if "logmel" in views.files:
                tracks.setdefault(path.stem, {})["audio"] = _sound(views["logmel"])
            if "blendshapes" in views.files:
                with suppress(DataError):  # no face is seen
                    tracks.setdefault(path.stem, {})["video"] = _film(views["blendshapes"], path.stem)
    return tracks


class _View(UserDict[str, Array]):
    """One view of all recordings, read from disk when first looked at."""

    def __init__(self, folder: Path, names: Sequence[str], view: str) -> None:
        self._folder, self._names, self._view = folder, names, view

    @cached_property
    def data(self) -> dict[str, Array]:  # type: ignore[override]
        arrays = {}
        for name in self._names:
            with np.load(self._folder / f"{name}.npz", allow_pickle=False) as views:
                if self._view in views.files:
                    arrays[name] = views[self._view]
        return arrays


def gather(folder: Path, rows: pd.DataFrame, views: Sequence[str]) -> Batch:
    """Return what ``observe`` wrote of the recordings in a table's index, read view by view when first looked at."""
    return Batch.of(rows, {view: _View(folder, list(rows.index), view) for view in views})


@dataclass(frozen=True, kw_only=True)
class TrackForm:
    """What the files of a track have in common: their format, nothing of their content."""

    kind: TrackKind
    suffix: str  # with its dot
    about: Mapping[str, Any] = field(default_factory=dict)  # rate and units
    whole: bool = False  # values are whole numbers 0 to 255
    every: Mapping[int, int] = field(default_factory=dict)
    """By column of a signal, how many rows apart its values are; in the rows between it has none."""


def form_of(path: Path) -> TrackForm:
    """Return the form of a track, from one of its files."""
    media = {
        "audio": TrackForm(kind="sound", suffix=".wav"),
        "video": TrackForm(kind="film", suffix=".mp4"),
        "text": TrackForm(kind="text", suffix=".txt"),
    }
    if (recorded := track_of(path.name)) in media:
        return media[recorded]
    track = read_track(path)
    values = np.asarray(track.values)
    if track.kind == "picture" and path.suffix != ".npy":
        return TrackForm(kind="picture", suffix=".png", whole=True)
    every = {}
    for column, there in enumerate(np.isfinite(values).T if track.kind == "signal" else ()):
        rows = np.flatnonzero(there)  # such as a heart rate once a second
        step = int(rows[1] - rows[0]) if len(rows) > 1 else 1
        if step > 1 and np.array_equal(rows, np.arange(0, len(values), step)):
            every[column] = step
    return TrackForm(
        kind=track.kind,
        suffix=".tsv.gz" if recorded == "physio" else ".npy",
        about={key: value for key, value in _sidecar(path).items() if key in _KEPT},
        whole=values.dtype == np.uint8,
        every=every,
    )


def write_track(
    path: Path, values: Array | str, form: TrackForm, *, columns: tuple[str, ...], note: Mapping[str, Any]
) -> None:
    """Write a track and its sidecar, in which ``note`` is said (and in a picture itself); reading turns it round.

    ``values`` are one row of a batch: (D,), (T, D), (1, F, T), (3, H, W) or a text. A column ``NAME_missing`` that
    ``read_batch`` added is taken out again: where it says so, NAME has no value.
    """
    about = {**form.about, **note}
    if form.kind in ("sound", "film"):
        raise DataError(f"{path.name} cannot be written as an array. Make sound or film of it.")
    if form.kind == "text":
        write_text(path, f"{values}\n")
    elif form.kind == "picture" and form.suffix == ".png":
        with replacing(path) as part:
            image = Image.fromarray(_levels(np.asarray(values)).transpose(1, 2, 0))  # (H, W, 3)
            image.save(part, format="PNG", pnginfo=png_comment(note))
    else:
        rows, names = _with_gaps(np.asarray(values, np.float32), columns, form)
        about |= {"Columns": list(names)} if names else {}
        with replacing(path) as part, part.open("wb") as file:
            if form.suffix == ".tsv.gz":
                table = pd.DataFrame(np.atleast_2d(rows))
                text = table.to_csv(sep="\t", header=False, index=False, na_rep="n/a", float_format="%.6g")
                file.write(gzip.compress(text.encode(), mtime=0))
            else:
                np.save(file, _levels(rows) if form.whole else rows)
    write_json(path.with_name(path.name.partition(".")[0] + ".json"), about)


def _with_gaps(values: Array, columns: tuple[str, ...], form: TrackForm) -> tuple[Array, tuple[str, ...]]:
    if form.kind == "signal":
        out = values.copy()
        for column, step in form.every.items():
            out[np.arange(len(out)) % step != 0, column] = np.nan
        return out, columns
    if form.kind == "table" and columns:
        row = dict(zip(columns, values.tolist(), strict=True))
        names = tuple(name for name in columns if not name.endswith(_MISSING))
        kept = [np.nan if row.get(f"{name}{_MISSING}", 0.0) > 0.5 else row[name] for name in names]
        return np.array(kept, np.float32), names
    return values[0] if form.kind == "spectrogram" else values, ()  # (F, T)


def _levels(values: Array) -> Array:
    return np.asarray(np.round(np.clip(values, 0, 1) * 255).astype(np.uint8))
