"""What reads a camera for the Assistant room: in the browser where that is installed, else in this process."""

import hashlib
import json
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from personare.core.errors import MissingModelError, data_errors
from personare.features.models import find_model

CUES = ("expression", "gaze")  # what it is read for; age and sex are only what somebody says
FRAME_BYTES, FRAME_PX = 300_000, 1280  # of a picture that may be sent to this process
TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", ".task": "application/zip"}

_INSTALLED = Path(__file__).with_name("browser")


def browser_files(folder: Path = _INSTALLED) -> dict[str, Path]:
    """Return what reads faces inside the browser, by name; nothing unless all of it is exactly as it was published.

    **Guarantee**: a file that differs by one byte from what ``package.json`` names is never run by a page.
    """
    sums = json.loads((folder / "package.json").read_text(encoding="utf-8"))["sha256"]
    paths = {name: folder / "node_modules" / "@mediapipe" / "tasks-vision" / name for name in sums}
    if any(not path.is_file() or _sha256(path) != sums[name] for name, path in paths.items()):
        return {}
    return {path.name: path for path in paths.values()} | model if (model := face_model()) else {}


def face_model() -> dict[str, Path]:
    """Return the network that finds a face's mesh, which both ways of reading need; nothing where it is not here."""
    try:
        return {"face.task": find_model("face_landmarker")}
    except MissingModelError:
        return {}


def read_frame(content: bytes) -> dict[str, str]:
    """Say how many faces a JPEG shows, and of a single one what it looks like; the picture is kept nowhere.

    **Guarantee**: nothing is written; a picture that would not fit into memory is refused before it is decoded.
    """
    from personare.features.centerface import find_faces  # they take a second, and no start should wait
    from personare.features.expression import FaceLandmarker
    from personare.features.looks import looks_like

    bombs = Image.DecompressionBombError, Image.DecompressionBombWarning
    with data_errors("The picture of the camera cannot be read", "Turn the camera off and on again.", *bombs):
        picture = Image.open(BytesIO(content), formats=["JPEG"])  # its size alone
        if max(picture.size) > FRAME_PX:
            raise ValueError(f"its sides must have at most {FRAME_PX} pixels, they have {picture.size}")
        image = np.asarray(picture.convert("RGB"))
    boxes = find_faces(image, 0.5)[:, :4]
    if len(boxes) != 1:
        return {"faces": str(len(boxes))}
    side = float((boxes[0][2:] - boxes[0][:2]).max())
    left, top = np.maximum(boxes[0][:2] - side / 2, 0).astype(int)
    right, bottom = (boxes[0][2:] + side / 2).astype(int)
    with FaceLandmarker() as landmarker:  # the second look has settled
        shapes, _ = landmarker.measure([image[top:bottom, left:right]] * 2, rate_hz=5)
    return {"faces": "0"} if np.isnan(shapes[-1]).any() else {"faces": "1", **looks_like(shapes[-1:])}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
