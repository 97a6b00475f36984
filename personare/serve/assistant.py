"""The Assistant room: a model on this machine answers somebody, knows of them what they agreed to, and forgets it."""

import hashlib
import json
import secrets
import shutil
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np
from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from personare.assist.checkin import CheckIn
from personare.assist.conversation import Conversation
from personare.assist.profile import CUES, SOURCES, Gate, Profile
from personare.core.errors import DataError, PolicyError
from personare.core.protocols import Backend
from personare.core.types import Turn
from personare.govern.sealed import Sealed
from personare.serve import camera
from personare.serve.pages import Pages, Room
from personare.serve.security import HEADERS

_POLICY = HEADERS["content-security-policy"].replace("script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'")
_TYPES = {".mjs": "text/javascript", ".js": "text/javascript", ".wasm": "application/wasm"}
_IDLE_S = 2 * 3600
_GONE = "This conversation is not here any more: it was forgotten, or nothing was said for two hours. Begin a new one."


class _Begin(BaseModel):
    """What somebody agrees to before anything is said."""

    role: Literal["health", "tutor"]
    name: str = Field(default="", max_length=60)
    minor: bool = False
    consents: list[str] = []
    epsilon: float | None = None
    passphrase: str = Field(default="", max_length=200)


class _Call(BaseModel):
    """What every call of a page says: whose it is, by a random word that only this page has."""

    person: str


class _Say(_Call):
    text: str


class _Cues(_Call):
    cues: dict[str, str] = Field(max_length=8)


class _Field(_Call):
    cue: str
    value: str = ""


class _Switch(_Call):
    on: bool


class _Consent(_Switch):
    cue: str


class _Lines(_Call):
    lines: list[str]


@dataclass(kw_only=True)
class _Visit:
    """One person's conversation, in memory; on disk only sealed, and only if they gave a passphrase for it."""

    conversation: Conversation
    name: str
    sealed: Sealed | None
    place: Path  # of what is sealed
    seen_s: float = field(default_factory=time.monotonic)
    lock: Lock = field(default_factory=Lock)  # one thing at a time is done to it

    def keep(self) -> None:
        """Seal what the person wants to find again."""
        if self.sealed:
            turns = [(turn.role, turn.text) for turn in self.conversation.history]
            self.sealed.write(self.name, "profile", self.conversation.profile.to_json().encode())
            self.sealed.write(self.name, f"turns {self.conversation.role}", json.dumps(turns).encode())

    def shown(self) -> dict[str, Any]:
        """Return all that is known of the person, for their page."""
        conversation, gate = self.conversation, self.conversation.gate
        return {
            "role": gate.role,
            "profile": {
                name: {"label": CUES[name].label, "words": SOURCES[one.source], **asdict(one)}
                for name, one in conversation.profile.entries.items()
            },
            "log": list(gate.log.values()),
            "consents": sorted(gate.consents),
            "epsilon_spent": gate.spent(),
            "sealed": self.sealed is not None,
            "history": conversation.keep_history,
            "turns": [{"role": turn.role, "text": turn.text} for turn in conversation.turns],
        }


@dataclass(frozen=True, kw_only=True)
class _Queued:
    """A backend whom one person asks at a time."""

    backend: Backend
    lock: Lock = field(default_factory=Lock)

    @property
    def where(self) -> str:
        """Where the words go."""
        return self.backend.where

    def __call__(self, turns: Sequence[Turn], *, most_tokens: int) -> Iterator[str]:
        """Wait for whoever is being answered, then answer."""
        with self.lock:
            yield from self.backend(turns, most_tokens=most_tokens)


class _Answer(StreamingResponse):
    """An answer that is sent while it is made, and ended where whoever asked goes away."""

    def __init__(self, pieces: Generator[str, None, None]) -> None:
        first = next(pieces, "")  # a refusal is still one
        super().__init__(chain([first], pieces), media_type="text/plain; charset=utf-8")
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await run_in_threadpool(self._pieces.close)


def assistant_room(
    pages: Pages,
    folder: Path,
    *,
    backend: Backend,
    rng: np.random.Generator,
    crisis_line: str = "",
    facts: Sequence[str] = (),
) -> Room:
    """Return the room in which somebody talks to a model that knows of them what they agreed to.

    **Guarantee**: a conversation is known by a random word that its page alone has: no call reaches another person's.
    It is in memory, and gone when it is forgotten, when nothing was said for two hours, or when the program ends;
    nothing is on disk unless the person gave a passphrase, under which it is sealed. A picture of the camera is read in
    the browser or, where that is not installed, in this process, and is never written. The tutor has no camera.
    """
    summary = "Talk to a model on this machine: a check-in about how you are, or a tutor. It knows what you tell it."
    visits = _Visits(pages, folder / "assistant", _Queued(backend=backend), rng, crisis_line=crisis_line, facts=facts)
    caps = {"/frame": camera.FRAME_BYTES}
    return Room(name="assistant", title="Assistant", summary=summary, router=visits.router, caps=caps)


class _Visits:
    def __init__(
        self,
        pages: Pages,
        folder: Path,
        backend: Backend,
        rng: np.random.Generator,
        *,
        crisis_line: str,
        facts: Sequence[str],
    ) -> None:
        self._show, self._folder, self._backend, self._rng = pages.show, folder, backend, rng
        self._crisis_line, self._facts, self._lock = crisis_line, facts, Lock()
        self._files = camera.browser_files()
        self._camera = "browser" if self._files else "program" if camera.face_model() else "none"
        self._visits: dict[str, _Visit] = {}
        self.router = APIRouter()
        self.router.add_api_route("", self.first, methods=["GET"])
        self.router.add_api_route("/camera/{name}", self.file, methods=["GET"])
        for name in ("begin", "state", "cues", "frame", "say", "declare", "withdraw", "consent", "history"):
            self.router.add_api_route(f"/{name}", getattr(self, name), methods=["POST"], response_model=None)
        for name in ("about", "export", "forget", "checkin", "answer", "summary", "approved"):
            self.router.add_api_route(f"/{name}", getattr(self, name), methods=["POST"], response_model=None)

    def first(self, request: Request) -> Response:
        """Say what it is, where words and pictures go, and ask what it may know."""
        from personare.features.looks import READER

        page = self._show(
            request,
            "assistant.html",
            where=self._backend.where,
            camera=self._camera,
            reader=READER,
            cues=[CUES[name] for name in camera.CUES],
            fields=[about for about in CUES.values() if "self" in about.sources],
        )
        if self._files:  # of all pages only this one may run WebAssembly
            page.headers["content-security-policy"] = _POLICY
        return page

    def file(self, name: str) -> Response:
        """Give what reads faces in the browser."""
        if name not in self._files:
            raise HTTPException(404, "There is no such file here.")
        return FileResponse(self._files[name], media_type=_TYPES.get(Path(name).suffix))

    def begin(self, call: _Begin) -> dict[str, Any]:
        """Begin a conversation, or go on with what was sealed under a name and a passphrase."""
        gate = Gate(role=call.role, epsilon=call.epsilon)
        gate.child = call.minor
        for key in call.consents:
            _allow(gate, key)
        profile, turns, sealed = Profile(), list[Turn](), None
        # whose folder it is can only be told by trying names, each of which takes a while
        place = self._folder / hashlib.scrypt(call.name.encode(), salt=b"personare", n=2**14, r=8, p=1, dklen=16).hex()
        if call.passphrase:
            if not call.name.strip():
                raise DataError("A passphrase needs a name, under which you find your profile again. Give one.")
            sealed = Sealed(place, call.passphrase)
            kept, said = sealed.names(call.name), f"turns {call.role}"
            profile = Profile.of_json(sealed.read(call.name, "profile")) if "profile" in kept else profile
            if said in kept:
                turns = [Turn(role=role, text=text) for role, text in json.loads(sealed.read(call.name, said))]
        if call.name.strip():
            profile.put("name", call.name)
        with self._lock:
            rng = self._rng.spawn(1)[0]
        conversation = Conversation(
            role=call.role,
            backend=self._backend,
            gate=gate,
            profile=profile,
            facts=self._facts,
            crisis_line=self._crisis_line,
            rng=rng,
        )
        conversation.turns, conversation.keep_history = turns, bool(turns)
        visit = _Visit(
            conversation=conversation,
            name=call.name,
            sealed=sealed,
            place=place,
        )
        visit.keep()
        person = secrets.token_urlsafe(24)
        with self._lock:
            self._visits[person] = visit
        return {"person": person, **visit.shown()}

    def state(self, call: _Call) -> dict[str, Any]:
        """Return what is known of a person."""
        return self._visit(call).shown()

    def cues(self, call: _Cues) -> dict[str, Any]:
        """Take what the browser read off the camera through the gate."""
        return self._observe(self._seeing(call), call.cues)

    async def frame(self, request: Request) -> dict[str, Any]:
        """Read a picture of the camera, held in memory alone, and take what it tells through the gate."""
        visit = self._seeing(_Call(person=request.headers.get("x-person", "")))
        content = await request.body()
        return await run_in_threadpool(lambda: self._observe(visit, camera.read_frame(content)))

    def say(self, call: _Say) -> Response:
        """Answer, piece by piece as it is made."""
        visit = self._visit(call)

        def pieces() -> Generator[str, None, None]:
            with visit.lock:
                yield from visit.conversation.say(call.text)
                visit.keep()

        return _Answer(pieces())

    def declare(self, call: _Field) -> dict[str, Any]:
        """Note what somebody says of themselves."""
        return self._change(call, lambda visit: visit.conversation.declare(call.cue, call.value))

    def withdraw(self, call: _Field) -> dict[str, Any]:
        """Remove a field of the profile."""
        return self._change(call, lambda visit: visit.conversation.withdraw(call.cue))

    def consent(self, call: _Consent) -> dict[str, Any]:
        """Allow a cue of the camera, or take that back: what was noted of it goes too."""

        def change(visit: _Visit) -> None:
            _allow(visit.conversation.gate, call.cue)
            if not call.on:
                visit.conversation.gate.consents.discard(call.cue)

        return self._change(call, change)

    def history(self, call: _Switch) -> dict[str, Any]:
        """Keep what was said for the next visit, or remove it from disk."""

        def change(visit: _Visit) -> None:
            if call.on and not visit.sealed:
                raise PolicyError("What was said is kept only under a passphrase. Begin anew with one to keep it.")
            visit.conversation.keep_history = call.on

        return self._change(call, change)

    def about(self, call: _Call) -> dict[str, str]:
        """Say what is known of a person: from the profile itself, never from the model."""
        return {"text": self._visit(call).conversation.about_me()}

    def export(self, call: _Call) -> dict[str, Any]:
        """Give a person all that is here of them."""
        visit = self._visit(call)
        checkin = visit.conversation.check_in
        return {**visit.shown(), "check_in": checkin.answers if checkin else {}}

    def summary(self, call: _Call) -> list[dict[str, Any]]:
        """Return the lines that a clinician would read, each with where it comes from."""
        return [asdict(line) for line in self._visit(call).conversation.summary()]

    def approved(self, call: _Lines) -> Response:
        """Give out those lines of a summary that the person approved, and no other."""
        lines = [line.text for line in self._visit(call).conversation.summary() if line.id in call.lines]
        if not lines:
            raise PolicyError("No line leaves that you did not approve. Tick those that may.")
        return Response("\n".join(lines) + "\n", media_type="text/plain")

    def forget(self, call: _Call) -> dict[str, Any]:
        """Remove a person: what is in memory, and with its key what is sealed."""
        visit = self._visit(call)
        with visit.lock:
            if visit.sealed:
                visit.sealed.forget(visit.name)
                visit.sealed = None
                shutil.rmtree(visit.place)
            self._visits.pop(call.person, None)
        return {}

    def checkin(self, call: _Call) -> dict[str, Any]:
        """Begin to ask how somebody is, or go on with it."""
        conversation = self._visit(call).conversation
        checkin = conversation.check_in or conversation.begin_check_in(date.today())
        return {"text": checkin.opening, **_asked(checkin)}

    def answer(self, call: _Say) -> dict[str, Any]:
        """Take the answer to the question that was asked."""
        visit = self._visit(call)
        with visit.lock:
            checkin = visit.conversation.check_in or visit.conversation.begin_check_in(date.today())
            return {"text": checkin.answer(call.text), **_asked(checkin)}

    def _visit(self, call: _Call) -> _Visit:
        """Return a person's visit; those who went away are forgotten first."""
        now_s = time.monotonic()
        with self._lock:
            for person, visit in list(self._visits.items()):
                if now_s - visit.seen_s > _IDLE_S:
                    del self._visits[person]
            if call.person not in self._visits:
                raise HTTPException(404, _GONE)
            self._visits[call.person].seen_s = now_s
            return self._visits[call.person]

    def _seeing(self, call: _Call) -> _Visit:
        """Return a visit in which the camera may be read."""
        visit = self._visit(call)
        if visit.conversation.gate.role == "tutor" or not visit.conversation.gate.consents:
            raise PolicyError("The camera is not read here: nobody agreed to it, or this is the tutor.")
        return visit

    def _observe(self, visit: _Visit, cues: dict[str, str]) -> dict[str, Any]:
        with visit.lock:
            noted = visit.conversation.observe("camera", cues)
            visit.keep()
            return {"seen": cues, "noted": noted, **visit.shown()}

    def _change(self, call: _Call, change: Callable[[_Visit], None]) -> dict[str, Any]:
        visit = self._visit(call)
        with visit.lock:
            change(visit)
            visit.keep()
            return visit.shown()


def _allow(gate: Gate, key: str) -> None:
    """Let a cue of the camera through a gate, where the room reads it at all."""
    source, _, name = key.partition(".")
    if source != "camera" or name not in camera.CUES or gate.role == "tutor" or gate.child:
        raise PolicyError(f"The camera is read for {', '.join(camera.CUES)}, of adults, and never by the tutor.")
    gate.consents.add(key)


def _asked(checkin: CheckIn) -> dict[str, Any]:
    question = checkin.question
    return {"question": question.ask if question else "", "options": question.options if question else ()}
