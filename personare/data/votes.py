"""What raters said, on disk: every question, answer and alarm is a row that is only ever added, chained to the last.

A question is given to one rater, who answers it once, may take back the last answer, and may have all of it erased.
"""

import hashlib
import json
import re
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import RLock
from typing import Any

import pandas as pd

from personare.core.errors import DataError, PersonareError, PolicyError
from personare.govern.ledger import GENESIS, Ledger

ANSWERS: Mapping[str, tuple[str, ...]] = {
    "compare": ("a", "b", "tie", "cannot_tell"),
    "check": ("plausible", "implausible", "cannot_tell"),
    "same": ("a", "b", "cannot_tell"),
}
"""The tasks, and what can be answered to each."""

VOTE_COLUMNS = ("id", "time", "rater", "task", "a", "b", "x", "answer", "failures", "note", "repeat")
ALARM_COLUMNS = ("time", "rater", "item", "note")
REVIEW = "review"
"""The purpose that the person in charge records for a rater who may see releases of real people."""

_LONGEST = 2000  # of a note, in letters
_NOTED_EVERY = 20  # answers


def votes_beside(path: Path) -> Path:
    """Return where votes on a run or a cohort lie unless told otherwise: beside it, for it may be sent, and they not.

    Example:
        >>> votes_beside(Path("/data/runs/mine")).name
        'mine.votes.sqlite'
    """
    whole = path.resolve()
    return whole.with_name(f"{whole.name}.votes.sqlite")


@dataclass(frozen=True, kw_only=True)
class Question:
    """What one rater is asked, items as they are shown: of ``compare`` a is left, of ``same`` x is like a or like b."""

    token: str  # random; with it the answer comes back
    task: str
    a: str
    b: str = ""
    x: str = ""
    repeat: bool = False  # whether the rater answered it before, with sides exchanged

    @property
    def items(self) -> tuple[str, ...]:
        """What is shown."""
        return tuple(filter(None, (self.a, self.b, self.x)))


@dataclass(kw_only=True)
class Rater:
    """One rater, under a pseudonym."""

    consent: str = ""  # when the rater agreed that answers are kept; empty: did not
    word: str = ""  # digest of the word with which a later sitting goes on as the same rater
    purposes: set[str] = field(default_factory=set)  # that the person in charge recorded
    # by task the questions not answered yet; the last one is to be answered now
    waiting: dict[str, list[Question]] = field(default_factory=dict)
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)  # those that count, by token, in their order


class Votes:
    """Keeps what raters say of released recordings.

    **Guarantee**: an answer is on disk before ``answer`` returns, and counts once however often it is sent, in one
    process or in several; a change, removal or move of a row that has a row after it is found when the votes are
    opened; after ``erase`` no answer, note, question or name of the rater is left in the file (of a database: in its
    table). A ``ledger`` notes the last row every 20 answers and after an erasure: votes whose end was cut before what
    it noted last are refused.

    Everything is in memory too, and only what other processes added is read again.
    """

    def __init__(self, address: str | Path, *, ledger: Ledger | None = None) -> None:
        self._address, self._chain, self._lock = address, Ledger(address, table="votes"), RLock()
        place = str(address) if "://" in str(address) else str(Path(address).resolve())
        self._ledger, self._place = ledger, hashlib.sha256(place.encode()).hexdigest()  # a URL may hold a password
        self._forget()
        if self._chain.exists():
            self._read()
        notes = ledger.rows() if ledger and ledger.exists() else pd.DataFrame(columns=["action", "recording"])
        notes = notes[(notes["action"] == "votes") & (notes["recording"] == self._place)]
        noted = json.loads(notes["detail"].iloc[-1]) if len(notes) else {"head": self.head}
        # where an erasure was begun and its end not noted, the head noted before may be in the chain as ``was`` alone
        if noted["head"] not in {GENESIS, *self._hashes, *(self._erased if noted.get("erasing") else ())}:
            raise DataError(
                f"The votes {address} must hold the row {noted['head'][:12]}…, which the ledger notes, and do not: "
                "their end was cut, or they were written anew. Restore a copy, or begin others with --votes FILE."
            )

    def _forget(self) -> None:
        self.raters: dict[str, Rater] = {}
        self.asked: Counter[tuple[str, ...]] = Counter()  # how many answers count, by the items shown, sorted
        self._questions: dict[str, tuple[str, Question]] = {}  # by token, with the rater
        self._alarms: dict[tuple[str, str], dict[str, str]] = {}
        self._hashes: list[str] = []
        self._erased: set[str] = set()  # heads that the chain had before somebody was erased

    def _read(self) -> None:
        checked = self._chain.verify()
        if not checked.ok:
            raise DataError(
                f"The votes {self._address} were changed: row {checked.first_bad} does not fit the one before it. "
                "Restore them from a copy."
            )
        self._take(self._chain.rows().to_dict("records"))

    @property
    def head(self) -> str:
        """The hash of the last row; noted elsewhere, it shows a cut end."""
        return self._hashes[-1] if self._hashes else GENESIS

    def _note(self, *, erasing: bool = False) -> None:
        if self._ledger:
            self._ledger.append("votes", [{"recording": self._place, "head": self.head, "erasing": erasing}])

    @property
    def alarmed(self) -> set[str]:
        """The items that somebody believed to know."""
        return {item for _, item in self._alarms}

    @property
    def alarmers(self) -> Counter[str]:
        """How many alarms each rater raised."""
        return Counter(rater for rater, _ in self._alarms)

    def refresh(self) -> None:
        """Take in what other processes added; all anew where one of them erased a rater."""
        with self._lock:
            last = len(self._hashes)
            if not last and not self._chain.exists():
                return
            rows = self._chain.rows(start=max(last, 1)).to_dict("records")
            if not last or (rows and rows[0]["hash"] == self.head):
                self._take(rows[1:] if last else rows)
                return
            erased = self._chain.rows().query("action == 'erased'")["hash"]
            if {*erased} <= {*self._hashes}:
                raise DataError(f"The votes {self._address} were cut while they were open. Restore them from a copy.")
            self._forget()
            self._read()

    def _add(self, action: str, decide: Callable[[], Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
        """Write the rows that ``decide`` makes of what is known; where another process was first, it decides again."""
        with self._lock:
            while True:
                head = self.head
                try:
                    rows = decide()
                except PersonareError:
                    self.refresh()
                    if self.head == head:
                        raise
                    continue
                written = self._chain.append(action, rows, after=head)
                self._take(written)
                if written or not rows:
                    return written
                self.refresh()

    def _take(self, rows: Sequence[Mapping[Any, Any]]) -> None:
        for row in rows:
            self._hashes.append(row["hash"])
            name, time, detail = row["subject"], row["time"], json.loads(row["detail"])
            rater = self.raters.setdefault(name, Rater()) if name else Rater()
            match row["action"]:
                case "admitted":
                    rater.consent, rater.word = time, detail["word"]
                case "authorized":
                    rater.purposes.add(row["purpose"])
                case "given":
                    self._ask(name, Question(**detail))
                case "answered":
                    answer = {"id": row["sequence"], "time": time, "rater": name, **detail}
                    rater.answers[answer["token"]] = answer
                    self.asked[_items(answer)] += 1
                    waiting = rater.waiting.get(answer["task"], [])
                    rater.waiting[answer["task"]] = [q for q in waiting if q.token != answer["token"]]
                case "undone":
                    self.asked[_items(rater.answers.pop(detail["token"]))] -= 1
                    self._ask(name, Question(**detail["again"]))
                case "alarmed":
                    alarm = {"time": time, "rater": name, "item": row["recording"], "note": detail["note"]}
                    self._alarms[name, row["recording"]] = alarm
                case "erased":
                    self._erased.add(detail["was"])

    def _ask(self, rater: str, question: Question) -> None:
        self._questions[question.token] = (rater, question)
        self.raters[rater].waiting.setdefault(question.task, []).append(question)

    def admit(self, rater: str, word: str = "") -> None:
        """Record that a rater agreed to have answers kept; whoever comes back with another word is somebody else."""
        _check_name(rater)
        salt = f"personare {rater}".encode()
        digest = hashlib.scrypt(word.encode(), salt=salt, n=2**12, r=8, p=1).hex() if word else ""

        def decide() -> list[dict[str, Any]]:
            before = self.raters.get(rater, Rater())
            if before.consent and not secrets.compare_digest(before.word, digest):
                raise PolicyError(
                    f"There is a rater {rater} already, who goes on with {'another' if before.word else 'no'} word. "
                    "Choose another name; or, if it is you, give the word as you chose it."
                )
            return [] if before.consent else [{"subject": rater, "word": digest}]

        self._add("admitted", decide)

    def authorize(self, rater: str) -> None:
        """Record that the person in charge lets a rater see releases of real people."""
        _check_name(rater)
        row = {"subject": rater, "purpose": REVIEW}
        self._add("authorized", lambda: [] if REVIEW in self.raters.get(rater, Rater()).purposes else [row])

    def waiting(self, rater: str, task: str) -> Question | None:
        """Return the question that the rater has to answer now, if there is one."""
        questions = self.raters.get(rater, Rater()).waiting.get(task)
        return questions[-1] if questions else None

    def give(self, rater: str, question: Question) -> Question:
        """Keep a question for a rater until it is answered; returns it, or the one that waits already."""
        row = {"subject": rater, **asdict(question)}
        with self._lock:
            self._add("given", lambda: [] if self.waiting(rater, question.task) else [row])
            return self.waiting(rater, question.task) or question

    def drop(self, rater: str, question: Question) -> None:
        """Ask a question no more, in this process: what it shows is not there any more."""
        with self._lock:
            self.raters[rater].waiting[question.task].remove(question)

    def answer(
        self,
        rater: str,
        token: str,
        answer: str,
        *,
        failures: Sequence[str] = (),
        note: str = "",
        plays: int = 0,
        seconds: float = 0.0,
    ) -> int:
        """Store the answer to a question and return its number; the same answer sent again is the same row."""
        said = {"answer": answer, "failures": ";".join(failures), "note": note.strip()}

        def decide() -> list[dict[str, Any]]:
            owner, question = self._questions.get(token, ("", None))
            if question is None or owner != rater:
                raise DataError(f"This question was not asked of {rater}, or the rater was erased. Load the next one.")
            if before := self.raters[rater].answers.get(token):
                if any(before[key] != value for key, value in said.items()):
                    raise DataError("This question was answered otherwise before. Undo that answer first.")
                return []
            if question not in self.raters[rater].waiting.get(question.task, ()):
                raise DataError("This question is not asked any more: it was undone, or withdrawn. Load the next one.")
            check_answer({"task": question.task, **said})
            cost = {"plays": plays, "seconds": round(seconds, 1)}
            return [{"subject": rater, **asdict(question), **said, **cost}]

        with self._lock:
            if self._add("answered", decide) and self.asked.total() % _NOTED_EVERY == 0:
                self._note()
            return int(self.raters[rater].answers[token]["id"])

    def undo(self, rater: str) -> Question | None:
        """Take back the rater's last answer, and ask its question again; None where there is none."""

        def decide() -> list[dict[str, Any]]:
            given = [token for token in self.raters.get(rater, Rater()).answers if token in self._questions]
            again = [{**asdict(self._questions[token][1]), "token": secrets.token_urlsafe(16)} for token in given[-1:]]
            return [{"subject": rater, "token": given[-1], "again": question} for question in again]

        written = self._add("undone", decide)
        return Question(**json.loads(written[0]["detail"])["again"]) if written else None

    def alarm(self, rater: str, item: str, note: str = "") -> None:
        """Keep that a rater believes to know somebody in an item."""
        row = {"subject": rater, "recording": item, "note": note.strip()[:_LONGEST]}
        self._add("alarmed", lambda: [] if (rater, item) in self._alarms else [row])

    def take_over(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Store answers that were given elsewhere, all or none; what is here already is not stored again.

        Rows have the columns of ``table`` but ``id``, and their raters must have agreed here. Returns how many are new.
        """

        def decide() -> list[dict[str, Any]]:
            here = {_place(answer): answer for rater in self.raters.values() for answer in rater.answers.values()}
            new = []
            for row in rows:
                check_answer(row)
                if not self.raters.get(row["rater"], Rater()).consent:
                    raise PolicyError(
                        f"Rater {row['rater']} must have agreed that answers are kept here, and has not. Ask, then "
                        f"give 'personare raters PATH --consent {row['rater']}'. Nothing was taken over."
                    )
                place = _place(row)
                if place not in here:
                    token = hashlib.sha256(repr(place).encode()).hexdigest()
                    new.append(
                        {"subject": row["rater"], "token": token}
                        | {k: row[k] for k in VOTE_COLUMNS if k not in ("id", "rater")}
                    )
                elif here[place]["answer"] != row["answer"]:
                    raise DataError(
                        f"{row['rater']} answered at {row['time']} both {here[place]['answer']} and {row['answer']}: "
                        "one of them was changed. Correct the file. Nothing was taken over."
                    )
                here[place] = dict(row)
            return new

        return len(self._add("answered", decide))

    def erase(self, rater: str) -> None:
        """Erase a rater: name, consent, questions, answers and notes; what they alarmed of stays, of nobody."""

        def change(row: dict[str, Any]) -> dict[str, Any] | None:
            if row["subject"] != rater:
                return row
            return {**row, "subject": "", "detail": '{"note":""}'} if row["action"] == "alarmed" else None

        with self._lock:
            self.refresh()
            if rater not in self.raters:
                raise DataError(f"There is no rater {rater} in {self._address}. See 'personare raters PATH'.")
            self._rewrite(change)

    def erase_items(self, named: re.Pattern[str]) -> None:
        """Erase every question, answer and alarm about items that are named so: they show somebody who is erased."""
        with self._lock:
            self._rewrite(lambda row: None if named.search(f"{row['recording']} {row['detail']}") else row)

    def _rewrite(self, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> None:
        self._note(erasing=True)
        self._chain.erase(change)
        self.refresh()
        self._note()

    def table(self) -> pd.DataFrame:
        """Return the answers that count with ``VOTE_COLUMNS``, in the order in which they were stored."""
        with self._lock:
            self.refresh()
            answers = [answer for rater in self.raters.values() for answer in rater.answers.values()]
        rows = [[answer[name] for name in VOTE_COLUMNS] for answer in sorted(answers, key=lambda each: each["id"])]
        return pd.DataFrame(rows, columns=list(VOTE_COLUMNS))

    def alarms(self) -> pd.DataFrame:
        """Return what raters believed to know, with ``ALARM_COLUMNS``."""
        with self._lock:
            self.refresh()
            return pd.DataFrame([*self._alarms.values()], columns=list(ALARM_COLUMNS))


def _check_name(rater: str) -> None:
    if not re.fullmatch(r"[a-z0-9-]{1,40}", rater):
        raise DataError(f"A rater's name must be a pseudonym, 1 to 40 of a-z, 0-9 and -, not {rater!r:.60}.")


def check_answer(row: Mapping[str, Any]) -> None:
    """Raise where an answer is none to its task, or its failures and note are not what they must be."""
    allowed = ANSWERS.get(row["task"], ())
    if row["answer"] not in allowed:
        tasks = ", ".join(ANSWERS)
        raise DataError(
            f"The answer to {row['task']!r:.40} must be one of {', '.join(allowed)}, not {row['answer']!r:.40}."
            if allowed
            else f"A task must be one of {tasks}, not {row['task']!r:.40}."
        )
    if not all(re.fullmatch(r"[a-z0-9 _-]{1,60}", word) for word in row["failures"].split(";") if row["failures"]):
        raise DataError(f"Failures must be words of a-z, 0-9, _ and -, parted by ';', not {row['failures']!r:.60}.")
    if len(row["note"]) > _LONGEST:
        raise DataError(f"A note must have at most {_LONGEST} letters, not {len(row['note'])}. Shorten it.")


def _items(answer: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(sorted(filter(None, (answer["a"], answer["b"], answer["x"]))))


def _place(answer: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what makes an answer another one than all others: who gave it, when, to what."""
    return tuple(str(answer[name]) for name in ("rater", "time", "task", "a", "b", "x"))
