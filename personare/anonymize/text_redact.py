"""Replaces what names somebody in a text by something made up of the same kind."""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import ClassVar, Literal

import numpy as np

from personare.core.options import check_options
from personare.core.randomness import generator
from personare.core.types import Track
from personare.features.identifiers import find_identifiers

__all__ = ["TextRedact"]

_FORMS = {  # of Faker
    "name": "{{first_name}}",
    "place": "{{city}}",
    "organization": "{{company}}",
    "address": "{{street_address}}",
    "email": "{{ascii_safe_email}}",
    "link": "https://example.org/{{user_name}}",
    "handle": "@{{user_name}}",
}


@dataclass(frozen=True, kw_only=True)
class TextRedact:
    """Put surrogates in place of names, places, organizations, addresses, numbers, links and dates; the rest stays.

    A name gets the same surrogate in all texts that are hidden together, whoever wrote them. With ``policy`` ``person``
    each person has others, which tells owners apart far better than names do; with ``recording`` each text has, which
    tells least. Dates move by the same number of whole weeks, of each person another; ages from 90 on become 90.

    **Guarantee**: nothing that was found leaves (docs/words.md says how much that is, and what is missed), and a
    surrogate depends on what it replaces alone, so that it tells no more (but with ``person``, and dates). Manner of
    writing, diagnoses, jobs, nationalities, years and stories stay: they name a person to whoever knows them. A text in
    another language, or in small letters alone, is refused.

    **Source**: D. Carrell et al., "Hiding in plain sight", JAMIA 20(2), 2013, doi:10.1136/amiajnl-2012-001034; kinds
    and ages after the Safe Harbor rule of HIPAA, 45 CFR 164.514(b)(2). Surrogates are from Faker's lists.
    """

    may_be_unchanged: ClassVar[bool] = True

    policy: Literal["recording", "person", "common"] = "common"  # whose surrogates a text gets

    def __post_init__(self) -> None:
        check_options(self)

    def __call__(self, track: Track, *, subject: str, rng: np.random.Generator) -> Track:
        """Return the text with surrogates."""
        key = rng.bytes(16)
        calendar = generator(int.from_bytes(key), subject)
        weeks = int(calendar.integers(4, 53)) * int(calendar.choice([-1, 1]))
        text, at, parts = str(track.values), 0, []
        for start, end, kind in find_identifiers(text):
            parts += [text[at:start], _surrogate(kind, text[start:end], key, weeks)]
            at = end
        return replace(track, values="".join([*parts, text[at:]]))


def _surrogate(kind: str, original: str, key: bytes, weeks: int) -> str:
    """Return what stands for an original in all texts of whoever has the key."""
    if kind == "age":
        return "90"
    if kind == "date" and (moved := _moved(original, weeks)):
        return moved
    from faker import Faker

    fake = Faker("en_US", use_weighting=False)
    fake.seed_instance(blake2b(f"{kind} {original.casefold()}".encode(), key=key).hexdigest())
    form = _FORMS.get(kind, re.sub(r"\d", "{{random_digit}}", original))
    while (surrogate := str(fake.parse(form))).casefold() == original.casefold():
        pass
    return surrogate


def _moved(original: str, weeks: int) -> str:
    """Return a date so many weeks later, spelled in one way for all; empty where there is no such day."""
    from dateutil.parser import parse

    try:
        # a leap year, so that every day is there; the middle of a month whose day is not said
        date = parse(original, default=datetime(2000, 1, 15), fuzzy=True, dayfirst="." in original)
    except ValueError:
        return ""
    date += timedelta(weeks=weeks)
    day, year = re.search(r"(?<!\d)\d\d?(?!\d)", original), re.search(r"\d{4}|\d\d?[-/.]\d\d?[-/.]\d", original)
    return (f"{date.day} " if day else "") + f"{date:%B}" + (f" {date.year}" if year else "")
