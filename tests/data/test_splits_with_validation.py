from dataclasses import replace

import numpy as np
import pytest

from personare.core.errors import DataError, OptionError
from personare.data.splits import Split, check_apart, k_folds_with_validation, leaky_random_9_1, unseen_sentences

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
