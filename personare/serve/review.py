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
        self.review = review
        self._players: dict[str, tuple[str, str]] = {}  # item and track, by the random address of a player

    def show(self, call: _Call) -> dict[str, Any]:
        answered = self.review.progress(call.rater)[call.task]
        shown: dict[str, Any] = {"answered": answered, "about": (answered // _SITTING + 1) * _SITTING}
        try:
            question = self.review.next(call.rater, call.task)
            done = "" if question else self.review.done(call.rater, call.task)
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
        for piece in self.review.item(item):
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
        question = self.review.next(call.rater, call.task)
        if question is None or question.token != call.token or not (item := str(getattr(question, call.side))):
            raise DataError("What you saw is not asked any more. Load the page again.")
        return item

    def file(self, address: str) -> Path:
        """Return what a player plays."""
        try:
            return self.review.file(*self._players[address])
        except (DataError, KeyError) as error:  # which may tell an item's name
            raise DataError(_GONE) from error


def review_room(pages: Pages, of: Review | Path) -> Room:
    """Return the room in which raters judge the items of a review, each under a pseudonym and with consent.

    Where no review is given but a folder of runs, one of them is chosen first.

    **Guarantee**: an answer is on disk before it is acknowledged, and counts once however often it is sent.
    """
    summary = "Judge made-up or hidden recordings: your answers tell the program what it does badly."
    return Room(name="review", title="Review", summary=summary, router=_Sittings(pages, of).router)


class _Sittings:
    def __init__(self, pages: Pages, of: Review | Path) -> None:
        self._show, self._lock, self._stored = pages.show, Lock(), set[int]()  # numbers of acknowledged answers
        self._screen = _Screen(of) if isinstance(of, Review) else None
        self._folder = of if isinstance(of, Path) else None
        self.router = APIRouter()
        for method, path, respond in (
            ("GET", "", self.first),
            ("GET", "/runs", self.runs),
            ("POST", "/open", self.open),
            ("POST", "/start", self.start),
            ("GET", "/rate/{task}", self.rate),
            ("POST", "/next", self.next),
            ("POST", "/answer", self.answer),
            ("POST", "/undo", self.undo),
            ("POST", "/alarm", self.alarm),
            ("GET", "/media/{address}", self.media),
        ):
            self.router.add_api_route(path, respond, methods=[method], response_model=None)

    @property
    def screen(self) -> _Screen:
        """What is shown of the review that is open."""
        if self._screen is None:
            raise DataError("No study is open for review. Choose one on the first page of this room.")
        return self._screen

    def _runs(self) -> list[Path]:
        return sorted(path.parent for path in self._folder.glob("*/releases.json")) if self._folder else []

    def first(self, request: Request, rater: str = "") -> Response:
        """Say what raters are asked, and what is kept of them."""
        if self._screen is None:
            return self.runs(request)
        several, tasks = len(self._runs()) > 1, self.screen.review.tasks()
        return self._show(request, "review.html", tasks=tasks, rater=rater, several=several)

    def runs(self, request: Request) -> Response:
        """List the studies that can be reviewed."""
        return self._show(request, "review_runs.html", runs=self._runs())

    def open(self, run: Annotated[str, Form()]) -> Response:
        """Open one of them in place of the one that was open."""
        path = next((path for path in self._runs() if path.name == run), None)
        if path is None:
            raise DataError("There is no such study here any more. Load the page again.")
        with self._lock:
            self._screen = _Screen(Review.open(path))
            self._stored.clear()
        return RedirectResponse("/review", status_code=303)

    def start(
        self,
        rater: Annotated[str, Form()],
        task: Annotated[_Task, Form()],
        word: Annotated[str, Form()] = "",
        consent: Annotated[str, Form()] = "",
    ) -> Response:
        """Record that a rater agrees, and begin."""
        self.screen.review.admit(rater, consent=consent == "yes", word=word)
        return RedirectResponse(f"/review/rate/{task}?rater={rater}", status_code=303)

    def rate(self, request: Request, task: _Task, rater: str = "") -> Response:
        """Show the page on which a rater answers."""
        return self._show(request, "rate.html", task=task, rater=rater)

    def next(self, call: _Call) -> dict[str, Any]:
        """Give what the rater is to answer now."""
        with self._lock:
            return self.screen.show(call)

    def answer(self, call: _Answer) -> dict[str, Any]:
        """Store an answer, and give the next question."""
        with self._lock:
            number = self.screen.review.answer(
                call.rater,
                call.token,
                call.answer,
                failures=call.failures,
                note=call.note,
                plays=call.plays,
                seconds=call.seconds,
            )
            again = number in self._stored
            self._stored.add(number)
            return {"stored": number, "again": again, **self.screen.show(call)}

    def undo(self, call: _Call) -> dict[str, Any]:
        """Take back the rater's last answer, and ask again."""
        with self._lock:
            if self.screen.review.undo(call.rater) is None:
                raise DataError("There is no answer of yours that could be undone.")
            return self.screen.show(call)

    def alarm(self, call: _Alarm) -> dict[str, Any]:
        """Take out what a rater recognizes."""
        with self._lock:
            self.screen.review.alarm(call.rater, self.screen.item(call), call.note)
            return self.screen.show(call)

    def media(self, address: str) -> Response:
        """Give a sound or a film, whole or a part."""
        path = self.screen.file(address)
        undated = {"last-modified": formatdate(0, usegmt=True), "etag": f'"{address}"'}  # a date may tell the release
        return FileResponse(path, media_type=FILE_TYPES[path.suffix], headers=undated)
