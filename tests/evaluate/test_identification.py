"""The three attackers, the split, and what is missing."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from naming import tracks

from personare.core.errors import DataError
from personare.core.strongest import lower_bounds
from personare.core.types import Batch
from personare.data.splits import content_halves
from personare.evaluate.identification import (
    ATTACKERS,
    FIGURES,
    Trials,
    identify,
    learning_gain,
    measure_trials,
    not_measured,
)
from personare.evaluate.unmeasured import UNEXPECTED


@dataclass(frozen=True)
class Nearest:
    """A fake attack: nearest mean of what ``fit`` centred; it keeps a diary of what it was given."""

    diary: list
    views: tuple = ("functionals",)
    modality: ClassVar[str] = "audio"
    question: ClassVar[str] = "identify"

    def fit(self, clips, subjects, *, rng):
        self.diary.append(("fit", frozenset(clips), _mean(clips)))
        return _Means(self.diary, np.mean([c.ravel() for c in clips.values()], axis=0))


@dataclass(frozen=True)
class _Means:
    diary: list
    centre: object

    def enroll(self, clips, subjects, *, rng):
        self.diary.append(("enroll", frozenset(clips), _mean(clips)))
        people = sorted(set(subjects.values()))
        means = np.stack([np.mean([clips[i].ravel() for i in clips if subjects[i] == p], axis=0) for p in people])

        def score(asked):
            self.diary.append(("test", frozenset(asked), _mean(asked)))
            rows = np.stack([c.ravel() for c in asked.values()])
            return (rows - self.centre) @ (means - self.centre).T

        return score


def _mean(clips):
    return float(np.mean([np.mean(c) for c in clips.values()]))


def _halves(evidence):
    enroll, test, *_ = content_halves(evidence.table, rng=np.random.default_rng(0))
    return [(enroll, test), (test, enroll)]


def _top1(trials):
    rows = {r.name: r for r in measure_trials(trials, rng=np.random.default_rng(0))}
    return rows["fake.top1"]


def _run(original, released, **options):
    diary = []
    fake = Nearest(diary, **options)
    return identify(fake, original, released, name="fake", halves=_halves(original), seed=0), diary


def _crowd(strength, of=1, people=12, each=8):
    """People with so many recordings, whose voices differ by ``strength``; so many of them sound the same."""
    rng = np.random.default_rng(0)
    own = strength * rng.standard_normal((people, 1, 40))
    table = pd.DataFrame({"subject": np.repeat([f"{p:02d}" for p in range(people)], each)})
    table.index = [f"{who}_{n}" for n, who in enumerate(table["subject"])]
    clips = [own[int(who) // of] + rng.standard_normal((1, 40)) for who in table["subject"]]
    return Batch.of(table, {"functionals": dict(zip(table.index, clips, strict=True))})


def _gain(crowd, fake):
    trained, halves = {}, _halves(crowd)
    trials = identify(fake, crowd, crowd, name="fake", halves=halves, seed=0, trained=trained)
    rest = {"halves": halves, "trained": {"fake": trained}, "seed": 0}
    [top1, *_] = measure_trials(trials[2], rng=np.random.default_rng(0))
    [gain] = learning_gain({"fake": fake}, crowd, trials, **rest)
    assert str(learning_gain({"fake": fake}, crowd, trials, **rest)) == str([gain]), "it is stable under a seed"
    return top1, gain


@pytest.mark.parametrize(
    ("crowd", "named", "bounded"),
    [
        (_crowd(0.3), (0.1, 0.3), True),  # four recordings are too few for voices that differ so little
        (_crowd(2.0), (1.0, 1.0), False),
        (_crowd(2.0, of=2), (0.4, 0.6), False),  # no recording tells twins apart, however many there are
        (_crowd(0.0), (0.0, 0.2), False),
    ],
)
def test_an_attacker_starved_of_recordings_is_told_from_one_that_has_enough(crowd, named, bounded):
    top1, gain = _gain(crowd, Nearest([]))
    assert named[0] <= top1.value <= named[1]
    assert bool(lower_bounds([top1, gain])) is bounded
    assert (gain.low > 0) is bounded


def test_a_lower_bound_is_of_an_attack_that_passed_its_self_test_and_leaves_room():
    top1, gain = _gain(_crowd(0.5), Nearest([]))
    assert lower_bounds([top1, gain]) == [top1]
    assert not lower_bounds([replace(top1, high=1.0), gain])
    assert not lower_bounds([top1, replace(gain, status="not_informative")])
    assert not lower_bounds([replace(top1, release="another"), gain])


@pytest.mark.parametrize(("learns", "fits"), [(True, 4), (False, 0)])
def test_what_either_half_of_the_recordings_gives_costs_what_one_training_does(learns, fits):
    crowd, fake = _crowd(0.5), Nearest([])
    fake = type("Fake", (Nearest,), {"learns": learns})(fake.diary)
    trained, halves = {}, _halves(crowd)
    trials = identify(fake, crowd, crowd, name="fake", halves=halves, seed=0, trained=trained)
    before = len(fake.diary)
    learning_gain({"fake": fake}, crowd, trials, halves=halves, trained={"fake": trained}, seed=0)
    seen = [(what, ids) for what, ids, _ in fake.diary[before:]]
    assert [what for what, _ in seen].count("fit") == fits
    assert [len(ids) for what, ids in seen if what != "test"] == [24] * (4 + fits), "of 48, two of each person"
    assert frozenset().union(*(ids for what, ids in seen if what == "test")) == frozenset(crowd.ids)


def test_one_recording_each_cannot_be_halved():
    _, gain = _gain(_crowd(1.0, each=2), Nearest([]))
    assert (gain.status, gain.figure) == ("not_measured", "learning_gain") and "two recordings" in gain.reason


def test_guarantee_nobody_is_named_but_who_is_in_the_cohort_whose_release_it_is(people):
    own = people.take(np.isin(people.subjects, sorted(set(people.subjects))[:4]))
    for trials in _run(own, people)[0]:
        assert {*trials.ids} <= {*own.ids} and {*trials.people} == {*own.subjects}


def test_planted_identity_is_found(people):
    trials, _ = _run(people, people)
    assert [t.attacker for t in trials] == list(ATTACKERS)
    assert _top1(trials[2]).value > 0.9
    assert _top1(trials[0]).value == _top1(trials[2]).value, "on unprotected data the three attackers are one"


def test_without_identity_the_interval_covers_chance(plant):
    covered = 0
    for seed in range(10):
        evidence = plant(identity=0.0, seed=seed)
        row = _top1(_run(evidence, evidence)[0][2])
        covered += row.low <= 1 / 8 <= row.high
        assert row.control == 1 / 8
    assert covered >= 7


def test_each_attacker_knows_what_its_name_says(people, plant):
    released = plant(noise=3)
    for clips in released.arrays.values():
        for n, clip in enumerate(clips):
            clips[n] = clip + 100 if clip.dtype != np.uint8 else clip
    trials, diary = _run(people, released)
    enroll, test = _halves(people)[0]
    told = [(what, "released" if mean > 50 else "original") for what, _, mean in diary[: len(diary) // 2]]
    ignorant, lazy, semi = told[:3], told[3:5], told[5:8]
    assert ignorant == [("fit", "original"), ("enroll", "original"), ("test", "released")]
    assert lazy == [("enroll", "released"), ("test", "released")], "it shares the ignorant attacker's training"
    assert semi == [("fit", "released"), ("enroll", "released"), ("test", "released")]
    assert {ids for what, ids, _ in diary[:8] if what != "test"} == {frozenset(enroll)}
    assert {ids for what, ids, _ in diary[:8] if what == "test"} == {frozenset(test)}
    assert sorted(trials[0].ids) == sorted(people.table.index), "both ways round, everything is tested once"


def test_a_swap_of_voices_fools_the_ignorant_attacker_only(people, plant):
    trials, _ = _run(people, plant(shift=1, noise=3))
    ignorant, lazy, semi = (_top1(t).value for t in trials)
    assert ignorant < 0.1
    assert min(lazy, semi) > 0.9


def test_recordings_without_the_view_are_guesses(people):
    kept = dict(people.clips("functionals"))
    gone = [i for i in kept if i.endswith("anger_DFA")]
    for name in gone:
        kept[name] = np.full_like(kept[name], np.nan)
    released = Batch.of(people.table, {"functionals": kept})
    trials, _ = _run(people, released)
    assert trials[2].missing == len(gone)
    row = _top1(trials[2])
    assert "8 recordings" in row.reason
    assert row.value == pytest.approx((40 * _named(trials[2], gone) + len(gone) / 8) / 48)


def _named(trials, gone):
    asked = ~np.isin(trials.ids, gone)
    return np.mean(trials.scores[asked].argmax(axis=1) == trials.truth[asked])


def test_a_view_missing_in_most_recordings_is_no_figure(people):
    few = dict(list(people.clips("functionals").items())[:5])
    with pytest.raises(DataError, match="at least half"):
        _run(people, Batch.of(people.table, {"functionals": few}))


def test_withheld_recordings_are_not_tested(people):
    table = people.table.iloc[4:]
    trials, _ = _run(people, Batch.of(table, tracks(people)))
    assert sorted(trials[0].ids) == sorted(table.index)


def test_of_several_views_the_better_counts_more(people, plant):
    views = tracks(people) | {"noise": plant(identity=0.0, emotion=0.0, noise=5).clips("functionals")}
    evidence = Batch.of(people.table, views)
    both, _ = _run(evidence, evidence, views=("noise", "functionals"))
    alone, _ = _run(evidence, evidence, views=("functionals",))
    assert _top1(both[2]).value >= _top1(alone[2]).value - 0.05


def test_equal_seeds_give_equal_figures(people):
    first, second = (_run(people, people)[0][2] for _ in range(2))
    assert np.array_equal(first.scores, second.scores)


def test_what_was_not_measured_is_nan_with_a_reason():
    rows = not_measured(Nearest, "face_motion", DataError("no face"))
    assert len(rows) == len(ATTACKERS) * len(FIGURES)
    assert all(np.isnan(r.value) and r.reason == "not measured: no face" and r.status == "not_measured" for r in rows)
    assert not any(UNEXPECTED in r.detail for r in rows)
    foreseen_by_nobody = not_measured(Nearest, "face_motion", KeyError("jaw"))
    assert all(r.detail == {UNEXPECTED: "KeyError"} for r in foreseen_by_nobody)


def _measured(scores, subjects, half, seed=0):
    trials = Trials(
        attack="x",
        attacker="semi_informed",
        ids=tuple(map(str, range(len(scores)))),
        subjects=subjects,
        people=np.unique(subjects),
        scores=scores,
        half=half,
    )
    return {row.figure: row for row in measure_trials(trials, rng=np.random.default_rng(seed))}


# One person "a" and one "b", each alone in a half: (own score minus the other's) of each recording of "a".
@pytest.mark.parametrize(
    ("gaps", "one", "five", "every"),
    [
        ([2, -1, -1, -1, 2], 2 / 5, 1.0, 1.0),  # named by two of five, and by their sum of +1
        ([-1, 2, -1, -1, -1, -1], 1 / 6, 0.0, 0.0),  # five of six sum to -2 or -5, never above 0
        ([3, -1, -1, -1, -1, -1], 1 / 6, 0.0, 0.0),
        (
            [5, -1, -1, -1, -1, -1, -1],
            1 / 7,
            5 / 7,
            0.0,
        ),  # a group of five holds the telling one in 5 of 7 cases; all: -1
        ([1, -1, 1, -1], 1 / 2, np.nan, 1 / 2),  # a tie of two; too few for five
    ],
)
def test_several_recordings_are_named_by_the_sum_of_their_scores(gaps, one, five, every):
    scores = np.array([[gap, 0] for gap in gaps] + [[0, 9]] * 5, dtype=float)
    truth = np.array([0] * len(gaps) + [1] * 5)
    subjects = np.array(["a", "b"])[truth]
    draws = [_measured(scores, subjects, np.zeros(len(truth)), seed=k) for k in range(30)]
    rows = measure_trials(
        Trials(
            attack="x", attacker="ignorant", ids=tuple(map(str, truth)), subjects=subjects, people=np.array(["a", "b"]),
            scores=scores, half=np.zeros(len(truth)),
        ),
        rng=np.random.default_rng(0),
    )  # fmt: skip
    value = {r.name: r for r in rows}
    assert value["x.top1"].value == pytest.approx((one * len(gaps) + 5) / len(truth))
    assert value["x.person_top1"].value == pytest.approx((every + 1) / 2)
    assert value["x.person_top1"].control == value["x.top1_5"].control == 0.5
    measured = np.mean([d["top1_5"].value for d in draws])
    assert measured == pytest.approx((five + 1) / 2 if np.isfinite(five) else 1.0, abs=0.03)


@pytest.mark.parametrize(
    ("sizes", "counted", "said"),
    [
        ({"a": 5, "b": 7}, 2, ""),
        ({"a": 4, "b": 5}, 1, "left out: 1 of 2 halves"),
        ({"a": 1, "b": 4}, 0, "not measured: 2 of 2 halves"),
    ],
)
def test_too_few_recordings_for_five_are_said_and_not_counted(sizes, counted, said):
    who = np.repeat(list(sizes), list(sizes.values()))
    truth = np.unique(who, return_inverse=True)[1]
    found = _measured(np.eye(2)[truth], who, np.zeros(len(who)))
    assert (found["top1_5"].n, found["person_top1"].n) == (counted, 2)
    assert np.isnan(found["top1_5"].value) == (counted == 0)
    assert found["top1_5"].reason.startswith(said) and bool(said) == bool(found["top1_5"].reason)


@pytest.mark.parametrize(("people", "limit"), [(2, 0.658), (5, 0.434), (14, 0.215)])
@pytest.mark.parametrize("named", [True, False])
def test_that_all_or_nobody_is_named_is_no_certainty_of_few_people(people, limit, named):
    # Wilson's interval of none of n: from 0 to z^2 / (n + z^2), z = 1.96
    scores = np.eye(people) if named else np.roll(np.eye(people), 1, axis=1)
    found = _measured(scores, np.array([f"{p:02d}" for p in range(people)]), np.zeros(people))
    ends = (found["person_top1"].low, found["person_top1"].high)
    assert ends == pytest.approx((1 - limit, 1.0) if named else (0.0, limit), abs=1e-3)


def test_halves_are_not_added_up():
    # in the first half "a" is taken for "b" by far, in the second it is named: half of what there is
    scores = np.array([[0, 9], [1, 0], [0, 1], [0, 1]], dtype=float)
    found = _measured(scores, np.array(["a", "a", "b", "b"]), np.array([0, 1, 0, 1]))
    assert found["person_top1"].value == 0.75 and found["person_top1"].n == 4


def test_all_recordings_together_name_more_before_and_guess_where_nobody_is(plant):
    weak, nobody = plant(identity=0.35, seed=1), plant(identity=0.0, seed=1)
    for evidence, many in ((weak, True), (nobody, False)):
        trials, _ = _run(evidence, evidence)
        value = {r.name: r for r in measure_trials(trials[2], rng=np.random.default_rng(0))}
        more = value["fake.person_top1"].value - value["fake.top1"].value
        assert more > 0.1 if many else value["fake.person_top1"].low <= 1 / 8
