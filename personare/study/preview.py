"""A page on which made-up people can be seen and heard: players of their files, a picture of every signal."""

import base64
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
from jinja2 import Environment, StrictUndefined

from personare.core.errors import DataError
from personare.core.types import Array, Cohort, Recording
from personare.data.atomic import write_text
from personare.features.tracks import Track, read_track
from personare.features.visits import VisitColumns, told_visits

__all__ = ["write_preview"]

_LARGEST = 400_000  # bytes of a file put into the page; a larger one is played from beside it
_BASE, _HALF = 50, 46  # of a box 100 high
_MOST = 4  # lines of a signal
_POINTS = 400  # of a line
_TYPES = {".wav": "audio/wav", ".mp4": "video/mp4"}


def write_preview(root: Path, cohort: Cohort, *, label: str, told: str, people: int = 3, recordings: int = 4) -> Path:
    """Write ``preview.html`` into a cohort: a few people, a few recordings of each.

    The page makes no request but for files beside it. It is for cohorts of people who do not exist: whoever holds it
    sees and hears what is in the cohort.

    Args:
        root: Where.
        cohort: Finished, at ``root``.
        label: Shown over each recording; recordings of different labels are taken first.
        told: What can be claimed.
        people: How many people.
        recordings: How many of each.

    Returns:
        The page.

    Raises:
        DataError: It cannot be written.
    """
    cards = []
    for subject in sorted({r.subject for r in cohort.recordings})[:people]:
        own = _varied([r for r in cohort.recordings if r.subject == subject], label)[:recordings]
        cards.append({"subject": subject, "recordings": [_card(root, r, label) for r in own]})
    template = resources.files("personare.study").joinpath("preview.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    count = len({r.subject for r in cohort.recordings})
    page = environment.from_string(template).render(
        name=cohort.name, people=cards, told=told, total=(count, len(cohort.recordings))
    )
    write_text(root / "preview.html", page)
    return root / "preview.html"


def _varied(recordings: Sequence[Recording], label: str) -> list[Recording]:
    """Put one recording of each label first."""
    seen: dict[str, int] = {}
    turns = []
    for r in recordings:
        target = r.labels.get(label, "")
        seen[target] = seen.get(target, 0) + 1
        turns.append((seen[target], target, r))
    return [r for _, _, r in sorted(turns, key=lambda turn: (turn[0], turn[1], turn[2].id))]


def _card(root: Path, recording: Recording, label: str) -> Mapping[str, object]:
    media, pictures, texts, visits = [], [], [], []
    for track, relative in sorted(recording.tracks.items()):
        path = root / relative
        if path.suffix in _TYPES:
            # A film carries its sound: it is not shown a second time.
            if track != "audio" or "video" not in recording.tracks:
                media.append({"kind": _TYPES[path.suffix].split("/")[0], "source": _source(path, relative)})
            continue
        try:
            read = read_track(path, picture=96, landmarker=None)
        except DataError:
            continue  # nothing that a picture could be made of
        if read.kind == "text":
            texts.append(str(read.values))
        elif track == "visits":
            visits = told_visits(np.asarray(read.values), VisitColumns(names=read.columns))
        else:
            pictures.append({"track": track, **_picture(read)})
    shown = {"media": media, "pictures": pictures, "texts": texts, "visits": visits}
    return {"id": recording.id, "label": recording.labels.get(label, ""), **shown}


def _source(path: Path, relative: str) -> str:
    if path.stat().st_size > _LARGEST:
        return relative
    return f"data:{_TYPES[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _picture(read: Track) -> Mapping[str, object]:
    """Return a track as a picture (``image``) or as drawn lines (``lines``, in a box of 400 by 100)."""
    values = np.asarray(read.values)
    if read.kind == "spectrogram":
        level = np.clip((values - values.min()) / max(float(np.ptp(values)), 1e-9) * 255, 0, 255).astype(np.uint8)
        return {"image": _png(cv2.applyColorMap(np.ascontiguousarray(level[::-1]), cv2.COLORMAP_MAGMA)), "lines": []}
    if read.kind == "picture":
        return {"image": _png(np.ascontiguousarray(values.transpose(1, 2, 0)[..., ::-1])), "lines": []}
    if read.kind == "signal":
        seconds = f"{len(values) / read.rate_hz:.3g} s" if read.rate_hz else f"{len(values)} steps"
        names = read.columns or tuple(f"{n + 1}" for n in range(values.shape[1]))
        lines = [_line(column, name, seconds) for column, name in zip(values.T, names, strict=True)]
        return {"image": "", "lines": lines[:_MOST]}
    # Values of different units at one height each: sign and order of size can be seen.
    known = np.nan_to_num(values)  # what a recording has no value of stands at 0
    standing = np.sign(known) * np.log1p(np.abs(known))
    path = "".join(f"M{400 * (i + 0.5) / len(values):.1f} {_BASE}v{-v:.1f}" for i, v in enumerate(_fitted(standing)))
    width = f"{max(360 / len(values), 0.5):.2f}"
    return {"image": "", "lines": [{"path": path, "told": f"{len(values)} values", "width": width}]}


def _fitted(values: Array) -> Array:
    return np.asarray(values / max(float(np.abs(values).max()), 1e-9) * _HALF)


def _line(column: Array, name: str, seconds: str) -> Mapping[str, str]:
    there = np.flatnonzero(np.isfinite(column))
    there = there[:: max(1, len(there) // _POINTS)]
    if not len(there):
        return {"path": "", "told": f"{name}: nothing", "width": "1"}
    low, high = float(column[there].min()), float(column[there].max())
    heights = 96 - 92 * (column[there] - low) / max(high - low, 1e-9)
    points = " ".join(f"{400 * at / len(column):.1f},{y:.1f}" for at, y in zip(there, heights, strict=True))
    return {"path": f"M{points}", "told": f"{name}: {low:.3g} to {high:.3g} in {seconds}", "width": "1.2"}


def _png(image: Array) -> str:
    _, content = cv2.imencode(".png", image)
    return f"data:image/png;base64,{base64.b64encode(content.tobytes()).decode()}"
