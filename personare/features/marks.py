"""What synthetic and changed media say of themselves, in words of the IPTC: in the file, and in the file beside it.

**Source**: AI Act, Art. 50(2) and (4); IPTC NewsCodes, Digital Source Type.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import av
from PIL import Image, PngImagePlugin

from personare import __version__

_SOURCE_TYPES: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_MARKS: Final[Mapping[str, tuple[str, str]]] = {
    "synthetic": (
        "trainedAlgorithmicMedia",
        "Synthetic: made up by personare ({method}); nobody said, did or looked like this.",
    ),
    "simulated": ("algorithmicMedia", "Synthetic: painted and spoken by personare; nobody said or looked like this."),
    "anonymized": (
        "compositeWithTrainedAlgorithmicMedia",
        "Changed: personare hid the person in this recording; nobody sounded or looked like this.",
    ),
}


def mark(kind: str, method: str = "") -> dict[str, Any]:
    """Return the mark of a ``synthetic``, ``simulated`` or ``anonymized`` recording.

    It has no date: the same run must write the same file.
    """
    source, sentence = _MARKS[kind]
    return {
        "Synthetic": kind != "anonymized",
        "Description": sentence.format(method=method),
        "digitalSourceType": _SOURCE_TYPES + source,
        "generator": f"personare {__version__}",
    }


def png_comment(content: Mapping[str, Any]) -> PngImagePlugin.PngInfo:
    """Return a mark as a picture carries it."""
    comment = PngImagePlugin.PngInfo()
    comment.add_text("Comment", json.dumps(dict(content)))
    return comment


def read_mark(path: Path) -> Mapping[str, Any]:
    """Return what a file says of itself in its own comment, or else in the file beside it; empty where it says nothing.

    A comment is lost where a file is converted: a file without a mark need not be a recording of anybody.
    """
    name = path.name.partition(".")[0]
    beside = [path.with_name(f"{stem}.json") for stem in (name, f"{name.rpartition('_')[0]}_beh")]
    for file in (path, *beside):
        with suppress(OSError, ValueError, av.FFmpegError):
            said = json.loads(_comment(file))
            if isinstance(said, dict) and "digitalSourceType" in said:
                return said
    return {}


def _comment(path: Path) -> str:
    if path.suffix == ".json":
        return path.read_text(encoding="utf-8")
    if path.suffix == ".png":
        with Image.open(path) as picture:
            return str(picture.info.get("Comment", ""))
    with av.open(f"file:{path}") as container:
        return str(container.metadata.get("comment", ""))
