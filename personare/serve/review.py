"""The Review room: raters judge made-up or hidden recordings, blinded, and say when they recognize somebody."""

import secrets
from collections.abc import Mapping
from threading import Lock
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import FileResponse, RedirectResponse, Response
from pydantic import BaseModel, Field

from personare.core.errors import DataError, OptionError
from personare.serve.pages import FILE_TYPES, Pages, Room
from personare.study.reviewing import Question, Review

FAILURES: Mapping[str, tuple[str, ...]] = {
    "sound": ("sounds unnatural", "cuts or clicks", "not a human voice"),
    "face": ("does not move like a face", "looks broken"),
    "sound and face": ("voice and face disagree",),
    "signals": ("impossible signal",),
    "history": ("impossible history", "impossible order of visits"),
}
"""What raters can tick as wrong with an item, by what is shown of it."""

_SHOWS = {  # what can fail in a view, by its kind, in the order in which they stand on the page
    "video": "face",
    "audio": "sound",
    "wave": "sound",
    "image": "",
    "text": "",
    "visits": "history",
    "lines": "signals",
}
_GONE = (
    "What belongs to this question is not there any more: the release may have been changed or removed. Load this page "
    "again; if that does not help, ask whoever runs the review."
)
_SITTING = 60  # answers; a good moment to stop
_MEDIA = 1000  # players that may be open at once, in all tabs


class _Call(BaseModel):
    """What a rating page says with every call."""

    rater: str = Field(max_length=40)
    task: str = Field(max_length=20)


class _Answer(_Call):
    """What a rater answered."""

    token: str = Field(max_length=100)
    answer: str = Field(max_length=20)
    failures: list[Annotated[str, Field(max_length=100)]] = Field(default=[], max_length=20)
    note: str = Field(default="", max_length=1000)
    plays: int = Field(default=0, ge=0, le=10_000)
    seconds: float = Field(default=0.0, ge=0, le=1e6)


class _Alarm(_Call):
    """Which item of a question a rater recognizes."""

    token: str = Field(max_length=100)
    side: str = Field(max_length=1)
    note: str = Field(default="", max_length=1000)


def review_room(pages: Pages, review: Review) -> Room:
    """Return the room in which raters judge the items of a review.

    **Guarantee**: nothing that a rating page is sent tells the release, the subject or the file of an item: players
    have random addresses, other for each question, and only what is drawn or read out is sent of the rest.
    """
    router, lock = APIRouter(), Lock()
    players: dict[str, tuple[str, str]] = {}  # item and track, by the random address of a player

    def shown(item: str) -> list[dict[str, Any]]:
        pieces = []
        for piece in review.item(item):
            if piece["kind"] in ("audio", "video"):
                address = secrets.token_urlsafe(16)
                players[address] = (item, piece["track"])
                piece = {"kind": piece["kind"], "source": f"/review/media/{address}"}
            pieces.append(dict(piece))
        pieces.sort(key=lambda piece: list(_SHOWS).index(piece["kind"]))
        while len(players) > _MEDIA:
            players.pop(next(iter(players)))
        return pieces

    def page(question: Question) -> dict[str, Any]:
        items = {side: shown(item) for side in "xab" if (item := getattr(question, side))}
        failures = []
        if question.task == "check":
            views = {_SHOWS[piece["kind"]] for piece in items["a"]}
            parts = [*views, "sound and face"] if {"sound", "face"} <= views else views
            failures = [words for part, lines in FAILURES.items() if part in parts for words in lines]
        return {"token": question.token, "items": items, "failures": failures}

    def state(call: _Call) -> dict[str, Any]:
        counts = review.progress(call.rater)
        answered = counts.get(call.task, 0)
        progress = {"answered": answered, "about": (answered // _SITTING + 1) * _SITTING}
        try:
            question = review.next(call.rater, call.task)
            asked, done = (page(question), "") if question else (None, review.done(call.rater, call.task))
        except DataError:  # which may tell an item's name
            asked, done = None, _GONE
        return {"progress": progress, "question": asked, "done": done}

    @router.get("")
    def first(request: Request, rater: str = "") -> Response:
        return pages.show(request, "review.html", tasks=review.tasks(), rater=rater)

    @router.post("/start")
    def start(
        rater: Annotated[str, Form()],
        task: Annotated[str, Form()],
        word: Annotated[str, Form()] = "",
        consent: Annotated[str, Form()] = "",
    ) -> Response:
        with lock:
            review.admit(rater, consent=consent == "yes", word=word)
        return RedirectResponse(f"/review/rate/{_asked(task, review)}?rater={rater}", status_code=303)

    @router.get("/rate/{task}")
    def rate(request: Request, task: str, rater: str = "") -> Response:
        return pages.show(request, "rate.html", task=_asked(task, review), rater=rater)

    @router.post("/next")
    def next_(call: _Call) -> dict[str, Any]:
        with lock:
            return state(call)

    @router.post("/answer")
    def answer(call: _Answer) -> dict[str, Any]:
        with lock:
            before = review.progress(call.rater)
            number = review.answer(
                call.rater,
                call.token,
                call.answer,
                failures=call.failures,
                note=call.note,
                plays=call.plays,
                seconds=call.seconds,
            )
            return {"stored": number, "again": review.progress(call.rater) == before, **state(call)}

    @router.post("/undo")
    def undo(call: _Call) -> dict[str, Any]:
        with lock:
            if review.undo(call.rater) is None:
                raise DataError("There is no answer of yours that could be undone.")
            return state(call)

    @router.post("/alarm")
    def alarm(call: _Alarm) -> dict[str, Any]:
        with lock:
            question = review.next(call.rater, call.task)
            if question is None or question.token != call.token or not getattr(question, call.side, ""):
                raise DataError("What you saw is not asked any more. Load the page again.")
            review.alarm(call.rater, getattr(question, call.side), call.note)
            return state(call)

    @router.get("/media/{address}")
    def media(address: str) -> Response:
        try:
            path = review.file(*players[address])
        except (DataError, KeyError) as error:  # which may tell an item's name
            raise DataError(_GONE) from error
        return FileResponse(path, media_type=FILE_TYPES[path.suffix])

    return Room(name="review", title="Review", router=router)


def _asked(task: str, review: Review) -> str:
    """Return the task, if it can be asked here."""
    if task not in review.tasks():
        raise OptionError(f"The task must be one of {', '.join(review.tasks())} here, not {task!r}.")
    return task
