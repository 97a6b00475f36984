"""The Assistant room: a model on this machine answers somebody, knows of them what they agreed to, and forgets it."""

import hashlib
import json
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import Any, Literal
import secrets

import numpy as np
from fastapi import APIRouter
from PIL import Image
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse

from personare.assist.conversation import Conversation
from personare.assist.profile import CUES, SOURCES, Gate, Profile
from personare.core.errors import DataError, MissingModelError, OptionError, PolicyError, data_errors
from personare.core.protocols import Backend
from personare.core.types import Turn
from personare.features.models import find_model
from personare.govern.sealed import Sealed
from personare.serve.pages import FILE_TYPES, Pages, Room
from personare.serve.security import HEADERS

CAMERA = ("expression", "gaze")  # what the camera is read for; age and sex are only what somebody says

_BROWSER = Path(__file__).with_name("browser")
_POLICY = HEADERS["content-security-policy"].replace("script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'")
_FRAME_BYTES, _FRAME_PX = 300_000, 1280
_IDLE_S = 2 * 3600
_TYPES = {**FILE_TYPES, ".mjs": "text/javascript", ".wasm": "application/wasm", ".task": "application/octet-stream"}


def browser_files(folder: Path = _BROWSER) -> dict[str, Path]:
    """Return what reads faces inside the browser, by name; nothing unless all of it is exactly as published."""
    sums = json.loads((folder / "package.json").read_text(encoding="utf-8"))["sha256"]
    home = folder / "node_modules" / "@mediapipe" / "tasks-vision"
    if any(not (home / name).is_file() or _sha256(home / name) != digest for name, digest in sums.items()):
        return {}
    try:
        return {Path(name).name: home / name for name in sums} | {"face.task": find_model("face_landmarker")}
    except MissingModelError:
        return {}


def read_frame(content: bytes) -> dict[str, str]:
    """Say how many faces a JPEG shows, and of a single one what it looks like; the picture is kept nowhere."""
    from personare.features.centerface import find_faces
    from personare.features.expression import FaceLandmarker
    from personare.features.looks import looks_like

    with data_errors("The picture of the camera cannot be read", "Turn the camera off and on again."):
        with Image.open(BytesIO(content), formats=["JPEG"]) as picture:
            if max(picture.size) > _FRAME_PX:
                raise ValueError(f"its sides must have at most {_FRAME_PX} pixels, not {picture.size}")
            image = np.asarray(picture.convert("RGB"))
    boxes = find_faces(image, 0.5)[:, :4]
    if len(boxes) != 1:
        return {"faces": str(len(boxes))}
    side = float((boxes[0][2:] - boxes[0][:2]).max())
    left, top = np.maximum(boxes[0][:2] - 0.5 * side, 0).astype(int)
    right, bottom = (boxes[0][2:] + 0.5 * side).astype(int)
    with FaceLandmarker() as landmarker:
        shapes, _ = landmarker.measure([image[top:bottom, left:right]] * 2, rate_hz=5)
    return {"faces": "0"} if np.isnan(shapes[-1]).any() else {"faces": "1", **looks_like(shapes[-1:])}


class _Begin(BaseModel):
    """What somebody agrees to before anything is said."""

    role: Literal["health", "tutor"]
    name: str = Field(default="", max_length=60)
    minor: bool = False
    consents: list[Literal["expression", "gaze"]] = []
    epsilon: float | None = None
    passphrase: str = Field(default="", max_length=200)
    history: bool = False


class _Call(BaseModel):
    """What every call of a page says: whose it is, by a random word that only that page has."""

    person: str = Field(max_length=64)


class _Say(_Call):
    """What somebody typed."""

    text: str


class _Cues(_Call):
    """What the browser read off the camera: words, no picture."""

    cues: dict[str, str] = Field(max_length=8)


class _Field(_Call):
    """A field of the profile, and what somebody says of themselves."""

    cue: str
    value: str = ""


class _Switch(_Call):
    """Something that is switched on or off."""

    on: bool
    cue: Literal["expression", "gaze"] | None = None


class _Approved(_Call):
    """The lines of a summary that may leave."""

    lines: list[str]


@dataclass(kw_only=True)
class _Visit:
    """One person's conversation, in memory; sealed on disk only if they gave a passphrase for it."""

    conversation: Conversation
    gate: Gate
    profile: Profile
    sealed: Sealed | None
    folder: Path
    name: str
    history: bool
    seen_s: float = 0.0
    lock: Lock = field(default_factory=Lock)

    def keep(self) -> None:
        """Seal what the person wants to find again."""
        if self.sealed:
            turns = self.conversation.turns if self.history else ()
            self.sealed.write(self.name, "profile", self.profile.to_json().encode())
            self.sealed.write(self.name, "history", json.dumps([(t.role, t.text) for t in turns]).encode())
