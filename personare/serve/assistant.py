"""The Assistant room: a model on this machine answers somebody, knows of them what they agreed to, and forgets it."""

import hashlib
import json
import secrets
import shutil
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
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
    """What a page says: whose it is, by a random word that it alone has, and what that person did."""

    person: str
    text: str = ""
    cue: str = ""
    value: str = ""
    on: bool = False
    cues: dict[str, str] = Field(default={}, max_length=8)
    lines: list[str] = []


@dataclass(kw_only=True)
class _Visit:
    """One person's conversation, in memory; on disk only sealed, and only if they gave a passphrase for it."""

    conversation: Conversation
    name: str
    sealed: Sealed | None
    seen_s: float = field(default_factory=time.monotonic)
    lock: Lock = field(default_factory=Lock)  # one thing at a time is done to it

    def keep(self) -> None:
        """Seal what the person wants to find again."""
        if self.sealed:
            turns = [(turn.role, turn.text) for turn in self.conversation.history]
            self.sealed.write(self.name, "profile", self.conversation.profile.to_json().encode())
            self.sealed.write(self.name, self.conversation.role, json.dumps(turns).encode())

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
    It is in memory, and gone when it is forgotten, when the program ends, or at the next call of anybody after nothing
    was said in it for two hours; nothing is on disk unless the person gave a passphrase, under which it is sealed. A
    picture of the camera is read in the browser or, where that is not installed, in this process, and is never written.
    The tutor has no camera.
    """
    summary = "Talk to a model on this machine: a check-in about how you are, or a tutor. It knows what you tell it."

    def converse(gate: Gate, profile: Profile) -> Conversation:
        return Conversation(
            role=gate.role,
            backend=backend,
            gate=gate,
            profile=profile,
            facts=facts,
            crisis_line=crisis_line,
            rng=rng.spawn(1)[0],
        )

    visits = _Visits(pages, folder / "assistant", converse, backend.where)
    caps = {"/frame": camera.FRAME_BYTES}
    return Room(name="assistant", title="Assistant", summary=summary, router=visits.router, caps=caps)


class _Visits:
    def __init__(
        self, pages: Pages, folder: Path, converse: Callable[[Gate, Profile], Conversation], where: str
    ) -> None:
        self._show, self._folder, self._converse, self._where = pages.show, folder, converse, where
        self._files = camera.browser_files()
        self._visits: dict[str, _Visit] = {}
        self._lock = Lock()
        self.router = APIRouter()
        self.router.add_api_route("", self.first, methods=["GET"])
        self.router.add_api_route("/camera/{name}", self.file, methods=["GET"])
        for respond in (
            self.begin,
            self.state,
            self.cues,
            self.frame,
            self.say,
            self.declare,
            self.withdraw,
            self.consent,
            self.history,
            self.about,
            self.export,
            self.checkin,
            self.answer,
            self.summary,
            self.approved,
            self.forget,
        ):
            self.router.add_api_route(f"/{respond.__name__}", respond, methods=["POST"], response_model=None)

    def first(self, request: Request) -> Response:
        """Say what it is, where words and pictures go, and ask what it may know."""
        from personare.features.looks import READER

        page = self._show(
            request,
            "assistant.html",
            where=self._where,
            camera="browser" if self._files else "program" if camera.face_model() else "none",
            reader=READER,
            cues=[CUES[name] for name in camera.CUES],
            fields=sorted((one for one in CUES.values() if "self" in one.sources), key=lambda one: len(one.sources)),
        )
        if self._files:  # of all pages only this one may run WebAssembly
            page.headers["content-security-policy"] = _POLICY
        return page

    def file(self, name: str) -> Response:
        """Give what reads faces in the browser."""
        if name not in self._files:
            raise HTTPException(404, "There is no such file here.")
        return FileResponse(self._files[name], media_type=camera.TYPES[Path(name).suffix])

    def begin(self, call: _Begin) -> dict[str, Any]:
        """Begin a conversation, or go on with what was sealed under a name and a passphrase."""
        gate = Gate(role=call.role, epsilon=call.epsilon)
        gate.child = call.minor
        for key in call.consents:
            _allow(gate, key)
        profile, turns, sealed = Profile(), list[Turn](), None
        if call.passphrase:
            if not call.name.strip():
                raise DataError("A passphrase needs a name, under which you find your profile again. Give one.")
            sealed = Sealed(self._folder / _hidden(call.name), call.passphrase)
            kept = {name: sealed.read(call.name, name) for name in sealed.names(call.name)}
            profile = Profile.of_json(kept.get("profile", "{}"))
            turns = [Turn(role=role, text=text) for role, text in json.loads(kept.get(call.role, "[]"))]
        if call.name.strip():
            profile.put("name", call.name)
        conversation = self._converse(gate, profile)
        conversation.turns, conversation.keep_history = turns, bool(turns)
        visit = _Visit(conversation=conversation, name=call.name, sealed=sealed)
        visit.keep()
        person = secrets.token_urlsafe(24)
        with self._lock:
            self._visits[person] = visit
        return {"person": person, **visit.shown()}

    def state(self, call: _Call) -> dict[str, Any]:
        """Return what is known of a person."""
        return self._visit(call).shown()

    def cues(self, call: _Call) -> dict[str, Any]:
        """Take what the browser read off the camera through the gate."""
        with self._open(call) as visit:
            _seeing(visit)
            noted = visit.conversation.observe("camera", call.cues)
        return {"seen": call.cues, "noted": noted, **visit.shown()}

    async def frame(self, request: Request) -> dict[str, Any]:
        """Read a picture of the camera, held in memory alone, and take what it tells through the gate."""
        call = _Call(person=request.headers.get("x-person", ""))
        _seeing(self._visit(call))
        call.cues = await run_in_threadpool(camera.read_frame, await request.body())
        return await run_in_threadpool(self.cues, call)

    def say(self, call: _Call) -> Response:
        """Answer, piece by piece as it is made."""

        def pieces() -> Generator[str, None, None]:
            with self._open(call) as visit:
                yield from visit.conversation.say(call.text)

        return _Answer(pieces())

    def declare(self, call: _Call) -> dict[str, Any]:
        """Note what somebody says of themselves."""
        with self._open(call) as visit:
            visit.conversation.declare(call.cue, call.value)
        return visit.shown()

    def withdraw(self, call: _Call) -> dict[str, Any]:
        """Remove a field of the profile."""
        with self._open(call) as visit:
            visit.conversation.withdraw(call.cue)
        return visit.shown()

    def consent(self, call: _Call) -> dict[str, Any]:
        """Allow a cue of the camera, or take that back: what was noted of it goes too."""
        with self._open(call) as visit:
            _allow(visit.conversation.gate, call.cue)
            if not call.on:
                visit.conversation.gate.consents.remove(call.cue)
        return visit.shown()

    def history(self, call: _Call) -> dict[str, Any]:
        """Keep what was said for the next visit, or remove it from disk."""
        with self._open(call) as visit:
            if call.on and not visit.sealed:
                raise PolicyError("What was said is kept only under a passphrase. Begin anew with one to keep it.")
            visit.conversation.keep_history = call.on
        return visit.shown()

    def about(self, call: _Call) -> dict[str, str]:
        """Say what is known of a person: from the profile itself, never from the model."""
        return {"text": self._visit(call).conversation.about_me()}

    def export(self, call: _Call) -> dict[str, Any]:
        """Give a person all that is here of them."""
        visit = self._visit(call)
        checkin = visit.conversation.check_in
        return {**visit.shown(), "check_in": checkin.answers if checkin else {}}

    def checkin(self, call: _Call) -> dict[str, Any]:
        """Begin to ask how somebody is, or go on with it."""
        with self._open(call) as visit:
            checkin = visit.conversation.check_in or visit.conversation.begin_check_in(date.today())
            return {"text": checkin.opening, **_asked(checkin)}

    def answer(self, call: _Call) -> dict[str, Any]:
        """Take the answer to the question that was asked."""
        with self._open(call) as visit:
            checkin = visit.conversation.check_in or visit.conversation.begin_check_in(date.today())
            return {"text": checkin.answer(call.text), **_asked(checkin)}

    def summary(self, call: _Call) -> list[dict[str, Any]]:
        """Return the lines that a clinician would read, each with where it comes from."""
        return [asdict(line) for line in self._visit(call).conversation.summary()]

    def approved(self, call: _Call) -> dict[str, str]:
        """Give out those lines of a summary that the person approved, and no other."""
        lines = [line.text for line in self._visit(call).conversation.summary() if line.id in call.lines]
        if not lines:
            raise PolicyError("No line leaves that you did not approve. Tick those that may.")
        return {"text": "\n".join(lines) + "\n"}

    def forget(self, call: _Call) -> dict[str, Any]:
        """Remove a person: what is in memory, in other tabs too, and with its key what is sealed."""
        visit = self._visit(call)
        with visit.lock, self._lock:
            if visit.sealed:
                visit.sealed.forget(visit.name)
                shutil.rmtree(self._folder / _hidden(visit.name))
            same = {visit.sealed and visit.name}
            for person, other in list(self._visits.items()):
                if other is visit or (other.sealed and other.name in same):
                    other.sealed = None  # it may be about to seal something
                    del self._visits[person]
        return {}

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

    @contextmanager
    def _open(self, call: _Call) -> Iterator[_Visit]:
        """Give a person's visit to one call at a time, and seal afterwards what they want to find again."""
        visit = self._visit(call)
        with visit.lock:
            yield visit
            visit.keep()


def _allow(gate: Gate, key: str) -> None:
    """Let a cue of the camera through a gate, where the room reads it at all."""
    source, _, name = key.partition(".")
    if source != "camera" or name not in camera.CUES or gate.role == "tutor" or gate.child:
        raise PolicyError(f"The camera is read for {', '.join(camera.CUES)}, of adults, and never by the tutor.")
    gate.consents.add(key)


def _seeing(visit: _Visit) -> None:
    if not visit.conversation.gate.consents:
        raise PolicyError("The camera is not read here, for nobody agreed to it.")


def _asked(checkin: CheckIn) -> dict[str, Any]:
    question = checkin.question
    return {"question": question.ask if question else "", "options": question.options if question else ()}


def _hidden(name: str) -> str:
    """Return the name of a folder that tells whose it is only to who guesses the name, a guess at a time."""
    return hashlib.scrypt(name.encode(), salt=b"personare", n=2**14, r=8, p=1, dklen=16).hex()
