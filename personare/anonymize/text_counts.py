"""Puts how many people of a group use a word, under noise, in the place of what a person wrote."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import sqrt
from typing import ClassVar

import numpy as np
import torch
from scipy.stats import norm

from personare.core.errors import DataError
from personare.core.options import Count, check_options
from personare.core.types import Spend, Track
from personare.features.language import words_of
from personare.learn.privacy import PrivacyPlan

__all__ = ["TextCounts"]


@dataclass(frozen=True, kw_only=True)
class TextCounts:
    """Count of how many people each n-gram is among the most used; every text leaves as this one table of all.

    **Guarantee**: the table is (epsilon, delta) differentially private for each person of the group, under adding or
    removing all of that person's texts, whatever their language. One half of delta is for the list itself: the chance
    that an n-gram of one person alone is on it. Of whom there are texts, and how many people, is not hidden.

    **Source**: S. Gopi et al., "Differentially Private Set Union", ICML 2020, arXiv:2002.09745, with Gaussian noise.
    Ours: the most used n-grams of a person in place of random ones, and all weigh 1, so that they are counts.
    """

    fit_on: ClassVar[str] = "everyone"
    suffix: ClassVar[str] = ".tsv.gz"

    epsilon: float = 8.0  # of a person, for all texts together
    delta: float = 1e-5  # chance that the bound fails
    words: Count = 1  # in an n-gram
    most: Count = 50  # n-grams of a person that count

    def __post_init__(self) -> None:
        check_options(self)

    def fit(self, background: Iterable[tuple[str, Track]], *, rng: np.random.Generator) -> "GroupCounts":
        """Count, and keep what is so common that it is no one person's."""
        used: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for subject, track in background:
            said = words_of(str(track.values))
            used[subject].update(" ".join(said[at : at + self.words]) for at in range(len(said) - self.words + 1))
        people = Counter(gram for counter in used.values() for gram, _ in counter.most_common(self.most))
        grams, size, clip_norm = sorted(people), len(used), sqrt(self.most)
        plan = PrivacyPlan(
            epsilon=self.epsilon, delta=self.delta / 2, unit="person", units=size, expected_batch=size, steps=1
        )
        batch = next(plan.batches(rng))
        noised = batch.add_noise(torch.tensor([people[gram] for gram in grams]).double(), clip_norm).numpy() * size
        least = 1 + plan.noise_multiplier * clip_norm * float(norm.isf(self.delta / 2 / self.most))
        counts = {gram: min(round(count), size) for gram, count in zip(grams, noised, strict=True) if count > least}
        if not counts:
            raise DataError(
                f"text_counts lists what some {least:.0f} people use; there are {size}, and too few use the same. Give "
                "more people, a smaller 'most' where nobody writes much, or a larger epsilon, which promises less."
            )
        return GroupCounts(people=counts, spend=replace(plan.spend(), delta=self.delta, failure=self.delta / 2))


@dataclass(frozen=True, kw_only=True)
class GroupCounts:
    """How many people each n-gram is of, and what that cost each of them."""

    people: Mapping[str, int]  # by n-gram
    spend: Spend

    def __call__(self, track: Track, *, subject: str, rng: np.random.Generator) -> Track:
        """Return the same table for whatever text."""
        return Track(kind="table", values=np.array([*self.people.values()], np.float32), columns=tuple(self.people))
