"""Recordings turned into what a judge may look at, kept as files so that nothing is read twice."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from personare.core.errors import DataError, MissingModelError
from personare.core.types import Array, Batch, Cohort, Recording
from personare.features import video
from personare.features.expression import FaceLandmarker, find_model
from personare.features.locations import Locations, locate_live
from personare.features.views import FACE_VIEWS, VOICE_VIEWS, face_views, voice_views

__all__ = ["Observe", "gather", "has_landmarker", "locate_live", "table"]


def has_landmarker() -> bool:
    """Whether the face mesh can be read on this machine."""
    try:
        find_model("face_landmarker")
    except MissingModelError:
        return False
    return True


@dataclass(frozen=True, kw_only=True)
class Observe:
    """Turns one recording into views; runs in a worker.

    Attributes:
        folder: Where the arrays go, one ``<recording>.npz`` each.
        views: Names of the views to keep.
        locations: Folder of the originals' face locations, ``<recording>.npz``.
        original: True if these are the originals: faces are searched; False: they are where the original's were.
    """

    folder: Path
    views: tuple[str, ...]
    locations: Path
    original: bool

    def __call__(self, item: tuple[str, Mapping[str, Path]]) -> dict[str, Any]:
        """Describe one recording; a view that cannot be read is left out and said.

        Args:
            item: Recording id and its files by track.

        Returns:
            ``views``: what was read; ``problems``: what was not, and why.
        """
        name, files = item
        views: dict[str, Array] = {}
        problems: list[str] = []
        for track, describe in (("audio", self._voice), ("video", self._face)):
            if track in files:
                try:
                    views |= describe(name, files[track])
                except DataError as error:
                    problems.append(f"{track}: {error}")
        self.folder.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(self.folder / f"{name}.npz", **views)  # type: ignore[arg-type]
        return {"views": sorted(views), "problems": problems}

    def _voice(self, name: str, path: Path) -> dict[str, Array]:
        return voice_views(path, [v for v in self.views if v in VOICE_VIEWS])

    def _face(self, name: str, path: Path) -> dict[str, Array]:
        kept = self.locations / f"{name}.npz"
        if self.original:
            kept.parent.mkdir(parents=True, exist_ok=True)
            Locations.of(locate_live(video.read(path), mesh=has_landmarker())).save(kept)
        there = Locations.load(kept) if kept.exists() else None
        boxes = np.empty((0, 4)) if there is None else there.largest()
        with ExitStack() as stack:
            landmarker = stack.enter_context(FaceLandmarker()) if has_landmarker() else None
            known = there if self.original and landmarker is not None else None
            return face_views(
                path, [v for v in self.views if v in FACE_VIEWS], boxes, landmarker=landmarker, known=known
            )


def table(cohort: Cohort, recordings: Sequence[Recording], label: str = "") -> pd.DataFrame:
    """Return what is known about recordings and their people, indexed by recording id.

    Args:
        cohort: Whose.
        recordings: Those to list.
        label: A column of the participants to add, unless recordings have it.
    """
    rows = [{**r.labels, "id": r.id, "subject": r.subject, "session": r.session} for r in recordings]
    labelled = pd.DataFrame(rows).set_index("id")
    names = ["sex", "age"] + [label] * bool(label and label not in (*labelled, "sex", "age"))
    known = cohort.participants.reindex(columns=names)
    # a label of one of these names would stand for another thing
    return labelled.drop(columns=known.columns, errors="ignore").join(known, on="subject")


class _View(Mapping[str, Array]):
    """One view of all recordings, read from disk when first asked for."""

    def __init__(self, load: Callable[[], dict[str, Array]]) -> None:
        self._load = cache(load)

    def __getitem__(self, name: str) -> Array:
        return self._load()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._load())

    def __len__(self) -> int:
        return len(self._load())


def gather(folder: Path, rows: pd.DataFrame, views: Sequence[str]) -> Batch:
    """Return the evidence that ``Observe`` wrote, read view by view when it is first looked at."""

    def load(view: str) -> dict[str, Array]:
        found = {}
        for name in rows.index:
            with np.load(folder / f"{name}.npz", allow_pickle=False) as arrays:
                if view in arrays.files:
                    found[name] = arrays[view]
        return found

    return Batch.of(rows, {view: _View(partial(load, view)) for view in views})
