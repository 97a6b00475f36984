"""Everything that holds or came from one person of a cohort: in it, beside it, in runs, releases and backups."""

import gzip
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from personare.core.errors import DataError
from personare.core.types import Cohort
from personare.data.cohort import DESCRIPTION, cohort_kind, open_cohort
from personare.data.pseudonyms import name_words, read_key, spelling
from personare.data.runs import private_folder
from personare.govern.consent import read_consent
from personare.govern.ledger import LEDGER_COLUMNS, Ledger

Action = Literal["delete", "rewrite", "retrain", "shard", "bounded", "by_hand", "unreachable"]
WAYS: Mapping[Action, str] = {
    "delete": "is deleted",
    "rewrite": "stays, without the person",
    "retrain": "is removed, and made again without the person",
    "shard": "is removed, and made again: one shard is trained, the others stay",
    "bounded": "stays: differential privacy bounds what it tells of the person",
    "by_hand": "is for you to do",
    "unreachable": "cannot be reached now",
}
"""What becomes of a holding, in words."""
ERASED = "erased_subject"
"""The row of the ledger that stands for somebody who was erased."""
BESIDE = ("{}.private", "{}.votes.sqlite", "{}.key.tsv", "{}.keys", ".{}.import", ".{}.before", ".{}.unfinished")
"""What may lie beside a cohort, a run or a release and belong to it, by its name."""
_WHOSE = ("subject", "participant_id")
_TABLES = (".tsv", ".csv", ".json", ".parquet", ".gz")
ARCHIVES = (".zip", ".tar", ".tgz", ".7z", ".rar", ".xz", ".bz2", ".gpg", ".age")


@dataclass(frozen=True, kw_only=True)
class Holding:
    """A file, a folder or a release that holds or came from a person."""

    path: Path
    what: str
    action: Action
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Person:
    """What one person is found by: pseudonyms, real names, recordings by their bytes."""

    subjects: Sequence[str]
    names: Sequence[str] = ()  # real ones, where a key tells them
    files: Mapping[str, int] = field(default_factory=dict)  # the size by SHA-256
    mark: str = ""  # what stands for the person in the ledger afterwards: a salted hash
    salt: str = ""

    @cached_property
    def code(self) -> re.Pattern[str]:
        """The pseudonym as BIDS writes it."""
        # what comes before does not matter: a database writes one text right after another
        return re.compile(rf"sub-(?:{'|'.join(map(re.escape, self.subjects))})(?![A-Za-z0-9])")

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What names the person in a text: the pseudonym as BIDS writes it or as a record's subject, or a real name."""
        record = rf'"subject": ?"(?:{"|".join(map(re.escape, self.subjects))})"'
        return re.compile("|".join([self.code.pattern, record, *(rf"(?<!\w){re.escape(n)}(?!\w)" for n in self.names)]))

    def lines(self, path: Path) -> re.Pattern[bytes]:
        """Return what names the person in a file: in a table of people also a cell, in others it may be a number."""
        either, cell = "|".join(map(re.escape, self.subjects)), ""
        if path.name.endswith(".key.tsv"):
            cell = rf"|\t(?:{either})(?=\r?(?:\n|$))"
        elif path.suffix in (".tsv", ".csv"):
            with path.open("rb") as file:
                first = re.split(rb"[\t,]", file.readline().strip(b"\xef\xbb\xbf\r\n"))[0].decode(errors="replace")
            cell = rf"|(?:^|(?<=\n))(?:{either}) ?(?=[\t,])" if first in _WHOSE else ""
        return re.compile((self.pattern.pattern + cell).encode())

    def trace(self, path: Path) -> str:
        """Return how a file tells of the person; empty where it does not."""
        size = path.stat().st_size
        if size in self.files.values() and digest(path) in self.files:
            return "a copy of a recording"
        try:
            content = _content(path)
        except (OSError, ValueError, EOFError):
            return "cannot be read, and so not be searched"
        words = [f"sub-{subject}".encode() for subject in self.subjects] + [name.encode() for name in self.names]
        # the pattern is slow, and a film is long
        likely = path.suffix in _TABLES or any(content.find(word) >= 0 for word in words)
        return "names the person" if likely and self.lines(path).search(content) else ""


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _content(path: Path) -> "bytes | mmap":
    """Return a file as it can be searched: unpacked, and a table of columns as a line for each cell."""
    if path.suffix == ".parquet":
        rows = pd.read_parquet(path).reset_index().astype(str)
        cells = ((name, cell) for name in rows for cell in rows[name])
        return "".join(f'"subject":"{cell}"\n' if name in _WHOSE else f"{cell}\n" for name, cell in cells).encode()
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes())
    with path.open("rb") as file:
        return mmap(file.fileno(), 0, access=ACCESS_READ) if path.stat().st_size else b""


def traces(person: Person, place: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file and folder in a place that is named after a person, tells of them, or is one of their files."""
    if place.is_file():
        if why := person.trace(place):
            yield place, why
        return
    for folder, folders, files in os.walk(place):
        for name in [name for name in folders if person.code.search(name)]:
            folders.remove(name)
            yield Path(folder, name), "named after the person"
        for path in (Path(folder, name) for name in files):
            if person.code.search(path.name):
                yield path, "named after the person"
            elif path.is_file() and (why := person.trace(path)):
                yield path, why


def around(folder: Path) -> list[Path]:
    """Return a folder and what belongs to it beside it, as far as they are there."""
    whole = folder.resolve()
    places = [whole, *(whole.with_name(form.format(whole.name)) for form in BESIDE)]
    return [place for place in places if place.exists()]


def register(ledger: Ledger, cohort: Cohort, action: Literal["run", "backup"], folder: Path) -> None:
    """Note in the ledger where something lies that holds what is in a cohort or came from it."""
    ledger.append(action, [{"cohort": cohort.name, "folder": str(folder.resolve())}])


def rows_of(ledger: Ledger, cohort: Cohort) -> pd.DataFrame:
    """Return what the ledger tells of a cohort; nothing where there is no ledger yet."""
    rows = ledger.rows() if ledger.exists() else pd.DataFrame(columns=list(LEDGER_COLUMNS))
    return rows[rows["cohort"] == cohort.name]


def registered(ledger: Ledger, cohort: Cohort, action: str) -> list[Path]:
    """Return the folders that the ledger notes, each once."""
    details = rows_of(ledger, cohort).query("action == @action")["detail"]
    return [Path(folder) for folder in dict.fromkeys(json.loads(detail)["folder"] for detail in details)]


def check_backup(cohort: Cohort, folder: Path) -> None:
    """Refuse a folder in which other people may have the same pseudonyms."""
    for description in folder.rglob(DESCRIPTION):
        if cohort_kind(description.parent) == "identifiable" and open_cohort(description.parent).name != cohort.name:
            raise DataError(
                f"{description.parent} is another cohort than {cohort.name}, whose people may have the same "
                "pseudonyms. Give the folder that holds copies of this cohort and of its runs alone."
            )


def find_person(cohort: Cohort, subject: str, also: Sequence[str], ledger: Ledger) -> Person:
    """Return by what a person is found; refused where nobody is called so, or where the key knows another pseudonym."""
    subjects = tuple(dict.fromkeys(name.removeprefix("sub-") for name in (subject, *also)))
    for path in journals(cohort.root):
        begun = json.loads(path.read_text(encoding="utf-8"))["person"]
        if {*subjects} & {*begun["subjects"]}:
            return Person(**begun)
    rows, key = rows_of(ledger, cohort), read_key(cohort.root)
    people = {r.subject for r in cohort.recordings} | {*map(str, cohort.participants.index)} | {*key.values()}
    people |= {*read_consent(cohort.root / "consent.tsv")["subject"]}
    salts = [json.loads(detail)["salt"] for detail in rows[rows["action"] == ERASED]["detail"]]
    before = [salt for salt in salts if mark_of(subjects[0], salt) in {*rows["subject"]}]  # erased once already
    unknown = {*subjects} - people - {*rows["subject"]}
    if unknown and not before:
        called = ", ".join(sorted(people)[:5])
        raise DataError(f"Nobody in {cohort.root} is called {min(unknown)!r}. Give a pseudonym, such as {called}.")
    names = [name for name, number in key.items() if number in subjects]
    one = {frozenset(name_words(name)) or spelling(name) for name in names}
    others = {n for name, n in key.items() if (frozenset(name_words(name)) or spelling(name)) in one} - {*subjects}
    if others:
        more = " ".join(f"--also {number}" for number in sorted(others))
        raise DataError(
            f"The key beside {cohort.root} gives one name the pseudonyms {', '.join(sorted(others | {*subjects}))}. "
            f"Give all of one person: {more}; or, if they are two people, correct the key."
        )
    tracks = {r.id: [cohort.root / path for path in r.tracks.values()] for r in cohort.recordings}
    files = {path for r in cohort.recordings if r.subject in subjects for path in tracks[r.id] if path.is_file()}
    sizes = {path.stat().st_size for path in files}
    theirs = {digest(path): path.stat().st_size for path in files}
    rest = (p for r in cohort.recordings if r.subject not in subjects for p in tracks[r.id] if p.is_file())
    for path in rest:  # what somebody else's file says too, such as a text, is not this person's alone
        if path.stat().st_size in sizes:
            theirs.pop(digest(path), None)
    real = [name for name in names if len("".join(name_words(name))) > 2]  # a number alone is in every file
    salt = before[0] if before else os.urandom(16).hex()
    return Person(subjects=subjects, names=real, files=theirs, mark=mark_of(subjects[0], salt), salt=salt)


def journals(cohort: Path) -> list[Path]:
    """Return what was noted beside a cohort of erasures that did not end."""
    return sorted(cohort.resolve().parent.glob(f"{cohort.resolve().name}.erased-*.json"))


def mark_of(subject: str, salt: str) -> str:
    """Return what stands for an erased person: whoever knows the pseudonym can tell that it is theirs."""
    return "erased-" + hashlib.scrypt(subject.encode(), salt=salt.encode(), n=2**14, r=8, p=1).hex()[:16]


def notes_of(person: Person, run: Path) -> Iterator[tuple[Path, dict[str, Any], dict[str, Any]]]:
    """Yield the note of each release in a run that is made of the person, and the record of how it was made."""
    private = private_folder(run)
    for path in sorted((private / "made_of").glob("*.json")):
        note, step = json.loads(path.read_text(encoding="utf-8")), private / "steps" / f"release-{path.stem}.json"
        if any(person.pattern.search(recording) for recording in note["tracks"]):
            yield path, note, json.loads(step.read_text(encoding="utf-8")) if step.is_file() else {}


def is_bounded(record: Mapping[str, Any]) -> bool:
    """Whether all that a training spent protects whole people."""
    spends = record.get("result", {}).get("spends", ())
    return bool(spends) and all(spend["unit"] == "person" for spend in spends)


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where things of a cohort's people lie."""

    cohort: Cohort
    ledger: Ledger
    runs: Sequence[Path]
    backups: Sequence[Path]
    models: Literal["retrain", "bounded"] = "retrain"

    @classmethod
    def of(
        cls,
        cohort: Cohort,
        ledger: Ledger,
        *,
        also: Sequence[Path] = (),
        skip: Sequence[Path] = (),
        models: Literal["retrain", "bounded"] = "retrain",
    ) -> "Places":
        """Return what the ledger notes and ``also`` these backups, but folders to ``skip``."""
        aside = {path.resolve() for path in skip}
        runs, backups = ([f for f in registered(ledger, cohort, of) if f not in aside] for of in ("run", "backup"))
        backups = list(dict.fromkeys([*backups, *(folder.resolve() for folder in also)]))
        for folder in backups:
            check_backup(cohort, folder)
            notes = [private_folder(folder) / "made_of", *sorted(folder.rglob("*.private/made_of"))]
            runs += [
                note.parent.with_name(note.parent.name.removesuffix(".private")) for note in notes if note.is_dir()
            ]
        return cls(cohort=cohort, ledger=ledger, runs=runs, backups=backups, models=models)

    @property
    def roots(self) -> list[Path]:
        """All that is searched, each once."""
        folders = [self.cohort.root, *self.runs, *self.backups]
        return list(dict.fromkeys(place for folder in folders for place in around(folder)))

    @property
    def unreachable(self) -> list[Path]:
        """Backups that are not there, and runs on a disk that is not there."""
        away = [run for run in self.runs if not around(run) and not run.parent.is_dir()]
        return [*away, *(folder for folder in self.backups if not folder.is_dir())]

    def holdings(self, person: Person) -> Iterator[Holding]:
        """Yield what holds or came from a person; nothing is changed."""
        for run in self.runs:
            yield from self._learned(person, run)
        for place in self.roots:
            deep = place in {p for run in self.runs for p in around(run)}
            for path, why in traces(person, place):
                yield Holding(path=path, what=why, action=action_of(path, why, in_run=deep))
        for folder in self.unreachable:
            yield Holding(path=folder, what="a backup or a run", action="unreachable", why="Bring the disk back.")
        yield from self._outside()

    def _learned(self, person: Person, run: Path) -> Iterator[Holding]:
        made = list(notes_of(person, run))
        stays = [path for path, _, record in made if self.models == "bounded" and is_bounded(record)]
        for path, note, record in made:
            count = sum(bool(person.pattern.search(recording)) for recording in note["tracks"])
            action: Action = "shard" if record.get("options", {}).get("method") == "sharded" else "retrain"
            if stays:  # to run the study again would train what is to stay
                action = "bounded" if path in stays else "delete"
            spends = record.get("result", {}).get("spends", ())
            cost = ", ".join(f"epsilon {s['epsilon']:.3g} at delta {s['delta']:g} for one {s['unit']}" for s in spends)
            what = f"made of {count} of their recordings" + (f" ({cost})" if cost else "")
            yield Holding(path=run / "releases" / path.stem, what=what, action=action)

    def _outside(self) -> Iterator[Holding]:
        """Yield what only people can do."""
        note = self.cohort.root / "import.json"
        if note.is_file():
            source = Path(json.loads(note.read_text(encoding="utf-8"))["source"])
            why = "Remove their files there, or the next import brings them back."
            yield Holding(path=source, what="what the cohort was imported from", action="by_hand", why=why)
        for run in self.runs:
            private, there = private_folder(run), around(run)
            if not there and run.parent.is_dir():
                why = "If it was moved, give its new place with --backup."
                yield Holding(path=run, what="a run that is not there any more", action="by_hand", why=why)
            elif (run / "releases").is_dir() and not private.is_dir():
                why = "Whom its models were learned from is not known: make the study again, or remove it."
                yield Holding(path=run, what="a run without its private folder", action="by_hand", why=why)
            elif (run / "dataset_description.json").is_file() and cohort_kind(run) != "identifiable":
                why = "If something was fitted for it, it learned from them: make it again, or remove it."
                yield Holding(path=run, what="a release outside of a study", action="by_hand", why=why)
        for folder in self.backups:
            for path in (path for path in sorted(folder.rglob("*")) if path.suffix in ARCHIVES):
                yield Holding(path=path, what="an archive", action="by_hand", why="Look into it: it is not searched.")


def action_of(path: Path, why: str, *, in_run: bool) -> Action:
    """Return what becomes of a file that tells of a person."""
    if "cannot be read" in why:
        return "by_hand"
    if why != "names the person" or path.name == "index.parquet":
        return "delete"
    if path.suffix in (".tsv", ".csv", ".json", ".sqlite"):
        return "rewrite"
    return "delete" if in_run else "by_hand"


def expired(cohort: Cohort, now: datetime | None = None) -> list[str]:
    """Return the people all of whose consent has a last day that is past."""
    today = (now or datetime.now(UTC)).date().isoformat()
    consent = read_consent(cohort.root / "consent.tsv")
    ends = consent["retention_until"]
    return sorted({*consent["subject"]} - {*consent["subject"][~ends.str.match(r"\d{4}-\d\d-\d\d") | (ends >= today)]})
