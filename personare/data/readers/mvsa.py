"""MVSA-Single: pairs of a photo and a text from Twitter, each judged by one person for its sentiment."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pandas as pd

from personare.core.errors import DataError, OptionError
from personare.core.types import Recording, Withheld
from personare.data.index import recording_id
from personare.data.made import Made, address, parted
from personare.data.media import people_table
from personare.data.texts import read_text, without_addresses

__all__ = ["Mvsa"]

_ROW = re.compile(r"^(?P<id>\d+)[\t ,]+(?P<text>\w+),(?P<image>\w+)\s*$")
_SENTIMENTS = ("negative", "neutral", "positive")
_TABLE = "labelResultAll.txt"


@dataclass(frozen=True, kw_only=True)
class Mvsa:
    """Reads MVSA-Single as published: ``data/1.jpg``, ``data/1.txt`` and ``labelResultAll.txt``.

    Text and photo were judged apart; ``labels`` says what becomes of pairs whose two sentiments differ. Who wrote a
    pair was not published, so each pair is a person of its own: a split by person is one by pair here, and somebody
    who wrote two pairs may be on both sides. Handles, links and mail addresses inside the texts become placeholders;
    names in plain words stay, and so does what the photos show.

    **Guarantee**: every row is a recording or listed with the reason; no handle and no link is taken in.

    **Source**: Niu, Zhu, Pang, El Saddik: Sentiment analysis on multi-view social data. MMM 2016.
    doi:10.1007/978-3-319-27674-8_2. The rule ``curated``: Xu, Mao: MultiSentiNet, CIKM 2017,
    doi:10.1145/3132847.3133142; the rule ``agree``: Zhang et al.: Provable dynamic fusion for low-quality multimodal
    data, ICML 2023, arXiv:2306.02050.

    Args:
        labels: ``curated`` leaves out pairs of a positive and a negative sentiment, and lets neutral yield to the other
            (4,511 pairs); ``agree`` keeps pairs whose sentiments are the same (2,592).
        encoding: How texts are decoded that are not UTF-8.
    """

    labels: str = "curated"
    encoding: str = "gb18030"

    license: ClassVar[str] = "research"
    citation: ClassVar[str] = "Niu et al., MultiMedia Modeling 2016: 15-27"
    home: ClassVar[str] = "https://mcrlab.net/research/mvsa-sentiment-analysis-on-multi-view-social-data/"

    def __post_init__(self) -> None:
        """Check the options."""
        if self.labels not in ("curated", "agree"):
            raise OptionError(f"labels must be curated or agree, not {self.labels!r}. Choose one of them.")

    def __call__(self, source: Path) -> tuple[Sequence[Recording], pd.DataFrame, Sequence[Withheld]]:
        """Read the table of labels; no text and no photo is opened.

        Returns:
            Recordings (tracks ``picture`` and ``text``; labels ``sentiment``, ``sentiment_text``,
            ``sentiment_picture``), a row for each pair's unknown author, and rows and pairs that cannot be used.

        Raises:
            DataError: There is no such folder or table.
        """
        recordings: dict[str, Recording] = {}
        skipped: list[Withheld] = []
        for line, row in _rows(source / _TABLE):
            match = _ROW.match(row.strip().lower())
            item = f"{_TABLE} line {line}"
            problem = _problem(source, match) or ("the pair was listed before" if match["id"] in recordings else "")  # type: ignore[index]
            if problem or match is None:
                skipped.append(Withheld(item=item, problem=problem, fix="Correct the row, or get the data again."))
                continue
            sentiment = self._curated(match["text"], match["image"])
            if sentiment:
                recordings[match["id"]] = _recording(match, sentiment)
            else:
                told = f"text and photo disagree ({match['text']}, {match['image']})"
                skipped.append(Withheld(item=item, problem=told, fix=f"Nothing to do: labels={self.labels}."))
        found = list(recordings.values())
        return found, people_table((r.subject for r in found), {}), skipped

    def _curated(self, text: str, image: str) -> str:
        """Return the sentiment of a pair; nothing where it is left out."""
        if text == image:
            return text
        others = {text, image} - {"neutral"}
        return others.pop() if self.labels == "curated" and len(others) == 1 else ""

    def make(self, source: Path) -> Callable[[str], Made]:
        """Return what makes a text without addresses of a published one."""

        def make(address: str) -> Made:
            text = read_text(source / parted(address)[0], otherwise=self.encoding)
            return Made(values=without_addresses(text))

        return make


def _rows(path: Path) -> list[tuple[int, str]]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"{path} must be MVSA's table of labels, but cannot be read: {error}. Get it again.") from error
    return [(number, line) for number, line in enumerate(lines, start=1) if line.strip() and number > 1]


def _problem(source: Path, match: re.Match[str] | None) -> str:
    if match is None:
        return "it does not follow the rule ID<tab>text,image"
    odd = [word for word in (match["text"], match["image"]) if word not in _SENTIMENTS]
    if odd:
        return f"the sentiment {odd[0]!r} is not known"
    absent = [suffix for suffix in ("jpg", "txt") if not (source / f"data/{match['id']}.{suffix}").is_file()]
    return f"there is no file data/{match['id']}.{absent[0]}" if absent else ""


def _recording(match: re.Match[str], sentiment: str) -> Recording:
    subject = f"pair{match['id']}"
    return Recording(
        id=recording_id(subject, "01", "post"),
        subject=subject,
        session="01",
        tracks={"picture": f"data/{match['id']}.jpg", "text": address(f"data/{match['id']}.txt", "text")},
        labels={"sentiment": sentiment, "sentiment_text": match["text"], "sentiment_picture": match["image"]},
    )
