"""Names who wrote a text from the manner of writing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from personare.evaluate.classifiers import Clips
from personare.evaluate.texts import TextReader

__all__ = ["TextAuthor"]


@dataclass(frozen=True, kw_only=True)
class TextAuthor:
    """Compares how often texts hold each piece of two to four characters, each word, pair of words, and mark.

    **Guarantee**: what it says of a text depends on that text and on what was enrolled, not on other tests.

    **Source**: E. Stamatatos, "A survey of modern authorship attribution methods", JASIST 60(3), 2009,
    doi:10.1002/asi.21001. Ours: a ridge instead of a support vector machine.
    """

    question: ClassVar = "identify"
    modality: ClassVar[str] = "text"
    views: ClassVar[tuple[str, ...]] = ("text",)
    learns: ClassVar[bool] = False

    def fit(self, clips: Clips, subjects: Mapping[str, str], *, rng: np.random.Generator) -> TextReader:
        """Nothing is learned before enrollment."""
        return TextReader()
