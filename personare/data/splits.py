"""Splits that keep measurements honest: by person, by what was said; by clip only under the name it deserves."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from personare.core.errors import DataError, OptionError

__all__ = ["content_halves", "leaky_random", "person_folds"]

_DRAWS = 200


def person_folds(
    subjects: Mapping[str, str], folds: int, *, rng: np.random.Generator
) -> list[tuple[list[str], list[str]]]:
    """Split recordings into folds so that a person is either in training or in testing, never in both.

    **Guarantee**: no person on both sides of a fold; every recording is tested exactly once; folds differ in size as
    little as whole people allow (largest first onto the smallest fold).

    Args:
        subjects: Pseudonym by recording id.
        folds: How many, at least 2; with fewer people than folds, one fold a person.
        rng: Which people share a fold.

    Returns:
        For each fold, the ids to train on and the ids to test on, each sorted.

    Raises:
        OptionError: Fewer than two folds asked for.
        DataError: Fewer than two people.

    Example:
        >>> folds = person_folds({"a": "01", "b": "01", "c": "02"}, 2, rng=np.random.default_rng(0))
        >>> sorted(test for _, test in folds)
        [['a', 'b'], ['c']]
    """
    if folds < 2:
        raise OptionError(f"A split needs at least 2 folds, {folds} was given. Ask for 2 or more.")
    clips = pd.Series(dict(subjects), dtype=object)
    people = sorted(set(subjects.values()))
    if len(people) < 2:
        raise DataError(f"A split by person needs at least 2 people, the cohort has {len(people)}. Add people.")
    sizes = clips.value_counts()
    shuffled = [people[i] for i in rng.permutation(len(people))]
    shares: list[list[str]] = [[] for _ in range(min(folds, len(people)))]
    for person in sorted(shuffled, key=lambda one: -int(sizes[one])):
        min(shares, key=lambda share: (sum(int(sizes[p]) for p in share), len(share))).append(person)
    tested = [set(share) for share in shares]
    return [
        (sorted(i for i, s in subjects.items() if s not in out), sorted(i for i, s in subjects.items() if s in out))
        for out in tested
    ]


def content_halves(table: pd.DataFrame, *, rng: np.random.Generator) -> tuple[list[str], list[str], list[str]]:
    """Split each person's recordings in two halves of different content: one to learn the person, one to be named.

    The first that works for everybody is used: different sentences (the same halves for all people where possible, so
    that what is said says nothing about who says it), else different emotions, else just different recordings.

    **Guarantee**: every person of the split is on both sides; no recording is on both sides; where every person has
    two sentences, no person's sentence is on both sides.

    Args:
        table: Indexed by recording id; column ``subject``, and ``sentence`` and ``emotion`` where known.
        rng: Which half goes where.

    Returns:
        Ids to enroll, ids to test, and ids of people with a single recording, who cannot be in both; each sorted.

    Raises:
        DataError: Nobody has two recordings.

    Example:
        >>> clips = {"subject": ["01", "01", "02"], "sentence": ["x", "y", "x"]}
        >>> table = pd.DataFrame(clips, index=["a", "b", "c"])
        >>> enroll, test, left_out = content_halves(table, rng=np.random.default_rng(0))
        >>> sorted(enroll + test), left_out
        (['a', 'b'], ['c'])
    """
    counts = table["subject"].map(table["subject"].value_counts())
    several, single = table[counts >= 2], table[counts < 2]
    if several.empty:
        people = ", ".join(sorted(single["subject"].astype(str).unique())) or "nobody"
        raise DataError(f"Naming a person takes two recordings of each; with one only: {people}. Add recordings.")
    enrolled: set[str] = set()
    for column in ("sentence", "emotion"):
        if _distinct(several, column) >= 2:
            enrolled = _halve_together(several, column, rng) or _halve_apart(several, several[column], rng)
            break
    enrolled = enrolled or _halve_apart(several, pd.Series(several.index, index=several.index), rng)
    ids = sorted(map(str, several.index))
    return sorted(enrolled), [i for i in ids if i not in enrolled], sorted(map(str, single.index))


def _distinct(table: pd.DataFrame, column: str) -> int:
    """Return how many values the person with the fewest has; 0 where any recording lacks the label."""
    if column not in table or table[column].isna().any() or (table[column] == "").any():
        return 0
    return int(table.groupby("subject")[column].nunique().min())


def _halve_together(table: pd.DataFrame, column: str, rng: np.random.Generator) -> set[str]:
    """Return the ids of one half of all contents such that each person has both halves; empty if no draw does."""
    contents = np.array(sorted(table[column].astype(str).unique()))
    people = table["subject"].nunique()
    for _ in range(_DRAWS):
        chosen = set(rng.permutation(contents)[: len(contents) // 2].tolist())
        inside = table[column].astype(str).isin(chosen)
        if table[inside]["subject"].nunique() == people == table[~inside]["subject"].nunique():
            return set(map(str, table.index[inside]))
    return set()


def _halve_apart(table: pd.DataFrame, content: "pd.Series[str]", rng: np.random.Generator) -> set[str]:
    """Return the ids of half the contents of each person, drawn for each person alone."""
    chosen: set[str] = set()
    for _, ids in sorted(table.groupby("subject").groups.items()):
        own = content.loc[ids].astype(str)
        values = np.array(sorted(own.unique()))
        half = set(rng.permutation(values)[: len(values) // 2].tolist())
        chosen |= set(map(str, own.index[own.isin(half)]))
    return chosen


def leaky_random(ids: Sequence[str], folds: int, *, rng: np.random.Generator) -> list[tuple[list[str], list[str]]]:
    """Split clips at random, the same people on both sides: only to compare with tables published that way.

    Args:
        ids: Recording ids.
        folds: How many, at least 2 and at most the number of recordings.
        rng: The order.

    Returns:
        For each fold, the ids to train on and the ids to test on, each sorted.

    Raises:
        OptionError: Fewer than two folds, or more folds than recordings.
    """
    if not 2 <= folds <= len(ids):
        raise OptionError(f"Folds must be between 2 and the {len(ids)} recordings, {folds} was given.")
    parts = np.array_split(rng.permutation(np.array(sorted(ids))), folds)
    return [(sorted(set(ids) - set(part.tolist())), sorted(part.tolist())) for part in parts]
