"""Labels of every kind: told apart, read as what they are, never a reading where there is nothing to read."""

import math

import numpy as np
import pandas as pd
import pytest

from personare.core.errors import DataError
from personare.core.types import Batch
from personare.data.labels import check_classes, kind_of_label
from personare.data.splits import k_folds_with_validation, person_folds
from personare.evaluate.classification import judge_model
from personare.evaluate.classifiers import Kernel, discriminant, forest, svm
from personare.evaluate.judging import Need, judge
from personare.evaluate.metrics import agreement, recall_and_accuracy
from personare.evaluate.reading import Reading, Task, measure_chosen, measure_reading, read_view


def rng(seed=0):
    return np.random.default_rng(seed)


def numbered(labels, people=6, told=1.0, seed=0, name="stress"):
    """Evidence whose vectors tell the number of each recording as far as ``told``."""
    values = np.asarray(labels, dtype=object)
    subjects = [f"{n % people:02d}" for n in range(len(values))]
    ids = [f"r{n:03d}" for n in range(len(values))]
    scale = pd.Series(values).rank().to_numpy() / len(values) * 4 if told else np.zeros(len(values))
    rows = rng(seed).standard_normal((len(values), 5))
    rows[:, 0] = told * scale + 0.1 * rows[:, 0]
    table = pd.DataFrame({"subject": subjects, "session": "01", name: values}, index=pd.Index(ids, name="id"))
    return Batch.of(table, {"functionals": {i: row[None] for i, row in zip(ids, rows, strict=True)}})


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["yes", "no", "yes"], "nominal"),
        (["0", "1", "1"], "nominal"),
        (["01", "02", "03"], "nominal"),
        (["1", "2", "5"], "ordinal"),
        (["1.0", "2.0", "4.0"], "ordinal"),
        (["0", "13", "27"], "continuous"),
        (["-0.5", "0.25", "1"], "continuous"),
    ],
)
def test_the_kind_of_a_label_follows_from_its_values(words, kind):
    assert kind_of_label(words) == kind


@pytest.mark.parametrize("count", [21, 50, 100])
def test_many_numbers_are_no_classes_and_the_fix_is_said(count):
    with pytest.raises(DataError, match=f"{count} different numbers.*continuous"):
        check_classes([str(n / 7) for n in range(count)], "valence")


@pytest.mark.parametrize(
    ("truth", "told", "ccc", "r2", "mae"),
    [
        ([1, 2, 3, 4], [1, 2, 3, 4], 1.0, 1.0, 0.0),
        # means equal, variances 1.25 and 1.25, covariance -1.25; sum of squares 20 against 5
        ([1, 2, 3, 4], [4, 3, 2, 1], -1.0, -3.0, 2.0),
        # nothing known: the mean for everybody
        ([1, 2, 3, 4], [2.5, 2.5, 2.5, 2.5], 0.0, 0.0, 1.0),
        # variances 2/3, covariance 2/3, means 1 apart: (4/3) / (4/3 + 1); 1 - 3 / 2
        ([1, 2, 3], [2, 3, 4], 4 / 7, -0.5, 1.0),
    ],
)
def test_agreement_is_as_worked_by_hand(truth, told, ccc, r2, mae):
    truth = np.array(truth, dtype=float)
    found = agreement(truth, np.array(told, dtype=float), np.arange(len(truth)), rng=rng())
    assert [found[name].value for name in ("ccc", "r2", "mae")] == pytest.approx([ccc, r2, mae])


def test_the_concordance_of_steps_is_the_kappa_with_quadratic_weights():
    from sklearn.metrics import cohen_kappa_score

    truth, told = rng().integers(1, 6, 200), rng(1).integers(1, 6, 200)
    told = np.where(rng(2).random(200) < 0.5, truth, told)
    found = agreement(truth.astype(float), told.astype(float), truth, rng=rng())["ccc"].value
    assert found == pytest.approx(cohen_kappa_score(truth, told, weights="quadratic"))


@pytest.mark.parametrize("train", [svm(), forest(50), discriminant(), Kernel(describe=lambda c: [c.ravel()])])
@pytest.mark.parametrize(
    ("labels", "figures"),
    [
        ([f"{v:.3f}" for v in np.linspace(-1, 1, 60)], ["ccc", "r2"]),
        ([str(n) for n in rng().integers(1, 6, 60)], ["ccc", "mae"]),
    ],
    ids=["continuous", "ordinal"],
)
def test_numbers_are_read_as_numbers_where_they_are_told_and_not_where_not(train, labels, figures):
    question = Task(view="functionals", label="stress")
    found = []
    for told in (1.0, 0.0):
        evidence = numbered(labels, told=told)
        rows = measure_reading(read_view(evidence, evidence, question, train, rng=rng())[0], "x", rng=rng())
        assert [row.figure for row in rows] == figures
        found.append(rows[0])
    assert found[0].value > 0.7 and found[0].low > 0.5
    assert found[1].value < 0.4


@pytest.mark.parametrize(
    "labels",
    [
        ["neutral"] * 35 + ["angry"],  # one recording of one person
        (["neutral"] * 5 + ["angry"]) * 6,  # all of one person: below
        ["neutral"] * 33 + ["angry"] * 3,
    ],
)
def test_a_class_that_cannot_be_in_train_and_test_is_no_reading(labels):
    evidence = numbered(labels, name="mood", told=0.0)
    with pytest.raises(DataError, match=r"too few people or recordings.*angry"):
        read_view(evidence, evidence, Task(view="functionals", label="mood"), svm(), rng=rng())


def test_a_rare_class_is_left_out_and_said():
    evidence = numbered(["calm", "calm", "angry", "angry", "angry"] * 9 + ["bored"], name="mood")
    reading = read_view(evidence, evidence, Task(view="functionals", label="mood"), svm(), rng=rng())[0]
    row = measure_reading(reading, "x", rng=rng())[0]
    assert reading.classes.tolist() == ["angry", "calm"] and "bored (recordings: 1, people: 1)" in row.reason


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_a_tie_is_a_share_and_no_lucky_guess(classes):
    names = np.array([f"c{n}" for n in range(classes)])
    truth = np.repeat(names, 3)
    reading = Reading(
        reader="fixed_reader",
        ids=tuple(map(str, range(len(truth)))),
        subjects=np.arange(len(truth)),
        truth=truth,
        classes=names,
        likely=np.full((len(truth), classes), 1 / classes),
        missing=0,
    )
    assert measure_reading(reading, "x", rng=rng())[0].value == pytest.approx(1 / classes)


def test_people_drawn_without_a_class_do_not_make_a_recall():
    truth, person = np.array(["a"] * 8 + ["b"] * 4), np.array(list("pqrstuvwxyxy"))
    uar, _, _ = recall_and_accuracy(truth, np.array(["a"] * 12), person, np.array(["a", "b"]), rng=rng())
    assert (uar.value, uar.low, uar.high) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(("people", "folds"), [(6, 6), (9, 3), (12, 5)])
def test_folds_by_person_look_at_the_label_of_the_person(people, folds):
    subjects = {f"{p}-{i}": f"{p:02d}" for p in range(people) for i in range(3)}
    labels = {i: "yes" if int(s) < 3 else "no" for i, s in subjects.items()}
    for seed in range(10):
        for learned, _ in person_folds(subjects, folds, labels=labels, rng=rng(seed)):
            assert {labels[i] for i in learned} == {"yes", "no"}
    if people >= 9:
        tests = [
            {labels[i] for i in k_folds_with_validation(subjects, 3, labels=labels, rng=rng(s))[0].test}
            for s in range(10)
        ]
        assert all(shown == {"yes", "no"} for shown in tests)


@pytest.mark.parametrize("shown", [0, 1])
def test_where_the_tested_show_one_class_nothing_is_printed_as_recall(shown):
    batch = Batch(
        ids=("a", "b"),
        arrays={},
        present={},
        labels=np.array([shown, shown]),
        classes=("no", "yes"),
        subjects=np.array(["p", "q"]),
    )
    rows = judge_model(np.eye(2)[[shown, shown]], batch, None, rng=rng())
    assert {row.status for row in rows} == {"not_measured"} and all(math.isnan(row.value) for row in rows)
    assert "one class only" in rows[0].reason


def test_the_reader_that_is_shown_is_chosen_on_other_people():
    truth, people = np.tile(["a", "b"], 60), np.repeat([f"{p:02d}" for p in range(12)], 10)

    def blind(seed):
        likely = rng(seed).dirichlet([1, 1], 120)
        return Reading(
            reader="fixed_reader",
            ids=tuple(map(str, range(120))),
            subjects=people,
            truth=truth,
            classes=np.array(["a", "b"]),
            likely=likely,
            missing=0,
        )

    best, chosen = [], []
    for trial in range(20):
        many = {f"blind{n}": blind(100 * trial + n) for n in range(20)}
        values = [measure_reading(r, "x", rng=rng())[0].value for r in many.values()]
        best.append(max(values))
        chosen.append(measure_chosen(many, rng=rng(trial))[0].value)
    assert np.mean(best) > 0.56, "the best of twenty that know nothing seems to know something"
    assert 0.45 < np.mean(chosen) < 0.51


@pytest.mark.parametrize(
    ("subjects", "need", "there"),
    [("aabb", Need(people=3, recordings_per_person=2), 2), ("aabcdef", Need(people=3, recordings_per_person=2), 1)],
)
def test_too_few_people_are_said_with_both_numbers(subjects, need, there):
    said = need.lacking(np.array(list(subjects)))
    assert said.startswith("too few people: 3 people with 2 recordings each needed") and f"{there} there" in said
    assert ("(of 6 people)" in said) == (len(set(subjects)) > there)
    assert need.lacking(np.array(list("aabbcc"))) == ""


@pytest.mark.parametrize("people", [1, 2])
def test_a_cohort_too_small_to_name_people_gets_no_verdict(plant, people):
    few = plant(people=people)
    rows = judge(few, few, modality="audio", seed=0, attacks=["voice_prosody"], utilities=[])
    assert rows and all(row.status == "not_measured" and math.isnan(row.value) for row in rows)
    assert f"3 people with 2 recordings each needed, {people} there" in rows[0].reason


def test_judge_reads_the_label_that_was_asked_for():
    evidence = numbered([f"{v:.3f}" for v in np.linspace(-1, 1, 60)], name="valence")
    rows = judge(evidence, evidence, modality="audio", seed=0, attacks=[], utilities=["voice_emotion"], label="valence")
    shown = {row.name: row for row in rows if row.attacker == "retrained_reader"}
    assert shown["reader.ccc"].value > 0.8 and "answers" not in shown["reader.ccc"].detail
