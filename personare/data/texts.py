"""What people wrote: decoded whatever it was saved as, and without the handles and links that lead to them."""

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from personare.core.errors import data_errors
from personare.data.reading import Contents, Made, Maker, Reader
from personare.govern.storage import open_plain

LINK = re.compile(
    r"(?:https?:/?/?|www\.|pic\.twitter\.com/)\S*|\b[\w-]+\.(?:com|ly|co|me|tv|net|org)/\S+", re.IGNORECASE
)
MAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")
HANDLE = re.compile(r"[@＠]\s?\w+")


def read_text(path: Path, *, otherwise: str = "") -> str:
    """Return a text file's content in one line: UTF-8, UTF-16, or ``otherwise``; what cannot be decoded is U+FFFD."""
    with data_errors(f"the text {path.name} cannot be read", "Get it again."), open_plain(path) as file:
        content = file.read()
    encoding, zeros = "utf-8-sig", (content[1::2].count(0), content[::2].count(0))
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif 4 * max(zeros) > len(content):  # every other byte of most letters in UTF-16
        encoding = "utf-16-le" if zeros[0] > zeros[1] else "utf-16-be"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        western = sum(byte > 127 for byte in content) < len(content) / 5  # few letters have an accent
        text = content.decode(otherwise or ("cp1252" if western else "gb18030"), "replace")
    return " ".join(text.split())


def without_addresses(text: str) -> str:
    """Return a text with placeholders for handles, links and mail addresses; names in plain words stay."""
    return HANDLE.sub("@user", MAIL.sub("@user", LINK.sub("http", text)))


@dataclass(frozen=True, kw_only=True)
class Posts(Reader):
    """A reader of pairs of a photo and a text. Who wrote a pair is not known, so each is a person of its own.

    Args:
        encoding: How texts are decoded that are not UTF-8.
    """

    encoding: str = "gb18030"

    license = "research"
    citation = "Niu et al., MultiMedia Modeling 2016: 15-27"
    home = "https://mcrlab.net/research/mvsa-sentiment-analysis-on-multi-view-social-data/"
    tracks: ClassVar[dict[str, str]] = {"picture": "picture", "text": "text"}

    def add(
        self, contents: Contents, item: str, source: Path, stem: str, labels: Mapping[str, str], doubt: str = ""
    ) -> None:
        """Take in ``stem.jpg`` and ``stem.txt``, or list the item that names them; ``doubt`` speaks against them."""
        pair = f"pair{stem.rpartition('/')[2]}"
        sentiments = ("negative", "neutral", "positive")
        unknown = [word for word in labels.values() if word not in sentiments]
        absent = [file for file in (f"{stem}.jpg", f"{stem}.txt") if not (source / file).is_file()]
        fix = "Correct the row, or get the data again."
        if unknown:
            doubt = f"the sentiment {unknown[0]!r} is not known: it must be one of {', '.join(sentiments)}. {fix}"
        elif absent:
            doubt = f"there is no file {absent[0]}. {fix}"
        elif pair in contents.subjects:
            doubt = f"the pair was listed before. {fix}"
        if doubt:
            contents.skipped.note(item, doubt)
        else:
            contents.add(pair, "post", {"picture": f"{stem}.jpg", "text": f"{stem}.txt#text"}, labels)

    def make(self, source: Path) -> Maker:
        """Return what makes a text without addresses of a published one."""
        return lambda file, _: Made(without_addresses(read_text(source / file, otherwise=self.encoding)))
