"""Names whose text it is from what several of a person's texts name: people, places, firms, ages, years."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer

from personare.evaluate.classifiers import Clips
from personare.evaluate.texts import TextReader

__all__ = ["TextQuasi"]

_NAMED = re.compile(r"(?<=[^.!?\s]\s)[^\W\d_a-z]\w*[a-z]\w*|\d+")


@dataclass(frozen=True, kw_only=True)
class TextQuasi:
    """Puts together what all enrolled texts of a person name, and looks for it in a new one; style plays no part.

    **Guarantee**: two texts that name the same things, words with a capital within a sentence and numbers, are the same
    to it.

    **Source**: L. Sweeney, "Simple demographics often identify people uniquely", Carnegie Mellon University, Data
    Privacy Working Paper 3, 2000, for the idea; rare mentions count more. Ours: a ridge on them.
    """

    question: ClassVar = "identify"
    modality: ClassVar[str] = "text"
    views: ClassVar[tuple[str, ...]] = ("text",)
    learns: ClassVar[bool] = False

    def fit(self, clips: Clips, subjects: Mapping[str, str], *, rng: np.random.Generator) -> TextReader:
        """Nothing is learned before enrollment."""
        return TextReader(_mentions)


def _mentions() -> Any:
    return HashingVectorizer(analyzer=_NAMED.findall, norm=None, alternate_sign=False, binary=True)
