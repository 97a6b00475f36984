"""Keeps the local app to the one browser that was given this start's token: checks each request, marks each answer."""

import re
import secrets
from collections.abc import Callable, Mapping

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from personare.core.errors import reason

HEADERS = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; script-src 'self'; style-src 'self'; "
        "object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(self), microphone=(self)",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
BODY_CAP = 4 * 2**20  # bytes
_FIELD_WITHIN = 64 * 2**10  # bytes of a form, in which its field csrf must come
_FIELD = re.compile(rb'(?:(?:^|&)csrf=|name="csrf"\r\n\r\n)([\w-]{43})')
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_BODIES = ("application/json", "application/octet-stream", *_FORMS)
_EXPIRED = (
    "This browser has not entered, or personare was started again since: run personare again and use the address it "
    "prints."
)
_USED = (
    "The address opens the app once, and this one was used before or is of another start. Go on in the browser window "
    "that is open, or stop personare, run it again and use the address it prints."
)


class Guard:
    """Stands before every route; what it lets through comes from the user's own browser and this app's own pages.

    **Guarantee**: nothing but style sheets and scripts is answered to a browser that did not exchange the token of this
    start for its cookie; the token works once. Nothing is changed by a request that another site's page, or a page of
    another program on this machine, makes this browser send. No body longer than its cap is read. Each answer forbids
    storing, framing, and requests to anywhere else. No WebSocket is opened.

    ``refusal`` makes the page of a refusal, ``caps`` are the paths whose bodies may be longer, in bytes.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: str,
        csrf: str,
        port: int,
        refusal: Callable[[Request, int, str], Response],
        caps: Mapping[str, int],
    ) -> None:
        self._app, self._token, self._csrf, self._refusal, self._caps = app, token, csrf, refusal, caps
        self._session = secrets.token_urlsafe(32)
        self._cookie = f"personare-{port}"  # cookies know no ports: another app of this machine has its own
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it with a sentence."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request, has_begun = Request(scope), False

        async def marked(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                for name, value in HEADERS.items():
                    MutableHeaders(scope=message).setdefault(name, value)
            await send(message)

        try:
            await self._answer(request, receive, marked)
        except HTTPException as error:
            await self._refusal(request, error.status_code, error.detail)(scope, receive, marked)
        except Exception as error:
            if has_begun:
                raise
            sentence = f"{reason(error)}. This is a fault of personare: please report this line."
            await self._refusal(request, 500, sentence)(scope, receive, marked)

    async def _answer(self, request: Request, receive: Receive, send: Send) -> None:
        self._check_sender(request)
        path = request.scope["path"]
        if request.method == "GET" and path == "/enter":
            await self._enter(request)(request.scope, receive, send)
            return
        has_entered = _is_same(request.cookies.get(self._cookie, ""), self._session)
        if not (path.startswith("/static/") or has_entered):
            raise HTTPException(401, _EXPIRED)
        request.scope["has_entered"] = has_entered
        await self._app(request.scope, await self._checked_body(request, receive), send)

    def _check_sender(self, request: Request) -> None:
        hosts, site = request.headers.getlist("host"), request.headers.get("sec-fetch-site", "none")
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            raise HTTPException(400, "This app answers to 127.0.0.1 only. Use the address that personare printed.")
        if request.method in ("GET", "HEAD"):  # a link on another page may be followed, nothing else there be shown
            is_ours = site in ("same-origin", "none") or request.headers.get("sec-fetch-dest") == "document"
        else:
            is_ours = site in ("same-origin", "none") and request.headers.getlist("origin") == [f"http://{hosts[0]}"]
        if not is_ours:
            raise HTTPException(403, "This request came from the page of another site, and was not carried out.")

    def _enter(self, request: Request) -> Response:
        if not _is_same(request.query_params.get("token", ""), self._token):
            raise HTTPException(403, _USED)
        self._token = secrets.token_urlsafe(32)  # which nobody knows
        response = RedirectResponse("/", 303)  # and so it is gone from the address
        response.set_cookie(self._cookie, self._session, httponly=True, samesite="strict")
        return response

    async def _checked_body(self, request: Request, receive: Receive) -> Receive:
        """Return what gives the body, counted, once it is known to come from a page of this app."""
        cap, size = self._caps.get(request.scope["path"], BODY_CAP), 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > cap:
                raise HTTPException(413, f"At most {cap / 2**20:.0f} MiB can be sent here. Send less.")
            return message

        if request.method in ("GET", "HEAD"):
            return counted
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in _BODIES:
            raise HTTPException(415, f"A request must hold {', '.join(_BODIES)}, not {kind or 'nothing'}.")
        messages: list[Message] = []
        csrf = request.headers.get("x-csrf", "")
        if kind in _FORMS and not csrf:
            begin = b""
            while not (field := _FIELD.search(begin)) and len(begin) < _FIELD_WITHIN:
                messages.append(await counted())
                begin += messages[-1].get("body", b"")
                if not messages[-1].get("more_body"):
                    field = _FIELD.search(begin)
                    break
            csrf = field[1].decode("ascii", "replace") if field else ""
        if not _is_same(csrf, self._csrf):
            raise HTTPException(403, "This page is older than the app that runs. Load it again, then try once more.")
        messages.reverse()

        async def replayed() -> Message:
            return messages.pop() if messages else await counted()

        return replayed


def _is_same(given: str, secret: str) -> bool:
    return secrets.compare_digest(given.encode("utf-8", "surrogateescape"), secret.encode())
