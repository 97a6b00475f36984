"""The Hide room, in which somebody checks and corrects a mask before a recording leaves; it alone shows originals."""

import json
import re
import secrets
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd
from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from personare.anonymize._recordings import METHODS
from personare.core import registry
from personare.core.atomic import make_folder, write_json
from personare.core.errors import DataError, PolicyError
from personare.core.types import Recording
from personare.data.cohort import CohortWriter, open_cohort, recording_id
from personare.data.vault import Vault
from personare.features.corrections import VERSION, Corrections, corrections_of
from personare.govern.consent import consent_all
from personare.govern.ledger import Ledger
from personare.serve.pages import Pages, Room
from personare.study.anonymizing import content_digest
from personare.study.preview import look_at, make, start

_LARGEST_BYTES = 2 << 30
_KEPT_S = 24 * 3600
_LOOK_S, _MAKE_S = 120, 8 * 3600  # of one core
_BEGINNINGS = {  # how files begin that are sound or film, from which byte on
    b"ftyp": (4, ".mp4", "video/mp4"),
    b"\x1aE\xdf\xa3": (0, ".webm", "video/webm"),
    b"WAVE": (8, ".wav", "audio/wav"),
    b"AVI ": (8, ".avi", "video/x-msvideo"),
    b"OggS": (0, ".ogg", "audio/ogg"),
    b"fLaC": (0, ".flac", "audio/flac"),
    b"ID3": (0, ".mp3", "audio/mpeg"),
    b"\xff\xfb": (0, ".mp3", "audio/mpeg"),
    b"\xff\xf3": (0, ".mp3", "audio/mpeg"),
    b"\x00\x00\x01\xba": (0, ".mpg", "video/mpeg"),
    b"FORM": (0, ".aiff", "audio/aiff"),
}


def hide_room(pages: Pages, folder: Path) -> Room:
    """Return the room in which a film or a sound is hidden, corrected by hand, and only then given out.

    **Guarantee**: An original lies in a cohort of its own in ``folder`` and is opened by the vault, for the purpose
    ``anonymization``, after somebody said that she may; each opening is a row of the ledger there. A result is given
    out only after somebody said that this very one is right. What is older than a day is removed when the app starts.
    """
    films = _Films(pages, folder)
    films.remove_old()
    summary = "Drop a film or a sound, choose a mask, look at the result, correct it by hand, and take it with you."
    return Room(name="hide", title="Hide", router=films.router, summary=summary, caps={"/upload": _LARGEST_BYTES})


class _Films:
    def __init__(self, pages: Pages, folder: Path) -> None:
        self._show, self._folder, self._root, self.router = pages.show, folder, folder / "hide", APIRouter()
        self._work: dict[str, BaseProcess] = {}  # by film
        self._lock = Lock()  # of two windows one begins or deletes first
        self._openings: dict[str, Path] = {}  # by the name under which a page asks for it
        for method, path, answer in (
            ("GET", "", self.first),
            ("POST", "/upload", self.upload),
            ("GET", "/{film}", self.page),
            ("GET", "/{film}/original/{opening}", self.original),
            ("GET", "/{film}/state", self.state),
            ("GET", "/{film}/faces", self.faces),
            ("POST", "/{film}/make", self.make),
            ("GET", "/{film}/result", self.result),
            ("POST", "/{film}/release", self.release),
            ("GET", "/{film}/download", self.download),
            ("GET", "/{film}/corrections.json", self.corrections),
            ("POST", "/{film}/delete", self.delete),
        ):
            self.router.add_api_route(path, answer, methods=[method])

    def first(self, request: Request) -> Response:
        """Show where to drop a recording, and those that are still here."""
        films = [(path.parent.name, _read(path)) for path in self._root.glob("*/about.json")]
        return self._show(request, "hide.html", films=films)

    async def upload(self, request: Request, name: str = "", consent: str = "") -> Response:
        """Take a file in, under a name of this program's, into a cohort with a consent of its own."""
        if consent != "yes":
            raise PolicyError("A recording may be hidden here only if you may do so. Tick that, then choose it again.")
        film = make_folder(self._root / secrets.token_hex(16))
        try:
            path = film / "upload"
            with path.open("xb") as file:
                async for piece in request.stream():
                    file.write(piece)
            await run_in_threadpool(self._take_in, film, path, Path(name).name[:100] or "recording")
        except BaseException:
            shutil.rmtree(film, ignore_errors=True)
            raise
        return JSONResponse({"film": film.name})

    def _take_in(self, film: Path, path: Path, name: str) -> None:
        with path.open("rb") as file:
            begin = file.read(16)
        kinds = [kind for mark, kind in _BEGINNINGS.items() if begin[kind[0] :].startswith(mark)]
        if not kinds:
            raise DataError(f"{name} does not begin like a film or a sound. Convert it to MP4 or WAV.")
        path = path.rename(film / f"upload{kinds[0][1]}")
        process = start(look_at, film / "look.json", path, seconds=_LOOK_S)
        process.join(2 * _LOOK_S)
        process.kill()
        about = _read(film / "look.json") or {"error": f"{name} takes too long to decode. Convert it to MP4 or WAV."}
        if "error" in about:
            raise DataError(about["error"].replace(str(path), name).replace(path.name, name))
        digest, track = content_digest(path), "video" if about["kind"] == "film" else "audio"
        writer = CohortWriter(film / "cohort", name=film.name)
        kept = writer.path(("01", "01", "take"), track, path.suffix)
        path.rename(kept)
        tracks = {track: kept.relative_to(writer.root).as_posix()}
        writer.add(Recording(id=recording_id("01", "01", "take"), subject="01", session="01", tracks=tracks))
        writer.finish(pd.DataFrame(index=["01"]), consent_all(["01"], ["anonymization"]))
        write_json(film / "corrections.json", _written(Corrections(digest=digest, name=name)))
        write_json(film / "about.json", {**about, "name": name, "type": kinds[0][2], "digest": digest})

    def page(self, request: Request, film: str) -> Response:
        """Open the original, and show it beside what was made of it."""
        about, opening = _read(self._film(film) / "about.json"), secrets.token_urlsafe(16)
        self._film(film).touch()  # it is kept for a day from now
        self._openings[opening] = self._opened(film)
        methods = [method for method in registry.find(METHODS).values() if method.alone]
        address = f"/hide/{film}/original/{opening}"
        return self._show(request, "hide_film.html", film=film, about=about, original=address, methods=methods)

    def original(self, film: str, opening: str) -> Response:
        """Give the original to the page for which it was opened."""
        path = self._openings.get(opening)
        if path is None or not path.is_relative_to(self._film(film)):
            raise HTTPException(404, "This page is older than the app that runs. Load it again.")
        return FileResponse(path, media_type=_read(self._film(film) / "about.json")["type"])

    def state(self, film: str) -> dict[str, Any]:
        """Say how far it is, and what was made."""
        folder = self._film(film)
        running = film in self._work and self._work[film].is_alive()  # before what it writes at its end is read
        made = None if running else _read(folder / "made.json")
        if film in self._work and not running and made is None:
            sentence = "It ended before it was done: memory or time ran out. Cut the recording, or close programs."
            made = {"error": sentence}
        right = made is not None and _read(folder / "right.json") == made
        corrections = _read(folder / "corrections.json")["recordings"][0]
        state = {"about": _read(folder / "about.json"), "corrections": corrections, "made": made, "right": right}
        return {**state, "running": running, "progress": _read(folder / "progress.json")}

    def faces(self, film: str, at_s: float) -> list[dict[str, float]]:
        """Return the faces that were found or added in the picture shown at a time."""
        path = self._film(film) / "faces.npy"
        rows = np.load(path, allow_pickle=False) if path.is_file() else np.empty((0, 6))
        step_s = 1 / (_read(path.with_name("about.json"))["rate_hz"] or 25)
        rows = rows[(rows[:, 0] > at_s - step_s) & (rows[:, 0] < at_s + 0.001)]
        names = ("at_s", "track", "left", "top", "right", "bottom")
        return [dict(zip(names, map(float, row), strict=True)) for row in rows if row[0] == rows[:, 0].max()]

    def make(self, film: str, content: dict[str, Any]) -> dict[str, Any]:
        """Begin to hide it, with the masks and the corrections given."""
        folder = self._film(film)
        about, given = _read(folder / "about.json"), content.get("corrections")
        given = {**given, "digest": about["digest"], "name": about["name"]} if isinstance(given, Mapping) else given
        corrections = corrections_of({"version": VERSION, "recordings": [given]})[0]
        masks = content.get("face", ""), content.get("voice", "")
        with self._lock:
            if self.state(film)["running"]:
                raise DataError("It is being made already, perhaps in another window. Wait until it is done.")
            for name in ("right.json", "progress.json", "hidden.mp4", "hidden.wav"):
                (folder / name).unlink(missing_ok=True)
            write_json(folder / "corrections.json", _written(corrections))
            task = (self._opened(film), folder, about["kind"] == "film", *masks, corrections)
            self._work[film] = start(make, folder / "made.json", *task, seconds=_MAKE_S)
        return {}

    def result(self, film: str) -> Response:
        """Show what was made to whoever is to judge it."""
        return FileResponse(self._made(film))

    def release(self, film: str, content: dict[str, Any]) -> dict[str, Any]:
        """Note that somebody looked at a result and found it right."""
        made = _read(self._made(film).with_name("made.json"))
        if content.get("made") != made["stamp"]:
            raise DataError("It was made again since, perhaps in another window. Look at the new result first.")
        row = {"cohort": film, "purpose": "anonymization", "detail": {n: made[n] for n in ("face", "voice", "counts")}}
        self._ledger().append("released", [row])
        write_json(self._film(film) / "right.json", made)
        return {}

    def download(self, film: str) -> Response:
        """Give out a result that somebody found right."""
        if not self.state(film)["right"]:
            raise PolicyError("A result leaves only after you looked at it and said that it is right.")
        return FileResponse(self._made(film), filename=self._made(film).name)

    def corrections(self, film: str) -> Response:
        """Give out the corrections, for ``personare anonymize --corrections``."""
        return FileResponse(self._film(film) / "corrections.json", filename="corrections.json")

    def delete(self, film: str) -> dict[str, Any]:
        """Remove a recording and everything that was made of it."""
        with self._lock:
            folder = self._film(film)
            if process := self._work.pop(film, None):
                process.kill()
                process.join()
            shutil.rmtree(folder)
        self._ledger().append("erased", [{"cohort": film}])
        return {}

    def remove_old(self) -> None:
        """Remove what nobody has come back to for a day."""
        for folder in self._root.glob("*/"):
            with suppress(FileNotFoundError):
                if time.time() - folder.stat().st_mtime > _KEPT_S:
                    shutil.rmtree(folder)

    def _film(self, name: str) -> Path:
        if not (re.fullmatch("[0-9a-f]{32}", name) and (self._root / name / "about.json").is_file()):
            raise HTTPException(404, "This recording is not here any more. Choose it again.")
        return self._root / name

    def _made(self, film: str) -> Path:
        made = self.state(film)["made"]
        if not made or "error" in made:
            raise HTTPException(404, "Nothing was made yet. Make a preview first.")
        return self._film(film) / str(made["file"])

    def _opened(self, film: str) -> Path:
        """Ask the vault for the original."""
        cohort = open_cohort(self._film(film) / "cohort")
        vault = Vault(cohort, purpose="anonymization", ledger=self._ledger())
        opened, refused = vault.admit(cohort.recordings, *cohort.recordings[0].tracks)
        if refused:
            raise PolicyError(f"{refused[0].problem}. {refused[0].fix}")
        return opened[cohort.recordings[0].id]

    def _ledger(self) -> Ledger:
        from personare.study.access import open_ledger  # it takes a second, and the first page needs none

        return open_ledger(None, self._folder)


def _read(path: Path) -> Any:
    """Return a JSON file's content; None where there is none yet."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _written(corrections: Corrections) -> dict[str, Any]:
    return {"version": VERSION, "recordings": [corrections]}
