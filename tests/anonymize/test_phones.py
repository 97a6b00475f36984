"""A phone's log leaves coarser, as a group's days or as a routine: attacks that work before fail after."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from phones import crowd, write_cohort

from personare.anonymize._recordings import Disguise
from personare.anonymize.phone_coarsen import LADDER, Coarsened, PhoneCoarsen
from personare.anonymize.phone_daily import PhoneDaily
from personare.anonymize.phone_routine import PhoneRoutine
from personare.core.errors import DataError, OptionError
from personare.core.randomness import generator
from personare.core.types import Batch, Result, Track
from personare.data.cohort import open_cohort
from personare.evaluate.judging import judge
from personare.features.phone import ROUTINE, USES, hourly
from personare.features.tracks import _channel_view, read_track
from personare.learn.accounting import epsilon_of
from personare.study.access import open_ledger
from personare.study.anonymizing import anonymize_path
from personare.study.parallel import Workers

Log = list[tuple[str, Track]]


@pytest.fixture(scope="module")
def people() -> Log:
    return crowd(16, weeks=2)


def batch(people: Log, tracks: Sequence[Track]) -> Batch:
    ids = [f"{subject}-{n}" for n, (subject, _) in enumerate(people)]
    table = pd.DataFrame({"subject": [subject for subject, _ in people]}, index=ids)
    return Batch.of(table, {"phone": dict(zip(ids, map(_channel_view, tracks), strict=True))})


def attacked(people: Log, tracks: Sequence[Track], baseline: Sequence[Result] = ()) -> dict[str, Result]:
    original = batch(people, [track for _, track in people])
    released = batch(people, tracks) if baseline else original
    how = {"attacks": ["phone_unicity", "phone_linkage"], "utilities": [], "baseline": baseline}
    rows = judge(original, released, modality="phone", seed=0, **how)
    return {r.name: r for r in rows if r.attacker in ("", "semi_informed")}


@pytest.fixture(scope="module")
def before(people: Log) -> dict[str, Result]:
    return attacked(people, [])


def hidden(method: object, people: Log) -> list[Track]:
    return [method(track, subject=who, rng=generator(0, str(n))) for n, (who, track) in enumerate(people)]


def test_the_attacks_find_everybody_where_nothing_is_hidden(before: dict[str, Result]) -> None:
    for kind in ("place", "use", "any"):
        assert before[f"phone_unicity.unicity.{kind}"].value > 0.95, kind
    assert before["phone_linkage.top1"].value > 0.9
    assert all(r.status == "ok" for r in before.values() if r.figure in ("unicity", "top1"))


def test_guarantee_few_facts_single_out_few_people(people: Log, before: dict[str, Result]) -> None:
    method = PhoneCoarsen(share=0.1).fit(iter(people), rng=generator(0, "fit"))
    assert method.counts["unicity"] < 0.1 and method.level in LADDER
    after = attacked(people, hidden(method, people), [*before.values()])
    for kind in ("place", "use", "any"):
        assert after[f"phone_unicity.unicity.{kind}"].value < 0.1, kind
    assert after["phone_linkage.top1"].value > 3 / 16  # habits are left, which is not promised
    out = method(people[0][1], subject="", rng=generator(0))
    assert out.start_s == people[0][1].start_s and out.rate_hz * method.level[0] == pytest.approx(1 / 3600)


def test_guarantee_nothing_is_released_where_no_level_is_coarse_enough(people: Log) -> None:
    apart = [(who, replace(track, start_s=track.start_s + 7 * 86400 * n)) for n, (who, track) in enumerate(people[:6])]
    with pytest.raises(DataError, match="single out 100%"):  # nobody else has a log of these weeks
        PhoneCoarsen().fit(iter(apart), rng=generator(0))
    with pytest.raises(DataError, match="Add people"):
        PhoneCoarsen().fit(iter([("1", replace(people[0][1], rate_hz=1.0))]), rng=generator(0))


def test_guarantee_days_are_those_of_the_group_under_noise_with_a_price(people: Log, before: dict[str, Result]) -> None:
    method = PhoneDaily().fit(iter(people), rng=generator(0, "fit"))
    spend = method.spend
    assert (spend.unit, spend.steps, spend.units) == ("person", 14, 16)
    assert epsilon_of(spend.noise_multiplier, 1.0, 14, 1e-5) == spend.epsilon <= 8
    tracks = hidden(method, people)
    assert tracks[0].values.shape == (7, 6) and tracks[0].columns == USES
    assert np.array_equal(tracks[0].values, tracks[2].values)  # the same week of two people
    after = attacked(people, tracks, [*before.values()])
    assert after["phone_linkage.top1"].value < 2 / 16
    assert after["phone_unicity.unicity.any"].value == 0
    with pytest.raises(DataError, match="none of the group's"):
        method(replace(people[0][1], start_s=0.0), subject="", rng=generator(0))
    with pytest.raises(OptionError, match="epsilon"):
        PhoneDaily(epsilon=0).fit(iter(people), rng=generator(0))


def test_guarantee_a_person_changes_the_days_by_no_more_than_is_paid_for(people: Log) -> None:
    """With the same noise, a sum of days without somebody differs by at most what the noise is scaled to."""
    wild = replace(people[0][1], values=np.full((168, 8), 60, np.float32))
    quiet = replace(wild, values=np.zeros((168, 8), np.float32))
    most = np.log1p((100, 500, 500, 2000, 1440, 1440))
    means = []
    for track in (wild, quiet):
        group = PhoneDaily(epsilon=100.0).fit(iter([("0", track), *people[2:]]), rng=generator(0, "fit"))
        means.append(np.array([*group.means.values()])[:7])
    shares = [np.log1p(values) / most for values in means]
    moved = np.linalg.norm(shares[0] - shares[1], axis=1) * 16  # of 16 people's sum
    assert (moved <= np.sqrt(6) + 1e-6).all() and moved.max() > 1  # one replaced: twice one removed


def test_guarantee_of_a_routine_neither_when_nor_where_is_left(people: Log, before: dict[str, Result]) -> None:
    tracks = hidden(PhoneRoutine(), people)
    assert all(t.columns == ROUTINE and t.start_s == 0 and t.values.shape == (5,) for t in tracks)
    values = np.array([t.values for t in tracks]) * 10
    assert np.allclose(values, np.round(values), atol=1e-5) and (values <= 10).all()
    after = attacked(people, tracks, [*before.values()])
    assert after["phone_unicity.unicity.any"].value == 0
    assert after["phone_linkage.top1"].value < before["phone_linkage.top1"].value / 2
    moved = [
        replace(t, start_s=0.0, values=np.hstack([hourly(t)[:, :6], hourly(t)[:, 6:] + 1]).astype(np.float32))
        for _, t in people
    ]  # another month, another country
    assert all(np.allclose(PhoneRoutine()(a, subject="", rng=generator(0)).values, b.values, atol=0.11)
               for a, b in zip(moved, tracks, strict=True))  # fmt: skip


def test_methods_are_what_a_study_file_says() -> None:
    with pytest.raises(OptionError, match="share"):
        PhoneCoarsen(share=1.0)
    with pytest.raises(OptionError, match="points"):
        Disguise(name="x", phone="phone_coarsen", phone_options={"points": 0})
    assert [f.name for f in dataclasses.fields(Coarsened)] == ["level", "counts"]


def test_a_cohort_of_phones_leaves_coarse_and_says_how_coarse(tmp_path: Path) -> None:
    people = crowd(12, weeks=1)
    weeks = [(who, track if n else replace(track, values=-track.values), "") for n, (who, track) in enumerate(people)]
    write_cohort(tmp_path / "in", weeks)  # the first log is impossible
    disguise = Disguise(name="coarse", phone="phone_coarsen", phone_options={"share": 0.3})
    release = anonymize_path(tmp_path / "in", tmp_path / "out", disguise, workers=Workers(jobs=1, quiet=True))
    assert release.counts["recordings"] == 11 and release.counts["unicity"] < 0.3
    assert [w.problem for w in release.withheld if "from 0" in w.problem] and len(release.withheld) == 1
    shown = open_cohort(tmp_path / "out")
    track = read_track(shown.root / shown.recordings[0].tracks["phone"])
    assert track.rate_hz * release.counts["hours_a_row"] == pytest.approx(1 / 3600)
    assert track.start_s == people[0][1].start_s and "week2013" not in shown.recordings[0].id
    disguise = Disguise(name="routine", phone="phone_routine")
    anonymize_path(tmp_path / "in", tmp_path / "routine", disguise, workers=Workers(jobs=1, quiet=True))
    shown = open_cohort(tmp_path / "routine")
    track = read_track(shown.root / shown.recordings[0].tracks["phone"])
    assert (track.kind, track.columns, track.start_s) == ("table", ROUTINE, 0) and np.isfinite(track.values).all()
    disguise = Disguise(name="daily", phone="phone_daily", phone_options={"epsilon": 8.0, "delta": 0.01})
    anonymize_path(tmp_path / "in", tmp_path / "daily", disguise, workers=Workers(jobs=1, quiet=True))
    spent = open_ledger(None, tmp_path / "in").rows(action="spent")
    assert sorted(spent["subject"]) == sorted(who for who, _ in people)
    assert json.loads(spent["detail"].iloc[0])["spends"][0]["epsilon"] == pytest.approx(8, rel=0.02)
