"""The Review room: raters judge made-up or hidden recordings, blinded, and say when they recognize somebody."""

import secrets
from collections.abc import Mapping
from email.utils import formatdate
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Request
from fastapi.responses import FileResponse, RedirectResponse, Response
from pydantic import BaseModel, Field

from personare.core.errors import DataError
from personare.serve.pages import FILE_TYPES, Pages, Room
from personare.study.reviewing import Question, Review

FAILURES: Mapping[str, frozenset[str]] = {
    "sounds unnatural": frozenset({"wave"}),
    "cuts or clicks": frozenset({"wave"}),
    "not a human voice": frozenset({"wave"}),
    "does not move like a face": frozenset({"video"}),
    "looks broken": frozenset({"video"}),
    "voice and face disagree": frozenset({"wave", "video"}),
    "impossible signal": frozenset({"lines"}),
    "impossible history": frozenset({"visits"}),
    "impossible order of visits": frozenset({"visits"}),
}
"""What raters can tick as wrong with an item, and what must be shown of it for that."""

_ORDER = ("video", "audio", "wave", "image", "text", "visits", "lines")  # of what is shown, on the page
_GONE = (
    "What belongs to this question is not there any more: the release may have been changed or removed. Load this page "
    "again; if that does not help, ask whoever runs the review."
)
_Task = Literal["compare", "check", "same"]
_SITTING = 60  # answers; a good moment to stop
_PLAYERS = 1000  # that may be open at once, in all tabs


class _Call(BaseModel):
    """What a rating page says with every call."""

    rater: str
    task: _Task


class _Answer(_Call):
    """What a rater answered."""

    token: str
    answer: str
    failures: list[str] = []
    note: str = ""
    plays: int = Field(default=0, ge=0)
    seconds: float = Field(default=0.0, ge=0, allow_inf_nan=False)


class _Alarm(_Call):
    """Which item of a question a rater recognizes."""

    token: str
    side: Literal["a", "b", "x"]
    note: str = ""


class _Screen:
    """What a rating page is sent: the question that a rater is to answer now, drawn, and how far they are.

    **Guarantee**: nothing in it tells the release, the subject or the file of an item: players have random addresses,
    others for each question, and only what is drawn or read out is sent of the rest.
    """

    def __init__(self, review: Review) -> None:
        self._review = review
        self._players: dict[str, tuple[str, str]] = {}  # item and track, by the random address of a player

    def show(self, call: _Call) -> dict[str, Any]:
        answered = self._review.progress(call.rater)[call.task]
        shown: dict[str, Any] = {"answered": answered, "about": (answered // _SITTING + 1) * _SITTING}
        try:
            question = self._review.next(call.rater, call.task)
            done = "" if question else self._review.done(call.rater, call.task)
            return {**shown, "question": self._draw(question) if question else None, "done": done}
        except DataError:  # which may tell an item's name
            return {**shown, "question": None, "done": _GONE}

    def _draw(self, question: Question) -> dict[str, Any]:
        items = {side: self._pieces(item) for side in "xab" if (item := getattr(question, side))}
        views = {piece["kind"] for piece in items["a"]} if question.task == "check" else set[str]()
        failures = [words for words, kinds in FAILURES.items() if kinds <= views]
        return {"token": question.token, "items": items, "failures": failures}

    def _pieces(self, item: str) -> list[dict[str, Any]]:
        pieces = []
        for piece in self._review.item(item):
            if piece["kind"] in ("audio", "video"):
                address = secrets.token_urlsafe(16)
                self._players[address] = (item, piece["track"])
                piece = {"kind": piece["kind"], "source": f"/review/media/{address}"}
            pieces.append(dict(piece))
        while len(self._players) > _PLAYERS:
            self._players.pop(next(iter(self._players)))
        return sorted(pieces, key=lambda piece: _ORDER.index(piece["kind"]))

    def item(self, call: _Alarm) -> str:
        """Return the item that a rater sees."""
        question = self._review.next(call.rater, call.task)
        if question is None or question.token != call.token or not (item := str(getattr(question, call.side))):
            raise DataError("What you saw is not asked any more. Load the page again.")
        return item

    def file(self, address: str) -> Path:
        """Return what a player plays."""
        try:
            return self._review.file(*self._players[address])
        except (DataError, KeyError) as error:  # which may tell an item's name
            raise DataError(_GONE) from error


def review_room(pages: Pages, review: Review) -> Room:
    """Return the room in which raters judge the items of a review, each under a pseudonym and with consent.

    **Guarantee**: an answer is on disk before it is acknowledged, and counts once however often it is sent.
    """
    router, screen, lock = APIRouter(), _Screen(review), Lock()
    stored = set[int]()  # numbers of the answers that this room acknowledged

    @router.get("")
    def first(request: Request, rater: str = "") -> Response:
        return pages.show(request, "review.html", tasks=review.tasks(), rater=rater)

    @router.post("/start")
    def start(
        rater: Annotated[str, Form()],
        task: Annotated[_Task, Form()],
        word: Annotated[str, Form()] = "",
        consent: Annotated[str, Form()] = "",
    ) -> Response:
        review.admit(rater, consent=consent == "yes", word=word)
        return RedirectResponse(f"/review/rate/{task}?rater={rater}", status_code=303)

    @router.get("/rate/{task}")
    def rate(request: Request, task: _Task, rater: str = "") -> Response:
        return pages.show(request, "rate.html", task=task, rater=rater)

    @router.post("/next")
    def next_(call: _Call) -> dict[str, Any]:
        with lock:
            return screen.show(call)

    @router.post("/answer")
    def answer(call: _Answer) -> dict[str, Any]:
        with lock:
            number = review.answer(
                call.rater,
                call.token,
                call.answer,
                failures=call.failures,
                note=call.note,
                plays=call.plays,
                seconds=call.seconds,
            )
            again = number in stored
            stored.add(number)
            return {"stored": number, "again": again, **screen.show(call)}

    @router.post("/undo")
    def undo(call: _Call) -> dict[str, Any]:
        with lock:
            if review.undo(call.rater) is None:
                raise DataError("There is no answer of yours that could be undone.")
            return screen.show(call)

    @router.post("/alarm")
    def alarm(call: _Alarm) -> dict[str, Any]:
        with lock:
            review.alarm(call.rater, screen.item(call), call.note)
            return screen.show(call)

    @router.get("/media/{address}")
    def media(address: str) -> Response:
        path = screen.file(address)
        undated = {"last-modified": formatdate(0, usegmt=True), "etag": f'"{address}"'}  # a date may tell the release
        return FileResponse(path, media_type=FILE_TYPES[path.suffix], headers=undated)

    summary = "Judge made-up or hidden recordings: your answers tell the program what it does badly."
    return Room(name="review", title="Review", summary=summary, router=router)
