"""Splits that keep measurements honest: by person, by what was said; by clip only under the name it deserves."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
import pandas as pd

from personare.core.errors import DataError, OptionError
from personare.core.types import Array

_DRAWS = 200
_FEWEST, _MOST, _RECORDINGS = 100, 300, 8000  # people drawn to judge, and how many recordings they may have together


@dataclass(frozen=True, kw_only=True)
class Split:
    """Which recordings (sorted ids) a learner learns from, which it may look at while it learns, and which judge it.

    ``protocol`` is the name under which figures made with it are published; ``left_out`` would leak between the parts.
    """

    protocol: str
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def check_apart(split: Split, subjects: Mapping[str, str], sentences: Mapping[str, str] | None = None) -> None:
    """Check that no recording, and no person, is in two parts of a split, from wherever it comes.

    With ``sentences`` (by recording id), the test must also hold other sentences than training and validation.
    """
    parts = {"training": split.train, "validation": split.validation, "test": split.test}
    empty = [name for name in ("training", "test") if not parts[name]]
    if empty:
        raise DataError(f"The split {split.protocol} has nothing in {' and '.join(empty)}. Split again.")
    unknown = sorted({i for part in parts.values() for i in part} - set(subjects))
    if unknown:
        raise DataError(f"The split names recordings that are not there, such as {unknown[0]}. Split this cohort.")
    for (one, first), (other, second) in combinations(parts.items(), 2):
        shared = {
            "recording": set(first) & set(second),
            "person": {subjects[i] for i in first} & {subjects[i] for i in second},
        }
        if sentences is not None and other == "test":
            shared["sentence"] = {sentences[i] for i in first} & {sentences[i] for i in second}
        for what, both in shared.items():
            if both:
                raise DataError(
                    f"No {what} may be in {one} and {other}, but {len(both)} are, such as {min(both)}: what is learned "
                    "would leak into what is measured. Split by person, or name the protocol leaky_random_9_1."
                )


def people_to_judge(subjects: Array | Sequence[str], *, rng: np.random.Generator) -> list[str]:
    """Return the people (of the pseudonyms of N recordings) by whom a release is judged: all, or some at random.

    Attackers compare recordings with one another and with everybody, and cost the square of a cohort. Its figures and
    their intervals are those of the people who were drawn; who is named is named among them.

    **Guarantee**: 100 people are never left out, nor 300 with no more than 8,000 recordings together.
    """
    people, counts = np.unique(subjects, return_counts=True)
    order = rng.permutation(len(people))
    most = np.clip(np.searchsorted(np.cumsum(counts[order]), _RECORDINGS, side="right"), _FEWEST, _MOST)
    return [str(person) for person in people[order[:most]]]


def person_folds(
    subjects: Mapping[str, str], folds: int, *, labels: Mapping[str, str] | None = None, rng: np.random.Generator
) -> list[tuple[list[str], list[str]]]:
    """Split recordings (pseudonyms by id) into ids to train on and to test on, so that a person is in one of the two.

    **Guarantee**: no person on both sides of a fold; every recording is tested exactly once; people of one class
    (``labels`` by id) are dealt to different folds; then folds differ in size as little as whole people allow (largest
    first onto the smallest fold). With fewer people than folds, a fold is a person.
    """
    if folds < 2:
        raise OptionError(f"A split needs at least 2 folds, {folds} was given. Ask for 2 or more.")
    people = sorted(set(subjects.values()))
    if len(people) < 2:
        raise DataError(f"A split by person needs at least 2 people, the cohort has {len(people)}. Add people.")
    sizes = Counter(subjects.values())
    shuffled = [people[i] for i in rng.permutation(len(people))]
    shares: list[list[str]] = [[] for _ in range(min(folds, len(people)))]
    classes: dict[str, set[str]] = {person: set() for person in people}
    for i, person in subjects.items():
        classes[person].add(labels[i] if labels else "")
    sharing = Counter(label for person in people for label in classes[person])

    def crowded(share: list[str], person: str) -> tuple[float, int, int]:
        alike = max(sum(label in classes[p] for p in share) / sharing[label] for label in classes[person])
        return (alike if labels else 0.0, sum(sizes[p] for p in share), len(share))

    # the rarest class first, while there is a choice of folds for its people
    for person in sorted(shuffled, key=lambda one: (min(sharing[label] for label in classes[one]), -sizes[one])):
        min(shares, key=lambda share: crowded(share, person)).append(person)
    return [
        (sorted(i for i, s in subjects.items() if s not in share), sorted(i for i, s in subjects.items() if s in share))
        for share in map(set, shares)
    ]


def content_halves(table: pd.DataFrame, *, rng: np.random.Generator) -> tuple[list[str], list[str], list[str]]:
    """Split each person's recordings in two halves of different content: one to learn the person, one to be named.

    The first that works for everybody is used: different sentences (the same halves for all people where possible, so
    that what is said says nothing about who says it), else different emotions, else just different recordings.

    **Guarantee**: every person of the split is on both sides; no recording is on both sides; where every person has
    two sentences, no person's sentence is on both sides.

    Returned are ids to enroll, ids to test, and ids of people with a single recording, who cannot be in both; sorted.
    The table, by recording id, has ``subject``, and ``sentence`` and ``emotion`` where known.
    """
    counts = table["subject"].map(table["subject"].value_counts())
    several, single = table[counts >= 2], table[counts < 2]
    if several.empty:
        people = ", ".join(sorted(single["subject"].astype(str).unique())) or "nobody"
        raise DataError(f"Naming a person takes two recordings of each; with one only: {people}. Add recordings.")
    enrolled: set[str] = set()
    for column in [column for column in ("sentence", "emotion") if column in several]:
        content = several[column]
        if content.notna().all() and (content != "").all() and content.groupby(several["subject"]).nunique().min() > 1:
            enrolled = _halve_together(several["subject"], content, rng) or _halve_apart(
                several["subject"], content, rng
            )
            break
    enrolled = enrolled or _halve_apart(several["subject"], several.index.to_series(), rng)
    ids = sorted(map(str, several.index))
    return sorted(enrolled), [i for i in ids if i not in enrolled], sorted(map(str, single.index))


def _halve_together(subjects: "pd.Series[str]", content: "pd.Series[str]", rng: np.random.Generator) -> set[str]:
    """Return the ids of one half of all contents such that each person has both halves; empty if no draw does."""
    content = content.astype(str)
    contents = np.array(sorted(content.unique()))
    for _ in range(_DRAWS):
        inside = content.isin(rng.permutation(contents)[: len(contents) // 2].tolist())
        if subjects[inside].nunique() == subjects.nunique() == subjects[~inside].nunique():
            return set(map(str, content.index[inside]))
    return set()


def _halve_apart(subjects: "pd.Series[str]", content: "pd.Series[str]", rng: np.random.Generator) -> set[str]:
    """Return the ids of half the contents of each person, drawn for each person alone."""
    enrolled: set[str] = set()
    for _, values in content.astype(str).groupby(subjects):
        contents = np.array(sorted(values.unique()))
        half = rng.permutation(contents)[: len(contents) // 2].tolist()
        enrolled |= set(map(str, values.index[values.isin(half)]))
    return enrolled


def leaky_random_9_1(ids: Sequence[str], *, rng: np.random.Generator, validation: float = 0.0) -> Split:
    """Split clips 9 to 1 at random, the same people on both sides: only to compare with tables published that way.

    The split's size is the published one, its list is not. A share of the nine parts is put aside for ``validation``.
    """
    if not 0 <= validation < 1:
        raise OptionError(f"validation must be a share from 0 to below 1, not {validation}. Give e.g. 0.1.")
    if len(ids) < 10:
        raise DataError(f"A split 9 to 1 needs at least 10 recordings, {len(ids)} were given. Add recordings.")
    shuffled = [sorted(ids)[i] for i in rng.permutation(len(ids))]
    tested = round(len(ids) / 10)
    ends = [0, tested, tested + round((len(ids) - tested) * validation), len(ids)]
    test, aside, train = (tuple(sorted(shuffled[start:end])) for start, end in pairwise(ends))
    return Split(protocol="leaky_random_9_1", train=train, validation=aside, test=test)


def k_folds_with_validation(
    subjects: Mapping[str, str], folds: int, *, labels: Mapping[str, str] | None = None, rng: np.random.Generator
) -> list[Split]:
    """Split people into at least 3 folds: each is tested once, and is validation once while others are learned from.

    **Guarantee**: a person is in one part of a split only; over all splits every recording is tested exactly once.
    Arguments are those of ``person_folds``.
    """
    if folds < 3:
        raise OptionError(f"Training, validation and test need at least 3 folds, {folds} was given. Ask for more.")
    people = len(set(subjects.values()))
    if people < 3:
        raise DataError(f"Training, validation and test need at least 3 people, the cohort has {people}. Add people.")
    shares = [tuple(test) for _, test in person_folds(subjects, folds, labels=labels, rng=rng)]
    splits = []
    for test, validation in zip(shares, shares[1:] + shares[:1], strict=True):
        train = tuple(sorted(set(subjects) - {*test, *validation}))
        splits.append(Split(protocol=f"person_{len(shares)}_folds", train=train, validation=validation, test=test))
    return splits


def unseen_sentences(
    subjects: Mapping[str, str], sentences: Mapping[str, str], folds: int, *, rng: np.random.Generator
) -> list[Split]:
    """Split by person and by what is said: tested are new people who say sentences that nobody said in training.

    **Guarantee**: a person is in one part of a split only; no sentence of the test is in training or validation; over
    all splits every recording is tested exactly once: each fold of people with each half of the sentences, after
    learning from other people who say the other half.
    """
    without = sorted(set(subjects) - {i for i, sentence in sentences.items() if sentence})
    spoken = sorted({sentences[i] for i in subjects if i not in without})
    if without or len(spoken) < 2:
        what = f"{len(without)} recordings (first {without[0]}) have none" if without else f"there are {len(spoken)}"
        raise DataError(f"A split by sentence needs two sentences, and one for each recording, but {what}. Label them.")
    half = {spoken[i] for i in rng.permutation(len(spoken))[: len(spoken) // 2]}
    splits = []
    for fold in k_folds_with_validation(subjects, folds, rng=rng):
        for tested in (half, set(spoken) - half):
            test = tuple(i for i in fold.test if sentences[i] in tested)
            train, validation = (
                tuple(i for i in part if sentences[i] not in tested) for part in (fold.train, fold.validation)
            )
            if not (train and validation and test):
                raise DataError("People and sentences go together: a part of the split is empty. Split by person only.")
            left_out = tuple(sorted(set(subjects) - {*train, *validation, *test}))
            name = f"{fold.protocol}_unseen_sentences"
            splits.append(Split(protocol=name, train=train, validation=validation, test=test, left_out=left_out))
    return splits


def as_published(
    subjects: Mapping[str, str], parts: Mapping[str, str], folds: int, *, rng: np.random.Generator
) -> Split:
    """Split as the authors of a data set did; where they name no validation part, some of their training people are it.

    Features that were made with the training part's labels must be judged this way: within it they know the answer.
    ``parts`` is ``train``, ``validation`` or ``test`` by recording id; the validation part is one of so many ``folds``.
    """
    published = {
        name: tuple(sorted(i for i in subjects if parts.get(i) == name)) for name in ("train", "validation", "test")
    }
    if not published["train"] or not published["test"]:
        names = ", ".join(sorted(set(parts.values()))) or "nothing"
        raise DataError(f"The published split needs parts called train and test, found {names}. Name them so.")
    if not published["validation"]:
        train, validation = person_folds({i: subjects[i] for i in published["train"]}, folds, rng=rng)[0]
        published |= {"train": tuple(train), "validation": tuple(validation)}
    return Split(protocol="published", **published)
