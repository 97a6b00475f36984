"""Takes the manner of writing out of a text: words in one spelling, and nobody's habits among them."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from personare.core.errors import DataError
from personare.core.options import Count, Share, check_options
from personare.core.types import Array, Track
from personare.features.language import LISTS, check_english, words_of

__all__ = ["TextStyle"]

_SPELLING = dict(LISTS["spelling"])
_ENDS = (("n't", " not"), ("'m", " am"), ("'re", " are"), ("'ve", " have"), ("'ll", " will"), ("'d", " would"))
_AMERICAN = (("(col|fav|behavi|hon|neighb|hum|lab)our", r"\1or"), ("(real|organ|recogn|apolog|critic)is", r"\1iz"))


@dataclass(frozen=True, kw_only=True)
class TextStyle:
    """Write a text as anybody of a group would: small letters, one spelling, and each word as often as others use it.

    Where a person uses a word more often than the person in the middle does, it is left out by chance. Differences that
    chance explains are left alone: to take those, too, would show in reverse (see docs/words.md).

    **Guarantee**: what leaves is small letters, spaces, and one of . ! ? at a sentence's end; every word is one that at
    least ``shared`` people of the group use. What the words *say* stays (use text_redact for names), and a text that it
    was not fitted on is hidden far less. One in another language is refused.

    **Source**: ours; rates shrunk as in C. Morris, "Parametric empirical Bayes inference", JASA 78, 1983,
    doi:10.1080/01621459.1983.10477920, by moments.
    """

    fit_on: ClassVar[str] = "everyone"

    shared: Count = 3  # people of the group that must use a word
    strength: Share = 1.0  # how far habits are evened out, 0 (spelling alone) to 1; less keeps more that is read
    policy: Literal["recording", "person", "common"] = "recording"  # whose randomness a text gets

    def __post_init__(self) -> None:
        check_options(self)

    def fit(self, background: Iterable[tuple[str, Track]], *, rng: np.random.Generator) -> "_Equalized":
        """Count how often each person uses each word; texts that would be refused are not looked at."""
        used: dict[str, Counter[str]] = {}
        for subject, track in background:
            with suppress(DataError):
                counted = Counter(_plain_words(str(track.values)))
                used[subject] = used.get(subject, Counter()) + counted
        people = Counter(word for counter in used.values() for word in counter)
        words = sorted(word for word, count in people.items() if count >= self.shared)
        if not words:
            raise DataError(
                f"text_style needs words that {self.shared} people use; there are none in the texts of {len(used)}. "
                "Give more people, or a smaller 'shared'."
            )
        seen = np.array([[counter[word] for word in words] for counter in used.values()], dtype=float)  # (P, W)
        expected = np.outer(seen.sum(axis=1), seen.sum(axis=0)) / seen.sum()
        spread = np.maximum(((seen - expected) ** 2 - expected).sum(axis=0), 0) / (expected**2).sum(axis=0)  # (W,)
        rates = (seen * spread + 1) / (expected * spread + 1)  # of each person, over that of all
        kept = np.minimum(1, np.median(rates, axis=0) / rates) ** self.strength
        return _Equalized(words=words, kept=dict(zip(used, kept, strict=True)))


@dataclass(frozen=True, kw_only=True)
class _Equalized:
    words: list[str]
    kept: Mapping[str, Array]  # by subject, the chance of each word to stay, (W,)

    def __call__(self, track: Track, *, subject: str, rng: np.random.Generator) -> Track:
        """Return the text with fewer words; a stranger's words are kept as those of whoever uses them most."""
        kept = self.kept.get(subject, np.min(list(self.kept.values()), axis=0))
        chance = dict(zip(self.words, kept, strict=True))
        words = [word for word in _plain_words(str(track.values)) if rng.random() < chance.get(word, 0)]
        left = re.sub(r"(?:^[.!? ]+| (?=[.!?]))", "", " ".join(words))
        if not left:
            raise DataError("None of its words is one that others use, so nothing is left of the text. Leave it out.")
        return replace(track, values=left)


def _plain_words(text: str) -> list[str]:
    """Return the words of an English text in one spelling, and a mark at each sentence's end."""
    check_english(text)
    text = re.sub(r"([^\W\d_])\1{2,}", r"\1", unicodedata.normalize("NFKC", text))
    words: list[str] = []
    for sentence in re.findall(r"[^.!?]+[.!?]*", text):
        said = words_of(sentence)
        for word in said:
            for end, whole in _ENDS:
                word = _SPELLING.get(word, re.sub(f"{end}$", whole, word))
            for pattern, spelling in _AMERICAN:
                word = re.sub(pattern, spelling, word)
            words += word.removesuffix("'s").replace("'", "").split()
        words += [next((mark for mark in "!?" if mark in sentence), ".")] if said else []
    return words
