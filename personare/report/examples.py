"""Examples that may be seen and heard: embeds files of releases, and nothing else, into the page."""

import base64
from collections.abc import Mapping
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from typing import Any

import cv2

from personare.core.errors import PersonareError
from personare.features import video

_TYPES = {".mp4": "video/mp4", ".webm": "video/webm", ".wav": "audio/wav", ".flac": "audio/flac", ".mp3": "audio/mpeg"}
_POSTER_S = 0.5  # a face at rest is shown at the very start of a take, an expression a little later


def embed_examples(
    run: Path, examples: Mapping[str, Any], *, per_release: int = 3, budget_bytes: int = 12_000_000
) -> tuple[dict[str, list[dict[str, str]]], list[str]]:
    """Read a few released files into the page; return them by release, and a sentence for each that was left out.

    **Guarantee.** Only files that lie under ``releases/`` of the run, after every link is followed, are read:
    an original can never get into the report.

    ``examples`` are, by release, ``{"track", "path", "label"}`` with paths relative to the run. Of each is returned
    ``track``, ``label``, and as data URIs its ``source`` and, of a video, a still, its ``poster``.
    """
    listed = {name: some if isinstance(some, list) else [] for name, some in examples.items()}
    files = {name: [e for e in some if isinstance(e, dict) and e.get("path")] for name, some in listed.items()}
    queues = [[(name, entry) for entry in some[:per_release]] for name, some in files.items()]
    embedded: dict[str, list[dict[str, str]]] = {}
    left_out: list[str] = []
    for turn in zip_longest(*queues):  # each release's first, then each release's second: the cap hits all alike
        for name, entry in filter(None, turn):
            example = _embed(run, name, entry, budget_bytes)
            if isinstance(example, str):
                left_out.append(f"An example of {name}, {Path(str(entry['path'])).name}, {example}")
            else:
                embedded.setdefault(name, []).append(example)
                budget_bytes -= len(example["source"]) + len(example["poster"])
    return embedded, left_out


def _embed(run: Path, release: str, entry: Mapping[str, Any], budget_bytes: int) -> dict[str, str] | str:
    file = (run / str(entry["path"])).resolve()
    if not file.is_relative_to((run / "releases").resolve() / release):
        return "is not a file of that release and was not shown."
    kind = _TYPES.get(file.suffix.lower())
    if kind is None or not file.is_file():
        return f"{'is not a kind a browser plays' if file.is_file() else 'is absent'} and was not shown."
    if 4 * ((file.stat().st_size + 2) // 3) + 64 > budget_bytes:
        return "was not shown: the page would grow too large."
    return {
        "track": str(entry.get("track") or kind.partition("/")[0]),
        "label": str(entry.get("label") or entry.get("emotion") or ""),
        "source": f"data:{kind};base64,{base64.b64encode(file.read_bytes()).decode()}",
        "poster": _poster(file) if kind.startswith("video") else "",
    }


def _poster(file: Path) -> str:
    """Return a small still as a data URI, so that the printed page shows the release, too."""
    with suppress(PersonareError):
        still = None
        for _, time_s, image in video.read(file):
            still = image
            if time_s >= _POSTER_S:
                break
        if still is not None:
            scale = min(1.0, 320 / still.shape[1])
            small = cv2.resize(still[..., ::-1], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            _, jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 80])
            return f"data:image/jpeg;base64,{base64.b64encode(jpeg.tobytes()).decode()}"
    return ""
