"""Pairs of a photo and a text from Twitter, each with one sentiment: a table beside a folder of pairs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pandas as pd

from personare.core.types import Recording, Withheld
from personare.data.index import recording_id
from personare.data.made import Made, address, parted
from personare.data.media import people_table
from personare.data.tables import read_rows
from personare.data.texts import read_text, without_addresses

__all__ = ["Tweets"]

_SENTIMENTS = ("negative", "neutral", "positive")


@dataclass(frozen=True, kw_only=True)
class Tweets:
    """Reads a table with the columns ``guid`` and ``tag`` beside photos and texts named by ``guid``.

    Who wrote a pair is not known, so each pair is a person of its own: a split by person is one by pair here, and
    somebody who wrote two pairs may be on both sides. Handles, links and mail addresses inside the texts become
    placeholders; names in plain words stay, and so does what the photos show.

    **Guarantee**: every row is a recording or listed with the reason; no handle and no link is taken in.

    **Source**: the layout of public samples of MVSA (Niu et al., MMM 2016, doi:10.1007/978-3-319-27674-8_2).

    Args:
        table: The name of the table.
        folder: Where photos and texts are.
        encoding: How texts are decoded that are not UTF-8.
    """

    table: str = "labels.csv"
    folder: str = "pairs"
    encoding: str = "gb18030"

    license: ClassVar[str] = "research"
    citation: ClassVar[str] = "Niu et al., MultiMedia Modeling 2016: 15-27"
    home: ClassVar[str] = "https://mcrlab.net/research/mvsa-sentiment-analysis-on-multi-view-social-data/"

    def __call__(self, source: Path) -> tuple[Sequence[Recording], pd.DataFrame, Sequence[Withheld]]:
        """Read the table; no text and no photo is opened.

        Returns:
            Recordings (tracks ``picture`` and ``text``; label ``sentiment``), a row for each pair's unknown author,
            and rows that cannot be used.

        Raises:
            DataError: There is no such table, or a column is missing.
        """
        recordings: dict[str, Recording] = {}
        skipped: list[Withheld] = []
        for line, row in read_rows(source / self.table, required=("guid", "tag")):
            guid, sentiment = row["guid"].removesuffix(".0"), row["tag"].lower()
            problem = self._problem(source, guid, sentiment) or ("listed before" if guid in recordings else "")
            if problem:
                fix = "Correct the row, or remove it."
                skipped.append(Withheld(item=f"{self.table} line {line}", problem=problem, fix=fix))
            else:
                recordings[guid] = self._recording(guid, sentiment)
        found = list(recordings.values())
        return found, people_table((r.subject for r in found), {}), skipped

    def make(self, source: Path) -> Callable[[str], Made]:
        """Return what makes a text without addresses of a published one."""

        def make(address: str) -> Made:
            text = read_text(source / parted(address)[0], otherwise=self.encoding)
            return Made(values=without_addresses(text))

        return make

    def _problem(self, source: Path, guid: str, sentiment: str) -> str:
        if not (guid.isascii() and guid.isalnum()):
            return f"the guid {guid!r} must be letters and digits"
        if sentiment not in _SENTIMENTS:
            return f"the sentiment {sentiment!r} is not one of {', '.join(_SENTIMENTS)}"
        absent = [s for s in ("jpg", "txt") if not (source / self.folder / f"{guid}.{s}").is_file()]
        return f"there is no file {self.folder}/{guid}.{absent[0]}" if absent else ""

    def _recording(self, guid: str, sentiment: str) -> Recording:
        subject, stem = f"pair{guid}", f"{self.folder}/{guid}"
        return Recording(
            id=recording_id(subject, "01", "post"),
            subject=subject,
            session="01",
            tracks={"picture": f"{stem}.jpg", "text": address(f"{stem}.txt", "text")},
            labels={"sentiment": sentiment},
        )
