"""A review of releases by people: who may be shown what, which question is asked next, and what an alarm does.

An item is a recording of a release; its name is ``<folder of the release>/<recording id>``.
"""

import hashlib
import json
import secrets
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from threading import RLock, Thread
from typing import Any

import numpy as np
import pandas as pd

from personare.core.atomic import write_text
from personare.core.errors import DataError, PersonareError, PolicyError, data_errors
from personare.core.randomness import generator
from personare.core.types import Array, Batch, Recording
from personare.data.cohort import DESCRIPTION, INDEX, Kind, cohort_kind, open_cohort, remove_recording
from personare.data.runs import private_folder
from personare.data.votes import ANSWERS, REVIEW, Question, Rater, Votes, votes_beside
from personare.govern.ledger import Ledger
from personare.learn.asking import CANDIDATES, choose_pair
from personare.learn.reward import drawn_scores
from personare.report import write_report
from personare.study.access import open_batch, open_ledger
from personare.study.cards import write_preview
from personare.study.showing import PLAYED, shown_items, waves

__all__ = ["Question", "Review"]

_REPEATED = 0.05  # share of the pairs that a rater sees once more
_SHARED = 0.15  # share of the questions that another rater answered before
_REPEAT_AFTER = 5  # pairs, that a rater may not remember
_ADAPTED = 0.3  # share of the pairs of an adapted release beside the one it is of, where a run has both
_COMPARED = 400  # recordings of one release and kind: of more, each would be seen too seldom to learn from
_DRAWN = 400  # pairs, of which some are alike and were not asked yet
_LEARNED_EVERY = 20  # answers
_TRIES = 20


@dataclass(frozen=True, kw_only=True)
class Item:
    """A recording of a release."""

    root: Path
    kind: Kind
    recording: Recording

    @property
    def behavior(self) -> tuple[tuple[str, str], ...]:
        """What is shown in it, and on which tracks, so that like is compared with like."""
        return *sorted(self.recording.labels.items()), ("tracks", " ".join(sorted(self.recording.tracks)))


class Review:
    """Shows releases to raters and keeps what they say.

    **Guarantee**: nothing identifiable is shown; releases of real people only to raters for whom the purpose ``review``
    is recorded; nothing to a rater who did not agree that answers are kept; no made-up recording that the run found too
    near to one of a real person, and none that raised an alarm. An answer, a question and an alarm are on disk before
    the call returns (see ``Votes``).
    """

    def __init__(self, path: Path, items: Mapping[str, Item], votes: Votes, ledger: Ledger, *, seed: int) -> None:
        self.name, self._path = path.resolve().name, path
        self._votes, self._ledger, self._lock = votes, ledger, RLock()
        self._items, self._kinds = dict(items), {item.root: item.kind for item in items.values()}
        self._rng = generator(seed, "review", str(votes.asked.total()))  # not the same again after a restart
        self._groups: dict[tuple[Path, frozenset[str]], list[str]] = {}  # what can be compared
        like: dict[tuple[str, Any], list[str]] = {}  # items by release and behavior
        for name, item in items.items():
            self._groups.setdefault((item.root, frozenset(item.recording.tracks)), []).append(name)
            like.setdefault((item.root.name, item.behavior), []).append(name)
        for key, names in self._groups.items():
            self._groups[key] = self._rng.permutation(names)[:_COMPARED].tolist()
        # by such a group, once something is learned: recordings, and what each member of the reward says of them
        self._scores: dict[tuple[Path, frozenset[str]], tuple[Sequence[str], Array]] = {}
        self._batches: dict[tuple[Path, frozenset[str]], Batch] = {}
        self._learning = Thread(target=self._learn)
        self._beside: list[tuple[str, list[str]]] = []  # items of adapted releases, and those they are compared with
        for adapted, of in _adapted(path).items():
            for (release, behavior), names in like.items():
                if release == adapted and (of, behavior) in like:
                    self._beside += [(name, like[of, behavior]) for name in names]
        for name in votes.alarmed & items.keys():
            self._withdraw(name)  # an alarm that was stopped half-way

    @classmethod
    def open(
        cls, path: Path, votes: str | Path = "", *, task: str = "", ledger: Ledger | None = None, seed: int = 0
    ) -> "Review":
        """Open a run or a cohort for review; votes lie beside it, or where ``votes`` (a file, a database URL) says.

        ``task`` is one that must be possible here. Without a ``ledger`` it is that of the cohort, or of the run's
        private folder.
        """
        book = ledger or _ledger(path)
        review = cls(path, _items(path), open_votes(path, votes, ledger=book), book, seed=seed)
        if task and task not in review.tasks():
            raise DataError(
                f"The task must be one that can be asked here, {', '.join(review.tasks()) or 'none'}, not {task!r}."
            )
        return review

    def tasks(self) -> tuple[str, ...]:
        """Return what can be asked here of somebody who may see everything."""
        possible = {"compare": any(len(names) > 1 for names in self._groups.values())}
        possible |= {"check": bool(self._items), "same": bool(self._people())}
        return tuple(task for task in ANSWERS if possible[task])

    def admit(self, rater: str, *, consent: bool, word: str = "") -> None:
        """Record a rater's own consent; ``word`` is one of their choice, with which alone a later sitting goes on."""
        if not consent:
            raise PolicyError("Answers are kept only of raters who agree to it. Without consent nothing is shown.")
        self._votes.admit(rater, word)

    def next(self, rater: str, task: str) -> Question | None:
        """Return what the rater is to answer now, the same until it is answered; None where nothing is left."""
        allowed = self._allowed(rater)
        if task not in ANSWERS:
            raise DataError(f"A task must be one of {', '.join(ANSWERS)}, not {task!r:.40}.")
        with self._lock:
            for _ in range(_TRIES):
                question = self._votes.waiting(rater, task)
                if question is None:
                    choose = {"compare": self._compare, "check": self._check, "same": self._same}[task]
                    made = choose(self._votes.raters[rater], allowed)
                    if made is None:
                        return None
                    question = self._votes.give(rater, Question(token=secrets.token_urlsafe(16), task=task, **made))
                self._follow()
                if {*question.items} <= self._items.keys():
                    return question
                self._votes.drop(rater, question)
        return None

    def done(self, rater: str, task: str) -> str:
        """Return why nothing is left to ask, in a sentence for the rater."""
        self._follow()
        if not self._items:
            return "There is nothing to show any more: the release was removed. Ask whoever runs the review."
        kinds = {"release"} if task == "same" else {item.kind for item in self._items.values()}
        if not kinds & self._allowed(rater):
            return (
                "What is here was made of real people, and is shown only to raters whom the person in charge let see "
                f"it: personare raters PATH --authorize {rater}."
            )
        return "You have seen everything that there is to ask. Thank you."

    def answer(
        self,
        rater: str,
        question: Question | str,
        answer: str,
        *,
        failures: Sequence[str] = (),
        note: str = "",
        plays: int = 0,
        seconds: float = 0.0,
    ) -> int:
        """Store an answer and return its number; sent again it is the same one, and another answer is refused."""
        self._allowed(rater)
        token = question if isinstance(question, str) else question.token
        with self._lock:  # while another thread chooses by what is answered
            number = self._votes.answer(
                rater, token, answer, failures=failures, note=note, plays=plays, seconds=seconds
            )
            if self._votes.asked.total() % _LEARNED_EVERY == 0 and not self._learning.is_alive():
                self._learning = Thread(target=self._learn)
                self._learning.start()
        return number

    def undo(self, rater: str) -> Question | None:
        """Take back the rater's last answer; its question comes again. None where there is none to take back."""
        self._allowed(rater)
        with self._lock:
            return self._votes.undo(rater)

    def alarm(self, rater: str, item: str, note: str = "") -> None:
        """Take an item out of its release at once, because a rater believes to know who is in it.

        **Guarantee**: the alarm is kept before anything is removed, and what a kill left is removed when the review is
        opened again. Files, tables and index of the release go on without the item, and so do its preview and the
        run's report where they showed it. The ledger notes it, without the rater.
        """
        self._allowed(rater)
        with self._lock:
            if item not in self._items and item not in self._votes.alarmed:
                raise DataError(f"There is no item {item!r:.80} in {self.name}. Give one of the question's.")
            self._votes.alarm(rater, item, note)
            if item in self._items:
                self._withdraw(item)

    def item(self, name: str) -> list[Mapping[str, Any]]:
        """Return what is shown of an item, ready for a page; ``file`` gives what ``audio`` and ``video`` play."""
        item = self._item(name)
        parts = [*waves(item.root, item.recording), *shown_items(item.root, item.recording)]
        return [
            {key: value for key, value in part.items() if key != "source" or part["kind"] == "image"} for part in parts
        ]

    def file(self, name: str, track: str) -> Path:
        """Return an item's sound or film, a file that lies inside its release."""
        item = self._item(name)
        path = (item.root / item.recording.tracks.get(track, "")).resolve()
        if not path.is_relative_to(item.root.resolve()) or not path.is_file() or path.suffix not in PLAYED:
            raise DataError(f"There is no {track!r:.40} to play of {name}. Load the next question.")
        return path

    def progress(self, rater: str) -> Mapping[str, int]:
        """Return how many answers of a rater count, by task, how many of them are repeats, and the alarms."""
        answers = [*self._votes.raters.get(rater, Rater()).answers.values()]
        counts = {task: sum(answer["task"] == task for answer in answers) for task in ANSWERS}
        alarms = self._votes.alarmers[rater]
        return {**counts, "repeats": sum(bool(answer["repeat"]) for answer in answers), "alarms": alarms}

    def votes(self) -> pd.DataFrame:
        """Return the answers that count: those on items that are still shown."""
        table = self._votes.table()
        self._follow()
        there = np.logical_and.reduce([table[side].isin(["", *self._items]) for side in ("a", "b", "x")])
        return table[there].reset_index(drop=True)

    def alarms(self) -> pd.DataFrame:
        """Return the alarms; the items are out of their releases."""
        return self._votes.alarms()

    def subjects(self) -> Mapping[str, str]:
        """Return whose recording each item is, under the pseudonym that it has in its release."""
        return {name: item.recording.subject for name, item in self._items.items()}

    def take_over(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Store answers that were given elsewhere to items of this review, all or none; returns how many are new."""
        items = {row[side] for row in rows for side in ("a", "b", "x")} - {""}
        if unknown := sorted(items - self._items.keys()):
            raise DataError(
                f"{len(unknown)} of the items voted on are not in {self.name}, such as {unknown[0]!r:.80}. Give votes "
                "on this release. Nothing was taken over."
            )
        return self._votes.take_over(rows)

    def rated_batch(self, names: Sequence[str]) -> Batch:
        """Open items of one release for evaluation: their numbers, under their names, classes by what is shown."""
        items = [self._item(name) for name in names]
        recordings = tuple(replace(item.recording, labels={"behavior": str(item.behavior)}) for item in items)
        cohort = replace(open_cohort(items[0].root), recordings=recordings)
        batch = open_batch(cohort, "behavior", (), self._ledger, purpose="evaluation", texts=False).batch
        numbers = [name for name, values in batch.arrays.items() if values.dtype.kind == "f"]
        return replace(batch.only(*numbers), ids=tuple(f"{items[0].root.name}/{i}" for i in batch.ids))

    def _learn(self) -> None:
        """Learn what raters like of each synthetic release, by which its next pairs are chosen."""
        votes = self.votes()
        for key, names in self._groups.items():
            rated = votes[votes["a"].isin(names) & votes["b"].isin(["", *names])]
            if self._kinds[key[0]] != "synthetic" or rated.empty:
                continue
            with suppress(PersonareError):  # too few answers yet, or nothing that can be read as numbers
                if key not in self._batches:
                    self._batches[key] = self.rated_batch([name for name in names if name in self._items])
                batch = self._batches[key]
                rated = rated[rated["a"].isin(batch.ids) & rated["b"].isin(["", *batch.ids])]
                scores = drawn_scores(batch, rated, rng=generator(len(rated), "review", key[0].name))
                self._scores[key] = (batch.ids, scores)

    def _allowed(self, rater: str) -> set[Kind]:
        """Return the kinds of release that a rater may see; a rater who did not agree sees none."""
        known = self._votes.raters.get(rater, Rater())
        if not known.consent:
            raise PolicyError(
                f"Rater {rater!r:.60} has not agreed that answers are kept here, or was erased. Begin anew."
            )
        return {"synthetic", "release"} if REVIEW in known.purposes else {"synthetic"}

    def _asked_before(self, rater: Rater, askable: Callable[[str, str], bool]) -> dict[str, Any] | None:
        """Return, now and then, a pair that this rater answered, sides exchanged, or that another one did."""
        said = [answer for answer in rater.answers.values() if answer["task"] == "compare"]
        times = Counter(_pair(answer["a"], answer["b"]) for answer in said)
        old = [answer for answer in said if times[_pair(answer["a"], answer["b"])] == 1][:-_REPEAT_AFTER]
        chance = self._rng.random()
        if old and chance < _REPEATED:
            again = old[self._rng.integers(len(old))]
            return {"a": again["b"], "b": again["a"], "repeat": True}
        if _REPEATED < chance < _REPEATED + _SHARED:  # so that it can be told how far raters agree
            others = [pair for pair in self._votes.asked if len(pair) == 2 and askable(*pair)]
            return self._sided(*others[self._rng.integers(len(others))]) if others else None
        return None

    def _compare(self, rater: Rater, allowed: set[Kind]) -> dict[str, Any] | None:
        done = {_pair(answer["a"], answer["b"]) for answer in rater.answers.values() if answer["task"] == "compare"}

        def askable(one: str, other: str) -> bool:
            there = one != other and _pair(one, other) not in done and {one, other} <= self._items.keys()
            return there and {self._items[one].kind, self._items[other].kind} <= allowed

        def alike(one: str, other: str) -> bool:
            return self._items[one].behavior == self._items[other].behavior

        if question := self._asked_before(rater, askable):
            return question
        for _ in range(_TRIES if self._beside and self._rng.random() < _ADAPTED else 0):
            new, like = self._beside[self._rng.integers(len(self._beside))]
            old_one = like[self._rng.integers(len(like))]
            if askable(new, old_one):
                return self._sided(new, old_one)
        groups = [key for key, names in self._groups.items() if len(names) > 1 and self._kinds[key[0]] in allowed]
        sizes = np.array([len(self._groups[key]) for key in groups], float)
        order = self._rng.choice(len(groups), len(groups), replace=False, p=sizes / sizes.sum()) if groups else ()
        for key in [groups[i] for i in order]:
            names, scores = self._scores.get(key, (self._groups[key], None))
            drawn = self._rng.integers(len(names), size=(_DRAWN, 2))
            pairs = drawn[[askable(names[i], names[j]) and alike(names[i], names[j]) for i, j in drawn]]
            if not len(pairs):  # few are left
                left = [pair for pair in combinations(range(len(names)), 2) if askable(names[pair[0]], names[pair[1]])]
                pairs = self._rng.permutation(np.array(left, int).reshape(-1, 2))
            if len(pairs):
                best = pairs[choose_pair(pairs[:CANDIDATES], scores, rng=self._rng)]
                return self._sided(names[best[0]], names[best[1]])
        return None

    def _check(self, rater: Rater, allowed: set[Kind]) -> dict[str, Any] | None:
        seen = {answer["a"] for answer in rater.answers.values() if answer["task"] == "check"}
        names = [name for name, item in self._items.items() if item.kind in allowed and name not in seen]
        counts = np.array([self._votes.asked[(name,)] for name in names])
        if (counts > 0).any() and self._rng.random() < _SHARED:
            counts = np.where(counts > 0, 0, 1)
        return {"a": names[self._rng.choice(np.flatnonzero(counts == counts.min()))]} if names else None

    def _same(self, rater: Rater, allowed: set[Kind]) -> dict[str, Any] | None:
        people = self._people() if "release" in allowed else []
        seen = {(answer["x"], _pair(answer["a"], answer["b"])) for answer in rater.answers.values()}
        for _ in range(_TRIES if people else 0):
            subject, subjects = people[self._rng.integers(len(people))]
            x, right = self._rng.choice(subjects[subject], 2, replace=False).tolist()
            other = sorted({*subjects} - {subject})[self._rng.integers(len(subjects) - 1)]
            behavior = self._items[right].behavior  # so that it does not tell
            like = [name for name in subjects[other] if self._items[name].behavior == behavior] or subjects[other]
            wrong = like[self._rng.integers(len(like))]
            if (x, _pair(right, wrong)) not in seen:
                return {**self._sided(right, wrong), "x": x}
        return None

    def _sided(self, one: str, other: str) -> dict[str, Any]:
        return {"a": one, "b": other} if self._rng.random() < 1 / 2 else {"a": other, "b": one}

    def _people(self) -> list[tuple[str, dict[str, list[str]]]]:
        """Return the people with two recordings or more in a release of real people that has others too.

        Each with the items of everybody in that release that are of the same tracks, by person.
        """
        groups: dict[tuple[Path, frozenset[str]], dict[str, list[str]]] = {}
        for name, item in self._items.items():
            if item.kind == "release":
                subjects = groups.setdefault((item.root, frozenset(item.recording.tracks)), {})
                subjects.setdefault(item.recording.subject, []).append(name)
        several = [subjects for subjects in groups.values() if len(subjects) > 1]
        return [(subject, subjects) for subjects in several for subject, own in subjects.items() if len(own) > 1]

    def _item(self, name: str) -> Item:
        item = self._items.get(name)
        if not item or not all((item.root / path).is_file() for path in item.recording.tracks.values()):
            raise DataError(
                f"There is no item {name!r:.80} in {self.name}, or it was taken out. Load the next question."
            )
        return item

    def _follow(self) -> None:
        """Forget items that another process took out, and those of releases that were removed."""
        with self._lock:
            out, gone = self._votes.alarmed, {root for root in self._kinds if not (root / DESCRIPTION).is_file()}
            if gone or self._items.keys() & out:
                self._items = {n: item for n, item in self._items.items() if n not in out and item.root not in gone}

    def _withdraw(self, name: str) -> None:
        """Take an item out of its release, and out of every page that shows it."""
        item = self._items.pop(name)
        if not (item.root / DESCRIPTION).is_file():
            return  # the whole release is gone
        self._ledger.append("alarmed", [{"cohort": self.name, "recording": name}])
        tables = [item.root / file for file in ("participants.tsv", INDEX)]
        before = [_checksum(file) for file in tables]
        cohort = remove_recording(item.root, item.recording.id)
        card = item.root / "croissant.json"
        if card.is_file():
            text = card.read_text(encoding="utf-8")
            for old, file in zip(before, tables, strict=True):
                text = text.replace(old, _checksum(file))
            write_text(card, text)
            if (item.root / "preview.html").is_file():
                label = next((label for label in item.recording.labels if label != "synthetic"), "")
                claim = json.loads(text).get("personare:privacy", {}).get("claim", "")
                write_preview(item.root, cohort, label=label, told=claim)
        examples = self._path / "examples.json"
        if examples.is_file() and item.recording.id in examples.read_text(encoding="utf-8"):
            write_report(self._path)


def open_votes(path: Path, votes: str | Path = "", *, ledger: Ledger | None = None) -> Votes:
    """Open the votes on a run or a cohort, also where it was removed: beside it, or where ``votes`` says."""
    book = ledger or (_ledger(path) if path.is_dir() else None)
    return Votes(votes or votes_beside(path), ledger=book)


def _ledger(path: Path) -> Ledger:
    private = private_folder(path)
    return open_ledger(None, private if private.is_dir() else path)


def _items(path: Path) -> dict[str, Item]:
    """Return what may be shown of a run or a cohort, by name."""
    if (path / "releases").is_dir():
        roots = [file.parent for file in sorted((path / "releases").glob(f"*/{DESCRIPTION}"))]
    elif cohort_kind(path) == "identifiable":
        raise PolicyError(
            f"A review shows releases only, and {path} holds recordings of people as they were made. Give a run of "
            "'personare study', or a cohort made by 'personare anonymize' or 'personare synthesize'."
        )
    else:
        roots = [path.resolve()]
    items: dict[str, Item] = {}
    for root in roots:
        kind, near = cohort_kind(root), private_folder(path) / "near" / f"{root.name}.json"
        with data_errors(f"{near} cannot be read", "Make the run again: without it nobody knows what may be shown."):
            hidden = {*json.loads(near.read_text(encoding="utf-8"))} if near.is_file() else set()
        for r in open_cohort(root).recordings if kind != "identifiable" else ():
            if r.id not in hidden and {*r.tracks} != {"representation"}:
                items[f"{root.name}/{r.id}"] = Item(root=root, kind=kind, recording=r)
    if not items:
        raise DataError(
            f"{path} must hold a release that can be seen or heard, and holds none. Make one, then review it."
        )
    return items


def _adapted(path: Path) -> dict[str, str]:
    """Return which releases of a run are adapted, and of which one each is."""
    plan = path / "study.toml"
    with data_errors(f"{plan} cannot be read", "Make the run again."):
        rows = tomllib.loads(plan.read_text(encoding="utf-8")).get("synthetic", []) if plan.is_file() else []
    return {row["name"]: row["adapt"].get("of", "") for row in rows if row.get("adapt")}


def _pair(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one < other else (other, one)


def _checksum(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
