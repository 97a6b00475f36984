"""What is left of a phone's log: a routine by hand, a planted label read of people never met, a group's days."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from phones import crowd, stressed

from personare.anonymize.phone_daily import PhoneDaily
from personare.anonymize.phone_routine import PhoneRoutine
from personare.core.randomness import generator
from personare.core.types import Batch, Result, Track
from personare.evaluate.utility.phone_concordance import PhoneConcordance
from personare.evaluate.utility.phone_label import PhoneLabel
from personare.features.phone import COLUMNS, ROUTINE
from personare.features.tracks import _channel_view

Weeks = list[tuple[str, Track, str]]


@pytest.fixture(scope="module")
def weeks() -> Weeks:
    return stressed(crowd(6, weeks=2))


def batch(weeks: Weeks, tracks: list[Track] | None = None) -> Batch:
    ids = [f"{subject}-{n}" for n, (subject, *_) in enumerate(weeks)]
    table = pd.DataFrame({"subject": [w[0] for w in weeks], "stress": [w[2] for w in weeks]}, index=ids)
    views = map(_channel_view, tracks or [track for _, track, _ in weeks])
    return Batch.of(table, {"phone": dict(zip(ids, views, strict=True))})


def concordance(weeks: Weeks, tracks: list[Track] | None = None) -> dict[str, Result]:
    rows = PhoneConcordance()(batch(weeks), batch(weeks, tracks), rng=generator(0))
    return {row.subset: row for row in rows}


def test_a_routine_that_stays_is_one_and_another_persons_is_none(weeks: Weeks) -> None:
    kept = concordance(weeks)
    assert [*kept] == ["", *ROUTINE, "group_days"]
    assert all(row.value == row.low == pytest.approx(1) and row.n == 12 for row in kept.values())
    tracks = [track for _, track, _ in weeks]
    swapped = concordance(weeks, tracks[2:] + tracks[:2])
    assert abs(swapped[""].value) < 0.5 and swapped["group_days"].value == pytest.approx(1)  # the same group


def test_concordance_by_hand(weeks: Weeks) -> None:
    """Half of the uses at night, then at day: only the share of the night moves, by as much as it differs."""
    track = weeks[0][1]

    def used(*hours: int) -> Track:
        values = np.zeros((168, len(COLUMNS)), np.float32)
        values[np.isin(np.arange(168) % 24, hours), 0] = 1
        return replace(track, values=values)

    few: Weeks = [("a", used(1, 9), ""), ("b", used(9, 10), "")]
    shown = [used(1, 2), used(1, 9)]
    row = concordance(few, shown)["night_share"]
    # before .5 and 0, after 1 and .5: variances .0625, covariance .0625, means .5 apart: .125 / (.125 + .25)
    assert row.value == pytest.approx(1 / 3)


def test_guarantee_what_is_not_told_counts_as_a_guess(weeks: Weeks) -> None:
    tracks = [PhoneRoutine()(track, subject="", rng=generator(0)) for _, track, _ in weeks]
    whole = concordance(weeks, tracks)
    assert whole[""].value > 0.6 and whole["group_days"].status == "not_measured"
    hidden = [replace(t, values=np.where(np.arange(5) < 3, np.nan, t.values)) for t in tracks]
    partly = concordance(weeks, hidden)
    assert 0 < partly[""].value < whole[""].value and "36 of 60 numbers" in partly[""].reason
    assert partly["night_share"].status == "not_measured" and partly["main_place_share"].value > 0.5


def test_a_use_that_never_differs_is_no_loss(weeks: Weeks) -> None:
    still = [(who, replace(t, values=np.where(np.arange(8) == 5, 60, t.values)), "") for who, t, _ in weeks]
    assert concordance(still)["group_days"].value == pytest.approx(1)


def test_of_a_group_only_its_days_are_left(weeks: Weeks) -> None:
    people = [(who, track) for who, track, _ in weeks]
    for epsilon, least, most in ((100.0, 0.3, 1.0), (1.0, -0.2, 0.2)):
        group = PhoneDaily(epsilon=epsilon, delta=0.1).fit(iter(people), rng=generator(0))
        rows = concordance(weeks, [group(track, subject=who, rng=generator(0)) for who, track in people])
        assert {row.status for name, row in rows.items() if name != "group_days"} == {"not_measured"}
        assert least < rows["group_days"].value < most


def test_guarantee_no_reader_was_trained_on_the_person_that_it_reads(weeks: Weeks) -> None:
    """So a label that follows nothing but the person is not read; one that follows the weeks is, see the study."""
    whose = batch([(who, track, ("rest", "stress")[int(who) % 2]) for who, track, _ in weeks])
    assert all(r.value < 0.7 for r in PhoneLabel(trees=10)(whose, whose, rng=generator(0)))
