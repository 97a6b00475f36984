"""Readers: never trained on the person they read, twice for every label, missing said."""

import numpy as np
import pytest
from naming import tracks

from personare.core.errors import DataError
from personare.core.types import Batch
from personare.evaluate.classifiers import Kernel, discriminant, forest, svm
from personare.evaluate.reading import READERS, Task, measure_reading, read_view

QUESTION = Task(view="functionals")
TRAINERS = {
    "svm": svm(),
    "rf": forest(50),
    "lda": discriminant(),
    "kernel": Kernel(describe=lambda c: [c.ravel()]),
}


def rng():
    return np.random.default_rng(0)


def uar(reading):
    return measure_reading(reading, "x", rng=rng())[0]


@pytest.mark.parametrize("name", TRAINERS)
def test_planted_emotion_is_read_and_absent_emotion_is_not(name, people, plant):
    flat = plant(emotion=0.0)
    assert uar(read_view(people, people, QUESTION, TRAINERS[name], rng=rng())[0]).value > 0.85
    found = uar(read_view(flat, flat, QUESTION, TRAINERS[name], rng=rng())[0])
    assert found.value < 0.6
    assert found.control == pytest.approx(1 / 3)


def test_no_reader_was_trained_on_the_person_it_reads(people):
    told = []

    def spy(clips, labels, rng):
        learned = {people.table.at[i, "subject"] for i in clips}

        def predict(asked):
            told.append((learned, {people.table.at[i, "subject"] for i in asked}))
            return np.full((len(asked), 3), 1 / 3)

        return np.unique(list(labels.values())), predict

    read_view(people, people, Task(view="functionals", folds=3), spy, rng=rng())
    assert len(told) == 8, "up to eight people, each is a fold"
    assert all(not learned & asked for learned, asked in told)
    assert set.union(*(asked for _, asked in told)) == set(people.table["subject"])


def test_the_fixed_reader_learned_from_originals_the_other_from_the_release(people):
    flipped = {i: -clip for i, clip in people.clips("functionals").items()}
    released = Batch.of(people.table, {"functionals": flipped})
    fixed, retrained = read_view(people, released, QUESTION, svm(), rng=rng())
    assert (fixed.reader, retrained.reader) == READERS
    assert uar(fixed).value < 0.3
    assert uar(retrained).value > 0.85


def test_adapting_removes_what_is_a_persons_own(plant):
    loud = plant(identity=12.0)
    adapted = Task(view="functionals", adapt=True)
    plain, used_to = (uar(read_view(loud, loud, q, discriminant(), rng=rng())[0]).value for q in (QUESTION, adapted))
    assert used_to > 0.9
    assert used_to >= plain


def test_missing_recordings_are_guesses_and_said(people):
    some = dict(people.clips("functionals"))
    for name in list(some)[:10]:
        del some[name]
    reading = read_view(people, Batch.of(people.table, {"functionals": some}), QUESTION, svm(), rng=rng())[1]
    assert reading.missing == 10
    assert "10 recordings" in uar(reading).reason


def test_too_little_is_said(people):
    few = Batch.of(people.table, {"functionals": dict(list(people.clips("functionals").items())[:3])})
    with pytest.raises(DataError, match="only 3 of 48"):
        read_view(people, few, QUESTION, svm(), rng=rng())
    unlabelled = Batch.of(people.table.drop(columns="emotion"), tracks(people))
    with pytest.raises(DataError, match="no emotion"):
        read_view(unlabelled, unlabelled, QUESTION, svm(), rng=rng())
    alone = Batch.of(people.table.head(6), tracks(people))
    with pytest.raises(DataError, match=r"too few people .*anger \(recordings: 2, people: 1\)"):
        read_view(alone, alone, QUESTION, svm(), rng=rng())


def test_recordings_without_a_label_are_left_out(people):
    table = people.table.copy()
    table.loc[table.index[:6], "emotion"] = np.nan
    some = Batch.of(table, tracks(people))
    assert len(read_view(some, some, QUESTION, svm(), rng=rng())[0].ids) == 42


@pytest.mark.parametrize("name", TRAINERS)
def test_labels_that_look_like_numbers_are_names(name, people):
    numbers = {"anger": "01", "happiness": "2", "sadness": "10"}
    table = people.table.assign(emotion=people.table["emotion"].map(numbers))
    named = Batch.of(table, tracks(people))
    assert uar(read_view(named, named, QUESTION, TRAINERS[name], rng=rng())[0]).value > 0.85
