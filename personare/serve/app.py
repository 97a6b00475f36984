"""The local web app: rooms of pages on this machine alone, for people who do not use a terminal."""

import secrets
import socket
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from personare.core.atomic import make_folder
from personare.core.errors import DataError, OptionError, PersonareError
from personare.serve.pages import Pages, Room, static_files
from personare.serve.security import Guard


def create_app(folder: Path, rooms: Sequence[Room], *, token: str, port: int) -> FastAPI:
    """Return the app with these rooms; its own ``folder`` can be read by its owner alone.

    **Guarantee**: see ``Guard``, which stands before everything.
    """
    make_private(folder)
    pages, statics = Pages(), static_files()
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.state.rooms, app.state.csrf = tuple(rooms), secrets.token_urlsafe(32)
    caps = {f"/{room.name}{path}": cap for room in rooms for path, cap in room.caps.items()}
    app.add_middleware(Guard, token=token, csrf=app.state.csrf, port=port, refusal=pages.refusal, caps=caps)
    for room in rooms:
        app.include_router(room.router, prefix=f"/{room.name}")

    @app.get("/")
    def front(request: Request) -> Response:
        only = f"/{rooms[0].name}" if len(rooms) == 1 else ""
        return RedirectResponse(only, 303) if only else pages.show(request, "front.html")

    @app.get("/static/{name}")
    def static(name: str) -> Response:
        if name not in statics:
            raise HTTPException(404, "There is no such file here.")
        return statics[name]

    def refused(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException):
            return pages.refusal(request, error.status_code, error.detail)
        if isinstance(error, RequestValidationError):
            faults = "; ".join(f"{'.'.join(map(str, e['loc'][1:]))}: {e['msg']}" for e in error.errors())
            return pages.refusal(request, 400, f"The request does not hold what it must: {faults}.")
        return pages.refusal(request, 400, str(error))

    for kind in (PersonareError, OSError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, refused)
    return app


def make_private(folder: Path) -> Path:
    """Make a folder that nobody else may read; one that others can read is refused."""
    if not folder.exists():
        make_folder(folder).chmod(0o700)
    if not folder.is_dir() or folder.stat().st_mode & 0o077:
        raise DataError(
            f"{folder} must be a folder that nobody else may open, since recordings of people will lie in it. "
            f"Choose a new one, or run: chmod 700 {folder}"
        )
    return folder


def run_app(folder: Path, rooms: Sequence[Room], *, port: int, browser: bool, tell: Callable[[str], object]) -> None:
    """Serve the rooms to this machine until it is stopped; ``tell`` is given the address, once, with the token.

    **Guarantee**: no request is logged, so the token is nowhere but in that address.
    """
    listener = socket.socket(proto=socket.IPPROTO_TCP)  # else asyncio leaves Nagle on: 40 ms more for each answer
    with closing(listener):
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen(128)
        except (OSError, OverflowError) as error:
            raise OptionError(
                f"Port {port} must be free, but cannot be used: {error}. Leave --port out, or give another."
            ) from error
        token, port = secrets.token_urlsafe(32), listener.getsockname()[1]
        app = create_app(folder, rooms, token=token, port=port)
        address = f"http://127.0.0.1:{port}/enter?token={token}"
        tell(address)
        if browser:
            webbrowser.open(address)  # which waits at the door until the server answers
        config = uvicorn.Config(
            app, access_log=False, log_level="warning", server_header=False, ws="none", timeout_graceful_shutdown=2
        )
        uvicorn.Server(config).run(sockets=[listener])
