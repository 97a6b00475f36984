"""MVSA-Single: pairs of a photo and a text from Twitter, each judged by one person for its sentiment."""

import re
from dataclasses import dataclass
from pathlib import Path

from personare.core.errors import data_errors
from personare.data.reading import Contents, check_choice
from personare.data.texts import Posts

__all__ = ["Mvsa"]

_ROW = re.compile(r"(\d+)[\t ,]+(\w+),(\w+)")
_TABLE = "labelResultAll.txt"


@dataclass(frozen=True, kw_only=True)
class Mvsa(Posts):
    """Reads MVSA-Single as published: ``data/1.jpg``, ``data/1.txt`` and ``labelResultAll.txt``.

    Text and photo were judged apart (labels ``sentiment_text``, ``sentiment_picture``). Who wrote a pair was not
    published, so each pair is a person of its own, and somebody who wrote two may be on both sides of a split.

    **Guarantee**: every row is a recording or listed with the reason; no handle, link or mail address in a text is
    taken in. Names in plain words stay, and so does what the photos show.

    **Source**: Niu et al., MMM 2016, doi:10.1007/978-3-319-27674-8_2; the rule ``curated``: Xu and Mao, MultiSentiNet,
    CIKM 2017, doi:10.1145/3132847.3133142; the rule ``agree``: Zhang et al., ICML 2023, arXiv:2306.02050.

    Args:
        labels: ``curated`` leaves out pairs of a positive and a negative sentiment, and lets neutral yield to the other
            (4,511 pairs); ``agree`` keeps pairs whose sentiments are the same (2,592).
    """

    labels: str = "curated"

    def __post_init__(self) -> None:
        check_choice("labels", self.labels, ("curated", "agree"))

    def gather(self, source: Path, contents: Contents) -> None:
        path = source / _TABLE
        with data_errors(f"{path} must be MVSA's table of labels, but cannot be read", "Get it again."):
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        for line, row in enumerate(lines[1:], start=2):
            item = f"{_TABLE} line {line}"
            if match := _ROW.fullmatch(row.strip().lower()):
                number, text, image = match.groups()
                others = {text, image} - {"neutral"} or {"neutral"}
                agree = text == image if self.labels == "agree" else len(others) == 1
                doubt = f"text and photo disagree ({text}, {image}). Nothing to do: labels={self.labels}."
                labels = {"sentiment": min(others), "sentiment_text": text, "sentiment_picture": image}
                self.add(contents, item, source, f"data/{number}", labels, doubt="" if agree else doubt)
            elif row.strip():
                contents.skipped.note(item, "it does not follow the rule ID<tab>text,image. Correct the row.")
