"""Which columns of a table look as if they named, dated, located or quoted a person: told by shape, without a list."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from personare.data.pseudonyms import name_words

__all__ = ["looks_like_a_name", "suspicions"]

_STAYS = "It stays in the cohort and is released only where it is asked for by name; remove the column if you can."
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
_MANY = 5  # so many people with a value each: a column of yes and no is no second number for people


def looks_like_a_name(text: str) -> bool:
    """Whether a text is two to four words with capitals.

    Example:
        >>> looks_like_a_name("Anna_Beispiel"), looks_like_a_name("pilot 2")
        (True, False)
    """
    return _SHAPES["a name"].search(text) is not None


def suspicions(columns: Mapping[str, Sequence[tuple[str, str]]], subjects: Iterable[str]) -> list[str]:
    """Return a sentence for each column that looks as if it identified people, and for labels written in two ways.

    Values themselves are not repeated, so that the sentences can be shown to anybody.

    Args:
        columns: By name, the subject and the value of every row that has one.
        subjects: What people are called; names among them are looked for in all columns.
    """
    names = set().union(*(name_words(subject) for subject in subjects))
    told = []
    for column, rows in columns.items():
        values = sorted({value for _, value in rows})
        kinds = [kind for kind in [_kind(column, values, names), _whose(rows)] if kind]
        if kinds:
            told.append(f"the column {column} {' and '.join(kinds)}. {_STAYS}")
        twice = defaultdict(list)
        for value in values:
            twice[" ".join(value.casefold().split())].append(value)
        told += [
            f"the column {column} has {' and '.join(map(repr, same))}: as written these are different labels. Write "
            "them alike if they are one."
            for same in twice.values()
            if len(same) > 1
        ]
    return told


def _kind(column: str, values: Sequence[str], names: set[str]) -> str:
    """Return what most values that look like something look like."""
    if named := sum(bool(names & name_words(value)) for value in values):
        return f"holds words of people's names ({named} of {len(values)} values)"
    counts = {kind: sum(bool(shape.search(value)) for value in values) for kind, shape in _SHAPES.items()}
    if column == "sentence":  # what was to be said is the same for everybody
        counts["free text"] = 0
    kind = max(counts, key=lambda kind: counts[kind])
    if counts[kind]:
        return f"looks like {kind} ({counts[kind]} of {len(values)} values)"
    return "speaks of somebody, by its heading" if _HEADINGS.search(column.casefold()) else ""


def _whose(rows: Sequence[tuple[str, str]]) -> str:
    """Say so if each of many people has one value, and nobody else has it."""
    pairs = set(rows)
    people, values = {subject for subject, _ in pairs}, {value for _, value in pairs}
    unique = len(pairs) == len(people) == len(values) >= _MANY
    return "tells every person from every other" if unique else ""
