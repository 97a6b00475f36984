"""Pseudonyms: who gets a number in place of a name, and the key that leads back, which stays outside the cohort."""

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path

from personare.core.errors import DataError
from personare.data.atomic import replacing
from personare.data.tables import read_rows

__all__ = ["POLICIES", "check_spellings", "is_code", "name_words", "numbered", "read_key", "spelling", "write_key"]

POLICIES = ("names", "all", "none")
"""Who gets a number: whoever is not called by a code, everybody, nobody."""

_CODE = re.compile(
    r"(?:[a-z]{1,2}|sub|subj|subject|pat|patient|participant|person|proband|vpn|spk|speaker|actor|user|case|"
    r"control|child|student|pair|video|author)?[0-9]{1,6}[a-z]?|[a-z]|unknown",
    re.IGNORECASE,
)


def is_code(subject: str) -> bool:
    """Whether a subject is called by a code that says nothing of the person, by its shape alone.

    A number, a letter or two with a number, a single letter, or a common word such as ``patient`` with a number are
    codes. Whatever else it is may be a name, initials, a birthday or an address.

    Example:
        >>> [is_code(s) for s in ("P01", "007", "s12", "patient3", "Anna", "Eva2", "AB", "19840312", "anna@x.org")]
        [True, True, True, True, False, False, False, False, False]
    """
    return _CODE.fullmatch(subject) is not None


def name_words(subject: str) -> set[str]:
    """Return the words of a name, in lower case, by which it is found elsewhere.

    Example:
        >>> sorted(name_words("Anna-Maria_B. 1984"))
        ['anna', 'maria']
    """
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


def check_spellings(subjects: Iterable[str]) -> None:
    """Refuse subjects that may be one person written in two ways.

    **Guarantee**: nobody is merged with, or parted from, somebody else by a guess.

    Raises:
        DataError: Two subjects differ in case, leading zeros or marks only.
    """
    ways: dict[str, list[str]] = {}
    for subject in dict.fromkeys(subjects):
        ways.setdefault(spelling(subject), []).append(subject)
    doubtful = [" and ".join(map(repr, same)) for same in ways.values() if len(same) > 1]
    if doubtful:
        raise DataError(
            f"One person or two: {'; '.join(doubtful)}? Write one person in one way in every row, and give two people "
            "subjects that differ in more than case, leading zeros and marks."
        )


def numbered(subjects: Iterable[str], key: Mapping[str, str], policy: str) -> dict[str, str]:
    """Return the key with a number for everybody who needs one.

    Args:
        subjects: As the source calls them.
        key: Numbers given before; they stay, and none is given again.
        policy: One of ``POLICIES``.

    Example:
        >>> numbered(["Anna M.", "P01", "Ben"], {}, "names")
        {'Anna M.': '01', 'Ben': '02'}
    """
    if policy == "none":
        return {}
    given = list(dict.fromkeys(subjects))
    before = {spelling(name): number for name, number in key.items()}
    after = dict(key)
    taken = {spelling(number) for number in key.values()}
    waiting = []
    for subject in given:
        if spelling(subject) in before:
            after[subject] = before[spelling(subject)]
        elif policy == "all" or not is_code(subject) or spelling(subject) in taken:
            waiting.append(subject)
    taken |= {spelling(subject) for subject in given if subject not in after and subject not in waiting}
    numbers = (f"{n:02d}" for n in range(1, len(taken) + len(waiting) + 1) if str(n) not in taken)
    return {**after, **dict(zip(waiting, numbers, strict=False))}


def read_key(path: Path) -> dict[str, str]:
    """Return the pseudonym by subject of a key file; nothing where there is none.

    Raises:
        DataError: It is not such a table.
    """
    if not path.exists():
        return {}
    return {row["subject"]: row["pseudonym"] for _, row in read_rows(path, required=("subject", "pseudonym"))}


def write_key(path: Path, key: Mapping[str, str]) -> None:
    """Write the key file.

    **Guarantee**: at no moment can anybody but its owner read it.

    Raises:
        DataError: It cannot be written.
    """
    text = io.StringIO()
    csv.writer(text, delimiter="\t").writerows([("subject", "pseudonym"), *key.items()])
    with replacing(path) as part:
        part.touch(mode=0o600)
        part.write_text(text.getvalue(), encoding="utf-8")
