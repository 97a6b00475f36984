"""Pairs of a photo and a text from Twitter, each with one sentiment: a table beside a folder of pairs."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from personare.data.reading import Contents, Found, Maker, add_post, make_posts
from personare.data.tables import read_rows

__all__ = ["Tweets"]


@dataclass(frozen=True, kw_only=True)
class Tweets:
    """Reads a table with the columns ``guid`` and ``tag`` (the label ``sentiment``) beside photos and texts of pairs.

    Who wrote a pair is not known, so each pair is a person of its own, and somebody who wrote two may be on both sides
    of a split.

    **Guarantee**: every row is a recording or listed with the reason; no handle, link or mail address in a text is
    taken in. Names in plain words stay, and so does what the photos show.

    **Source**: the layout of public samples of MVSA (Niu et al., MMM 2016, doi:10.1007/978-3-319-27674-8_2).

    Args:
        table: The name of the table.
        folder: Where photos and texts are, named by ``guid``.
        encoding: How texts are decoded that are not UTF-8.
    """

    table: str = "labels.csv"
    folder: str = "pairs"
    encoding: str = "gb18030"

    license: ClassVar[str] = "research"
    citation: ClassVar[str] = "Niu et al., MultiMedia Modeling 2016: 15-27"
    home: ClassVar[str] = "https://mcrlab.net/research/mvsa-sentiment-analysis-on-multi-view-social-data/"
    tracks: ClassVar[dict[str, str]] = {"picture": "picture", "text": "text"}

    def __call__(self, source: Path) -> Found:
        """Read the table; no text and no photo is opened."""
        contents = Contents()
        for line, row in read_rows(source / self.table, required=("guid", "tag")):
            guid, item = row["guid"].removesuffix(".0"), f"{self.table} line {line}"
            if guid.isascii() and guid.isalnum():
                add_post(contents, item, source, f"{self.folder}/{guid}", {"sentiment": row["tag"].lower()})
            else:
                contents.skip(item, f"the guid {guid!r} must be letters and digits. Correct the row, or remove it.")
        return contents.all()

    def make(self, source: Path) -> Maker:
        """Return what makes a text without addresses of a published one."""
        return make_posts(source, self.encoding)
