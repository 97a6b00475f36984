"""The three attackers, the split, and what is missing."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from personare.core.errors import DataError
from personare.core.types import Evidence
from personare.data.splits import content_halves
from personare.evaluate.identification import ATTACKERS, identify, measure_trials, not_measured


@dataclass(frozen=True)
class Nearest:
    """A fake attack: nearest mean of what ``fit`` centred; it keeps a diary of what it was given."""

    diary: list
    views: tuple = ("functionals",)
    modality: ClassVar[str] = "audio"

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
    rows = {r.measure: r for r in measure_trials(trials, modality="audio", rng=np.random.default_rng(0))}
    return rows["fake.top1"]


def _run(original, released, **options):
    diary = []
    fake = Nearest(diary, **options)
    return identify(fake, original, released, name="fake", halves=_halves(original), seed=0), diary


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
    for views in released.views.values():
        for name in views:
            views[name] = views[name] + 100 if views[name].dtype != np.uint8 else views[name]
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
    kept = dict(people.views["functionals"])
    gone = [i for i in kept if i.endswith("anger_DFA")]
    for name in gone:
        kept[name] = np.full_like(kept[name], np.nan)
    released = Evidence(table=people.table, views={"functionals": kept})
    trials, _ = _run(people, released)
    assert trials[2].missing == len(gone)
    row = _top1(trials[2])
    assert "8 recordings" in row.note
    assert row.value == pytest.approx((40 * _named(trials[2], gone) + len(gone) / 8) / 48)


def _named(trials, gone):
    asked = ~np.isin(trials.ids, gone)
    return np.mean(trials.scores[asked].argmax(axis=1) == trials.truth[asked])


def test_a_view_missing_in_most_recordings_is_no_figure(people):
    few = dict(list(people.views["functionals"].items())[:5])
    with pytest.raises(DataError, match="at least half"):
        _run(people, Evidence(table=people.table, views={"functionals": few}))


def test_withheld_recordings_are_not_tested(people):
    table = people.table.iloc[4:]
    trials, _ = _run(people, Evidence(table=table, views=people.views))
    assert sorted(trials[0].ids) == sorted(table.index)


def test_of_several_views_the_better_counts_more(people, plant):
    views = dict(people.views) | {"noise": plant(identity=0.0, emotion=0.0, noise=5).views["functionals"]}
    evidence = Evidence(table=people.table, views=views)
    both, _ = _run(evidence, evidence, views=("noise", "functionals"))
    alone, _ = _run(evidence, evidence, views=("functionals",))
    assert _top1(both[2]).value >= _top1(alone[2]).value - 0.05


def test_equal_seeds_give_equal_figures(people):
    first, second = (_run(people, people)[0][2] for _ in range(2))
    assert np.array_equal(first.scores, second.scores)


def test_what_was_not_measured_is_nan_with_a_reason():
    rows = not_measured("motion", modality="video", reason="no face")
    assert len(rows) == 12
    assert all(np.isnan(r.value) and r.note == "no face" for r in rows)
