"""Pseudonyms: who gets a number in place of a name, the key that leads back, and what else may tell who somebody is."""

import csv
import hashlib
import io
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from personare.core.atomic import replacing
from personare.core.errors import DataError
from personare.core.types import Recording
from personare.data.cohort import Problems, recording_id
from personare.data.tables import read_rows
from personare.govern.consent import read_consent
from personare.govern.keys import destroy
from personare.govern.storage import PASSPHRASE, keys_folder, read_note, write_note

_CODE = re.compile(
    r"(?:[a-z]{1,2}|sub|subj|subject|pat|patient|participant|person|proband|vpn|spk|speaker|actor|user|case|"
    r"control|child|student|pair|video|author)?[0-9]{1,6}[a-z]?|[a-z]|unknown",
    re.IGNORECASE,
)
_SHAPES: Mapping[str, re.Pattern[str]] = {
    "an e-mail address": re.compile(r"\S+@\S+\.\w+"),
    "a date": re.compile(
        r"\b(?:\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./](?:\d{4}|\d{2})|(?:19|20)\d{6}"
        r"|\d{1,2}\.? [^\W\d]{3,} \d{4})\b"
    ),
    "a phone number": re.compile(r"(?:\+|\(?0)\d[\d ()/-]{5,}\d"),
    "a postal address": re.compile(
        r"[^\W\d]\S*(?:straße|strasse|str\.|gasse|weg|platz|allee) \d+|\d+\w? [^\W\d][\w ]*(?:street|st|road|rd|avenue|"
        r"ave|lane|drive)\b|\b(?:rue|avenue|via|calle|plaza) [^\W\d]|\b\d{5} [^\W\d]",
        re.IGNORECASE,
    ),
    "a file": re.compile(r"\w\.(?:[a-z]{3,4}|[a-z]{2}\d)$", re.IGNORECASE),
    "a name": re.compile(r"^(?:[^\W\d_a-zß-ÿ][\w'’-]+(?:[ ,_.]+[^\W\d_a-zß-ÿ][\w'’.-]*){1,3})$"),
    "free text": re.compile(r"(?:\S+\s+){4}\S|.{60}"),
}
_HEADINGS = re.compile(
    r"(?:^|[\W_])(?:(?:first|last|full|sur|vor|nach|family)?name|initials|birth\w*|dob|geb\w*|e-?mail|phone|tel|mobile|"
    r"address|adresse|street|zip|plz|city|ort|ssn|mrn|notes?|comments?|diagnos\w*|icd\w*)(?:$|[\W_])"
)
_KEY, _SEALED = ("subject", "pseudonym"), "pseudonyms"
_MANY = 5  # so many people with a value each: a column of yes and no is no second number for people


def is_code(subject: str) -> bool:
    """Whether a subject is called by a code that says nothing of the person, by its shape alone.

    Example:
        >>> [is_code(s) for s in ("P01", "007", "s12", "patient3", "Anna", "Eva2", "AB", "19840312", "anna@x.org")]
        [True, True, True, True, False, False, False, False, False]
    """
    return _CODE.fullmatch(subject) is not None


def name_words(subject: str) -> set[str]:
    """Return the words of a name, in lower case, by which it is found elsewhere."""
    return set(re.findall(r"[^\W\d_]{3,}", subject.casefold()))


def spelling(subject: str) -> str:
    """Return what is left of a subject without case, leading zeros and marks between letters.

    Example:
        >>> [spelling(s) for s in ("007", "7.0", "P-02", "p 2", "P1-2", "P12")]
        ['7', '7', 'p2', 'p2', 'p1-2', 'p12']
    """
    plain = re.sub(r"^(\d+)\.0+$", r"\1", unicodedata.normalize("NFKC", subject).casefold().strip())
    plain = re.sub(r"(?<=\d)[\W_]+(?=\d)", "-", plain)
    plain = re.sub(r"[^\w-]|_|(?<!\d)-|-(?!\d)", "", plain)
    return re.sub(r"(?<!\d)0+(?=\d)", "", plain)


def numbered(subjects: Iterable[str], key: Mapping[str, str], policy: str) -> dict[str, str]:
    """Return the key with a number for everybody who needs one; numbers given before stay, and none is given again.

    The policy says who that is: ``names`` (whoever is not called by a code), ``all`` or ``none``.
    """
    if policy == "none":
        return {}
    before = {spelling(name): number for name, number in key.items()}
    taken = {spelling(number) for number in key.values()}
    after, waiting, codes = dict(key), [], set()
    for subject in dict.fromkeys(subjects):
        if spelling(subject) in before:
            after[subject] = before[spelling(subject)]
        elif policy == "all" or not is_code(subject) or spelling(subject) in taken:
            waiting.append(subject)
        else:
            codes.add(spelling(subject))
    taken |= codes
    numbers = (f"{n:02d}" for n in range(1, len(taken) + len(waiting) + 1) if str(n) not in taken)
    return {**after, **dict(zip(waiting, numbers, strict=False))}


def read_key(cohort: Path) -> dict[str, str]:
    """Return the pseudonym by real name, from the key beside a cohort or, encrypted, among its keys."""
    file = _plain_key(cohort)
    if (sealed := read_note(cohort, _SEALED)) is not None:
        rows = [*csv.DictReader(io.StringIO(sealed.decode()), delimiter="\t")]
    else:
        rows = [row for _, row in read_rows(file, required=_KEY)] if file.exists() else []
    return {row["subject"]: row["pseudonym"] for row in rows}


def write_key(cohort: Path, key: Mapping[str, str]) -> None:
    """Write the key beside a cohort.

    **Guarantee**: at no moment can anybody but its owner read it. With a passphrase in the environment it is encrypted
    among the keys of the cohort, and what was not is destroyed.
    """
    text, file = io.StringIO(newline=""), _plain_key(cohort)
    csv.writer(text, delimiter="\t").writerows([_KEY, *key.items()])
    if os.environ.get(PASSPHRASE):
        write_note(cohort, _SEALED, text.getvalue().encode())
        destroy(file)
        return
    with replacing(file, private=True) as part:
        part.write_bytes(text.getvalue().encode())


def key_file(cohort: Path) -> Path:
    """Return where the key is kept: encrypted, where the environment has a passphrase."""
    return keys_folder(cohort) / _SEALED if os.environ.get(PASSPHRASE) else _plain_key(cohort)


def _plain_key(cohort: Path) -> Path:
    return cohort.resolve().with_name(f"{cohort.resolve().name}.key.tsv")


class Subjects:
    """The people of a source: what it calls them, each once, and the number of everybody who has one.

    ``again`` says that people of the target have numbers already. The key lies beside the cohort, never in it.
    """

    def __init__(self, recordings: Iterable[Recording], *, target: Path, policy: str, again: bool) -> None:
        target = target.resolve()
        self.given = tuple(dict.fromkeys(recording.subject for recording in recordings))
        self._target, key = target, read_key(target)
        if again and not key:  # nobody's number, and with it nobody's consent, may go to somebody else
            raise DataError(
                f"The key {key_file(target)} is gone, so nobody can tell whose number is whose. Put it back, or "
                "import into a new folder."
            )
        self.key = numbered(self.given, key, policy)

    def pseudonym(self, subject: str) -> str:
        """Return what the cohort calls somebody."""
        return self.key.get(subject, subject)

    def write_key(self) -> None:
        """Write down who has which number, also of people who are no longer in the source."""
        if self.key:
            write_key(self._target, self.key)

    def remarks(self, recordings: Sequence[Recording], people: pd.DataFrame) -> Iterator[str]:
        """Say who got a number, who keeps a name, and which columns look as if they told who somebody is.

        **Guarantee**: nobody is merged with, or parted from, somebody else by a guess; it is asked instead.
        """
        ways: dict[str, list[str]] = defaultdict(list)
        for subject in self.given:
            ways[spelling(subject)].append(subject)
        doubtful = [" and ".join(map(repr, same)) for same in ways.values() if len(same) > 1]
        if doubtful:
            raise DataError(
                f"One person or two: {'; '.join(doubtful)}? Write one person in one way in every row, and give two "
                "people subjects that differ in more than case, leading zeros and marks."
            )
        hidden = [subject for subject in self.given if subject in self.key]
        named = [subject for subject in self.given if not is_code(subject)]
        if hidden:
            yield (
                f"{len(hidden)} of {len(self.given)} people got numbers in place of what they were called. "
                f"{key_file(self._target)} leads back; only its owner can read it, and it must never leave with the "
                "data."
            )
        if kept := len(set(named) - set(hidden)):
            yield f"{kept} subjects may be names and stay as they are: releases and reports will show them."
        columns: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for recording in recordings:
            for label, value in {"task": recording.id.rpartition("_task-")[2], **recording.labels}.items():
                columns[label].append((recording.subject, value))
        for column in people.columns.difference(["sex", "age"]):
            columns[str(column)] += [(str(subject), str(value)) for subject, value in people[column].dropna().items()]
        yield from suspicions(columns, named)

    def renamed(self, recordings: Iterable[Recording], skipped: Problems) -> Iterator[Recording]:
        """Give recordings ids by pseudonym; whose id would still tell a name, or is another's, goes to ``skipped``."""
        ids: set[str] = set()
        for recording in recordings:
            subject, task = self.pseudonym(recording.subject), recording.id.rpartition("_task-")[2]
            telling = [part for part in (recording.session, task) if _tells(part, recording.subject)]
            with skipped.listing(", ".join(recording.tracks.values())):
                if subject != recording.subject and telling:
                    raise DataError(f"{telling[0]!r} holds the person's name. Rename the session or task.")
                name = recording_id(subject, recording.session, task)
                if name.casefold() in ids:  # on many disks Rest and rest are one file
                    raise DataError(f"another recording has the id {name}. Give it another session or task.")
                ids.add(name.casefold())
                yield replace(recording, id=name, subject=subject)

    def consent(self, source: Path, remark: Callable[[str], None]) -> pd.DataFrame:
        """Return the source's consent table by pseudonym; whom it names in vain is said: it may be a withdrawal."""
        table = read_consent(source / "consent.tsv")
        pseudonyms = {spelling(subject): self.pseudonym(subject) for subject in self.given}
        for subject in sorted({s for s in table["subject"] if spelling(s) not in pseudonyms}):
            remark(f"{source / 'consent.tsv'} names {subject!r}, who has no recording here: the row applies to nobody.")
        table["subject"] = [pseudonyms.get(spelling(subject), "") for subject in table["subject"]]
        return table[table["subject"] != ""]

    def cohort_name(self, target: Path) -> str:
        """Return the cohort's name: its folder's, unless that may be somebody's (two to four words with capitals)."""
        name = target.resolve().name
        telling = _SHAPES["a name"].search(name) or any(_tells(name, subject) for subject in self.given)
        return "cohort" if telling else name


def _tells(part: str, subject: str) -> bool:
    return not is_code(subject) and any(word in part.casefold() for word in name_words(subject))


def suspicions(columns: Mapping[str, Sequence[tuple[str, str]]], subjects: Iterable[str]) -> list[str]:
    """Return a sentence for each column that looks as if it identified people, and for labels written in two ways.

    Values themselves are not repeated, so that the sentences can be shown to anybody. A column is the subject and the
    value of every row that has one; names among ``subjects`` are looked for in all columns.
    """
    names = set().union(*(name_words(subject) for subject in subjects))
    sentences = []
    for column, rows in columns.items():
        pairs = set(rows)
        people, values = {subject for subject, _ in pairs}, sorted({value for _, value in pairs})
        doubts = list(filter(None, [_doubt(column, values, names)]))
        if len(pairs) == len(people) == len(values) >= _MANY:  # each of many people has one value, and nobody else it
            doubts.append("tells every person from every other")
        if doubts:
            sentences.append(
                f"the column {column} {' and '.join(doubts)}. It stays in the cohort and is released only where it is "
                "asked for by name; remove the column if you can."
            )
        twice = defaultdict(list)
        for value in values:
            twice[" ".join(value.casefold().split())].append(value)
        sentences += [
            f"the column {column} has {' and '.join(map(repr, same))}: as written these are different labels. Write "
            "them alike if they are one."
            for same in twice.values()
            if len(same) > 1
        ]
    return sentences


def _doubt(column: str, values: Sequence[str], names: set[str]) -> str:
    """Return what most values that look like something look like."""
    if named := sum(bool(names & name_words(value)) for value in values):
        return f"holds words of people's names ({named} of {len(values)} values)"
    counts = {shape: sum(bool(pattern.search(value)) for value in values) for shape, pattern in _SHAPES.items()}
    if column == "sentence":  # what was to be said is the same for everybody
        counts["free text"] = 0
    shape = max(counts, key=lambda shape: counts[shape])
    if counts[shape]:
        return f"looks like {shape} ({counts[shape]} of {len(values)} values)"
    return "speaks of somebody, by its heading" if _HEADINGS.search(column.casefold()) else ""


def without_copies(source: Path, recordings: Sequence[Recording], skipped: Problems) -> Iterator[Recording]:
    """Pass on recordings but those whose bytes are also somebody else's: whose they are, nobody can tell."""
    owners: dict[str, set[str]] = defaultdict(set)
    for recording in recordings:
        for track, path in recording.tracks.items():
            # two people may have the same text or the same events, never the same face
            if track in ("audio", "video", "picture") and (source / path).is_file():
                owners[path].add(recording.subject)

    def shared(paths: Iterable[str], key: Callable[[Path], object]) -> list[list[str]]:
        groups: dict[object, list[str]] = defaultdict(list)
        for path in paths:
            groups[key(source / path)].append(path)
        return [same for same in groups.values() if len(set().union(*(owners[path] for path in same))) > 1]

    def content(path: Path) -> bytes:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()

    alike = [path for paths in shared(owners, lambda path: path.stat().st_size) for path in paths]
    copies = {path: sorted({*paths} - {path}) for paths in shared(alike, content) for path in paths}
    for recording in recordings:
        twins = {path: copies[path] for path in recording.tracks.values() if path in copies}
        for path, others in twins.items():
            problem = f"{', '.join(others)} of another person is the same file, byte by byte"
            skipped.note(path, f"{problem}. Keep the one that is right.")
        if not twins:
            yield recording
