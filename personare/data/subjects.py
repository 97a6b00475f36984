"""The people of a source as an import meets them: who gets a number, what still tells a name, whose files they are."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from personare.core.errors import DataError
from personare.core.types import Recording, Withheld
from personare.data.cohort import recording_id
from personare.data.identifiers import looks_like_a_name, suspicions
from personare.data.pseudonyms import check_spellings, is_code, name_words, numbered, read_key, spelling, write_key
from personare.govern.consent import read_consent

__all__ = ["Subjects", "key_file"]

_COMPARED = ("audio", "video", "picture")  # two people may have the same text or the same events, never the same face


def key_file(target: Path) -> Path:
    """Return where the key of a cohort's pseudonyms lies: beside the cohort, never in it."""
    return target.resolve().with_name(f"{target.resolve().name}.key.tsv")


@dataclass(frozen=True, kw_only=True)
class Subjects:
    """People as a source calls them, and as its cohort does.

    Attributes:
        given: What the source calls them, each once.
        key: The number of everybody who has one, also of people who are no longer in the source.
        file: Where the key is kept.
    """

    given: tuple[str, ...]
    key: Mapping[str, str]
    file: Path

    @classmethod
    def of(cls, recordings: Iterable[Recording], *, target: Path, policy: str, again: bool) -> "Subjects":
        """Return the people of these recordings, with numbers by a policy.

        Args:
            recordings: As a reader gives them.
            target: The cohort.
            policy: One of ``personare.data.pseudonyms.POLICIES``.
            again: Whether people of this cohort have numbers already.

        Raises:
            DataError: Numbers were given, and the key to them is gone.
        """
        given, file = tuple(dict.fromkeys(recording.subject for recording in recordings)), key_file(target)
        known = read_key(file)
        if again and not known:  # nobody's number, and with it nobody's consent, may go to somebody else
            raise DataError(
                f"The key {file} is gone, so nobody can tell whose number is whose. Put it back, or import into a new "
                "folder."
            )
        return cls(given=given, key=numbered(given, known, policy), file=file)

    def pseudonym(self, subject: str) -> str:
        """Return what the cohort calls somebody."""
        return self.key.get(subject, subject)

    def remarks(self, recordings: Sequence[Recording], people: pd.DataFrame) -> Iterator[str]:
        """Say who got a number, who keeps a name, and which columns look as if they told who somebody is.

        Args:
            recordings: As the reader gives them.
            people: The participants' table, indexed by what the source calls them.

        Raises:
            DataError: Two subjects may be one person.
        """
        check_spellings(self.given)
        hidden = [subject for subject in self.given if subject in self.key]
        named = [subject for subject in self.given if not is_code(subject)]
        if hidden:
            yield (
                f"{len(hidden)} of {len(self.given)} people got numbers in place of what they were called. {self.file} "
                "leads back; only its owner can read it, and it must never leave with the data."
            )
        if kept := len(set(named) - set(hidden)):
            yield f"{kept} subjects may be names and stay as they are: releases and reports will show them."
        yield from suspicions(_columns(recordings, people), named)

    def renamed(self, recordings: Iterable[Recording], skipped: list[Withheld]) -> Iterator[Recording]:
        """Give recordings ids by pseudonym; those whose id would still tell a name are added to ``skipped``."""
        for recording in recordings:
            subject, task = self.pseudonym(recording.subject), recording.id.rpartition("_task-")[2]
            telling = [part for part in (recording.session, task) if _tells(part, recording.subject)]
            try:
                if subject != recording.subject and telling:
                    raise DataError(f"{telling[0]!r} holds the person's name. Rename the session or task.")
                yield replace(recording, id=recording_id(subject, recording.session, task), subject=subject)
            except DataError as error:
                problem, _, fix = str(error).rpartition(". ")
                skipped.append(Withheld(item=", ".join(recording.tracks.values()), problem=problem, fix=fix))

    def without_copies(
        self, source: Path, recordings: Sequence[Recording], skipped: list[Withheld]
    ) -> Iterator[Recording]:
        """Pass on recordings but those whose bytes are also somebody else's: whose they are, nobody can tell."""
        copies = _copies(source, recordings)
        for recording in recordings:
            twins = {path: copies[path] for path in recording.tracks.values() if path in copies}
            for path, others in twins.items():
                problem = f"{', '.join(others)} of another person is the same file, byte by byte"
                skipped.append(Withheld(item=path, problem=problem, fix="Keep the one that is right."))
            if not twins:
                yield recording

    def consent(self, source: Path, remark: Callable[[str], None]) -> pd.DataFrame:
        """Return the source's consent table by pseudonym; whom it names in vain is said: it may be a withdrawal."""
        table = read_consent(source / "consent.tsv")
        pseudonyms = {spelling(subject): self.pseudonym(subject) for subject in self.given}
        for subject in sorted({s for s in table["subject"] if spelling(s) not in pseudonyms}):
            remark(f"{source / 'consent.tsv'} names {subject!r}, who has no recording here: the row applies to nobody.")
        table["subject"] = [pseudonyms.get(spelling(subject), "") for subject in table["subject"]]
        return table[table["subject"] != ""]

    def write_key(self) -> None:
        """Write down who has which number, where somebody has one."""
        if self.key:
            write_key(self.file, self.key)

    def cohort_name(self, target: Path) -> str:
        """Return the cohort's name: its folder's, unless that may be somebody's."""
        name = target.resolve().name
        return "cohort" if looks_like_a_name(name) or any(_tells(name, subject) for subject in self.given) else name


def _tells(part: str, subject: str) -> bool:
    return not is_code(subject) and any(word in part.casefold() for word in name_words(subject))


def _columns(recordings: Sequence[Recording], people: pd.DataFrame) -> dict[str, list[tuple[str, str]]]:
    """Return the values of every column with the subject of each, those of the participants' table included."""
    columns: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for recording in recordings:
        for label, value in {"task": recording.id.rpartition("_task-")[2], **recording.labels}.items():
            columns[label].append((recording.subject, value))
    for column in people.columns.difference(["sex", "age"]):
        columns[str(column)] += [(str(subject), str(value)) for subject, value in people[column].dropna().items()]
    return columns


def _copies(source: Path, recordings: Sequence[Recording]) -> dict[str, list[str]]:
    """Return, for each file that several people have under different names, the other names."""
    owners: dict[str, set[str]] = defaultdict(set)
    for recording in recordings:
        for track, path in recording.tracks.items():
            if track in _COMPARED and (source / path).is_file():
                owners[path].add(recording.subject)
    files: dict[object, list[str]] = defaultdict(list)
    for path in owners:
        files[(source / path).stat().st_size].append(path)
    alike: dict[object, list[str]] = defaultdict(list)
    for path in (path for paths in files.values() if _whose(paths, owners) > 1 for path in paths):
        with (source / path).open("rb") as file:
            alike[hashlib.file_digest(file, "sha256").digest()].append(path)
    return {path: sorted({*paths} - {path}) for paths in alike.values() if _whose(paths, owners) > 1 for path in paths}


def _whose(paths: Iterable[str], owners: Mapping[str, set[str]]) -> int:
    return len(set().union(*(owners[path] for path in paths)))
