"""What the rooms of the local app are made of: pages from templates, files from a folder that may be shown."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response

FILE_TYPES = {
    ".css": "text/css",
    ".csv": "text/csv",
    ".html": "text/html",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".md": "text/plain",
    ".mp4": "video/mp4",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".tex": "text/plain",
    ".toml": "text/plain",
    ".tsv": "text/plain",
    ".txt": "text/plain",
    ".wav": "audio/wav",
    ".webm": "video/webm",
}


@dataclass(frozen=True, kw_only=True)
class Room:
    """One room of the app, at ``/<name>``."""

    name: str
    title: str  # in the navigation
    router: APIRouter  # GET "" is its first page
    summary: str = ""  # what can be done there, in a sentence of the front page
    caps: Mapping[str, int] = field(default_factory=dict)  # paths below it whose bodies may be longer, in bytes


class Pages:
    """Shows templates, which extend ``base.html`` and carry no script or style of their own."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=PackageLoader("personare.serve"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals["count"] = _count

    def show(self, request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """Fill in a template; it also knows ``rooms``, the name of the ``room``, and ``csrf`` for its forms.

        **Guarantee**: a browser that has not entered is told neither.
        """
        state, has_entered = request.app.state, request.scope.get("has_entered", False)
        given = {"rooms": state.rooms, "csrf": state.csrf} if has_entered else {"rooms": (), "csrf": ""}
        page = self._templates.get_template(template)
        return HTMLResponse(page.render(given | {"room": request.url.path.split("/")[1]} | values), status)

    def refusal(self, request: Request, status: int, sentence: str) -> Response:
        """Say why something was not done: as JSON to a script, as a page to a person."""
        if "application/json" in (request.headers.get("content-type", ""), request.headers.get("accept", "")):
            return JSONResponse({"error": sentence}, status)
        return self.show(request, "refusal.html", status=status, sentence=sentence)


def served_file(root: Path, name: str, *, types: Mapping[str, str] = FILE_TYPES) -> FileResponse:
    """Answer with a file below a folder, whole or the part that is asked for; of a type that is listed.

    **Guarantee**: a name that leads elsewhere, through ``..``, an absolute path or a link, is answered as if there were
    no such file.
    """
    home, path = root.resolve(), root / name
    kind = types.get(path.suffix.lower())
    with suppress(OSError, ValueError):  # of a name that no file can have
        is_below = path.resolve().is_relative_to(home) and path.resolve() == home / name
        if kind and "\\" not in name and is_below and path.is_file():
            return FileResponse(path, media_type=kind)
    raise HTTPException(404, "There is no such file here.")


def _count(number: int, thing: str) -> str:
    from personare.report.words import count  # brings what draws pictures, for which no start should wait

    return count(number, thing)


def static_files() -> dict[str, Response]:
    """Read the style sheets and scripts of the app, which are all that is ever answered below ``/static/``."""
    folder = resources.files("personare.serve") / "static"
    return {
        file.name: Response(file.read_bytes(), media_type=FILE_TYPES[Path(file.name).suffix])
        for file in folder.iterdir()
    }
