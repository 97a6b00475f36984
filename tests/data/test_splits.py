from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from personare.core.errors import DataError, OptionError
from personare.data.splits import (
    Split,
    check_apart,
    content_halves,
    k_folds_with_validation,
    leaky_random_9_1,
    people_to_judge,
    person_folds,
    unseen_sentences,
)

SIZES = {"01": 12, "02": 3, "03": 7, "04": 7, "05": 1, "06": 9, "07": 4}
SUBJECTS = {f"{person}-{n}": person for person, size in SIZES.items() for n in range(size)}


@pytest.mark.parametrize("seed", range(5))
def test_person_folds_keep_people_apart_and_test_everything_once(seed: int) -> None:
    folds = person_folds(SUBJECTS, 3, rng=np.random.default_rng(seed))
    for train, test in folds:
        assert not {SUBJECTS[i] for i in train} & {SUBJECTS[i] for i in test}
        assert sorted(train + test) == sorted(SUBJECTS)
    assert sorted(i for _, test in folds for i in test) == sorted(SUBJECTS)


@pytest.mark.parametrize("seed", range(5))
def test_person_folds_are_balanced(seed: int) -> None:
    sizes = sorted(len(test) for _, test in person_folds(SUBJECTS, 3, rng=np.random.default_rng(seed)))
    assert sizes == [14, 14, 15]  # 43 clips: 12 + 3, 9 + 4 + 1, 7 + 7


def test_person_folds_repeat_with_the_seed_and_change_with_it() -> None:
    even = {f"{p}{n}": str(p) for p in range(10) for n in range(2)}
    first, again, other = (person_folds(even, 5, rng=np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_everybody_is_tested_with_everybody_equally_often() -> None:
    even = {str(p): str(p) for p in range(6)}
    together = np.zeros((6, 6))
    for seed in range(600):
        for _, test in person_folds(even, 2, rng=np.random.default_rng(seed)):
            together[np.ix_([int(i) for i in test], [int(i) for i in test])] += 1
    off = together[~np.eye(6, dtype=bool)] / 600
    assert np.all(np.abs(off - 0.4) < 0.08)  # two of the five others share a fold of three: 2/5, 4 sd = 0.08


def test_fewer_people_than_folds_gives_a_fold_a_person() -> None:
    assert len(person_folds({"a": "01", "b": "02"}, 5, rng=np.random.default_rng(0))) == 2


def test_one_person_cannot_be_split() -> None:
    with pytest.raises(DataError, match="at least 2 people"):
        person_folds({"a": "01", "b": "01"}, 2, rng=np.random.default_rng(0))
    with pytest.raises(OptionError, match="at least 2 folds"):
        person_folds({"a": "01", "b": "02"}, 1, rng=np.random.default_rng(0))


def _table(rows: list[tuple[str, str | None, str | None]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["subject", "sentence", "emotion"])
    table.index = pd.Index([f"r{i:03d}" for i in range(len(rows))])
    return table


def _on_both_sides(table: pd.DataFrame, enroll: list[str], test: list[str], column: str) -> set[tuple[str, str]]:
    pairs = [set(map(tuple, table.loc[ids, ["subject", column]].to_numpy().tolist())) for ids in (enroll, test)]
    return pairs[0] & pairs[1]


@pytest.mark.parametrize("seed", range(5))
def test_halves_have_different_sentences_the_same_for_all_people(seed: int) -> None:
    table = _table([(p, s, e) for p in "ABC" for s in ("s1", "s2", "s3", "s4") for e in ("anger", "calm")])
    enroll, test, left_out = content_halves(table, rng=np.random.default_rng(seed))
    assert not set(table.loc[enroll, "sentence"]) & set(table.loc[test, "sentence"])
    assert len(enroll) == len(test) == 12
    assert left_out == []
    assert set(table.loc[enroll, "subject"]) == set(table.loc[test, "subject"]) == set("ABC")


def test_people_with_few_sentences_are_halved_alone_where_no_common_half_exists() -> None:
    # Every pair of three sentences belongs to somebody, so any common half leaves somebody on one side only.
    table = _table([(f"{a}{b}", s, "calm") for a, b in ("xy", "yz", "xz") for s in (a, b)])
    enroll, test, _ = content_halves(table, rng=np.random.default_rng(0))
    assert not _on_both_sides(table, enroll, test, "sentence")
    assert set(table.loc[enroll, "subject"]) == set(table.loc[test, "subject"])


def test_one_sentence_means_different_emotions() -> None:
    table = _table([(p, "s1", e) for p in "AB" for e in ("anger", "calm", "fear")])
    enroll, test, _ = content_halves(table, rng=np.random.default_rng(0))
    assert not _on_both_sides(table, enroll, test, "emotion")


@pytest.mark.parametrize("sentence", ["s1", None, ""])
def test_one_content_means_different_recordings(sentence: str | None) -> None:
    table = _table([(p, sentence, "calm") for p in "AB" for _ in range(5)])
    enroll, test, _ = content_halves(table, rng=np.random.default_rng(0))
    assert len(enroll) == 4
    assert len(test) == 6
    assert not set(enroll) & set(test)


def test_labels_need_not_be_there() -> None:
    table = _table([(p, "", "") for p in "AB" for _ in range(2)])[["subject"]]
    assert len(content_halves(table, rng=np.random.default_rng(0))[0]) == 2


def test_people_with_one_clip_are_left_out_and_named_when_nobody_is_left() -> None:
    table = _table([("A", "s1", "calm"), ("A", "s2", "calm"), ("B", "s1", "calm")])
    assert content_halves(table, rng=np.random.default_rng(0))[2] == ["r002"]
    with pytest.raises(DataError, match="one only: B"):
        content_halves(table.iloc[2:], rng=np.random.default_rng(0))


PEOPLE = {f"{person}-{n}": person for person in ("01", "02", "03", "04", "05", "06", "07") for n in range(6)}
SAID = {clip: f"sentence{clip[-1]}" for clip in PEOPLE}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("seed", range(5))
def test_folds_keep_people_apart_and_test_and_watch_everything_once(seed: int) -> None:
    splits = k_folds_with_validation(PEOPLE, 5, rng=rng(seed))
    for split in splits:
        check_apart(split, PEOPLE)
        assert sorted(split.train + split.validation + split.test) == sorted(PEOPLE)
        assert split.validation
    assert sorted(i for split in splits for i in split.test) == sorted(PEOPLE)
    assert sorted(i for split in splits for i in split.validation) == sorted(PEOPLE)


def test_three_parts_need_three_people() -> None:
    with pytest.raises(DataError, match="at least 3 people"):
        k_folds_with_validation({"a": "01", "b": "02"}, 5, rng=rng())
    with pytest.raises(OptionError, match="at least 3 folds"):
        k_folds_with_validation(PEOPLE, 2, rng=rng())


@pytest.mark.parametrize("seed", range(5))
def test_unseen_sentences_are_new_and_so_are_the_people_who_say_them(seed: int) -> None:
    splits = unseen_sentences(PEOPLE, SAID, 4, rng=rng(seed))
    assert len(splits) == 8
    for split in splits:
        check_apart(split, PEOPLE, SAID)
        assert sorted(split.train + split.validation + split.test + split.left_out) == sorted(PEOPLE)
    assert sorted(i for split in splits for i in split.test) == sorted(PEOPLE)


def test_unseen_sentences_need_sentences() -> None:
    with pytest.raises(DataError, match=r"1 recordings .first 01-0. have none"):
        unseen_sentences(PEOPLE, {**SAID, "01-0": ""}, 3, rng=rng())
    with pytest.raises(DataError, match="there are 1"):
        unseen_sentences(PEOPLE, dict.fromkeys(PEOPLE, "always this"), 3, rng=rng())
    with pytest.raises(DataError, match="go together"):
        unseen_sentences({"a": "01", "b": "02", "c": "03"}, {"a": "x", "b": "y", "c": "z"}, 3, rng=rng())


def test_leaky_random_has_the_published_sizes_and_does_leak() -> None:
    clips = {f"{person:02d}-{n}": f"{person:02d}" for person in range(91) for n in range(82)}
    ids = sorted(clips)[:7442]
    split = leaky_random_9_1(ids, rng=rng())
    assert (len(split.train), len(split.validation), len(split.test)) == (6698, 0, 744)
    assert sorted(split.train + split.test) == ids
    with pytest.raises(DataError, match="No person may be in training and test"):
        check_apart(split, clips)
    watched = leaky_random_9_1(ids, rng=rng(), validation=0.1)
    assert (len(watched.train), len(watched.validation), len(watched.test)) == (6028, 670, 744)
    assert watched.test == split.test


def test_leaky_random_refuses_what_it_cannot_split() -> None:
    with pytest.raises(DataError, match="at least 10"):
        leaky_random_9_1(["a", "b"], rng=rng())
    with pytest.raises(OptionError, match="share"):
        leaky_random_9_1(sorted(PEOPLE), rng=rng(), validation=1.0)


def test_every_way_to_leak_is_found() -> None:
    subjects = {"a": "01", "b": "02", "c": "03", "d": "03"}
    good = Split(protocol="p", train=("a",), validation=("b",), test=("c",))
    check_apart(good, subjects)
    leaks = {
        "No recording may be in training and test": replace(good, test=("a", "c")),
        "No person may be in validation and test": replace(good, validation=("d",)),
        "No person may be in training and validation": replace(good, train=("c",), validation=("d",), test=("b",)),
        "nothing in test": replace(good, test=()),
        "not there, such as x": replace(good, train=("x",)),
    }
    for message, bad in leaks.items():
        with pytest.raises(DataError, match=message):
            check_apart(bad, subjects)
    said = {"a": "one", "b": "two", "c": "one"}
    with pytest.raises(DataError, match="No sentence may be in training and test"):
        check_apart(good, subjects, said)


@pytest.mark.parametrize(
    ("people", "each", "judged"), [(100, 90, 100), (300, 26, 300), (1000, 10, 300), (200, 50, 160), (1000, 200, 100)]
)
def test_guarantee_few_people_are_all_judged_and_of_many_some_at_random(people: int, each: int, judged: int) -> None:
    subjects = np.repeat([f"{n:04d}" for n in range(people)], each)
    drawn = people_to_judge(subjects, rng=np.random.default_rng(0))
    assert len({*drawn}) == len(drawn) == judged and {*drawn} <= {*subjects}
    assert drawn == people_to_judge(subjects, rng=np.random.default_rng(0))
    if judged < people:
        assert {*drawn} != {*people_to_judge(subjects, rng=np.random.default_rng(1))}
