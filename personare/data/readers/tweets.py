"""Pairs of a photo and a text from Twitter, each with one sentiment: a table beside a folder of pairs."""

from dataclasses import dataclass
from pathlib import Path

from personare.data.reading import Contents
from personare.data.tables import read_rows
from personare.data.texts import Posts

__all__ = ["Tweets"]


@dataclass(frozen=True, kw_only=True)
class Tweets(Posts):
    """Reads a table with the columns ``guid`` and ``tag`` (the label ``sentiment``) beside photos and texts of pairs.

    Who wrote a pair is not known, so each pair is a person of its own, and somebody who wrote two may be on both sides
    of a split.

    **Guarantee**: every row is a recording or listed with the reason; no handle, link or mail address in a text is
    taken in. Names in plain words stay, and so does what the photos show.

    **Source**: the layout of public samples of MVSA (Niu et al., MMM 2016, doi:10.1007/978-3-319-27674-8_2).

    Args:
        table: The name of the table.
        folder: Where photos and texts are, named by ``guid``.
    """

    table: str = "labels.csv"
    folder: str = "pairs"

    def gather(self, source: Path, contents: Contents) -> None:
        for line, row in read_rows(source / self.table, required=("guid", "tag")):
            guid, item = row["guid"].removesuffix(".0"), f"{self.table} line {line}"
            if guid.isascii() and guid.isalnum():
                self.add(contents, item, source, f"{self.folder}/{guid}", {"sentiment": row["tag"].lower()})
            else:
                contents.skipped.note(item, f"the guid {guid!r} must be letters and digits. Correct the row.")
